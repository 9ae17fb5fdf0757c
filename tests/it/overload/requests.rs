//! How many requests are answered at once?
//!
//! A request to a model takes a place for as long as its answer takes, a stream's end
//! included. What is no request to a model takes none.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use spafe::simulator::script::{Gate, Script};

use super::{LIST, MODEL, PATH, asking, assert_shed, limited};
use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::http2::{Http2, Upload};
use crate::kit::now;
use crate::kit::pair::{chunk, completion, stop};

/// The counter of what a bound has turned away.
fn shed(reason: &str) -> String {
    format!("spafe_requests_shed_total{{reason=\"{reason}\"}}")
}

/// A stream that waits behind its first event until the gate is opened.
fn waiting(gate: &Gate) -> Script {
    let first = chunk("Hello");
    let head_bytes = "data: \n\n".len() + first.len();
    Script::sse(&[&first, &stop(0)]).hold_after(head_bytes, gate)
}

/// The head of a question whose body is never sent.
fn announced(bytes: usize) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_requests_in_progress() {
    let (setup, upstream) = limited("in_flight_per_client_max = 2").await;
    let gateway = setup.start();
    let gate = Gate::new();
    upstream.default(waiting(&gate));
    let mut first = asking(1, gateway.address).await;
    let mut second = asking(1, gateway.address).await;
    // Streams that have begun are in progress as well.
    for client in [&mut first, &mut second] {
        assert_eq!(client.head().await.status, 200);
    }
    let mut third = Connection::open(gateway.address).await;
    // Answered without its body.
    third.send(announced(1 << 20)).await;
    let answer = third.answer().await;
    assert_shed(
        &answer,
        429,
        "rate_limit_error",
        "concurrency_limit_exceeded",
    );
    gateway.counts(&shed("client"), 1).await;
    assert_eq!(upstream.requests().len(), 2);

    // Others are not concerned, nor is what is no model's.
    let mut other = asking(2, gateway.address).await;
    assert_eq!(other.head().await.status, 200);
    let mut list = Connection::open(gateway.address).await;
    let preflight = "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: h\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n";
    for (request, status) in [(LIST, 200), (preflight, 204)] {
        list.send(request).await;
        assert_eq!(list.answer().await.status, status);
    }

    // One that leaves makes room, and so does one that has its answer.
    drop(first);
    gateway.counts("spafe_requests_in_flight", 2).await;
    let mut again = asking(1, gateway.address).await;
    assert_eq!(again.head().await.status, 200);
    gate.open();
    gateway.idle().await;
    assert_eq!(asking(1, gateway.address).await.answer().await.status, 200);
}

/// Until the last byte has come, or what an SDK takes for the end: it looks no further than
/// `[DONE]`. What stands behind that is read before the connection is used again.
async fn until_the_end(connection: &mut Connection, stream: bool) -> Option<Answer> {
    if !stream {
        assert_eq!(connection.answer().await.status, 200);
        return None;
    }
    let head = connection.head().await;
    assert_eq!(head.status, 200, "refused though the other answer was over");
    loop {
        let piece = connection.piece(&head).await.unwrap();
        if piece.ends_with(b"[DONE]\n\n") {
            return Some(head);
        }
    }
}

/// An SDK with a bound on its own workers asks again at once, and found its place still taken.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_as_the_last_byte_comes_finds_a_place() {
    let bounds = "in_flight_per_client_max = 1\nrequests_per_connection = 10_000";
    let (setup, upstream) = limited(bounds).await;
    let gateway = setup.start();
    let streamed = Script::sse(&[&chunk("Hello"), &stop(0)]);
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push((Connection::open(gateway.address).await, None));
    }
    for (stream, script) in [(false, completion("Hello")), (true, streamed)] {
        upstream.default(script);
        let request = post(PATH, &[], ask(MODEL, stream).as_bytes());
        for turn in 0..2_000 {
            let (connection, unread) = &mut connections[turn % 2];
            if let Some(head) = unread.take() {
                assert_eq!(connection.piece(&head).await, None, "behind [DONE]");
            }
            connection.send(&request).await;
            *unread = until_the_end(connection, stream).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clients_together_have_so_many() {
    let (setup, upstream) = limited("in_flight_max = 16").await;
    let gateway = setup.start();
    let gate = Gate::new();
    upstream.default(waiting(&gate));
    let mut served = Vec::new();
    for n in 1..=16 {
        let mut client = asking(n, gateway.address).await;
        assert_eq!(client.head().await.status, 200);
        served.push(client);
    }
    let mut took = Vec::new();
    for n in 1..=100 {
        let mut client = Connection::open_from(n, gateway.address).await;
        let began = now();
        client
            .send(post(PATH, &[], ask(MODEL, false).as_bytes()))
            .await;
        assert_shed(
            &client.answer().await,
            503,
            "overloaded_error",
            "overloaded",
        );
        took.push(began.elapsed());
    }
    took.sort();
    assert!(took[50] < Duration::from_millis(50), "{:?}", took[50]);
    gateway.counts(&shed("in_flight"), 100).await;
    assert_eq!(upstream.requests().len(), 16);
    gate.open();
    for mut client in served {
        while client.piece(&streamed()).await.is_some() {}
    }
    gateway.idle().await;
    assert_eq!(asking(99, gateway.address).await.answer().await.status, 200);
}

/// A head that says how a stream is framed.
fn streamed() -> crate::kit::client::Answer {
    crate::kit::client::Answer {
        status: 200,
        fields: vec![("transfer-encoding".to_owned(), "chunked".to_owned())],
        body: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_http2_are_requests_of_one_client() {
    let (setup, upstream) = limited("").await;
    let gateway = setup.tls().start();
    upstream.default(Script::stall());
    let mut connections = [Http2::open(&gateway).await, Http2::open(&gateway).await];
    let body = Bytes::from(ask(MODEL, true));
    let mut uploads = Vec::new();
    for connection in &mut connections {
        for _ in 0..50 {
            let mut upload = connection.begin(PATH, Some(body.len())).await;
            upload.send(body.clone(), true).await;
            uploads.push(upload);
        }
    }
    gateway.counts(&shed("client"), 84).await;
    gateway.counts("spafe_requests_in_flight", 16).await;
    // The two connections live, each with the answers of those that were turned away.
    let waits = |upload: Upload| tokio::time::timeout(Duration::from_secs(2), upload.answer());
    let answers = join_all(uploads.into_iter().map(waits)).await;
    let turned_away: Vec<_> = answers.into_iter().flatten().collect();
    assert_eq!(turned_away.len(), 84);
    for answer in &turned_away {
        assert_shed(
            answer,
            429,
            "rate_limit_error",
            "concurrency_limit_exceeded",
        );
    }
    gateway.idle().await;
}
