//! How much, and how slowly, may a body come?
//!
//! Who says in advance that a body is too large hears it before sending any; who does
//! not say hears it at the byte. Memory is given for what came, never for what was
//! announced, and a slow sender may not keep it for as long as it likes.

use std::time::Duration;

use bytes::Bytes;

use super::{Bench, PATH, Refusal, bench, bench_with, expect_refusal, with};
use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::Setup;
use crate::kit::http2::Http2;
use crate::kit::now;

const TOO_LARGE: Refusal = (413, "body_too_large", None);
const TOO_SLOW: Refusal = (408, "request_timeout", None);
/// The default of `[bounds] body_bytes_max`.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beyond_the_bound_is_refused_before_the_body() {
    let bench = bench().await;
    for length in [
        (BODY_BYTES_MAX + 1).to_string(),
        (1_u64 << 62).to_string(),
        u64::MAX.to_string(),
    ] {
        let mut client = announce(&bench, &length).await;
        let began = now();
        expect_refusal(&early_answer(&mut client).await, TOO_LARGE, &length);
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{length}: {:?}",
            began.elapsed()
        );
    }
    // No number at all is no length at all.
    let mut client = announce(&bench, "18446744073709551616").await;
    assert!(matches!(early_answer(&mut client).await.status, 400 | 413));
    bench.nothing_arrived(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beyond_the_bound_is_refused_on_http2() {
    let bench = bench_with(Setup::new().tls()).await;
    let mut client = Http2::open(&bench.gateway).await;
    let upload = client.begin(PATH, Some(BODY_BYTES_MAX + 1)).await;
    expect_refusal(&upload.answer().await, TOO_LARGE, "HTTP/2");
    bench.nothing_arrived(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_length_is_refused_at_the_byte_beyond_the_bound() {
    let setup = Setup::new()
        .tls()
        .tables("[bounds]\nbody_bytes_max = \"64KiB\"");
    let bench = bench_with(setup).await;
    let good = padded(64 * 1024);
    let mut client = chunked(&bench).await;
    client.send(chunk(&good)).await;
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);

    // One byte more, and neither its chunk nor the body is ever ended.
    let mut client = chunked(&bench).await;
    client.send(chunk(&good)).await;
    client.send("ff\r\n ").await;
    expect_refusal(&early_answer(&mut client).await, TOO_LARGE, "chunked");

    let mut client = Http2::open(&bench.gateway).await;
    let mut upload = client.begin(PATH, None).await;
    upload.send(Bytes::from(good), false).await;
    upload.send(Bytes::from_static(b" "), false).await;
    expect_refusal(&upload.answer().await, TOO_LARGE, "HTTP/2");
    bench.nothing_arrived(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_by_what_is_announced() {
    let many = Setup::new().tables("[bounds]\nin_flight_per_client_max = 64");
    let bench = bench_with(many).await;
    // What a first request costs is not what this is about.
    assert_eq!(bench.post(with("\"x\":1")).await.status, 200);
    let before = bench.gateway.resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = announce(&bench, &BODY_BYTES_MAX.to_string()).await;
        // Each part for itself: from the second on, room is made.
        client
            .send_slowly(b"{\"messages\":[", 5, Duration::from_millis(1))
            .await;
        clients.push(client);
    }
    while bench.gateway.metric("spafe_requests_in_flight").await < 50.0 {
        tokio::task::yield_now().await;
    }
    let grown = bench.gateway.resident_bytes().saturating_sub(before);
    assert!(
        grown < 40 << 20,
        "{grown} bytes for 500 MiB announced and 650 bytes sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_begin_is_refused_and_the_connection_closed() {
    let setup = Setup::new()
        .tls()
        .tables("[bounds]\nbody_first_byte_timeout = \"200ms\"");
    let bench = bench_with(setup).await;
    for mut client in [announce(&bench, "100").await, chunked(&bench).await] {
        let began = now();
        let answer = client.answer().await;
        expect_refusal(&answer, TOO_SLOW, "HTTP/1.1");
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(client.closed().await, b"");
    }
    let mut client = Http2::open(&bench.gateway).await;
    let upload = client.begin(PATH, Some(100)).await;
    expect_refusal(&upload.answer().await, TOO_SLOW, "HTTP/2");
    bench.gateway.idle().await;
    bench.nothing_arrived(0);
}

/// The floor is an average over ten seconds, so this takes as long.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_too_slowly_is_refused_and_the_connection_closed() {
    let bench = bench_with(Setup::new().tables("[bounds]\nbody_rate_min = \"4KiB\"")).await;
    let began = now();
    let mut client = announce(&bench, "100000").await;
    // More than nothing and less than 40 KiB.
    client.send(vec![b' '; 30 * 1024]).await;
    expect_refusal(&client.answer().await, TOO_SLOW, "too slow");
    let took = began.elapsed();
    assert!((9..15).contains(&took.as_secs()), "{took:?}");
    assert_eq!(client.closed().await, b"");
    bench.nothing_arrived(0);
}

/// A chunk's size, what may stand behind it and the fields behind the last one are no part of a
/// body, and a sender who gives them a byte at a time gives none of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_around_chunks_is_no_body_that_comes() {
    let bench =
        bench_with(Setup::new().tables("[bounds]\nbody_first_byte_timeout = \"300ms\"")).await;
    for around in [
        "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "0\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let began = now();
        let mut client = chunked(&bench).await;
        let answer = 'answered: {
            for byte in around.bytes() {
                client.send([byte]).await;
                client.hears_within(Duration::from_millis(100)).await;
                if client.has_unread() {
                    break 'answered client.answer().await;
                }
            }
            panic!("{around}: nothing after {:?}", began.elapsed());
        };
        expect_refusal(&answer, TOO_SLOW, around);
        assert_eq!(client.closed().await, b"");
    }
    bench.nothing_arrived(0);
}

/// A connection whose body has been announced and does not come.
async fn announce(bench: &Bench, length: &str) -> Connection {
    with_framing(bench, &format!("Content-Length: {length}")).await
}

async fn chunked(bench: &Bench) -> Connection {
    with_framing(bench, "Transfer-Encoding: chunked").await
}

async fn with_framing(bench: &Bench, framing: &str) -> Connection {
    let mut client = bench.connect().await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    client.send(head).await;
    client
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

/// The answer, read without waiting for the connection's end.
async fn early_answer(client: &mut Connection) -> Answer {
    let head = client.head().await;
    let body = client.piece(&head).await.unwrap_or_default();
    Answer { body, ..head }
}

/// A good body of this length.
fn padded(length: usize) -> Vec<u8> {
    let mut body = with("\"x\":1").into_bytes();
    body.resize(length, b' ');
    body
}
