//! Do streams that are no chat's end, break and fail over as a chat's do?

use serde_json::Value;
use spafe::simulator::script::{Gate, Script};

use super::{Two, asked};
use crate::kit::client::Connection;

const RESPONSES: &str = r#"{"input":"Hi","model":"any","stream":true}"#;

fn typed(kind: &str, members: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{members}}}\n\n")
}

fn created() -> String {
    typed("response.created", ",\"response\":{\"error\":null}")
}

fn delta() -> String {
    typed("response.output_text.delta", ",\"delta\":\"Hi\"")
}

fn completed() -> String {
    typed(
        "response.completed",
        ",\"response\":{\"error\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_comes_whole_and_ends_by_its_own_end() {
    let two = Two::start("").await;
    for (path, body, last) in [
        ("responses", RESPONSES, "response.completed"),
        (
            "responses",
            r#"{"input":"Hi","model":"any","stream":true,"max_output_tokens":16}"#,
            "response.incomplete",
        ),
        (
            "completions",
            r#"{"prompt":["a","b"],"model":"any","stream":true,"n":2}"#,
            "[DONE]",
        ),
        (
            "audio/speech",
            r#"{"input":"Hi","model":"any","voice":"v","stream_format":"sse"}"#,
            "speech.audio.done",
        ),
    ] {
        let answer = two.ask(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.field("content-type"), Some("text/event-stream"));
        let text = answer.text();
        let end = text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(end.contains(last), "{path}: {end}");
        let request = two.first.next_request().await.unwrap();
        assert_eq!(request.header("accept"), Some("text/event-stream"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_passed_byte_for_byte_and_counted() {
    let two = Two::start("").await;
    let events = [created(), delta(), completed()].concat();
    two.first.push(Script::sse_bytes(&[events.as_bytes()]));
    let mut client = Connection::open(two.gateway.address).await;
    client
        .send(asked("responses", &["X-Request-Id: r1"], RESPONSES))
        .await;
    assert_eq!(client.answer().await.text(), events);
    let logged = two.gateway.logged("r1").await;
    assert_eq!(
        (&logged["tokens_in"], &logged["tokens_out"]),
        (&3.into(), &4.into())
    );
    assert_eq!(logged["endpoint"], "responses");
    assert_eq!(logged["outcome"], "served");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_first_event_a_stream_is_replaced() {
    let two = Two::start("").await;
    for script in [
        Script::json(500, "{}"),
        Script::sse_bytes(&[]),
        Script::sse_bytes(&[b"data: [DONE]\n\n"]),
        Script::sse_bytes(&[
            typed("error", ",\"code\":\"server_error\",\"message\":\"m\"").as_bytes(),
        ]),
        Script::sse_bytes(&[typed(
            "response.failed",
            ",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}",
        )
        .as_bytes()]),
    ] {
        two.first.default(script);
        let answer = two.ask("responses", RESPONSES).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some("second"));
        assert!(answer.text().contains("response.completed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_without_its_end_is_told_to_be_broken() {
    let two = Two::start("").await;
    for (begun, script_end, code) in [
        (created() + &delta(), "", "upstream_unavailable"),
        (
            created() + &delta(),
            "data: {\"type\":\"respo",
            "upstream_unavailable",
        ),
    ] {
        let sent = format!("{begun}{script_end}");
        two.first.push(Script::sse_bytes(&[sent.as_bytes()]));
        let answer = two.ask("responses", RESPONSES).await;
        let text = answer.text();
        let rest = text
            .strip_prefix(&begun)
            .unwrap_or_else(|| panic!("{text}"));
        let data = rest
            .strip_prefix("data: ")
            .unwrap_or_else(|| panic!("{rest}"));
        let error: Value = serde_json::from_str(data.trim_end()).unwrap();
        assert_eq!(error["error"]["code"], code);
    }
    assert!(two.second.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_the_upstream_tells_is_the_end_and_told_once() {
    let two = Two::start("").await;
    let failed = typed(
        "response.failed",
        ",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}",
    );
    let events = created() + &failed;
    two.first.push(Script::sse_bytes(&[events.as_bytes()]));
    let mut client = Connection::open(two.gateway.address).await;
    client
        .send(asked("responses", &["X-Request-Id: f1"], RESPONSES))
        .await;
    assert_eq!(client.answer().await.text(), events);
    let logged = two.gateway.logged("f1").await;
    assert_eq!(
        (&logged["outcome"], &logged["cause"]),
        (&"stream_broken".into(), &"error_event".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_ends_it_upstream() {
    let two = Two::start("").await;
    let gate = Gate::default();
    let begun = created();
    two.first.push(
        Script::sse_bytes(&[begun.as_bytes(), completed().as_bytes()])
            .hold_after(begun.len(), &gate),
    );
    let mut client = Connection::open(two.gateway.address).await;
    client.send(asked("responses", &[], RESPONSES)).await;
    let head = client.head().await;
    client.piece(&head).await.unwrap();
    let request = two.first.next_request().await.unwrap();
    drop(client);
    two.first.aborted(request.number).await.unwrap();
}
