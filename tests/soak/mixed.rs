//! Does anybody ever get another's answer?
//!
//! A million requests, each with an id of its own that its answer repeats. Whatever shares
//! something between requests is on: connections, the cache, flights, second requests beside
//! slow ones, two pools, configurations that follow each other. And whatever can go wrong at
//! an upstream goes wrong all the time: an answer that is left on a connection, or a buffer
//! that is handed on too early, shows as an id that is not the caller's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::script::Script;
use spafe::simulator::{Options, Simulator};

use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::Setup;
use crate::kit::pair::{chunk, completion};
use crate::kit::reload::replace;
use crate::kit::upstream::base;

const REQUESTS: u64 = 1_000_000;
const CALLERS: u64 = 48;
/// From one fault to the next.
const FAULT_EVERY: Duration = Duration::from_millis(4);
/// From one configuration to the next.
const RELOAD_EVERY: Duration = Duration::from_secs(1);
const MARK: &str = "id-";

async fn upstream() -> Simulator {
    let listen = ([127, 0, 0, 1], 0).into();
    Simulator::start(listen, Options::instant()).await.unwrap()
}

/// Everything that goes wrong, but for 429: an upstream that is left alone for a second mixes
/// nothing up. None says an id.
fn faults() -> Vec<Script> {
    let words = chunk("nobody's words");
    let events: &[&str] = &[&words, &words, &words];
    vec![
        Script::close(),
        Script::reset(),
        Script::json(500, r#"{"error":{"message":"broken"}}"#),
        Script::json(503, "busy"),
        Script::json(200, "no JSON"),
        Script::json(200, r#"{"error":{"message":"an error as an answer"}}"#),
        completion("cut").cut_after(20),
        completion("reset").reset_after(20),
        completion("longer than it is")
            .content_length(10_000)
            .then_close(Duration::ZERO),
        completion("shorter than it is").content_length(20),
        completion("dead afterwards").then_close(Duration::from_millis(2)),
        completion("slow").delay_head(Duration::from_millis(300)),
        Script::raw(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: application/json\r\n\r\n{}   {\"more\":\"than was said\"}",
        ),
        Script::raw("no HTTP at all\r\n\r\n"),
        Script::sse(events).cut_after(40),
        Script::sse(events).reset_after(words.len() + 30),
        Script::sse(events).without_done(),
        Script::sse(events).malformed_chunk_after(words.len() + 8),
        Script::sse_bytes(&[b"data: {\"half\":"]).cut_after(14),
    ]
}

/// What callers saw, and which of it was not theirs.
#[derive(Default)]
struct Seen {
    by_status: BTreeMap<u16, u64>,
    named: u64,
    hits: u64,
    broken: u64,
    wrong: Vec<String>,
}

/// The digits of every id in an answer.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let behind = text.split(MARK).skip(1);
    behind.filter_map(|rest| {
        rest.split(|letter: char| !letter.is_ascii_hexdigit())
            .next()
    })
}

impl Seen {
    fn take(&mut self, id: &str, answer: &Answer) {
        *self.by_status.entry(answer.status).or_default() += 1;
        let text = answer.text();
        let status = answer.field("cache-status").unwrap_or_default();
        self.hits += u64::from(status.contains("hit"));
        let broken = text.contains("data: {\"error\"");
        self.broken += u64::from(broken);
        let mut found = ids(&text).peekable();
        // A fault's words that came as a whole are an answer, too, though they name nobody.
        let named = found.peek().is_some();
        self.named += u64::from(named);
        if found.any(|found| found != id) || (answer.status != 200 && named) {
            self.wrong
                .push(format!("{id} got {} {text}", answer.status));
        }
    }

    fn add(&mut self, other: Self) {
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        self.named += other.named;
        self.hits += other.hits;
        self.broken += other.broken;
        self.wrong.extend(other.wrong);
    }
}

/// One caller, who asks something new three times of four, and else what it asked before.
async fn call(address: std::net::SocketAddr, next: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::open(address).await;
    let mut random = fastrand::Rng::new();
    let mut number = 0;
    loop {
        if random.u8(..4) > 0 || number == 0 {
            number = next.fetch_add(1, Ordering::Relaxed);
        }
        if number >= REQUESTS {
            return seen;
        }
        let id = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let stream = number.is_multiple_of(3);
        let body = format!(
            r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"{MARK}{id}"}}]}}"#
        );
        let answer = connection.post("/v1/chat/completions", body).await;
        seen.take(&id, &answer);
        if answer.field("connection") == Some("close") {
            connection = Connection::open(address).await;
        }
    }
}

fn setup(upstreams: &[Simulator], number: u64) -> Setup {
    let bases: Vec<String> = upstreams.iter().map(base).collect();
    let order = if number.is_multiple_of(2) {
        ["a", "b"]
    } else {
        ["b", "a"]
    };
    // What is in force changes, too, and with it what answers are kept by.
    let ttl = 30 + number % 7;
    Setup::new()
        .tables("[bounds]\nconnections_per_address_max = 4096\nin_flight_per_client_max = 2048\n[log]\nrequests = \"off\"")
        .tables(&format!("[cache]\nttl = \"{ttl}s\"\nstore_streams = true\nstale_if_error = \"5s\"\nstale_while_revalidate = \"5s\""))
        .tables("[hedging]\nenabled = true\npercent = 50\nafter_min = \"20ms\"")
        .tables("[ejection]\ntime = \"100ms\"\ntime_max = \"200ms\"")
        .pool("a", &[&bases[0], &bases[1]])
        .pool("b", &[&bases[2], &bases[3]])
        .model("m", &order)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_anothers_answer() {
    let upstreams: Arc<[Simulator]> = Arc::new([
        upstream().await,
        upstream().await,
        upstream().await,
        upstream().await,
    ]);
    let gateway = setup(&upstreams, 0).start();
    let is_over = Arc::new(AtomicBool::new(false));
    let unrest = tokio::spawn({
        let (upstreams, is_over) = (Arc::clone(&upstreams), Arc::clone(&is_over));
        async move {
            let faults = faults();
            let mut random = fastrand::Rng::new();
            while !is_over.load(Ordering::Relaxed) {
                let fault = faults[random.usize(..faults.len())].clone();
                upstreams[random.usize(..upstreams.len())].push(fault);
                tokio::time::sleep(FAULT_EVERY).await;
            }
        }
    });
    let next = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(call(gateway.address, Arc::clone(&next))))
        .collect();
    let mut number = 0;
    while next.load(Ordering::Relaxed) < REQUESTS {
        tokio::time::sleep(RELOAD_EVERY).await;
        number += 1;
        replace(&gateway.config, &setup(&upstreams, number).text());
        gateway.signal(Signal::HUP);
    }
    let mut seen = Seen::default();
    for caller in callers {
        seen.add(caller.await.unwrap());
    }
    is_over.store(true, Ordering::Relaxed);
    unrest.await.unwrap();
    let reloads = gateway.metric("spafe_config_reloads_total").await;
    println!(
        "{:?}, {} with an id; {} hits, {} broken streams, {number} configurations, {reloads} reloads",
        seen.by_status, seen.named, seen.hits, seen.broken
    );
    assert!(seen.wrong.is_empty(), "{:#?}", seen.wrong);
    assert!(seen.named >= REQUESTS * 9 / 10, "{:?}", seen.by_status);
    assert!(seen.hits > REQUESTS / 20 && seen.broken > 0 && reloads > 1.0);
}
