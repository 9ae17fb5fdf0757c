//! What happens when more is asked than there is room for?
//!
//! Whoever is beyond a bound is turned away at once and told when to come back, and
//! everybody within it is served as if nothing had happened. What was counted is given
//! back whatever way it ends: each test ends with its gauges at zero.

/// How many connections are kept?
mod connections;
/// How many requests are answered at once?
mod requests;
/// How much do all bodies hold together?
mod held;
/// What if there is hardly memory?
mod memory;
/// What if descriptors are few?
mod descriptors;
/// What if names are made up?
mod series;

use std::net::SocketAddr;

use spafe::simulator::Simulator;

use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};

/// The one model of these tests.
const MODEL: &str = "m";
/// Where it is asked.
const PATH: &str = "/v1/chat/completions";
/// A request that no bound on models concerns.
const LIST: &str = "GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n";

/// A gateway with these limits in front of an upstream that records everything.
async fn limited(limits: &str) -> (Setup, Simulator) {
    let upstream = upstream().await;
    let setup = Setup::new()
        .tables(&format!("[bounds]\n{limits}"))
        .pool("main", &[&base(&upstream)])
        .model(MODEL, &["main"]);
    (setup, upstream)
}

/// A question on its way, from `127.0.0.n`.
async fn asking(n: u8, address: SocketAddr) -> Connection {
    let mut client = Connection::open_from(n, address).await;
    client
        .send(post(PATH, &[], ask(MODEL, true).as_bytes()))
        .await;
    client
}

/// What whoever is turned away is told, and when to come back.
#[track_caller]
fn assert_shed(answer: &Answer, status: u16, kind: &str, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.field("retry-after"), Some("1"), "{answer:?}");
    assert_eq!(answer.field("retry-after-ms"), Some("1000"), "{answer:?}");
    // The gateway has tried nothing, so a client may.
    assert_eq!(answer.field("x-should-retry"), None, "{answer:?}");
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    let error = &answer.json()["error"];
    assert_eq!(error["type"], kind, "{answer:?}");
    assert_eq!(error["code"], code, "{answer:?}");
}
