//! What goes wrong at an upstream that speaks Anthropic's messages, and what is a caller told?

use std::time::Duration;

use serde_json::{Value, json};
use spafe::simulator::script::{Gate, Script};

use super::{CHAT, arrived, asked, before, chunks, post_chat, said, setup};
use crate::kit::client::{Connection, ask, post};
use crate::kit::pair::completion;
use crate::kit::upstream::{always, base, upstream};

#[tokio::test(flavor = "multi_thread")]
async fn errors_mean_what_they_mean_in_any_protocol() {
    let up = upstream().await;
    let gateway = setup(&up, "")
        .tables("[attempts]\nmax = 1")
        .model("claude", &["anthropic"])
        .start();
    let error = Script::anthropic_error;
    let limited = error(429, "rate_limit_error", "Too many.").header("retry-after", "7");
    let cases = [
        (
            error(400, "invalid_request_error", "max_tokens: too large"),
            400,
            None,
        ),
        (error(404, "not_found_error", "model: claude-9"), 404, None),
        (error(413, "request_too_large", "Too large."), 413, None),
        (
            error(401, "authentication_error", "invalid x-api-key"),
            502,
            Some("upstream_auth"),
        ),
        (limited, 429, Some("upstream_rate_limited")),
        (
            error(500, "api_error", "Internal"),
            502,
            Some("upstream_unavailable"),
        ),
        (
            error(529, "overloaded_error", "Overloaded"),
            503,
            Some("overloaded"),
        ),
        (
            Script::json(200, "{\"type\":\"ping\"}"),
            502,
            Some("upstream_invalid_response"),
        ),
    ];
    for (script, status, code) in cases {
        let up = always(script).await;
        let gateway = before(&up, "");
        let answer = post_chat(&gateway, json!({})).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let told = answer.json()["error"].clone();
        assert_eq!(told["code"].as_str(), code, "{told}");
        if status == 429 {
            assert_eq!(answer.field("retry-after"), Some("7"));
        }
        if status < 429 {
            assert!(told["message"].as_str().unwrap().len() > 5, "{told}");
        }
    }
    // One inside an answer of status 200, and as the first event of a stream.
    up.push(error(200, "overloaded_error", "Overloaded"));
    assert_eq!(post_chat(&gateway, json!({})).await.status, 503);
    let event = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    up.push(Script::sse_bytes(&[event.as_bytes()]));
    let answer = post_chat(&gateway, json!({"stream": true})).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_upstreams_stream() {
    let gate = Gate::new();
    let script = Script::message_stream("claude", "one two three");
    let script = script.hold_after(600, &gate);
    let up = always(script).await;
    let gateway = before(&up, "");
    let mut client = Connection::open(gateway.address).await;
    client
        .send(post(CHAT, &[], asked(json!({"stream": true})).as_bytes()))
        .await;
    let head = client.head().await;
    client.piece(&head).await.unwrap();
    let request = up.next_request().await.unwrap();
    drop(client);
    up.aborted(request.number).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_told_of_in_an_event() {
    let whole = Script::message_stream("claude", "one two three");
    let bytes = whole.body_bytes();
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let start = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";
    let cases = [
        (whole.clone().cut_after(bytes - 250), "upstream_unavailable"),
        (Script::sse_bytes(&[start.as_bytes(), error.as_bytes()]), ""),
        (
            Script::sse_bytes(&[start.as_bytes(), b"data: {\n\n"]),
            "upstream_invalid_response",
        ),
    ];
    for (script, code) in cases {
        let up = always(script).await;
        let gateway = before(&up, "");
        let answer = post_chat(&gateway, json!({"stream": true})).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
        let last = chunks(&answer).pop().unwrap();
        assert_eq!(
            last["error"]["code"].as_str().unwrap_or_default(),
            code,
            "{last}"
        );
        assert!(last["error"]["message"].is_string(), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_only_began_is_replaced_and_one_that_thinks_is_waited_for() {
    let start = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\"}}\n\n";
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let (up, openai) = (upstream().await, upstream().await);
    let gateway = setup(&up, "timeouts = { connect = \"1s\", first_event = \"1s\" }")
        .pool("openai", &[&base(&openai)])
        .model("claude", &["anthropic"])
        .model("backed", &["anthropic", "openai"])
        .start();
    let begun = || [start.as_bytes(), ping.as_bytes(), error.as_bytes()];
    up.push(Script::sse_bytes(&begun()));
    let answer = post_chat(&gateway, json!({"stream": true, "model": "backed"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("x-spafe-upstream"), Some("openai"));
    // Alone it is asked once more.
    up.push(Script::sse_bytes(&begun()));
    up.push(Script::sse_bytes(&begun()));
    let answer = post_chat(&gateway, json!({"stream": true})).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    // Nothing is said in time by one that has begun: it thinks, and is waited for.
    let said = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";
    let end = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let slow = [start, ping, said, end].map(str::as_bytes);
    up.push(Script::sse_bytes(&slow).gap(Duration::from_millis(700)));
    let thinks = json!({"stream": true, "model": "backed", "user": "thinks"});
    let answer = post_chat(&gateway, thinks).await;
    assert_eq!(answer.field("x-spafe-upstream"), Some("anthropic"));
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
    assert!(chunks(&answer)[0]["choices"][0]["delta"]["role"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_its_last_event_is_complete_once_its_reason_was_told() {
    let whole = Script::message_stream("claude", "one two");
    let up = always(whole.clone()).await;
    let gateway = before(&up, "");
    let expected = post_chat(&gateway, json!({"stream": true})).await;
    // Kept apart by another question.
    up.default(whole.without_last());
    let other = json!({"stream": true, "stop": "never"});
    let answer = post_chat(&gateway, other).await;
    assert_eq!(said(&chunks(&answer)), said(&chunks(&expected)));
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_protocol_stands_in_for_the_other() {
    let (anthropic, openai) = (upstream().await, upstream().await);
    let gateway = setup(&anthropic, "")
        .pool("openai", &[&base(&openai)])
        .model("claude", &["anthropic", "openai"])
        .model("gpt", &["openai", "anthropic"])
        .start();
    for stream in [false, true] {
        anthropic.push(Script::anthropic_error(
            529,
            "overloaded_error",
            "Overloaded",
        ));
        let answer = post_chat(&gateway, json!({"stream": stream, "user": "a"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some("openai"));
        openai.push(Script::json(503, "{\"error\":{\"message\":\"busy\"}}"));
        let answer = post_chat(&gateway, json!({"stream": stream, "model": "gpt"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some("anthropic"));
        assert_eq!(answer.text().contains("[DONE]"), stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_said_is_refused_by_name_or_asked_elsewhere_or_dropped() {
    let (up, openai) = (upstream().await, upstream().await);
    let gateway = setup(&up, "")
        .pool_with(
            "lenient",
            &[&base(&up)],
            "dialect = \"anthropic\"\nunsupported = \"drop\"",
        )
        .pool("openai", &[&base(&openai)])
        .model("claude", &["anthropic"])
        .model("backed", &["anthropic", "openai"])
        .model("lenient", &["lenient"])
        .start();
    let answer = post_chat(&gateway, json!({"logit_bias": {"50256": -100}})).await;
    assert_eq!(answer.status, 400);
    let error = answer.json()["error"].clone();
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(error["code"], "unsupported_parameter");
    assert_eq!(error["param"], "logit_bias");
    assert_eq!(up.requests().len(), 0);

    openai.default(completion("from elsewhere"));
    let bias = json!({"logit_bias": {"50256": -100}, "model": "backed"});
    let answer = post_chat(&gateway, bias).await;
    assert_eq!(
        answer.field("x-spafe-upstream"),
        Some("openai"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
    assert_eq!(up.requests().len(), 0);

    let bias = json!({"logit_bias": {"50256": -100}, "model": "lenient"});
    let answer = post_chat(&gateway, bias).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(arrived(&up)["logit_bias"], Value::Null);
    // And what both can say goes to the first.
    let answer = post_chat(
        &gateway,
        serde_json::from_str(&ask("backed", false)).unwrap(),
    )
    .await;
    assert_eq!(answer.field("x-spafe-upstream"), Some("anthropic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_held_to_be_understood_is_bounded() {
    let long = "a".repeat(9 << 20);
    let up = always(Script::message("claude", &long)).await;
    let gateway = before(&up, "");
    let answer = post_chat(&gateway, json!({})).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["code"], "upstream_invalid_response");

    let start = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\"}}\n\n";
    up.default(Script::sse_bytes(&[
        start.as_bytes(),
        b"data: ",
        long.as_bytes(),
    ]));
    let answer = post_chat(&gateway, json!({"stream": true})).await;
    let told = answer.json();
    assert_eq!(told["error"]["code"], "upstream_invalid_response", "{told}");

    // The body in other words is held beside the caller's.
    let gateway = setup(&up, "")
        .tables("[bounds]\nbodies_bytes_max = \"1MiB\"\nbody_bytes_max = \"1MiB\"")
        .model("claude", &["anthropic"])
        .start();
    let message = |bytes| json!({"messages": [{"role": "user", "content": "a".repeat(bytes)}]});
    let answer = post_chat(&gateway, message(700 << 10)).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "overloaded");
    up.default(Script::message("claude", "well"));
    assert_eq!(post_chat(&gateway, message(300 << 10)).await.status, 200);
}
