//! Does a body arrive as it was sent, whatever the way?
//!
//! From each kind of client, to each kind of upstream, on the first attempt and on the
//! second, with the model's name as it was and with another in its place; of sizes
//! around each buffer that it passes. Bodies are compared by their hash.

use std::fmt::Write as _;

use bytes::Bytes;
use spafe::simulator::script::Script;
use spafe::simulator::{Simulator, record};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::PATH;
use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::http2::Http2;
use crate::kit::upstream::{Secure, always, base, secure, unused_address, upstream};

/// Bytes of a body: around what fits one read, one buffer, one window, and the bound.
const SIZES: [usize; 7] = [0, 16_384, 65_535, 65_536, 65_537, 1 << 20, LARGEST];
/// The default of `[bounds] body_bytes_max`.
const LARGEST: usize = 10 << 20;
/// What the second pool calls the model.
const OTHER_NAME: &str = "vendor/a-longer-name";

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Http1Length,
    Http1Chunked,
    Http2Length,
    Http2Streamed,
}

/// What becomes of the first attempt.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum First {
    Answers,
    Fails,
    Resets,
    /// Resets the connection before it has read the body.
    Tears,
    RefusesConnection,
}

const FIRSTS: [First; 5] = [
    First::Answers,
    First::Fails,
    First::Resets,
    First::Tears,
    First::RefusesConnection,
];

/// A gateway, the upstreams that fail, and those that answer.
struct Bench {
    gateway: Gateway,
    failing: Simulator,
    resetting: Simulator,
    answering: Vec<Answering>,
    tearing: JoinHandle<()>,
}

/// An upstream that answers, and which version of HTTP it must have been asked with.
struct Answering {
    name: &'static str,
    upstream: Upstream,
    version: http::Version,
}

enum Upstream {
    Plain(Simulator),
    Secure(Secure),
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_http1_with_a_length_arrive() {
    every_body_arrives(Sent::Http1Length).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_http1_in_chunks_arrive() {
    every_body_arrives(Sent::Http1Chunked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_http2_with_a_length_arrive() {
    every_body_arrives(Sent::Http2Length).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_http2_without_a_length_arrive() {
    every_body_arrives(Sent::Http2Streamed).await;
}

async fn every_body_arrives(sent: Sent) {
    let bench = bench().await;
    for answering in &bench.answering {
        for case in cases() {
            arrives(&bench, sent, answering, case).await;
        }
    }
}

/// What becomes of the first attempt, which size, and whether the model is renamed.
fn cases() -> impl Iterator<Item = (First, usize, bool)> {
    let every = FIRSTS.into_iter().flat_map(|first| {
        (0..SIZES.len()).flat_map(move |number| [(first, number, false), (first, number, true)])
    });
    every.filter(|(first, number, renamed)| {
        // Of the large ones no more than what another could show.
        let size = SIZES[*number];
        let usual = *renamed == matches!(first, First::Fails | First::Tears);
        size < 1 << 20 || usual && (size < LARGEST || *first <= First::Fails)
    })
}

async fn arrives(
    bench: &Bench,
    sent: Sent,
    answering: &Answering,
    (first, number, renamed): (First, usize, bool),
) {
    let size = SIZES[number];
    let model = model(answering.name, first, number, renamed);
    let case = format!("{size} bytes, {sent:?}, {model}");
    let answer = send(&bench.gateway, sent, body(&model, size)).await;
    assert_eq!(answer.status, 200, "{case}: {}", answer.text());

    let arrived = answering.simulator().next_request().await.expect(&case);
    let name = if renamed { OTHER_NAME } else { &model };
    expect_body(&arrived, &body_of(&model, name, size), &case);
    assert_eq!(arrived.version, answering.version, "{case}");

    let failed = match first {
        First::Fails => Some(&bench.failing),
        First::Resets => Some(&bench.resetting),
        First::Answers | First::Tears | First::RefusesConnection => None,
    };
    if let Some(failed) = failed {
        let arrived = failed.next_request().await.expect(&case);
        expect_body(&arrived, &body(&model, size), &case);
    }
    let attempts = if matches!(first, First::Answers) {
        "1"
    } else {
        "2"
    };
    assert_eq!(answer.field("x-spafe-attempts"), Some(attempts), "{case}");
}

fn expect_body(arrived: &record::Request, expected: &[u8], case: &str) {
    assert_eq!(arrived.body_bytes, expected.len(), "{case}");
    assert_eq!(arrived.body_hash, blake3::hash(expected), "{case}");
    let length = expected.len().to_string();
    assert_eq!(arrived.header("content-length"), Some(&*length), "{case}");
}

async fn send(gateway: &Gateway, sent: Sent, body: Vec<u8>) -> Answer {
    match sent {
        Sent::Http1Length => {
            let mut client = Connection::open(gateway.address).await;
            client.send(post(PATH, &[], &body)).await;
            client.answer().await
        }
        Sent::Http1Chunked => {
            let mut client = Connection::open(gateway.address).await;
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            client.send(head).await;
            client.send(in_chunks(&body)).await;
            client.answer().await
        }
        Sent::Http2Length | Sent::Http2Streamed => {
            let mut client = Http2::open(gateway).await;
            let length = matches!(sent, Sent::Http2Length).then_some(body.len());
            let mut upload = client.begin(PATH, length).await;
            upload.send(Bytes::from(body), true).await;
            upload.answer().await
        }
    }
}

/// Chunks of sizes that fit no buffer.
fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::with_capacity(body.len() + body.len() / 64);
    let mut rest = body;
    let mut size = 1;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(size.min(rest.len()));
        chunks.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunks.extend_from_slice(part);
        chunks.extend_from_slice(b"\r\n");
        rest = after;
        size = (size * 7 + 3) % 70_001 + 1;
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    chunks
}

/// The body that asks for this model.
fn body(model: &str, size: usize) -> Vec<u8> {
    body_of(model, model, size)
}

/// A body of this size where the model is called `model`, with `name` in its place; a
/// size too small for a body is that of the smallest.
fn body_of(model: &str, name: &str, size: usize) -> Vec<u8> {
    let (before, between, after) = (
        r#"{"messages":[{"role":"user","content":""#,
        r#""}], "model": ""#,
        r#"" , "temperature":0.50}"#,
    );
    let frame = before.len() + between.len() + model.len() + after.len();
    let mut text = String::with_capacity(size + 64);
    text.push_str(before);
    // Numbered, so that parts that are lost or change places are seen.
    let end = text.len() + size.saturating_sub(frame);
    let line = "Good news, everyone. ".repeat(20);
    while text.len() < end {
        write!(text, "{:08x} {line}", text.len()).unwrap();
    }
    text.truncate(end);
    text.push_str(between);
    text.push_str(name);
    text.push_str(after);
    text.into_bytes()
}

/// The model for one case. Each failing case has a pool of its own, since a target that
/// fails three times in a row is left alone.
fn model(answering: &str, first: First, number: usize, renamed: bool) -> String {
    let renamed = if renamed { "renamed" } else { "same" };
    format!("{answering}-{first:?}-{number}-{renamed}").to_lowercase()
}

async fn bench() -> Bench {
    let answering = vec![
        Answering {
            name: "plain1",
            upstream: Upstream::Plain(upstream().await),
            version: http::Version::HTTP_11,
        },
        Answering {
            name: "tls2",
            upstream: Upstream::Secure(secure(true).await),
            version: http::Version::HTTP_2,
        },
    ];
    let failing = always(Script::json(500, r#"{"error":{"message":"no"}}"#)).await;
    let resetting = always(Script::reset()).await;
    let (torn, tearing) = tearing().await;
    let mut setup = Setup::new().tls().tables("[log]\nrequests = \"off\"");
    for answering in &answering {
        setup = setup.pool_with(answering.name, &[&answering.base()], &answering.keys());
        for first in FIRSTS {
            let target = match first {
                First::Answers => None,
                First::Fails => Some(base(&failing)),
                First::Resets => Some(base(&resetting)),
                First::Tears => Some(torn.clone()),
                First::RefusesConnection => Some(format!("http://{}/v1", unused_address())),
            };
            for number in 0..SIZES.len() {
                for renamed in [false, true] {
                    let model = model(answering.name, first, number, renamed);
                    setup = add(setup, answering.name, &model, (target.as_deref(), renamed));
                }
            }
        }
    }
    Bench {
        gateway: setup.start(),
        failing,
        resetting,
        answering,
        tearing,
    }
}

fn add(
    setup: Setup,
    answering: &str,
    model: &str,
    (target, renamed): (Option<&str>, bool),
) -> Setup {
    let last = if renamed {
        format!("{{ pool = {answering:?}, name = {OTHER_NAME:?} }}")
    } else {
        format!("{answering:?}")
    };
    let (setup, pools) = match target {
        Some(target) => (setup.pool(model, &[target]), format!("[{model:?}, {last}]")),
        None => (setup, format!("[{last}]")),
    };
    setup.tables(&format!("[[models]]\nid = {model:?}\npools = {pools}"))
}

/// An upstream that reads the begin of each request and resets its connection.
async fn tearing() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut begin = [0; 300];
            let _ = stream.read_exact(&mut begin).await;
            let _ = stream.set_zero_linger();
        }
    });
    (base, task)
}

impl Answering {
    fn simulator(&self) -> &Simulator {
        match &self.upstream {
            Upstream::Plain(simulator) => simulator,
            Upstream::Secure(secure) => &secure.simulator,
        }
    }

    fn base(&self) -> String {
        base(self.simulator())
    }

    fn keys(&self) -> String {
        match &self.upstream {
            Upstream::Plain(_) => String::new(),
            Upstream::Secure(secure) => secure.ca(),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.tearing.abort();
    }
}
