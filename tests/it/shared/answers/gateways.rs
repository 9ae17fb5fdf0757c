//! Whole gateways over one Redis, and what their callers see.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};
use spafe::simulator::Simulator;
use spafe::simulator::script::Gate;
use tokio::task::JoinSet;

use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::pair::completion;
use crate::kit::redis::Redis;
use crate::kit::reload::replace;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

const UP: &str = "spafe_cache_second_up ";
const WRITTEN: &str = "spafe_cache_second_writes_total{result=\"written\"} ";
const HITS: &str = "spafe_cache_second_reads_total{result=\"hit\"} ";
const GARBAGE: &str = "spafe_cache_second_reads_total{result=\"garbage\"} ";

/// A gateway before this upstream that shares answers over this Redis.
fn setup(up: &Simulator, redis: &Redis, cache: &str, shared: &str) -> Setup {
    Setup::new()
        .variable("SECRET", "the-same-everywhere")
        .tables(&format!("[cache]\nsecond_tier = true\n{cache}"))
        .tables(&format!(
            "[shared]\nredis = {:?}\nsecret = {{ env = \"SECRET\" }}\n{shared}",
            redis.url()
        ))
        .pool("p", &[&base(up)])
        .model("m", &["p"])
}

/// Two that have found their Redis, which may take longer here than by default.
async fn two(up: &Simulator, redis: &Redis, cache: &str) -> [Gateway; 2] {
    let start = async || {
        let gateway = setup(up, redis, cache, "timeout = \"500ms\"").start();
        gateway.counts(UP, 1).await;
        gateway
    };
    [start().await, start().await]
}

fn question(number: usize, stream: bool) -> Value {
    let text = format!("question {number:04}.");
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]})
}

async fn ask(address: SocketAddr, body: &Value) -> Answer {
    let mut client = Connection::open(address).await;
    let body = body.to_string();
    client
        .send(post("/v1/chat/completions", &[], body.as_bytes()))
        .await;
    client.answer().await
}

fn status(answer: &Answer) -> &str {
    answer.field("cache-status").unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_was_answered_all_give() {
    let (redis, up) = (Redis::start().await, upstream().await);
    let [first, second] = two(&up, &redis, "").await;
    let asked = ask(first.address, &question(1, false)).await;
    assert_eq!(status(&asked), "spafe; fwd=miss; stored");
    first.counts(WRITTEN, 1).await;
    let given = ask(second.address, &question(1, false)).await;
    assert!(status(&given).starts_with("spafe; hit"), "{given:?}");
    assert_eq!(given.body, asked.body);
    assert_eq!(given.field("x-spafe-attempts"), Some("0"));
    assert_eq!(up.requests().len(), 1);
    // From then on it is kept there as well, and a stream has it, too.
    let stream = ask(second.address, &question(1, true)).await;
    assert!(status(&stream).starts_with("spafe; hit"), "{stream:?}");
    assert!(stream.text().contains("data: [DONE]"));
    second.counts(HITS, 1).await;
    assert_eq!(up.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_waits_for_no_redis_and_is_shared_all_the_same() {
    let (redis, up) = (Redis::start().await, upstream().await);
    let [first, second] = two(&up, &redis, "store_streams = true").await;
    let mut counted = question(1, true);
    counted["stream_options"] = serde_json::json!({"include_usage": true});
    let streamed = ask(first.address, &counted).await;
    assert_eq!(streamed.status, 200);
    first.counts(WRITTEN, 1).await;
    let again = ask(second.address, &counted).await;
    assert!(status(&again).starts_with("spafe; fwd=miss"), "{again:?}");
    assert_eq!(up.requests().len(), 2);
    let looks = second
        .metric("spafe_cache_second_read_seconds_count ")
        .await;
    assert!(looks == 0.0, "{looks}");
    let [third, _] = two(&up, &redis, "store_streams = true").await;
    let whole = ask(third.address, &question(1, false)).await;
    assert!(status(&whole).starts_with("spafe; hit"), "{whole:?}");
    assert_eq!(up.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_asks_for_all() {
    let (redis, up) = (Redis::start().await, upstream().await);
    let gateways = two(&up, &redis, "lease = \"5m\"").await;
    let gate = Gate::new();
    up.push(completion("for all").hold_after(0, &gate));
    let mut asking = JoinSet::new();
    for _ in 0..5 {
        for gateway in &gateways {
            let address = gateway.address;
            asking.spawn(async move { ask(address, &question(1, false)).await });
        }
    }
    for gateway in &gateways {
        gateway.counts("spafe_requests_in_flight ", 5).await;
    }
    // One has the lease by now, or will have, and the other waits for it.
    soon("whoever asks an upstream", async {
        while up.requests().is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    gate.open();
    for answer in soon("an answer for all", asking.join_all()).await {
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("for all"), "{}", answer.text());
    }
    assert_eq!(up.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_another_answer_or_keeps_none_looks_nowhere() {
    let (redis, up) = (Redis::start().await, upstream().await);
    let [first, second] = two(&up, &redis, "").await;
    ask(first.address, &question(1, false)).await;
    first.counts(WRITTEN, 1).await;
    for line in ["no-cache", "no-store"] {
        let mut client = Connection::open(second.address).await;
        let line = format!("Cache-Control: {line}");
        let body = question(1, false).to_string();
        let path = "/v1/chat/completions";
        client.send(post(path, &[&line], body.as_bytes())).await;
        let answer = client.answer().await;
        assert!(status(&answer).contains("fwd="), "{answer:?}");
    }
    assert_eq!(up.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_learns_no_question_and_no_answer() {
    let (redis, up) = (Redis::start().await, upstream().await);
    let [first, _] = two(&up, &redis, "lease = \"1m\"").await;
    let mut body = question(1, false);
    body["messages"][0]["content"] = json!("canary-".repeat(1000));
    let answer = ask(first.address, &body).await;
    assert!(answer.text().contains("canary-canary-"));
    first.counts(WRITTEN, 1).await;
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]);
    let kept = keys.iter().filter(|key| key.starts_with("{spafe}:answer:"));
    assert!(kept.count() >= 2, "{keys:?}");
    for key in keys {
        let dump: Vec<u8> = redis.ask(&["DUMP", &key]);
        let said = [key.as_bytes(), &dump].concat();
        let has = |text: &[u8]| said.windows(text.len()).any(|part| part == text);
        assert!(!has(b"canary") && !has(b"the-same-everywhere"), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_a_connection_of_their_own() {
    let (redis, up) = (Redis::start().await, upstream().await);
    let gateway = setup(&up, &redis, "", "").start();
    gateway.counts(UP, 1).await;
    gateway.counts("spafe_shared_up ", 1).await;
    let clients: String = redis.ask(&["CLIENT", "LIST"]);
    // Two, and the one that asks this.
    assert_eq!(clients.lines().count(), 3, "{clients}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_connection_or_ends_it() {
    let (redis, up) = (Redis::start().await, upstream().await);
    let setup = setup(&up, &redis, "", "timeout = \"500ms\"");
    let text = setup.text();
    let gateway = setup.start();
    gateway.counts(UP, 1).await;
    let said = |words: &str| gateway.output().matches(words).count();
    let there = "shared answers: Redis is there";
    replace(
        &gateway.config,
        &text.replace("second_tier = true", "second_tier = true\nttl = \"1m\""),
    );
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(said(there), 1);
    let leased = text.replace("second_tier = true", "second_tier = true\nlease = \"1s\"");
    replace(&gateway.config, &leased);
    assert_eq!(gateway.reload().await.status, 200);
    soon("another connection", async {
        while said(there) < 2 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let alone = text.replace("second_tier = true", "second_tier = false");
    replace(&gateway.config, &alone);
    assert_eq!(gateway.reload().await.status, 200);
    assert!(!gateway.metrics().await.contains(UP));
    assert_eq!(ask(gateway.address, &question(1, false)).await.status, 200);
}

/// Asks without a pause until it is told to end, and checks every answer.
async fn ask_until(is_over: Arc<AtomicBool>, served: Arc<AtomicUsize>, address: SocketAddr) {
    let mut client = Connection::open(address).await;
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        number = (number + 7) % 20;
        // A stream now and then.
        let body = question(number, number % 5 == 0).to_string();
        client
            .send(post("/v1/chat/completions", &[], body.as_bytes()))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // A stream says it word for word.
        let said = format!("{number:04}.");
        assert!(answer.text().contains(&said), "{said}: {}", answer.text());
        served.fetch_add(1, Ordering::Relaxed);
        // A thousand are answered on one connection, and no more.
        if answer.field("connection") == Some("close") {
            client = Connection::open(address).await;
        }
    }
}

/// Somebody writes over what lies there, and puts answers in each other's place.
fn spoil(redis: &Redis) {
    let keys: Vec<String> = redis.ask(&["KEYS", "{spafe}:answer:v1:*"]);
    for pair in keys.chunks(3) {
        if let [first, second, third] = pair {
            let value: Option<Vec<u8>> = redis.ask(&["GET", first]);
            redis.put(first, b"nothing of ours");
            redis.put(second, &value.unwrap_or_default());
            let () = redis.ask(&["SETRANGE", third, "100", "spoilt"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_redis_nobody_is_lost_or_given_anothers_answer() {
    let (mut redis, up) = (Redis::start().await, upstream().await);
    // Nothing is kept here, so all is looked for there.
    let cache = "entry_bytes_max = \"1B\"\nlease = \"1s\"";
    let mut asking = JoinSet::new();
    let (is_over, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let gateway = setup(&up, &redis, cache, "timeout = \"50ms\"").start();
        gateway.counts(UP, 1).await;
        for _ in 0..3 {
            let (is_over, served) = (Arc::clone(&is_over), Arc::clone(&served));
            asking.spawn(ask_until(is_over, served, gateway.address));
        }
        gateways.push(gateway);
    }
    let some_more = async || {
        let before = served.load(Ordering::Relaxed);
        soon("some more answers", async {
            while served.load(Ordering::Relaxed) < before + 60 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    };
    for _ in 0..2 {
        some_more().await;
        spoil(&redis);
        some_more().await;
        let () = redis.ask(&["FLUSHALL"]);
        some_more().await;
        redis.signal(Signal::STOP);
        some_more().await;
        redis.signal(Signal::CONT);
        some_more().await;
        redis.kill();
        some_more().await;
        redis.again().await;
        for gateway in &gateways {
            gateway.counts(UP, 1).await;
        }
    }
    some_more().await;
    is_over.store(true, Ordering::Relaxed);
    asking.join_all().await;
    let mut spoilt = 0.0;
    for gateway in &gateways {
        assert!(gateway.metric(HITS).await > 0.0);
        spoilt += gateway.metric(GARBAGE).await;
    }
    assert!(spoilt > 0.0);
}
