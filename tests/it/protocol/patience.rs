//! How long is a head waited for, and how large may it be?
//!
//! Whoever says little or much too much is answered where it can be, and costs a
//! connection for no longer than was configured.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use spafe::simulator::script::Script;

use super::{CHAT, MODEL, assert_is_refusal, recorded};
use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::soon;

/// The time for a head in these tests.
const HEAD_TIMEOUT: Duration = Duration::from_millis(400);
const SCALED: &str =
    "[bounds]\nhead_timeout = \"400ms\"\nkeep_alive = \"1s\"\nnext_head_timeout = \"1500ms\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_or_too_little_is_let_go() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tables(SCALED).start();
    let begun = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nX: ".as_slice();
    for sent in [b"".as_slice(), b"GET /v1/mo", begun] {
        let mut connection = Connection::open(gateway.address).await;
        let opened = Instant::now();
        connection.send(sent).await;
        let answers = Answer::all(&connection.ended().await.unwrap());
        let took = opened.elapsed();
        assert!(took + Duration::from_millis(50) >= HEAD_TIMEOUT, "{took:?}");
        assert!(took < HEAD_TIMEOUT + Duration::from_secs(2), "{took:?}");
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers[0].status, 408);
        assert_is_refusal(&answers[0], "too little");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_trickles_is_let_go_however_lively_it_is() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tables(SCALED).start();
    let mut connection = Connection::open(gateway.address).await;
    let opened = Instant::now();
    let endless = async {
        connection.send("GET /v1/models HTTP/1.1\r\nX: ").await;
        while connection.offer(b"a").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the gateway to let go", endless).await;
    assert!(opened.elapsed() < HEAD_TIMEOUT + Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_and_half_a_second_head_are_let_go() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tables(SCALED).start();
    for more in ["", "GET /v1/mo"] {
        let mut connection = Connection::open(gateway.address).await;
        connection
            .send("GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
            .await;
        assert_eq!(connection.answer().await.status, 200);
        let idle = Instant::now();
        connection.send(more).await;
        connection.ended().await.unwrap();
        assert!(idle.elapsed() < Duration::from_secs(4), "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_request_of_all_is_answered() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.start();
    let mut connection = Connection::open(gateway.address).await;
    let request = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(request.len(), 18);
    connection.send(request).await;
    let answers = Answer::all(&connection.ended().await.unwrap());
    assert_eq!(answers.len(), 1);
    assert_is_refusal(&answers[0], request);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_beyond_their_bounds_are_refused() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let head = |fields: usize, value_bytes: usize| {
        let mut head = "GET /v1/models HTTP/1.1\r\nHost: h\r\n".to_owned();
        for number in 1..fields {
            write!(head, "X-{number}: {}\r\n", "a".repeat(value_bytes)).unwrap();
        }
        head + "\r\n"
    };
    for (what, head, status) in [
        ("100 fields", head(100, 1), 200),
        ("101 fields", head(101, 1), 431),
        ("256 fields", head(256, 1), 431),
        ("257 fields", head(257, 1), 431),
        ("1,000 fields", head(1_000, 1), 431),
        ("31 KiB", head(2, 31 * 1024), 200),
        ("33 KiB", head(2, 33 * 1024), 431),
        ("33 KiB in fields", head(34, 1024), 431),
        ("600 KiB", head(2, 600 * 1024), 431),
        ("1,100 KiB", head(2, 1_100 * 1024), 431),
    ] {
        let mut connection = Connection::open(gateway.address).await;
        connection.offer(head.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status, "{what}");
        if status != 200 {
            assert_is_refusal(&answer, what);
        }
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_part_of_a_head_holds_little_and_not_for_long() {
    const CONNECTIONS: u64 = 16;
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tables("[bounds]\nhead_timeout = \"2s\"").start();
    let part = [
        b"GET / HTTP/1.1\r\nHost: h\r\nX: ".as_slice(),
        &vec![b'a'; 900_000],
    ]
    .concat();
    let before = gateway.resident_bytes();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(&part).await;
        connections.push(connection);
    }
    let held = gateway.resident_bytes().saturating_sub(before) / CONNECTIONS;
    assert!(held <= 1_363_148, "{held} bytes a connection");
    for mut connection in connections {
        let answers = Answer::all(&connection.ended().await.unwrap());
        assert_eq!(answers.first().map(|answer| answer.status), Some(408));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_does_not_keep_its_connection() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tables("[bounds]\nwrite_stall = \"500ms\"").start();
    // More than the system holds for both ends of a connection.
    let content = "a".repeat(16 * 1024);
    let chunk = format!(
        r#"{{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":null}}]}}"#
    );
    upstream.push(Script::sse(&vec![chunk.as_str(); 2_000]));
    let asked = post(
        CHAT,
        &["X-Request-Id: takes-nothing"],
        ask(MODEL, true).as_bytes(),
    );
    let options = b"OPTIONS /v1/models HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20_000);
    for (what, sent) in [("a stream", asked), ("answers without a body", options)] {
        let mut connection = Connection::open(gateway.address).await;
        connection.offer(&sent).await;
        let let_go = async {
            while connection.offer(b" ").await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon(what, let_go).await;
    }
    // Counted is what was taken, not what would have been sent.
    let line = gateway.logged("takes-nothing").await;
    assert_eq!(line["outcome"], "client_gone", "{line}");
    let sent = 2_000 * (chunk.len() as u64);
    assert!(line["bytes_out"].as_u64().unwrap() < sent, "{line}");
}
