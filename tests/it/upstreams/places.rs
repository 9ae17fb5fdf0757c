//! What happens where a pool has no place left?

use std::time::Duration;

use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};
use tokio::task::JoinHandle;

use crate::kit::client::{Answer, Connection, ask, chat, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::upstream::{always, base, upstream};

const CHAT: &str = "/v1/chat/completions";

/// A pool of one place, at an upstream that answers when it is let.
struct One {
    gateway: Gateway,
    upstream: Simulator,
    gate: Gate,
}

impl One {
    async fn with(concurrency: &str) -> Self {
        let gate = Gate::new();
        let upstream = always(completion("held").hold_head(&gate)).await;
        let gateway = Setup::new()
            .tables("[timeouts]\nanswer = \"20s\"")
            .pool_with("p", &[&base(&upstream)], &concurrency_of(concurrency))
            .model("m", &["p"])
            .start();
        Self {
            gateway,
            upstream,
            gate,
        }
    }

    /// Asks, and does not wait for the answer.
    fn ask(&self, stream: bool) -> JoinHandle<Answer> {
        let address = self.gateway.address;
        tokio::spawn(async move { chat(address, "m", stream).await })
    }

    async fn is_busy_with(&self, in_flight: u64, queue: u64) {
        let gateway = &self.gateway;
        gateway
            .counts("spafe_pool_in_flight{pool=\"p\"}", in_flight)
            .await;
        gateway.counts("spafe_pool_queue{pool=\"p\"}", queue).await;
    }
}

fn concurrency_of(keys: &str) -> String {
    format!("concurrency = {{ {keys} }}")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_no_place_waits_for_one() {
    for bound in ["pool_max = 1", "target_max = 1"] {
        let one = One::with(&format!("{bound}, queue_wait = \"20s\"")).await;
        let first = one.ask(false);
        one.upstream.next_request().await.unwrap();
        let second = one.ask(false);
        one.is_busy_with(1, 1).await;
        assert_eq!(one.upstream.requests().len(), 1, "{bound}");
        one.gate.open();
        assert_eq!(first.await.unwrap().status, 200);
        assert_eq!(second.await.unwrap().status, 200);
        one.is_busy_with(0, 0).await;
        let waits = "spafe_pool_queue_wait_seconds_count{pool=\"p\"}";
        one.gateway.counts(waits, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_queue_is_full_the_answer_comes_at_once() {
    let one = One::with("pool_max = 1, queue_max = 0").await;
    let first = one.ask(false);
    one.upstream.next_request().await.unwrap();
    let began = now();
    let refused = chat(one.gateway.address, "m", true).await;
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "overloaded");
    assert_eq!(refused.field("retry-after"), Some("1"));
    let count = "spafe_pool_queue_refused_total{pool=\"p\"}";
    one.gateway.counts(count, 1).await;
    one.gate.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(one.upstream.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_longer_than_is_allowed() {
    let one = One::with("target_max = 1, queue_wait = \"100ms\"").await;
    let first = one.ask(false);
    one.upstream.next_request().await.unwrap();
    let began = now();
    let refused = chat(one.gateway.address, "m", false).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert!(began.elapsed() >= Duration::from_millis(100));
    one.is_busy_with(1, 0).await;
    one.gate.open();
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_keeps_its_place_to_its_end() {
    let one = One::with("pool_max = 1, queue_wait = \"20s\"").await;
    let events = [chunk("Hello"), stop(0)];
    let first_bytes = events[0].len() + "data: \n\n".len();
    let stream = Script::sse(&[&events[0], &events[1]]).hold_after(first_bytes, &one.gate);
    one.upstream.push(stream);
    let mut client = Connection::open(one.gateway.address).await;
    client
        .send(post(CHAT, &[], ask("m", true).as_bytes()))
        .await;
    let head = client.head().await;
    client.piece(&head).await.unwrap();
    let second = one.ask(false);
    one.is_busy_with(1, 1).await;
    assert_eq!(one.upstream.requests().len(), 1);
    one.gate.open();
    while client.piece(&head).await.is_some() {}
    assert_eq!(second.await.unwrap().status, 200);
    one.is_busy_with(0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_the_queue_is_gone_from_it() {
    let one = One::with("pool_max = 1, queue_wait = \"20s\"").await;
    let first = one.ask(false);
    one.upstream.next_request().await.unwrap();
    let mut leaver = Connection::open(one.gateway.address).await;
    leaver
        .send(post(
            CHAT,
            &["X-Request-Id: leaver"],
            ask("m", false).as_bytes(),
        ))
        .await;
    one.is_busy_with(1, 1).await;
    let left = now();
    drop(leaver);
    one.is_busy_with(1, 0).await;
    assert!(left.elapsed() < Duration::from_secs(1));
    let line = one.gateway.logged("leaver").await;
    assert_eq!(line["status"], 499, "{line}");
    one.gate.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(one.upstream.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pool_serves_where_one_is_full() {
    let gate = Gate::new();
    let first = always(completion("first").hold_head(&gate)).await;
    let second = upstream().await;
    let gateway = Setup::new()
        .pool_with(
            "first",
            &[&base(&first)],
            &concurrency_of("target_max = 1, queue_max = 0"),
        )
        .pool("second", &[&base(&second)])
        .model("m", &["first", "second"])
        .start();
    let address = gateway.address;
    let held = tokio::spawn(async move { chat(address, "m", false).await });
    first.next_request().await.unwrap();
    for _ in 0..3 {
        let answer = chat(address, "m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some("second"));
        assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
    }
    gate.open();
    assert_eq!(held.await.unwrap().field("x-spafe-upstream"), Some("first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_with_room_is_asked_where_another_is_full() {
    let gate = Gate::new();
    let slow = always(completion("slow").hold_head(&gate)).await;
    let quick = upstream().await;
    let gateway = Setup::new()
        .pool_with(
            "p",
            &[&base(&slow), &base(&quick)],
            &concurrency_of("target_max = 1, queue_wait = \"20s\""),
        )
        .model("m", &["p"])
        .start();
    let address = gateway.address;
    let held = tokio::spawn(async move {
        // The second of two is the slow one's in any order of turns.
        let (one, other) = (chat(address, "m", false), chat(address, "m", false));
        futures_util::future::join(one, other).await
    });
    slow.next_request().await.unwrap();
    for _ in 0..10 {
        assert_eq!(chat(address, "m", false).await.status, 200);
    }
    assert_eq!(slow.requests().len(), 1);
    gate.open();
    let (one, other) = held.await.unwrap();
    assert_eq!((one.status, other.status), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_at_a_target_that_cools_take_no_room_from_the_others() {
    let gate = Gate::new();
    let (tired, fresh) = (upstream().await, upstream().await);
    let keys = concurrency_of("target_max = 3, queue_max = 0");
    let gateway = Setup::new()
        .pool_with("p", &[&base(&tired), &base(&fresh)], &keys)
        .model("m", &["p"])
        .start();
    let first = chunk("Hello");
    let first_bytes = first.len() + "data: \n\n".len();
    let stream = Script::sse(&[&first, &stop(0)]).hold_after(first_bytes, &gate);
    let mut streams = Vec::new();
    for _ in 0..4 {
        for up in [&tired, &fresh] {
            up.default(stream.clone());
        }
        let mut client = Connection::open(gateway.address).await;
        let asked = post(CHAT, &[], ask("m", true).as_bytes());
        client.send(asked).await;
        let head = client.head().await;
        client.piece(&head).await.unwrap();
        streams.push((client, head));
    }
    assert_eq!((tired.requests().len(), fresh.requests().len()), (2, 2));
    let busy = Script::json(429, "{}").header("Retry-After", "30");
    tired.default(busy);
    fresh.default(completion("There is room here."));
    for _ in 0..4 {
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(tired.requests().len(), 3);
    gate.open();
    for (mut client, head) in streams {
        while client.piece(&head).await.is_some() {}
    }
    let in_flight = "spafe_pool_in_flight{pool=\"p\"}";
    gateway.counts(in_flight, 0).await;
}
