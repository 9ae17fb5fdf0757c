//! Which connections go on, and in which state?
//!
//! A connection is used again only where both sides know where the next request
//! begins, and the head of every answer says which it will be.

use std::time::Duration;

use serde_json::{Value, json};
use spafe::simulator::When;
use spafe::simulator::script::Script;

use super::{CHAT, MODEL, marked, recorded};
use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::upstream::always;

/// An answer that says whose it is.
fn echo(mark: &str) -> Script {
    let answer = json!({
        "id": mark, "object": "chat.completion", "created": 1_730_888_458, "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": mark}}],
        "usage": Value::Null,
    });
    Script::json(200, answer.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_at_once_are_answered_in_their_order() {
    for count in [2, 10, 100] {
        let (setup, upstream) = recorded().await;
        let gateway = setup.start();
        let mut all = Vec::new();
        for number in 0..count {
            let mark = format!("number-{number:03}");
            let slow = Duration::from_millis(if number % 3 == 0 { 20 } else { 0 });
            upstream.push_when(When::Body(mark.clone()), echo(&mark).delay_head(slow));
            let last = if number + 1 == count {
                "close"
            } else {
                "keep-alive"
            };
            let line = format!("Connection: {last}");
            all.extend(post(CHAT, &[&line], marked(&mark).as_bytes()));
        }
        let mut connection = Connection::open(gateway.address).await;
        connection.send(&all).await;
        let answers = Answer::all(&connection.ended().await.unwrap());
        assert_eq!(answers.len(), count);
        for (number, answer) in answers.iter().enumerate() {
            let mark = format!("number-{number:03}");
            assert_eq!(answer.json()["choices"][0]["message"]["content"], *mark);
        }
        assert_eq!(upstream.requests().len(), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_while_another_is_answered_is_answered_next() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let gate = spafe::simulator::script::Gate::new();
    upstream.push_when(
        When::Body("first".to_owned()),
        echo("first").hold_head(&gate),
    );
    upstream.push_when(When::Body("second".to_owned()), echo("second"));
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(post(CHAT, &[], marked("first").as_bytes()))
        .await;
    upstream.next_request().await.unwrap();
    let second = post(CHAT, &[], marked("second").as_bytes());
    connection
        .send_slowly(&second, 16, Duration::from_millis(1))
        .await;
    gate.open();
    for mark in ["first", "second"] {
        let answer = connection.answer().await;
        assert_eq!(answer.json()["id"], *mark, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_as_many_requests_as_configured() {
    for count in [1, 3] {
        let (setup, _upstream) = recorded().await;
        let limit = format!("[bounds]\nrequests_per_connection = {count}");
        let gateway = setup.tables(&limit).start();
        let mut connection = Connection::open(gateway.address).await;
        for number in 1..=count {
            let answer = connection.post(CHAT, ask(MODEL, false)).await;
            assert_eq!(answer.status, 200);
            let goes_on = if number == count {
                "close"
            } else {
                "keep-alive"
            };
            assert_eq!(
                answer.field("connection"),
                Some(goes_on),
                "{number} of {count}"
            );
        }
        assert!(connection.ended().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_last_of_a_connection_are_not_executed() {
    let (setup, upstream) = recorded().await;
    let gateway = setup
        .tables("[bounds]\nrequests_per_connection = 2")
        .start();
    let mut connection = Connection::open(gateway.address).await;
    let five: Vec<u8> = (0..5)
        .flat_map(|_| post(CHAT, &[], ask(MODEL, false).as_bytes()))
        .collect();
    connection.send(&five).await;
    // Ended, not reset: a reset could cost the client the answers it was given.
    let answers = Answer::all(&connection.ended().await.unwrap());
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_to_close_is_obeyed() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.start();
    for lines in [
        &["Connection: close"][..],
        &["Connection: x, Close"],
        &["connection:close"],
    ] {
        for stream in [false, true] {
            let mut connection = Connection::open(gateway.address).await;
            connection
                .send(post(CHAT, lines, ask(MODEL, stream).as_bytes()))
                .await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.field("connection"), Some("close"));
            assert!(connection.ended().await.unwrap().is_empty(), "{lines:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_gets_a_stream_without_chunks() {
    let event = r#"{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":null}"#;
    let upstream = always(Script::sse(&[event])).await;
    let gateway = crate::kit::gateway::Setup::new()
        .pool("main", &[&crate::kit::upstream::base(&upstream)])
        .model(MODEL, &["main"])
        .start();
    for line in ["Connection: keep-alive", "X: y"] {
        let request = String::from_utf8(post(CHAT, &[line], ask(MODEL, true).as_bytes())).unwrap();
        let mut connection = Connection::open(gateway.address).await;
        connection
            .send(request.replace("HTTP/1.1", "HTTP/1.0"))
            .await;
        let mut answer = connection.head().await;
        assert_eq!(answer.status, 200);
        assert!(answer.field("transfer-encoding").is_none(), "{answer:?}");
        // The end of the connection is the end of the stream, and the head says so.
        assert_eq!(answer.field("connection"), Some("close"), "{line}");
        answer.body = connection.ended().await.unwrap();
        assert_eq!(answer.text(), format!("data: {event}\n\ndata: [DONE]\n\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_head_has_no_body_and_the_connection_goes_on() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.start();
    let mut connection = Connection::open(gateway.address).await;
    for (path, status) in [("/v1/models", 200), ("/v1/nothing", 404), (CHAT, 405)] {
        connection
            .send(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        let head = connection.head().await;
        assert_eq!(head.status, status);
        assert_eq!(head.field("connection"), Some("keep-alive"), "{path}");
    }
    assert_eq!(connection.post(CHAT, ask(MODEL, false)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_leaves_no_doubt_leaves_the_connection() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.start();
    let mut connection = Connection::open(gateway.address).await;
    for body in ["{", "[]", r#"{"model":"none","messages":[]}"#] {
        let answer = connection.post(CHAT, body).await;
        assert!(matches!(answer.status, 400 | 404), "{answer:?}");
        assert_eq!(answer.field("connection"), Some("keep-alive"), "{body}");
    }
    assert_eq!(connection.post(CHAT, ask(MODEL, false)).await.status, 200);
}
