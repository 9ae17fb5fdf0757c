//! Who waits for one answer.
//!
//! The upstream holds its answer back until everybody waits, so that nobody comes late.

use spafe::simulator::script::{Gate, Script};
use tokio::task::JoinHandle;

use super::{CHAT, Kept, content, question, status, streamed};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::Setup;
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::soon;
use crate::kit::upstream::{always, base, upstream};

/// Callers from addresses of their own, since one may not have so many at once.
const MANY: &str =
    "in_flight_per_client_max = 4096\nin_flight_max = 4096\nconnections_per_address_max = 4096\n";

impl Kept {
    /// Asks in a task of its own.
    fn spawn(&self, stream: bool, lines: &'static [&'static str]) -> JoinHandle<Answer> {
        let address = self.gateway.address;
        let body = if stream { streamed(1) } else { question(1) };
        tokio::spawn(async move { super::ask(address, &body, lines).await })
    }

    /// Asks, and waits for nothing.
    async fn send(&self, stream: bool) -> Connection {
        let body = if stream { streamed(1) } else { question(1) };
        let mut client = Connection::open(self.gateway.address).await;
        client
            .send(post(CHAT, &[], body.to_string().as_bytes()))
            .await;
        client
    }

    /// Until all that these ask is there: whoever is only let in may not have found the others yet.
    async fn heard(&self, streams: impl Iterator<Item = bool>) {
        let asked = |stream| if stream { streamed(1) } else { question(1) };
        let bytes: usize = streams.map(|stream| asked(stream).to_string().len()).sum();
        self.gateway
            .counts("spafe_bodies_bytes", bytes as u64)
            .await;
    }

    /// Until so many are being answered.
    async fn waiting(&self, callers: u64) {
        self.gateway
            .counts("spafe_requests_in_flight", callers)
            .await;
    }
}

/// Nobody is refused for being one of many.
fn crowd(cache: &str) -> Setup {
    Setup::new().tables(&format!("[bounds]\n{MANY}[cache]\n{cache}"))
}

/// What an answer says, in whichever shape.
fn said(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    if answer.field("content-type") == Some("text/event-stream") {
        let (said, done) = content(answer);
        assert!(done, "{}", answer.text());
        return said;
    }
    let said = &answer.json()["choices"][0]["message"]["content"];
    said.as_str().unwrap().to_owned()
}

/// A stream that says this.
fn stream(text: &str) -> Script {
    Script::sse(&[&chunk(text), &stop(0)])
}

#[tokio::test]
async fn a_thousand_at_once_ask_an_upstream_once() {
    for (first_streams, others) in [
        (false, "whole"),
        (true, "streams"),
        (false, "mixed"),
        (true, "mixed"),
    ] {
        let kept = Kept::with(crowd("")).await;
        let gate = Gate::new();
        let script = if first_streams {
            stream("for all")
        } else {
            completion("for all")
        };
        kept.up.push(script.hold_head(&gate));
        let mut callers = vec![kept.spawn(first_streams, &[])];
        kept.up.next_request().await.unwrap();
        let streams = |number| match (number, others) {
            (0, _) => first_streams,
            (_, "mixed") => number % 2 == 0,
            _ => others == "streams",
        };
        for number in 1..1_000 {
            callers.push(kept.spawn(streams(number), &[]));
        }
        kept.waiting(1_000).await;
        kept.heard((0..1_000).map(streams)).await;
        gate.open();
        let mut collapsed = 0;
        for caller in callers {
            let answer = caller.await.unwrap();
            assert_eq!(said(&answer), "for all");
            // A late one finds it in memory.
            let told = status(&answer);
            let shared = told == "spafe; fwd=miss; collapsed" || told.starts_with("spafe; hit");
            collapsed += usize::from(shared);
        }
        assert_eq!(
            (kept.asked(), collapsed),
            (1, 999),
            "{others} behind {first_streams}"
        );
        kept.gateway.idle().await;
        kept.gateway.counts("spafe_cache_flights", 0).await;
    }
}

#[tokio::test]
async fn who_began_it_leaves_and_the_others_are_answered() {
    for streams in [false, true] {
        let kept = Kept::start("").await;
        let gate = Gate::new();
        let script = if streams {
            stream("stays")
        } else {
            completion("stays")
        };
        kept.up.push(script.hold_head(&gate));
        let first = kept.send(streams).await;
        kept.up.next_request().await.unwrap();
        let others = [kept.spawn(false, &[]), kept.spawn(true, &[])];
        kept.waiting(3).await;
        first.reset();
        kept.waiting(2).await;
        gate.open();
        let mut told = Vec::new();
        for other in others {
            let answer = other.await.unwrap();
            assert_eq!(said(&answer), "stays");
            let line = kept.gateway.logged(answer.field("x-request-id").unwrap());
            told.push(line.await["pool"].clone());
        }
        assert_eq!(told, ["p", "p"]);
        // One of them has it counted as its own, as if it had begun it.
        let answered = ["pool=\"p\"", "class=\"2xx\""];
        kept.gateway
            .counts_in_all("spafe_requests_total", &answered, 1)
            .await;
        assert_eq!(kept.asked(), 1);
    }
}

#[tokio::test]
async fn the_last_one_to_leave_takes_the_upstream_along() {
    let kept = Kept::start("").await;
    kept.up.push(Script::stall());
    let first = kept.send(false).await;
    kept.up.next_request().await.unwrap();
    let second = kept.send(true).await;
    kept.waiting(2).await;
    first.reset();
    kept.waiting(1).await;
    assert!(kept.up.requests()[0].aborted.is_none());
    second.reset();
    kept.up.aborted(0).await.unwrap();
    kept.gateway.counts("spafe_cache_flights", 0).await;
}

#[tokio::test]
async fn a_failure_is_tried_once_more_by_those_who_had_joined_and_then_told() {
    let setup = crowd("").tables("[attempts]\nmax = 1\n[ejection]\nfailures = 1000\n");
    let kept = Kept::with(setup).await;
    let gates = [Gate::new(), Gate::new()];
    for gate in &gates {
        kept.up.push(Script::json(500, "{}").hold_head(gate));
    }
    kept.up.default(completion("too late"));
    let first = kept.spawn(false, &[]);
    kept.up.next_request().await.unwrap();
    let others: Vec<_> = (0..10).map(|_| kept.spawn(false, &[])).collect();
    kept.waiting(11).await;
    gates[0].open();
    assert_eq!(first.await.unwrap().status, 502);
    kept.up.next_request().await.unwrap();
    kept.waiting(10).await;
    gates[1].open();
    for other in others {
        let answer = other.await.unwrap();
        assert_eq!(answer.status, 502);
        assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
    }
    assert_eq!(kept.asked(), 2);
}

#[tokio::test]
async fn what_is_the_callers_own_fault_is_told_to_all_at_once() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    let refused = Script::json(
        400,
        r#"{"error":{"message":"no such tool","type":"invalid_request_error"}}"#,
    );
    kept.up.push(refused.hold_head(&gate));
    let callers = [kept.spawn(false, &[]), kept.spawn(false, &[])];
    kept.waiting(2).await;
    gate.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap().status, 400);
    }
    assert_eq!(kept.asked(), 1);
}

#[tokio::test]
async fn each_waits_no_longer_than_it_says() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    kept.up.push(completion("slow").hold_head(&gate));
    let impatient = kept.spawn(false, &["X-Stainless-Timeout: 1"]);
    kept.up.next_request().await.unwrap();
    let patient = kept.spawn(false, &[]);
    kept.waiting(2).await;
    assert_eq!(impatient.await.unwrap().status, 504);
    gate.open();
    assert_eq!(said(&patient.await.unwrap()), "slow");
    assert_eq!(kept.asked(), 1);
}

#[tokio::test]
async fn a_panic_of_who_asks_ends_no_other_request() {
    let up = upstream().await;
    let gateway = Setup::new()
        .tables("[cache]\n")
        .variable("SPAFE_PANIC_AT", "attempt")
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .start();
    for streams in [false, true] {
        let number = 1 + usize::from(streams);
        let body = if streams {
            streamed(number)
        } else {
            question(number)
        };
        let answer = super::ask(gateway.address, &body, &["X-Request-Id: panic"]).await;
        assert_eq!(answer.status, 500, "{answer:?}");
        assert_eq!(super::ask(gateway.address, &body, &[]).await.status, 200);
    }
    gateway.counts("spafe_panics_total", 2).await;
    gateway.counts("spafe_cache_flights", 0).await;
}

#[tokio::test]
async fn nobody_shares_where_the_operator_or_the_caller_does_not() {
    for (cache, lines, asked) in [
        ("collapse = false", &[][..], 2),
        ("", &["Cache-Control: no-cache"][..], 2),
        ("", &["Cache-Control: no-store"][..], 2),
        ("", &[][..], 1),
    ] {
        let kept = Kept::start(cache).await;
        let gate = Gate::new();
        kept.up.default(completion("own").hold_head(&gate));
        let callers = [kept.spawn(false, lines), kept.spawn(false, lines)];
        kept.waiting(2).await;
        for _ in 0..asked {
            kept.up.next_request().await.unwrap();
        }
        gate.open();
        for caller in callers {
            assert_eq!(said(&caller.await.unwrap()), "own");
        }
        assert_eq!(kept.asked(), asked, "{cache} {lines:?}");
    }
}

#[tokio::test]
async fn an_answer_too_large_to_be_held_is_asked_for_by_each() {
    let up = always(completion(&"x".repeat(9 << 20))).await;
    let gateway = crowd("")
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .start();
    let kept = Kept { up, gateway };
    let callers: Vec<_> = (0..3).map(|_| kept.spawn(false, &[])).collect();
    for caller in callers {
        let answer = soon("an answer", caller).await.unwrap();
        assert_eq!(said(&answer).len(), 9 << 20);
    }
}
