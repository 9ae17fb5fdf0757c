//! What is left of a client that went away in the middle of its body?
//!
//! Nothing: no upstream heard of it, nothing counts it as being served, and the log
//! says that it was the client who left.

use std::time::Duration;

use bytes::Bytes;

use super::{Bench, PATH, bench_with};
use crate::kit::client::Connection;
use crate::kit::gateway::Setup;
use crate::kit::http2::Http2;
use crate::kit::now;

/// How soon a departed client must be forgotten.
const FORGOTTEN: Duration = Duration::from_secs(1);
/// Half of a body of 100,000 bytes.
static HALF: [u8; 50_000] = [b' '; 50_000];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http1_leaves_in_the_middle_of_its_body() {
    let bench = bench_with(Setup::new()).await;
    let mut left = 0;
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        for resets in [false, true] {
            let mut client = half_sent(&bench, framing).await;
            served(&bench).await;
            if resets {
                client.reset();
                left += 1;
                forgotten(&bench, left, framing).await;
            } else {
                client.finish().await;
                left += 1;
                forgotten(&bench, left, framing).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http2_leaves_in_the_middle_of_its_body() {
    let bench = bench_with(Setup::new().tls()).await;
    let mut client = Http2::open(&bench.gateway).await;
    for (left, length) in [(1, Some(100_000)), (2, None)] {
        let mut upload = client.begin(PATH, length).await;
        upload.send(Bytes::from_static(&HALF), false).await;
        served(&bench).await;
        upload.reset();
        forgotten(&bench, left, "RST_STREAM").await;
    }
    let mut upload = client.begin(PATH, None).await;
    upload.send(Bytes::from_static(&HALF), false).await;
    served(&bench).await;
    client.leave();
    forgotten(&bench, 3, "the connection's end").await;
}

async fn half_sent(bench: &Bench, framing: &str) -> Connection {
    let mut client = bench.connect().await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    client.send(head).await;
    if framing.contains("chunked") {
        client.send("186a0\r\n").await;
    }
    client.send(&HALF[..]).await;
    client
}

/// Waits until the request is being served.
async fn served(bench: &Bench) {
    while bench.gateway.metric("spafe_requests_in_flight").await < 1.0 {
        tokio::task::yield_now().await;
    }
}

async fn forgotten(bench: &Bench, left: usize, how: &str) {
    let began = now();
    bench.gateway.idle().await;
    let took = began.elapsed();
    assert!(took < FORGOTTEN, "{how}: still served after {took:?}");
    let lines = bench.gateway.request_log(left).await;
    assert_eq!(lines.len(), left, "{how}: {lines:?}");
    let line = lines.last().unwrap();
    assert_eq!(line["outcome"], "client_gone", "{how}: {line}");
    assert_eq!(line["status"], 499, "{how}: {line}");
    assert_eq!(line["attempt_count"], 0, "{how}: {line}");
    bench.nothing_arrived(0);
}
