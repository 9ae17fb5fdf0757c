//! What does a client see of a stream that breaks?
//!
//! The events that were whole, then one event of the gateway's own that parses by
//! itself, then an orderly end without `[DONE]`; never a second upstream's bytes.

use std::time::{Duration, Instant};

use serde_json::Value;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Setup;
use crate::kit::pair::{Pair, WIRES, Wire, chunk, stop};

const CHAT: &str = "/v1/chat/completions";

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// The error behind these events, which must be all that follows them.
fn error_behind(events: &str, text: &str) -> Value {
    let rest = text
        .strip_prefix(events)
        .unwrap_or_else(|| panic!("{text:?} does not begin with {events:?}"));
    let data = rest
        .strip_prefix("data: ")
        .and_then(|rest| rest.strip_suffix("\n\n"))
        .unwrap_or_else(|| panic!("{rest:?} is no event of its own"));
    assert!(!data.contains('\n'), "{data:?}");
    let error: Value = serde_json::from_str(data).unwrap_or_else(|_| panic!("{data:?}"));
    assert!(error["error"]["message"].is_string(), "{error}");
    error["error"].clone()
}

/// Asks where another pool stands behind the first, which must not be asked.
async fn broken(pair: &Pair, script: Script, events: &str, code: &str, kind: &str) {
    let before = pair.first.simulator.requests().len();
    pair.first.simulator.push(script);
    let mut client = Connection::open(pair.gateway.address).await;
    let id = format!("broken-{before}");
    let line = format!("X-Request-Id: {id}");
    client
        .send(post(CHAT, &[&line], ask("backed", true).as_bytes()))
        .await;
    // Read to the last chunk: the framing ends in order.
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
    let error = error_behind(events, &answer.text());
    assert_eq!(error["code"], code, "{kind}: {error}");
    assert_eq!(pair.first.simulator.requests().len(), before + 1, "{kind}");
    assert_eq!(pair.second.simulator.requests().len(), 0, "{kind}");
    let line = pair.gateway.logged(&id).await;
    assert_eq!(
        (&line["outcome"], &line["cause"], &line["code"]),
        (&"stream_broken".into(), &kind.into(), &code.into()),
        "{line}"
    );
    // And the connection goes on.
    pair.first
        .simulator
        .push(Script::sse(&[&chunk("next"), &stop(0)]));
    let next = client.post(CHAT, ask("backed", true)).await;
    assert!(
        next.text().ends_with("data: [DONE]\n\n"),
        "{kind}: {}",
        next.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_drops_the_half_event_and_says_so_in_one_of_its_own() {
    for wire in WIRES {
        // Half of its streams break, which would send the target to rest.
        let setup = Setup::new().tables("[ejection]\nrequests_min = 1000");
        let pair = Pair::with(wire, setup).await;
        let first = event(&chunk("Hello"));
        let half = event(&chunk("wörld 🙂"));
        let both = first.clone() + &half;
        let script = || Script::sse_bytes(&[first.as_bytes(), half.as_bytes()]);
        let umlaut = first.len() + half.find('ö').unwrap() + 1;
        let unavailable = "upstream_unavailable";
        for at in [
            first.len(),
            first.len() + 1,
            first.len() + 20,
            umlaut,
            both.len() - 1,
        ] {
            broken(&pair, script().cut_after(at), &first, unavailable, "cut").await;
            broken(&pair, script().reset_after(at), &first, unavailable, "cut").await;
        }
        // At the end of an event, and in the middle of nothing.
        broken(
            &pair,
            script().cut_after(both.len()),
            &both,
            unavailable,
            "cut",
        )
        .await;
        broken(&pair, script(), &both, unavailable, "unterminated").await;
        let without_end = Script::sse_bytes(&[&both.as_bytes()[..both.len() - 1]]);
        broken(&pair, without_end, &first, unavailable, "unterminated").await;
        if wire == Wire::Http1 {
            let malformed = script().malformed_chunk_after(first.len());
            broken(
                &pair,
                malformed,
                &first,
                "upstream_invalid_response",
                "malformed",
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_upstreams_own_ends_a_stream_without_another() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let first = chunk("Hello");
        let error = r#"{"error":{"message":"Out of capacity","type":"server_error"}}"#;
        let script = Script::sse(&[&first, error]);
        // Some say the end behind it, as if all were well.
        for (script, breaks) in [(script.clone().without_done(), 1), (script, 2)] {
            pair.first.simulator.push(script);
            let answer = pair.ask("backed", true).await;
            assert_eq!(answer.text(), event(&first) + &event(error));
            assert_eq!(pair.second.simulator.requests().len(), 0);
            pair.gateway
                .counts("spafe_stream_breaks_total{kind=\"error_event\"}", breaks)
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_endless_drips_end_at_their_deadlines() {
    for wire in WIRES {
        let setup = Setup::new().tables("[timeouts]\nevent_gap = \"300ms\"\nconnect = \"1s\"\nfirst_event = \"1s\"\nstream = \"1200ms\"");
        let pair = Pair::with(wire, setup).await;
        let first = event(&chunk("Hello"));
        let half = event(&chunk("world"));
        for at in [first.len(), first.len() + 9] {
            let script = Script::sse_bytes(&[first.as_bytes(), half.as_bytes()]).stall_after(at);
            let began = Instant::now();
            broken(&pair, script, &first, "upstream_timeout", "stalled").await;
            assert!(began.elapsed() >= Duration::from_millis(300));
        }
        // A byte at a time, each within the gap, and never an event.
        let comment = vec![b"x".as_slice(); 400];
        let pieces = [&[first.as_bytes(), b":".as_slice()][..], &comment].concat();
        let drip = Script::sse_bytes(&pieces).gap(Duration::from_millis(50));
        let began = Instant::now();
        broken(&pair, drip, &first, "upstream_timeout", "too_long").await;
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(1_200) && took < Duration::from_secs(4),
            "{took:?}"
        );
        // The upstream was let go.
        let dripping = pair
            .first
            .simulator
            .requests()
            .into_iter()
            .rev()
            .nth(1)
            .unwrap();
        pair.first.simulator.aborted(dripping.number).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_inside_an_event_too_large_to_wait_for_breaks_the_framing() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let first = event(&chunk("first"));
        let large = event(&chunk(&"x".repeat(2 * 1024 * 1024)));
        let stream = first.clone() + &large;
        let (gate, at) = (Gate::new(), stream.len() - 100);
        let script = Script::sse_bytes(&[stream.as_bytes()]);
        let script = script.hold_after(at, &gate).cut_after(at);
        pair.first.simulator.push(script);
        let mut client = Connection::open(pair.gateway.address).await;
        client
            .send(post(CHAT, &[], ask("backed", true).as_bytes()))
            .await;
        let head = client.head().await;
        let mut seen = 0;
        while seen <= 1024 * 1024 {
            seen += client.piece(&head).await.expect("more of the stream").len();
        }
        gate.open();
        let rest = client.closed().await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "an end was told");
        assert!(
            !rest.windows(7).any(|bytes| bytes == b"\"error\""),
            "an error inside an event"
        );
        assert_eq!(pair.second.simulator.requests().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_an_end_of_an_event_passes_in_constant_memory() {
    let pair = Pair::start(Wire::Http1).await;
    let begin = event(&chunk("first")) + "data: ";
    let filler = vec![b'x'; 1024 * 1024];
    let pieces = [&[begin.as_bytes()][..], &vec![filler.as_slice(); 64]].concat();
    pair.first.simulator.push(Script::sse_bytes(&pieces));
    let mut client = Connection::open(pair.gateway.address).await;
    client
        .send(post(CHAT, &[], ask("alone", true).as_bytes()))
        .await;
    let head = client.head().await;
    let mut bytes = 0;
    while bytes < begin.len() + 64 * 1024 * 1024 {
        bytes += client.piece(&head).await.expect("more of the stream").len();
    }
    assert_eq!(bytes, begin.len() + 64 * 1024 * 1024);
    let peak = pair.gateway.peak_memory_bytes();
    assert!(peak < 96 * 1024 * 1024, "the gateway took {peak} bytes");
}
