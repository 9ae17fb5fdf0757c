//! What does a failed attempt mean, alone and with another pool behind it?
//!
//! Every fault is a pool and a model of its own in one gateway, so that none of them
//! wears out a target of another.

use std::time::{Duration, Instant};

use serde_json::json;
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Answer, chat};
use crate::kit::gateway::Setup;
use crate::kit::pair::{Upstream, WIRES, Wire, chunk, completion};
use crate::kit::upstream::{always, base, upstream};

/// Which requests meet a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Whole,
    Stream,
    Both,
}

/// A fault, what a client is told of it, and whether another pool may take over.
struct Case {
    name: String,
    script: Script,
    asked: Asked,
    status: u16,
    code: &'static str,
    replaced: bool,
}

fn case(name: impl Into<String>, script: Script, asked: Asked, told: (u16, &'static str)) -> Case {
    Case {
        name: name.into(),
        script,
        asked,
        status: told.0,
        code: told.1,
        replaced: true,
    }
}

const UNAVAILABLE: (u16, &str) = (502, "upstream_unavailable");
const INVALID: (u16, &str) = (502, "upstream_invalid_response");
const OVERLOADED: (u16, &str) = (503, "overloaded");
const TIMEOUT: (u16, &str) = (504, "upstream_timeout");
const LIMITED: (u16, &str) = (429, "upstream_rate_limited");

fn error(status: u16) -> Script {
    Script::json(
        status,
        r#"{"error":{"message":"No, thank you.","type":"t","code":"c"}}"#,
    )
}

/// Answers with a status of their own.
fn statuses(elsewhere: &Simulator) -> Vec<Case> {
    let mut cases = Vec::new();
    for (status, told) in [
        (408, TIMEOUT),
        (410, INVALID),
        (425, INVALID),
        (429, LIMITED),
        (451, INVALID),
        (500, UNAVAILABLE),
        (502, UNAVAILABLE),
        (503, OVERLOADED),
        (504, TIMEOUT),
        (529, OVERLOADED),
    ] {
        cases.push(case(
            format!("status-{status}"),
            error(status),
            Asked::Both,
            told,
        ));
    }
    for status in [400, 404, 409, 413, 415, 422] {
        let mut case = case(
            format!("status-{status}"),
            error(status),
            Asked::Both,
            (status, "c"),
        );
        case.replaced = false;
        cases.push(case);
    }
    for status in [301, 302, 307, 308] {
        let script = error(status).header(
            "Location",
            format!("{}/v1/chat/completions", elsewhere.url()),
        );
        cases.push(case(
            format!("status-{status}"),
            script,
            Asked::Both,
            INVALID,
        ));
    }
    cases
}

/// Answers that break off.
fn breaks() -> Vec<Case> {
    let whole = || completion("Hello");
    let half = whole().body_bytes() / 2;
    vec![
        case("closes", Script::close(), Asked::Both, UNAVAILABLE),
        case("resets", Script::reset(), Asked::Both, UNAVAILABLE),
        case(
            "cut-json",
            whole().cut_after(half),
            Asked::Whole,
            UNAVAILABLE,
        ),
        case(
            "reset-json",
            whole().reset_after(half),
            Asked::Whole,
            UNAVAILABLE,
        ),
        case(
            "no-last-chunk",
            whole().chunked().cut_after(whole().body_bytes()),
            Asked::Whole,
            UNAVAILABLE,
        ),
        case(
            "bad-chunk",
            whole()
                .chunked()
                .malformed_chunk_after(whole().body_bytes()),
            Asked::Whole,
            INVALID,
        ),
        case(
            "half-json",
            Script::json(200, "{\"choices\":[{"),
            Asked::Whole,
            INVALID,
        ),
        case(
            "not-an-object",
            Script::json(200, "[1,2]"),
            Asked::Whole,
            INVALID,
        ),
    ]
}

/// Answers that come to their end and are none.
fn nonsense() -> Vec<Case> {
    let whole = || completion("Hello");
    let html = || Script::body(200, "text/html", "<p>Welcome to the captive portal.</p>");
    vec![
        case("empty", Script::json(200, ""), Asked::Both, INVALID),
        case("html", html(), Asked::Both, INVALID),
        case(
            "no-type",
            whole().without_header("content-type"),
            Asked::Both,
            INVALID,
        ),
        case("no-content", Script::json(204, ""), Asked::Both, INVALID),
        case(
            "compressed",
            whole().header("Content-Encoding", "gzip"),
            Asked::Whole,
            INVALID,
        ),
        case(
            "too-long",
            whole()
                .content_length(9_999)
                .cut_after(whole().body_bytes()),
            Asked::Whole,
            UNAVAILABLE,
        ),
        case("json-for-events", whole(), Asked::Stream, INVALID),
        case(
            "no-event",
            Script::sse_bytes(&[]),
            Asked::Stream,
            UNAVAILABLE,
        ),
        case(
            "only-comments",
            Script::sse_bytes(&[b": hello\n\n"]),
            Asked::Stream,
            UNAVAILABLE,
        ),
        case("only-done", Script::sse(&[]), Asked::Stream, INVALID),
        case(
            "first-event-no-json",
            Script::sse(&["hello"]),
            Asked::Stream,
            INVALID,
        ),
        case(
            "half-first-event",
            Script::sse_bytes(&[chunk("x").as_bytes()]),
            Asked::Stream,
            UNAVAILABLE,
        ),
    ]
}

/// Errors that come with status 200, as some vendors send them.
fn errors_in_disguise() -> Vec<Case> {
    let overloaded =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let limited = r#"{"error":{"message":"Rate limited","code":429}}"#;
    let other = r#"{"error":{"message":"Provider returned error","code":502}}"#;
    let mut cases = Vec::new();
    for (name, error, told) in [
        ("overloaded", overloaded, OVERLOADED),
        ("limited", limited, LIMITED),
        ("other", other, UNAVAILABLE),
    ] {
        cases.push(case(
            format!("event-{name}"),
            Script::sse(&[error]),
            Asked::Stream,
            told,
        ));
        cases.push(case(
            format!("json-{name}"),
            Script::json(200, error),
            Asked::Whole,
            told,
        ));
    }
    cases
}

fn assert_told(answer: &Answer, case: &Case, what: &str) {
    assert_eq!(answer.status, case.status, "{what}: {}", answer.text());
    assert_eq!(
        answer.field("content-type"),
        Some("application/json"),
        "{what}"
    );
    assert_eq!(answer.field("x-spafe-attempts"), Some("1"), "{what}");
    let body = answer.json();
    assert_eq!(body["error"]["code"], json!(case.code), "{what}: {body}");
    if matches!(case.status, 429 | 503) {
        let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
        assert!((1..=120).contains(&seconds), "{what}: {seconds}");
    }
}

/// Asks for every fault, streamed and not, with and without another pool behind it.
async fn check(cases: Vec<Case>, wire: Wire) {
    check_within(cases, wire, "").await;
}

/// No fault may cost more than these deadlines.
async fn check_within(cases: Vec<Case>, wire: Wire, timeouts: &str) {
    let working = upstream().await;
    let mut setup = Setup::new()
        // Alone, a target is asked once: what one failure means is looked at here.
        .tables(&format!(
            "[attempts]\nper_pool_max = 1\n[timeouts]\n{timeouts}"
        ))
        .pool("working", &[&base(&working)]);
    let mut upstreams = Vec::new();
    for case in &cases {
        let upstream = Upstream::start(wire).await;
        upstream.simulator.default(case.script.clone());
        let (alone, backed) = (&case.name, format!("{}-backed", case.name));
        setup = upstream.pool(setup, alone, "");
        setup = upstream
            .pool(setup, &backed, "")
            .model(alone, &[alone])
            .model(&backed, &[&backed, "working"]);
        upstreams.push(upstream);
    }
    let gateway = setup.start();
    for (case, upstream) in cases.iter().zip(&upstreams) {
        for stream in [false, true] {
            if matches!(
                (case.asked, stream),
                (Asked::Whole, true) | (Asked::Stream, false)
            ) {
                continue;
            }
            let what = format!("{} over {wire:?}, stream: {stream}", case.name);
            if case.status == 429 {
                // Who said that it has too much to do is left alone for a second.
                for pool in [&case.name, &format!("{}-backed", case.name)] {
                    let target = upstream.simulator.addr();
                    let state = format!(
                        "spafe_target_state{{pool=\"{pool}\",state=\"fit\",target=\"{target}\"}}"
                    );
                    gateway.counts(&state, 1).await;
                }
            }
            let before = upstream.simulator.requests().len();
            let began = Instant::now();
            let alone = chat(gateway.address, &case.name, stream).await;
            let took = began.elapsed();
            assert!(took < Duration::from_secs(2), "{what} took {took:?}");
            assert_told(&alone, case, &what);
            assert_eq!(upstream.simulator.requests().len(), before + 1, "{what}");

            let backed = chat(gateway.address, &format!("{}-backed", case.name), stream).await;
            assert_eq!(upstream.simulator.requests().len(), before + 2, "{what}");
            if case.replaced {
                assert_eq!(backed.status, 200, "{what}: {}", backed.text());
                assert_eq!(backed.field("x-spafe-upstream"), Some("working"), "{what}");
                assert_eq!(backed.field("x-spafe-attempts"), Some("2"), "{what}");
            } else {
                assert_told(&backed, case, &what);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_retried_and_told_as_documented() {
    for wire in WIRES {
        let elsewhere = always(completion("You should not be here.")).await;
        check(statuses(&elsewhere), wire).await;
        assert_eq!(elsewhere.requests().len(), 0, "a redirect was followed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_broken_or_none_is_replaced() {
    for wire in WIRES {
        let mut cases = breaks();
        cases.extend(nonsense());
        if wire == Wire::Http2 {
            // A stream that is reset has no malformed chunk; nor is there a chunk to miss.
            cases.retain(|case| case.name != "bad-chunk");
        }
        check(cases, wire).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_under_a_good_status_is_an_error() {
    for wire in WIRES {
        check(errors_in_disguise(), wire).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_says_nothing_costs_its_deadline_and_no_more() {
    let event = format!("data: {}\n\n", chunk("Hi"));
    let events = || Script::sse_bytes(&[event.as_bytes()]);
    let half = event.len() / 2;
    let silences = || {
        [
            ("stalls", Script::stall(), Asked::Both),
            ("no-event", events().stall_after(0), Asked::Stream),
            ("half-event", events().stall_after(half), Asked::Stream),
            ("half-answer", completion("Hi").stall_after(9), Asked::Whole),
        ]
    };
    let short = "connect = \"400ms\"\nfirst_event = \"400ms\"\nanswer = \"600ms\"";
    for wire in WIRES {
        let cases = silences().map(|(name, script, asked)| case(name, script, asked, TIMEOUT));
        check_within(cases.into(), wire, short).await;
    }
}
