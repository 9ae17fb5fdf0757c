//! Does an upstream get exactly what the caller sent?
//!
//! Routing reads the whole body first, and a second attempt sends it again. So
//! bodies of every size around the buffers on the way are sent with a length and
//! in chunks, over HTTP/1.1 and HTTP/2, to a first and to a second target, and
//! what arrives is compared by its hash.

use std::time::Duration;

use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::soon;
use crate::kit::upstream::{always, base, upstream};

const PATH: &str = "/v1/chat/completions";
/// Around one write, pingora's retry buffer of 64 KiB, and the largest that is taken.
const SIZES_BYTES: [usize; 7] = [
    128,
    4 << 10,
    (64 << 10) - 1,
    64 << 10,
    (64 << 10) + 1,
    1 << 20,
    10 << 20,
];

/// A gateway whose first target fails and whose second answers.
struct Pair {
    gateway: Gateway,
    first: Simulator,
    second: Simulator,
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_arrive_unchanged_over_http1() {
    let pair = pair().await;
    for size_bytes in SIZES_BYTES {
        let body = body(size_bytes);
        let mut connection = Connection::open(pair.gateway.address).await;
        assert_eq!(connection.post(PATH, &body).await.status, 200);
        pair.check(&body).await;

        connection.send(chunked(&body)).await;
        assert_eq!(connection.answer().await.status, 200);
        pair.check(&body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_arrive_unchanged_over_http2() {
    let pair = pair().await;
    let certificate = std::fs::read(pair.gateway.certificate.as_ref().unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate).unwrap()])
        .no_proxy()
        .build()
        .unwrap();
    for size_bytes in SIZES_BYTES {
        let body = body(size_bytes);
        let pieces: Vec<_> = body.chunks(10_000).map(<[u8]>::to_vec).collect();
        let pieces = futures_util::stream::iter(pieces.into_iter().map(std::io::Result::Ok));
        let with_length = reqwest::Body::from(body.clone());
        for sent in [with_length, reqwest::Body::wrap_stream(pieces)] {
            let request = client
                .post(pair.gateway.tls_url(PATH))
                .header("content-type", "application/json")
                .body(sent);
            let answer = soon("an answer", request.send()).await.unwrap();
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            assert_eq!(answer.status(), 200, "{size_bytes} bytes");
            pair.check(&body).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_many_small_pieces_arrives_whole() {
    let pair = pair().await;
    let body = body(512);
    let mut connection = Connection::open(pair.gateway.address).await;
    let bytes = post(PATH, &[], &body);
    connection
        .send_slowly(&bytes, 7, Duration::from_millis(1))
        .await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    pair.check(&body).await;
}

impl Pair {
    /// Both targets were asked, and both with these bytes.
    async fn check(&self, body: &[u8]) {
        for target in [&self.first, &self.second] {
            let request = target.next_request().await.unwrap();
            assert_eq!(request.body_bytes, body.len());
            assert_eq!(request.body_hash, blake3::hash(body));
        }
    }
}

async fn pair() -> Pair {
    let first = always(Script::json(500, "{}")).await;
    let second = upstream().await;
    let gateway = Setup::new()
        .tls()
        .pool("failing", &[&base(&first)])
        .pool("working", &[&base(&second)])
        .model("gpt-4o", &["failing", "working"])
        .start();
    Pair {
        gateway,
        first,
        second,
    }
}

/// A request of exactly this many bytes.
fn body(size_bytes: usize) -> Vec<u8> {
    let mut body = serde_json::json!({
        "messages": [{"role": "user", "content": ""}],
        "model": "gpt-4o",
    })
    .to_string();
    let at = body.find("\"\"").unwrap() + 1;
    // No two places look alike, so that nothing can go missing unseen.
    let content: String = (0..)
        .flat_map(|n: u32| format!("{n} ").into_bytes())
        .map(char::from)
        .take(size_bytes - body.len())
        .collect();
    body.insert_str(at, &content);
    assert_eq!(body.len(), size_bytes);
    body.into_bytes()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {PATH} HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in body.chunks(10_007) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_of_the_description_arrives_as_it_stands() {
    let pair = pair().await;
    let body = ask("gpt-4o", false);
    let mut connection = Connection::open(pair.gateway.address).await;
    let answer = connection.post(PATH, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["choices"][0]["message"]["content"].is_string());
    pair.check(body.as_bytes()).await;
}
