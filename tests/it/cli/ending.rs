//! How does the process end?

use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Answer, Connection, ask};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::upstream::{base, upstream};

const EVENT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1730889622,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}],"usage":null}"#;
const LAST: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1730889622,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;

/// A stream of which the first event is here, and the rest behind a gate.
struct Streaming {
    gateway: Gateway,
    client: Connection,
    head: Answer,
    gate: Gate,
    _upstream: Simulator,
}

async fn streaming() -> Streaming {
    let upstream = upstream().await;
    let gate = Gate::new();
    let first_bytes = "data: \n\n".len() + EVENT.len();
    upstream.push(Script::sse(&[EVENT, LAST]).hold_after(first_bytes, &gate));
    let gateway = gateway(&upstream);
    let mut client = Connection::open(gateway.address).await;
    client
        .send(crate::kit::client::post(
            "/v1/chat/completions",
            &[],
            ask("m", true).as_bytes(),
        ))
        .await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    let first = client.piece(&head).await.unwrap();
    assert!(String::from_utf8_lossy(&first).contains("Hello"));
    Streaming {
        gateway,
        client,
        head,
        gate,
        _upstream: upstream,
    }
}

fn gateway(upstream: &Simulator) -> Gateway {
    Setup::new()
        .pool("main", &[&base(upstream)])
        .model("m", &["main"])
        .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_process_ends_at_once() {
    let upstream = upstream().await;
    for signal in [Signal::TERM, Signal::INT] {
        let mut gateway = gateway(&upstream);
        // A connection that is kept is no request.
        let mut client = Connection::open(gateway.address).await;
        let answer = client.post("/v1/chat/completions", ask("m", false)).await;
        assert_eq!(answer.status, 200);
        gateway.idle().await;
        let began = now();
        gateway.signal(signal);
        assert_eq!(gateway.ended().await.code(), Some(0));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(client.closed().await, b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_flight_is_sent_to_its_end() {
    let mut streaming = streaming().await;
    streaming.gateway.signal(Signal::TERM);
    draining(&streaming.gateway).await;
    streaming.gate.open();
    let mut rest = Vec::new();
    while let Some(piece) = streaming.client.piece(&streaming.head).await {
        rest.extend_from_slice(&piece);
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("\"finish_reason\":\"stop\""), "{rest}");
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(streaming.gateway.ended().await.code(), Some(0));
    let lines = streaming.gateway.request_log(1).await;
    assert_eq!(lines[0]["outcome"], "served", "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_at_once() {
    let mut streaming = streaming().await;
    streaming.gateway.signal(Signal::TERM);
    draining(&streaming.gateway).await;
    let began = now();
    streaming.gateway.signal(Signal::TERM);
    let status = streaming.gateway.ended().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}");
}

/// Waits until the process says that it takes no more requests.
async fn draining(gateway: &Gateway) {
    loop {
        let mut admin = Connection::open(gateway.admin).await;
        admin
            .send("GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n")
            .await;
        let answer = admin.answer().await;
        if answer.status == 503 {
            assert_eq!(answer.json()["draining"], true);
            return;
        }
    }
}
