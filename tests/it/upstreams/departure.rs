//! What happens when a client leaves?
//!
//! Wherever it leaves, its upstream is let go within a second, nobody else is asked,
//! and the log says who left.

use std::time::{Duration, Instant};

use spafe::simulator::script::Script;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{Pair, WIRES, chunk};
use crate::kit::soon;
use crate::kit::upstream::{always, base, upstream};

const CHAT: &str = "/v1/chat/completions";
/// What is promised is 100 ms; a busy machine gets a second.
const SOON: Duration = Duration::from_secs(1);

/// A client that waits for an answer and can be made to leave.
enum Client {
    Http1 { _connection: Connection },
    Http2(JoinHandle<()>),
}

impl Client {
    /// Asks, and where `begun` is true waits for the begin of the answer.
    async fn ask(gateway: &Gateway, http2: bool, model: &str, stream: bool, begun: bool) -> Self {
        let body = ask(model, stream);
        if !http2 {
            let mut client = Connection::open(gateway.address).await;
            client
                .send(post(CHAT, &["X-Request-Id: leaver"], body.as_bytes()))
                .await;
            if begun {
                let head = client.head().await;
                soon("the first event", client.piece(&head)).await.unwrap();
            }
            return Self::Http1 {
                _connection: client,
            };
        }
        let pem = std::fs::read(gateway.certificate.as_ref().unwrap()).unwrap();
        let trusted = reqwest::Certificate::from_pem(&pem).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([trusted])
            .resolve("localhost", gateway.tls_address.unwrap())
            .build()
            .unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        let request = client
            .post(gateway.tls_url(CHAT))
            .header("content-type", "application/json")
            .header("x-request-id", "leaver")
            .body(body);
        let waiting = tokio::spawn(async move {
            // A client that leaves closes its connection or resets its stream: this one
            // keeps the connection, so it is the stream that ends.
            let _connection = client;
            let mut answer = request.send().await.unwrap();
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            answer.chunk().await.unwrap().unwrap();
            tell.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        if begun {
            soon("the first event", told).await.unwrap();
        }
        Self::Http2(waiting)
    }

    fn leave(self) -> Instant {
        if let Self::Http2(waiting) = &self {
            waiting.abort();
        }
        Instant::now()
    }
}

async fn assert_logged(gateway: &Gateway, attempts: u64) {
    let line = gateway.logged("leaver").await;
    assert_eq!(line["status"], 499, "{line}");
    assert_eq!(line["outcome"], "client_gone", "{line}");
    assert_eq!(line["attempt_count"], attempts, "{line}");
    // The abandoned attempt took its time, too.
    assert!(line["upstream_ms"].as_f64() > Some(0.0), "{line}");
    gateway.counts("spafe_requests_in_flight", 0).await;
}

fn assert_soon(left: Instant, ended: Instant) {
    let took = ended.saturating_duration_since(left);
    assert!(took <= SOON, "the upstream was kept for {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_head_of_an_answer() {
    for wire in WIRES {
        for (http2, stream) in [(false, false), (false, true), (true, false), (true, true)] {
            let pair = Pair::with(wire, Setup::new().tls()).await;
            pair.first.simulator.default(Script::stall());
            let client = Client::ask(&pair.gateway, http2, "backed", stream, false).await;
            let request = pair.first.simulator.next_request().await.unwrap();
            let left = client.leave();
            let ended = pair.first.simulator.aborted(request.number).await.unwrap();
            assert_soon(left, ended);
            assert_logged(&pair.gateway, 1).await;
            pair.gateway
                .counts(
                    "spafe_attempts_total{outcome=\"abandoned\",pool=\"first\"}",
                    1,
                )
                .await;
            assert_eq!(pair.second.simulator.requests().len(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_stream() {
    for wire in WIRES {
        for http2 in [false, true] {
            let pair = Pair::with(wire, Setup::new().tls()).await;
            let event = format!("data: {}\n\n", chunk("Hello"));
            let script = Script::sse_bytes(&[event.as_bytes()]).stall_after(event.len());
            pair.first.simulator.default(script);
            let client = Client::ask(&pair.gateway, http2, "backed", true, true).await;
            let request = pair.first.simulator.next_request().await.unwrap();
            let left = client.leave();
            let ended = pair.first.simulator.aborted(request.number).await.unwrap();
            assert_soon(left, ended);
            assert_logged(&pair.gateway, 1).await;
            assert_eq!(pair.second.simulator.requests().len(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_second_of_three_is_asked() {
    for http2 in [false, true] {
        let (first, second) = (always(Script::close()).await, always(Script::stall()).await);
        let third = upstream().await;
        let gateway = Setup::new()
            .tls()
            .pool("first", &[&base(&first)])
            .pool("second", &[&base(&second)])
            .pool("third", &[&base(&third)])
            .model("m", &["first", "second", "third"])
            .start();
        let client = Client::ask(&gateway, http2, "m", false, false).await;
        let request = second.next_request().await.unwrap();
        let left = client.leave();
        assert_soon(left, second.aborted(request.number).await.unwrap());
        assert_logged(&gateway, 2).await;
        assert_eq!(third.requests().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_connection_is_made() {
    for http2 in [false, true] {
        // It accepts and never shakes hands.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = upstream().await;
        let gateway = Setup::new()
            .tls()
            .tables("[timeouts]\nconnect = \"30s\"")
            .pool(
                "silent",
                &[&format!("https://{}/v1", silent.local_addr().unwrap())],
            )
            .pool("other", &[&base(&other)])
            .model("m", &["silent", "other"])
            .start();
        let client = Client::ask(&gateway, http2, "m", false, false).await;
        let (mut connection, _) = soon("a connection", silent.accept()).await.unwrap();
        let left = client.leave();
        let mut hello = Vec::new();
        // A reset is an end, too.
        let _ = soon("its end", connection.read_to_end(&mut hello)).await;
        assert_soon(left, Instant::now());
        assert_logged(&gateway, 1).await;
        assert_eq!(other.requests().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_had_sent_more_than_its_request_is_missed_too() {
    for stream in [false, true] {
        let pair = Pair::with(WIRES[0], Setup::new()).await;
        pair.first.simulator.default(Script::stall());
        let mut client = Connection::open(pair.gateway.address).await;
        let request = post(
            CHAT,
            &["X-Request-Id: leaver"],
            ask("backed", stream).as_bytes(),
        );
        client.send(request).await;
        let request = pair.first.simulator.next_request().await.unwrap();
        // The beginning of a next request, as far as anyone can tell.
        client.send("\r\n").await;
        client.finish().await;
        // pingora says nothing of this; the socket is asked each second.
        pair.first.simulator.aborted(request.number).await.unwrap();
        assert_logged(&pair.gateway, 1).await;
        assert_eq!(pair.second.simulator.requests().len(), 0);
    }
}
