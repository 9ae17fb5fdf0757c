//! What is a caller told when Gemini says no, and who answers in its place?

use serde_json::{Value, json};
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use super::{CHAT, asked, before, chunks, post_chat, said, setup};
use crate::kit::client::{Connection, post};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};

/// A gateway whose model `gemini` is Google's, else OpenAI's, and `other` where a policy forbids it.
fn with_others(google: &Simulator, openai: &Simulator) -> Setup {
    setup(google)
        .pool("openai", &[&base(openai)])
        .model_with(
            "gemini",
            &["google", "openai"],
            "policy_fallbacks = [\"other\"]",
        )
        .model("other", &["openai"])
        .model("alone", &["google"])
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_by_what_they_are() {
    let up = upstream().await;
    let gateway = before(&up);
    let none = json!([]);
    let invalid = Script::gemini_error(400, "INVALID_ARGUMENT", "No such thing.", &none);
    let unknown = Script::gemini_error(404, "NOT_FOUND", "models/x is not found.", &none);
    let busy = || Script::gemini_error(503, "UNAVAILABLE", "The model is overloaded.", &none);
    for (scripts, status, code) in [
        (vec![invalid], 400, "INVALID_ARGUMENT"),
        (vec![unknown], 404, "NOT_FOUND"),
        (
            vec![Script::gemini_exhausted("7s")],
            429,
            "upstream_rate_limited",
        ),
        (vec![busy(); 3], 503, "overloaded"),
        (vec![Script::gemini_blocked()], 400, "content_filter"),
        (vec![Script::gemini_key_invalid()], 502, "upstream_auth"),
    ] {
        // Who said to be left alone, or refused our key, is not asked by the next case.
        let gateway = match status {
            429 | 502 | 503 => &before(&up),
            _ => &gateway,
        };
        up.clear_scripts();
        for script in scripts {
            up.push(script);
        }
        let answer = post_chat(gateway, json!({})).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code))
        );
        if status == 429 {
            assert_eq!(answer.field("retry-after"), Some("7"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_is_replaced_by_who_speaks_another_protocol() {
    let (google, openai) = (upstream().await, upstream().await);
    let gateway = with_others(&google, &openai).start();
    for stream in [false, true] {
        for script in [
            Script::gemini_error(500, "INTERNAL", "No.", &json!([])),
            Script::gemini_blocked(),
            Script::json(200, "{}"),
        ] {
            google.default(script);
            let answer = post_chat(&gateway, json!({ "stream": stream })).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.field("x-spafe-upstream"), Some("openai"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_blocked_in_a_stream_goes_to_another_policy() {
    let (google, openai) = (upstream().await, upstream().await);
    let gateway = with_others(&google, &openai).start();
    let blocked = br#"data: {"promptFeedback":{"blockReason":"SAFETY"}}"#;
    let blocked = || Script::sse_bytes(&[&blocked[..], b"\r\n\r\n"]);
    google.push(blocked());
    let answer = post_chat(&gateway, json!({"stream": true})).await;
    assert_eq!(answer.field("x-spafe-model"), Some("other"));
    google.push(blocked());
    let answer = post_chat(&gateway, json!({"stream": true, "model": "alone"})).await;
    let code = &answer.json()["error"]["code"];
    assert_eq!((answer.status, code), (400, &json!("content_filter")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_no_words_for_is_refused_by_name_or_asked_of_another() {
    let (google, openai) = (upstream().await, upstream().await);
    let gateway = with_others(&google, &openai).start();
    let biased = json!({"logit_bias": {"1": 1}});
    let answer = post_chat(&gateway, biased).await;
    assert_eq!(answer.field("x-spafe-upstream"), Some("openai"));
    let biased = json!({"logit_bias": {"1": 1}, "model": "alone"});
    let answer = post_chat(&gateway, biased).await;
    let error = answer.json()["error"].clone();
    assert_eq!(
        (answer.status, &error["param"]),
        (400, &json!("logit_bias"))
    );
    assert!(google.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_leaves_takes_the_upstream_along() {
    let up = upstream().await;
    let gateway = before(&up);
    let gate = Gate::new();
    up.push(Script::gemini_stream("gemini", "one two three").hold_after(400, &gate));
    let mut client = Connection::open(gateway.address).await;
    client
        .send(post(CHAT, &[], asked(json!({"stream": true})).as_bytes()))
        .await;
    let head = client.head().await;
    assert!(client.piece(&head).await.is_some());
    let number = up.next_request().await.unwrap().number;
    client.reset();
    up.aborted(number).await.unwrap();
}

/// The error that a stream ended with, behind these words.
async fn broken(script: Script, words: &str) -> Value {
    let up = upstream().await;
    let gateway = before(&up);
    up.push(script);
    let answer = post_chat(&gateway, json!({"stream": true})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let chunks = chunks(&answer);
    assert_eq!(said(&chunks), words);
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
    chunks.last().unwrap()["error"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_told_to_have() {
    let whole = || Script::gemini_stream("gemini", "one two three");
    let end = whole().body_bytes();
    let cut = broken(whole().cut_after(end - 4), "one two").await;
    assert_eq!(cut["code"], "upstream_unavailable");
    // In order, but before the reason of its end.
    let ended = broken(whole().without_last(), "one two").await;
    assert_eq!(ended["code"], "upstream_unavailable");
    let no_json = Script::sse_bytes(&[
        b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"one\"}]}}]}\n\n",
        b"data: <html>\n\n",
    ]);
    let garbled = broken(no_json, "one").await;
    assert_eq!(garbled["code"], "upstream_invalid_response");
    let error = Script::sse_bytes(&[
        b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"one\"}]}}]}\n\n",
        b"data: {\"error\":{\"code\":503,\"message\":\"Overloaded.\",\"status\":\"UNAVAILABLE\"}}\n\n",
    ]);
    let told = broken(error, "one").await;
    assert_eq!(told["type"], "overloaded_error");
}
