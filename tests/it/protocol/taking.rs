//! How long is a client waited for that takes its answer slowly?
//!
//! An upstream writes as fast as we read, and we read as fast as the client does. One
//! that takes nothing, or a few bytes now and then, is let go, and its upstream with it.

use std::time::Duration;

use bytes::Bytes;
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use super::{CHAT, MODEL, recorded};
use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Gateway;
use crate::kit::http2::Http2;
use crate::kit::pair::chunk;
use crate::kit::{now, soon};

/// The time a client has in these tests to take a part of its answer.
const STALL: &str = "[bounds]\nwrite_stall = \"500ms\"";
/// How soon after the client its upstream is let go.
const SOON: Duration = Duration::from_secs(1);

/// How a client takes what it is sent.
#[derive(Debug, Clone, Copy)]
enum Takes {
    /// Ten bytes once.
    Nothing,
    /// Ten bytes at a time.
    Little,
}

/// More than the system holds for a client, in events that do not end.
fn endless() -> Script {
    let event = chunk(&"a".repeat(16 << 10));
    never_done(Script::sse(&vec![event.as_str(); 2_000]))
}

/// All but its end, however much of it the system takes on its way to us.
fn never_done(script: Script) -> Script {
    let most = script.body_bytes() - 1;
    script.stall_after(most)
}

/// A JSON answer of about this size.
fn large(bytes: usize) -> Script {
    let text = "a".repeat(bytes);
    Script::json(
        200,
        format!(
            r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
        ),
    )
}

/// Waits until the request of this id is over, and soon after it its upstream.
async fn let_go(gateway: &Gateway, upstream: &Simulator, id: &str, was_cut: bool) {
    let line = gateway.logged(id).await;
    assert_eq!(line["outcome"], "client_gone", "{line}");
    let ended = now();
    if was_cut {
        let aborted = async {
            while upstream.requests().last().unwrap().aborted.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("the upstream's end", aborted).await;
    }
    assert!(ended.elapsed() < SOON, "{id}: after {:?}", ended.elapsed());
    gateway.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http1_that_takes_little_is_let_go_with_its_upstream() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tables(STALL).start();
    // What is larger than 8 MiB passes through; what is not has left its upstream already.
    for (what, script, stream, was_cut) in [
        ("events", endless(), true, true),
        ("held", large(7 << 20), false, false),
        ("passing", never_done(large(24 << 20)), false, true),
    ] {
        for takes in [Takes::Nothing, Takes::Little] {
            upstream.push(script.clone());
            let id = format!("{what}-{takes:?}");
            let mut client = Connection::open_narrow(1, gateway.address).await;
            let field = format!("X-Request-Id: {id}");
            let request = post(CHAT, &[&field], ask(MODEL, stream).as_bytes());
            client.send(request).await;
            // It holds its connection whether it takes of it or not.
            let pause = match takes {
                Takes::Nothing => Duration::from_hours(1),
                Takes::Little => Duration::from_millis(20),
            };
            let taking = tokio::spawn(async move { client.take_slowly(10, pause).await });
            let_go(&gateway, &upstream, &id, was_cut).await;
            taking.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_http2_that_takes_little_is_reset_and_its_siblings_live() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tables(STALL).tls().start();
    for (number, window_bytes) in [0, 10].into_iter().enumerate() {
        let mut client = Http2::narrow(&gateway, window_bytes).await;
        for (what, script, stream, was_cut) in [
            ("events", endless(), true, true),
            ("held", large(7 << 20), false, false),
            ("passing", never_done(large(24 << 20)), false, true),
        ] {
            upstream.push(script);
            let id = format!("{what}-{number}");
            let body = Bytes::from(ask(MODEL, stream));
            let mut upload = client.begin_named(CHAT, Some(body.len()), Some(&id)).await;
            upload.send(body, true).await;
            let taken = upload.take_slowly(Duration::from_millis(50));
            let (taken, ()) = tokio::join!(taken, let_go(&gateway, &upstream, &id, was_cut));
            assert!(taken.unwrap_err().is_reset(), "{id}");
        }
        // The connection has gone on.
        client.leave();
    }
}

/// Of a stream that is what was read and not yet taken. Of a JSON answer, which is held
/// whole, it is no more with all others than bodies may be.
#[tokio::test(flavor = "multi_thread")]
async fn stalled_clients_hold_little_memory() {
    for (script, stream, together) in [(endless(), true, 0), (large(7 << 20), false, 8 << 20)] {
        let held = held_by_stalled(script, stream).await;
        let most = CLIENTS * (512 << 10) + together;
        assert!(held <= most, "{held} bytes, stream: {stream}");
    }
}

const CLIENTS: u64 = 64;

/// What is held for clients that take nothing.
async fn held_by_stalled(script: Script, stream: bool) -> u64 {
    let (setup, upstream) = recorded().await;
    let bounds =
        "write_stall = \"30s\"\nin_flight_per_client_max = 64\nbodies_bytes_max = \"16MiB\"";
    let gateway = setup.tables(&format!("[bounds]\n{bounds}")).start();
    upstream.default(script);
    let before = gateway.resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Connection::open_narrow(1, gateway.address).await;
        client
            .send(post(CHAT, &[], ask(MODEL, stream).as_bytes()))
            .await;
        clients.push(client);
    }
    // Until nothing moves any more.
    let mut used = Duration::ZERO;
    while gateway.processor_time() > used {
        used = gateway.processor_time();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let held = gateway.resident_bytes().saturating_sub(before);
    drop(clients);
    gateway.idle().await;
    gateway.counts("spafe_bodies_bytes", 0).await;
    held
}
