//! Who may not have what another asked for?
//!
//! Two keys share what is kept, and one of them may not ask for the model that answers in
//! another's place. Whoever cannot have what goes on asks by itself, and is no part of it any more.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use super::{CHAT, content, streamed};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{chunk, stop};
use crate::kit::upstream::{always, base, upstream};

/// A gateway whose model `m` is down, so that `f` answers in its place.
struct Fallen {
    gateway: Gateway,
    stands_in: Simulator,
    _down: Simulator,
    gate: Gate,
}

/// A caller of a stream, and the head of it.
struct Caller {
    client: Connection,
    head: Answer,
}

impl Fallen {
    /// The stream of `f` is held behind its first event.
    async fn start() -> Self {
        let down = always(Script::json(500, "{}")).await;
        let stands_in = upstream().await;
        let gate = Gate::new();
        let first = chunk("one");
        let first_bytes = "data: \n\n".len() + first.len();
        let stream = Script::sse(&[&first, &chunk(" two"), &stop(0)]);
        stands_in.push(stream.hold_after(first_bytes, &gate));
        let gateway = Setup::new()
            .tables("[cache]\nscope = \"shared\"\n[auth]\nkeys = \"required\"")
            .tables(&key("all", "canary-all", ""))
            .tables(&key("some", "canary-some", "models = [\"m\"]"))
            .tables("[ejection]\nfailures = 1000\nrequests_min = 1000")
            .pool("down", &[&base(&down)])
            .pool("up", &[&base(&stands_in)])
            .model_with("m", &["down"], "fallbacks = [\"f\"]")
            .model("f", &["up"])
            .start();
        Self {
            gateway,
            stands_in,
            _down: down,
            gate,
        }
    }

    async fn asked_with(&self, key: &str) -> Caller {
        let mut client = Connection::open(self.gateway.address).await;
        let line = format!("Authorization: Bearer {key}");
        let body = streamed(1).to_string();
        client.send(post(CHAT, &[&line], body.as_bytes())).await;
        let head = client.head().await;
        Caller { client, head }
    }

    /// One who may have what `f` says and one who may not, while it says it.
    async fn asked_by_both(&self) -> Caller {
        let first = self.asked_with("canary-all").await;
        assert_eq!(first.head.field("x-spafe-model"), Some("f"));
        let second = self.asked_with("canary-some").await;
        assert_eq!(second.head.status, 502, "{:?}", second.head);
        self.gateway.counts("spafe_requests_in_flight", 1).await;
        first
    }

    /// Until nothing is left of it.
    async fn forgotten(&self) {
        for gauge in [
            "spafe_requests_in_flight",
            "spafe_pool_in_flight{pool=\"up\"}",
            "spafe_cache_flights",
            "spafe_bodies_bytes",
        ] {
            self.gateway.counts(gauge, 0).await;
        }
    }
}

fn key(name: &str, secret: &str, more: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(secret.as_bytes()) {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!("[[keys]]\nname = \"{name}\"\nsha256 = \"{digits}\"\n{more}\n")
}

#[tokio::test]
async fn a_stream_that_one_may_not_have_is_forgotten_at_its_end() {
    let fallen = Fallen::start().await;
    let Caller { mut client, head } = fallen.asked_by_both().await;
    fallen.gate.open();
    let mut stream = head;
    while let Some(piece) = client.piece(&stream).await {
        stream.body.extend(piece);
    }
    assert_eq!(content(&stream), ("one two".to_owned(), true));
    fallen.forgotten().await;
}

#[tokio::test]
async fn a_stream_that_one_may_not_have_goes_with_who_began_it() {
    let fallen = Fallen::start().await;
    let first = fallen.asked_by_both().await;
    first.client.reset();
    fallen.stands_in.aborted(0).await.unwrap();
    fallen.forgotten().await;
}
