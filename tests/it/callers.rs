//! Who is asking?
//!
//! Whoever could choose what it is counted as would have as many shares as it likes. So an
//! address is believed from where the operator says, and from nowhere else, and nobody's
//! whole address or key is ever written down.

/// Addresses: behind proxies, denied, with shares of their own.
mod addresses;
/// Keys, and the file that they stand in.
mod keys;
/// Balancers that say whose connection it is.
mod balancers;

use spafe::simulator::Simulator;

use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{base, upstream};

/// Where a model is asked.
const PATH: &str = "/v1/chat/completions";

/// A gateway with these tables in front of an upstream.
async fn with(tables: &str) -> (Setup, Simulator) {
    let upstream = upstream().await;
    let setup = Setup::new()
        .tables(&format!("[reload]\ndebounce = \"50ms\"\n{tables}"))
        .pool("main", &[&base(&upstream)])
        .model("m", &["main"])
        .model("other", &["main"]);
    (setup, upstream)
}

/// Asks the model from `127.0.0.n` with more lines in the head.
async fn asked_from(n: u8, gateway: &Gateway, lines: &[&str]) -> Answer {
    let mut client = Connection::open_from(n, gateway.address).await;
    client
        .send(post(PATH, lines, ask("m", false).as_bytes()))
        .await;
    client.answer().await
}

/// A request without a body.
fn head(method: &str, path: &str, lines: &[&str]) -> String {
    let first = format!("{method} {path} HTTP/1.1");
    let lines = [&[first.as_str(), "Host: h"], lines, &["", ""]].concat();
    lines.join("\r\n")
}

/// What whoever is refused is told, in a way that a page can read.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, kind: &str, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    let challenge = (status == 401).then_some("Bearer");
    assert_eq!(answer.field("www-authenticate"), challenge);
    let error = &answer.json()["error"];
    assert_eq!(
        (&error["type"], &error["code"]),
        (&kind.into(), &code.into())
    );
}
