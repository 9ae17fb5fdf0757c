//! What is refused, and what breaks, in the envelope of Anthropic's?

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use spafe::simulator::script::{Gate, Script};

use super::{Both, MESSAGES, asked, events};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::pair::{chunk, stop};

/// Class and words of a refusal.
#[track_caller]
pub(super) fn told(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    assert_eq!(body["type"], "error", "{body}");
    assert_eq!(body["request_id"].as_str(), answer.field("x-request-id"));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
    (answer.status, text("type"), text("message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_question_names_the_field() {
    let both = Both::start().await;
    for (members, word) in [
        (json!({"max_tokens": Value::Null}), "max_tokens"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].role",
        ),
        (json!({"stream": "yes"}), "stream"),
        (json!({"top_k": 5}), "top_k"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "video"}]}]}),
            "messages[0].content[0]",
        ),
    ] {
        let answer = both.ask("gpt", members).await;
        let (status, kind, message) = told(&answer);
        assert_eq!(
            (status, &*kind),
            (400, "invalid_request_error"),
            "{message}"
        );
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(both.openai.requests().is_empty());
    for body in [
        "",
        "[]",
        "{\"model\":\"gpt\",\"model\":\"claude\"}",
        "{\"Model\":\"gpt\"}",
    ] {
        let mut client = Connection::open(both.gateway.address).await;
        let (status, kind, _) = told(&client.post(MESSAGES, body).await);
        assert_eq!((status, &*kind), (400, "invalid_request_error"), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_dropped_is_dropped_and_what_is_talked_about_never() {
    let both = Both::with("", "unsupported = \"drop\"").await;
    let answer = both.ask("gpt", json!({"top_k": 5})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(both.arrived("gpt").get("top_k"), None);
    let content = json!([{"type": "video"}, {"type": "text", "text": "Hi"}]);
    let answer = both
        .ask(
            "gpt",
            json!({"messages": [{"role": "user", "content": content}]}),
        )
        .await;
    assert_eq!(told(&answer).0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_class() {
    let both = Both::start().await;
    let (status, kind, message) = told(&both.ask("none", json!({})).await);
    assert_eq!((status, &*kind), (404, "not_found_error"));
    assert!(message.contains("none"), "{message}");
    let mut client = Connection::open(both.gateway.address).await;
    client
        .send("GET /v1/messages HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        .await;
    let (status, kind, _) = told(&client.answer().await);
    assert_eq!((status, &*kind), (405, "invalid_request_error"));
    for (script, expected, class) in [
        (Script::json(500, "{}"), 502, "api_error"),
        (Script::json(503, "{}"), 503, "overloaded_error"),
        (
            Script::json(422, r#"{"error":{"message":"too odd"}}"#),
            422,
            "invalid_request_error",
        ),
        (Script::json(200, "{\"choices\":[]}"), 502, "api_error"),
    ] {
        both.openai.push(script);
        let (status, kind, _) = told(&both.ask("gpt", json!({})).await);
        assert_eq!((status, &*kind), (expected, class));
    }
    let limited = Script::json(429, "{}").header("retry-after", "7");
    both.openai.push(limited);
    let answer = both.ask("gpt", json!({})).await;
    assert_eq!(told(&answer).1, "rate_limit_error");
    assert_eq!(answer.field("retry-after"), Some("7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_tells_when_to_come_back() {
    let limit =
        "[[limits]]\nname = \"one\"\nby = \"client\"\nrequests = { count = 1, per = \"1m\" }";
    let both = Both::with(limit, "").await;
    assert_eq!(both.ask("gpt", json!({})).await.status, 200);
    let answer = both.ask("gpt", json!({"system": "2"})).await;
    let (status, kind, _) = told(&answer);
    assert_eq!((status, &*kind), (429, "rate_limit_error"));
    assert!(answer.field("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_arrive_as_anthropics_clients_send_them() {
    let tables = format!(
        "[auth]\nkeys = \"required\"\n[[keys]]\nname = \"team\"\nsha256 = \"{}\"",
        Sha256::digest("sk-team")
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
    );
    let both = Both::with(&tables, "").await;
    let (status, kind, _) = told(&both.ask("gpt", json!({})).await);
    assert_eq!((status, &*kind), (401, "authentication_error"));
    for line in ["x-api-key: sk-team", "Authorization: Bearer sk-team"] {
        let answer = both.ask_with("gpt", &[line], json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let request = both.openai.requests().pop().unwrap();
    assert_eq!(request.header("x-api-key"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_says_so_in_an_event() {
    let both = Both::start().await;
    let error = r#"{"error":{"message":"Out of memory","type":"server_error"}}"#;
    for (script, words) in [
        (Script::sse(&[&chunk("One ")]).without_done(), "upstream"),
        (
            Script::sse(&[&chunk("One "), error]).without_done(),
            "Out of memory",
        ),
        (
            Script::sse(&[&chunk("One "), "{\"choices\":7}"]),
            "upstream",
        ),
    ] {
        both.openai.push(script);
        let answer = both.ask("gpt", json!({"stream": true})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let events = events(&answer);
        let (name, last) = events.last().unwrap();
        assert_eq!(name, "error", "{}", answer.text());
        assert_eq!(last["error"]["type"], "api_error");
        let message = last["error"]["message"].as_str().unwrap();
        assert!(
            message.to_lowercase().contains(&words.to_lowercase()),
            "{message}"
        );
        assert_eq!(super::said(&events), "One ");
    }
    // Only the end is missing: it is added.
    both.openai
        .push(Script::sse(&[&chunk("One "), &stop(0)]).without_done());
    let answer = both
        .ask("gpt", json!({"stream": true, "system": "2"}))
        .await;
    assert_eq!(events(&answer).last().unwrap().0, "message_stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_ends_the_upstreams_work() {
    let both = Both::start().await;
    let gate = Gate::new();
    both.openai
        .push(Script::sse(&[&chunk("One "), &chunk("two")]).hold_after(10, &gate));
    let mut client = Connection::open(both.gateway.address).await;
    let body = asked("gpt", json!({"stream": true}));
    client
        .send(post(MESSAGES, &["X-Request-Id: leaves"], body.as_bytes()))
        .await;
    both.openai.next_request().await.unwrap();
    drop(client);
    let line = both.gateway.logged("leaves").await;
    assert_eq!(
        (&line["outcome"], &line["endpoint"]),
        (&"client_gone".into(), &"messages".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_here_too() {
    let both = Both::start().await;
    let mut client = Connection::open(both.gateway.address).await;
    let preflight = "OPTIONS /v1/messages HTTP/1.1\r\nHost: gateway.test\r\nOrigin: https://a.test\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-api-key, anthropic-version\r\n\r\n";
    client.send(preflight).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.field("access-control-allow-headers"),
        Some("x-api-key, anthropic-version")
    );
}
