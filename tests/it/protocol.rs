//! Does the gateway see one request where others could see two?
//!
//! Everything here is said by hand on a socket, for no library would send it. A
//! proxy and the server behind it that disagree about where a request ends give
//! one client's words to another; so each way to disagree that we know is a line
//! of a table, and the upstream's record is the judge: what arrived there is what
//! was answered, byte for byte, and nothing else.

/// Which framings of a request are tried?
mod corpus;
/// Where does a request end?
mod framing;
/// And behind somebody who reads it first?
mod fronts;
/// Which heads come in?
mod heads;
/// Which connections go on, and in which state?
mod connection;
/// What becomes of a body that nobody wants?
mod early;
/// And which connections go on behind one?
mod unwanted;
/// How long is a head waited for, and how large may it be?
mod patience;
/// How long is a client waited for that takes its answer slowly?
mod taking;
/// How long is a client waited for that says nothing over TLS?
mod silence;
/// What may a page of somebody else's make a browser do?
mod web;
/// And in HTTP/2?
mod http2;

use crate::kit::client::Answer;
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};
use spafe::simulator::Simulator;

/// The one model of these tests.
const MODEL: &str = "gpt-4o";
/// Where it is asked.
const CHAT: &str = "/v1/chat/completions";

/// A gateway in front of an upstream that records everything.
async fn recorded() -> (Setup, Simulator) {
    let upstream = upstream().await;
    let setup = Setup::new()
        .pool("main", &[&base(&upstream)])
        .model(MODEL, &["main"]);
    (setup, upstream)
}

/// A question whose body tells it from every other.
fn marked(mark: &str) -> String {
    format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"{mark}"}}]}}"#)
}

/// What every refusal promises, whoever wrote it.
#[track_caller]
fn assert_is_refusal(answer: &Answer, what: &str) {
    let field = |name| answer.field(name).unwrap_or_default();
    assert!((400..600).contains(&answer.status), "{what}: {answer:?}");
    assert_eq!(field("content-type"), "application/json", "{what}");
    assert_eq!(field("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(field("access-control-allow-origin"), "*", "{what}");
    let exposed = field("access-control-expose-headers");
    for name in ["retry-after", "x-request-id", "x-ratelimit-limit-requests"] {
        assert!(exposed.contains(name), "{what}: {name} is not exposed");
    }
    assert!(!field("x-request-id").is_empty(), "{what}: {answer:?}");
    let json = answer.json();
    let error = json["error"].as_object().expect(what);
    assert!(error["message"].is_string(), "{what}: {json}");
    assert!(error["type"].is_string(), "{what}: {json}");
    assert!(error["code"].is_string(), "{what}: {json}");
    assert!(error.contains_key("param"), "{what}: {json}");
}
