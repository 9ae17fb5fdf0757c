//! What becomes of a body that nobody wants?
//!
//! An answer may be ready before its request has been read. A server that then
//! closes resets the connection under the sender, who loses the answer; one that
//! goes on may take the rest of the body for a request. Both are tried often,
//! for both are races.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{CHAT, assert_is_refusal, marked, recorded};
use crate::kit::client::{Answer, Connection, post};

const MIB: usize = 1024 * 1024;
const BOUND: &str = "[bounds]\naccepts_per_second_max = 65536\nbody_bytes_max = \"512KiB\"";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_arrives_and_nothing_in_the_body_is_executed() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tables(BOUND).start();
    let kinds = early_answers();
    let smuggled = post(CHAT, &[], marked("smuggled").as_bytes());
    // Half of the bodies are made of requests themselves.
    let bodies = [vec![b' '; MIB], repeated(&smuggled, MIB)];
    let mut lost = Vec::new();
    for round in 0..125 {
        let tries = kinds.iter().map(|(head, status)| {
            let (gateway, smuggled, body) = (&gateway, &smuggled, &bodies[round % 2]);
            async move {
                let mut connection = Connection::open(gateway.address).await;
                connection.offer(head.as_bytes()).await;
                let taken = connection.offer(body).await && connection.offer(smuggled).await;
                let received = connection.ended().await.map(|bytes| Answer::all(&bytes));
                match received.as_deref() {
                    Ok([only]) if only.status == *status && taken => None,
                    other => Some(format!("{status}, all taken: {taken}: {other:?}")),
                }
            }
        });
        lost.extend(join_all(tries).await.into_iter().flatten());
    }
    assert!(
        lost.len() <= 1,
        "{} of 1000: {:?}",
        lost.len(),
        lost.first()
    );
    assert!(upstream.requests().is_empty());
}

/// So many bytes of the same again and again.
fn repeated(part: &[u8], bytes: usize) -> Vec<u8> {
    let mut whole = part.repeat(bytes / part.len() + 1);
    whole.truncate(bytes);
    whole
}

/// Heads of requests with a body of a mebibyte that are answered without it, and how.
fn early_answers() -> Vec<(String, u16)> {
    let json = "Content-Type: application/json";
    let kinds = [
        ("POST /v1/nothing", json, 404),
        ("PUT /v1/chat/completions", json, 405),
        ("POST /v1/models", json, 405),
        ("POST /v1/chat/completions", json, 413),
        ("POST /v1/chat/completions", "Content-Type: text/plain", 415),
        ("POST /v1/chat/completions", "Connection: x-request-id", 400),
        (
            "OPTIONS /v1/chat/completions",
            "Origin: https://app.example",
            204,
        ),
        ("GET /v1/models", json, 200),
    ];
    let head = |(line, field, status): (&str, &str, u16)| {
        let head =
            format!("{line} HTTP/1.1\r\nHost: h\r\n{field}\r\nContent-Length: {MIB}\r\n\r\n");
        (head, status)
    };
    kinds.map(head).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_head_is_told_so_however_much_follows() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let smuggled = post(CHAT, &[], marked("smuggled").as_bytes());
    let rest = repeated(&smuggled, 8 * MIB);
    for number in 0..20 {
        let mut connection = Connection::open(gateway.address).await;
        let bad = "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
        connection.offer(bad.as_bytes()).await;
        let taken = connection.offer(&rest).await;
        let answers = Answer::all(&connection.ended().await.unwrap());
        assert!(taken, "{number}");
        assert_eq!(answers.len(), 1, "{number}: {answers:?}");
        assert_eq!(answers[0].status, 400);
        assert_is_refusal(&answers[0], "two lengths");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_refused_at_the_byte_that_passes_the_bound() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tables("[bounds]\nbody_bytes_max = \"64KiB\"").start();
    let mut connection = Connection::open(gateway.address).await;
    let chunk = [b"8000\r\n".as_slice(), &vec![b' '; 0x8000], b"\r\n"].concat();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(head).await;
    connection.send(&chunk).await;
    connection.send(&chunk).await;
    connection.send("1\r\n \r\n").await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_is_refusal(&answer, "a chunk too much");
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_awaits_a_word_is_told_at_once() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let json = format!("{}{}", marked("awaits"), " ".repeat(2 * MIB));
    let request = post(CHAT, &["Expect: 100-continue"], json.as_bytes());
    let (head, body) = request.split_at(request.len() - json.len());
    let mut connection = Connection::open(gateway.address).await;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let asked = Instant::now();
        connection.send(head).await;
        assert_eq!(connection.head().await.status, 100);
        waits.push(asked.elapsed());
        connection.send(body).await;
        assert_eq!(connection.answer().await.status, 200);
        assert_eq!(upstream.next_request().await.unwrap().body, json);
    }
    // The middle one: a test shares its processor.
    waits.sort();
    assert!(waits[4] < Duration::from_millis(50), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_awaits_a_word_is_refused_instead_of_invited() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tables(BOUND).start();
    let head = |expect: &str, length: usize, kind: &str| {
        format!(
            "POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nExpect: {expect}\r\n\r\n"
        )
    };
    let json = "application/json";
    for (head, status) in [
        (head("100-continue", 2 * MIB, json), 413),
        (head("100-Continue", 1 << 62, json), 413),
        (head("100-continue", 10, "text/plain"), 415),
        (head("x", 10, json), 417),
        (head("100-continue, x", 10, json), 417),
        (head("", 10, json), 417),
        (head("100-continue\r\nExpect: x", 10, json), 417),
    ] {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(&head).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status, "{head}");
        assert_eq!(answer.field("connection"), Some("close"), "{head}");
        assert_is_refusal(&answer, &head);
    }
    assert!(upstream.requests().is_empty());
}
