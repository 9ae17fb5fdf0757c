//! Does anybody ever get another's answer, and is anything left of what went wrong?
//!
//! A million requests, each with an id of its own that its answer repeats. Whatever shares
//! something between requests is on: connections, the cache, flights, second requests beside
//! slow ones, two pools, configurations that follow each other. And whatever can go wrong at
//! an upstream goes wrong all the time: an answer that is left on a connection, or a buffer
//! that is handed on too early, shows as an id that is not the caller's.
//!
//! Then the same for an hour, for whatever is not given back adds up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::script::Script;
use spafe::simulator::{Options, Simulator};

use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::pair::{chunk, completion};
use crate::kit::reload::replace;
use crate::kit::upstream::base;
use crate::lasting;
use crate::report::{Look, Watch};

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
async fn call(address: std::net::SocketAddr, (next, most): (Arc<AtomicU64>, u64)) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::open(address).await;
    let mut random = fastrand::Rng::new();
    let mut number = 0;
    loop {
        if random.u8(..4) > 0 || number == 0 {
            number = next.fetch_add(1, Ordering::Relaxed);
        }
        if number >= most || next.load(Ordering::Relaxed) >= most {
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

/// A gateway before upstreams at which everything goes wrong all the time, and callers of it.
struct World {
    gateway: Gateway,
    upstreams: Arc<[Simulator]>,
    /// Configurations that there were.
    number: u64,
    /// The next request; whoever finds the last one taken leaves.
    next: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<Seen>>,
    is_over: Arc<AtomicBool>,
    unrest: tokio::task::JoinHandle<()>,
}

impl World {
    async fn begin(requests_max: u64) -> Self {
        let upstreams: Arc<[Simulator]> = Arc::new([
            upstream().await,
            upstream().await,
            upstream().await,
            upstream().await,
        ]);
        let gateway = setup(&upstreams, 0).start();
        let (is_over, next) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let unrest = unrest(Arc::clone(&upstreams), Arc::clone(&is_over));
        let callers = (0..CALLERS).map(|_| {
            let next = Arc::clone(&next);
            tokio::spawn(call(gateway.address, (next, requests_max)))
        });
        Self {
            callers: callers.collect(),
            unrest: tokio::spawn(unrest),
            gateway,
            upstreams,
            number: 0,
            next,
            is_over,
        }
    }

    /// Another configuration comes into force.
    async fn turn(&mut self) {
        tokio::time::sleep(RELOAD_EVERY).await;
        self.number += 1;
        let text = setup(&self.upstreams, self.number).text();
        replace(&self.gateway.config, &text);
        self.gateway.signal(Signal::HUP);
    }

    /// Everybody leaves; the gateway goes on.
    async fn end(self) -> (Seen, Gateway) {
        let mut seen = Seen::default();
        for caller in self.callers {
            seen.add(caller.await.unwrap());
        }
        self.is_over.store(true, Ordering::Relaxed);
        self.unrest.await.unwrap();
        let Seen {
            by_status,
            named,
            hits,
            broken,
            ..
        } = &seen;
        let (number, reloads) = (
            self.number,
            self.gateway.metric("spafe_config_reloads_total").await,
        );
        println!(
            "{by_status:?}, {named} with an id; {hits} hits, {broken} broken streams, {number} configurations, {reloads} reloads"
        );
        assert!(seen.wrong.is_empty(), "{:#?}", seen.wrong);
        assert!(reloads > 1.0);
        (seen, self.gateway)
    }
}

async fn unrest(upstreams: Arc<[Simulator]>, is_over: Arc<AtomicBool>) {
    let faults = faults();
    let mut random = fastrand::Rng::new();
    while !is_over.load(Ordering::Relaxed) {
        let fault = faults[random.usize(..faults.len())].clone();
        upstreams[random.usize(..upstreams.len())].push(fault);
        tokio::time::sleep(FAULT_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_anothers_answer() {
    let mut world = World::begin(REQUESTS).await;
    while world.next.load(Ordering::Relaxed) < REQUESTS {
        world.turn().await;
    }
    let (seen, _gateway) = world.end().await;
    assert!(seen.named >= REQUESTS * 9 / 10, "{:?}", seen.by_status);
    assert!(seen.hits > REQUESTS / 20 && seen.broken > 0);
}

/// More requests than an hour has.
const ENOUGH: u64 = 1 << 60;
/// What memory may grow by in so many requests, once everything has been used.
const GROWTH_BYTES_MAX: f64 = 512.0 * 1024.0;
const GROWTH_REQUESTS: f64 = 100_000.0;
/// Descriptors that come and go.
const DESCRIPTORS_SPARE: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_everything_leaves_nothing_behind() {
    let lasts = lasting(3600);
    let mut world = World::begin(ENOUGH).await;
    let watch = Watch::begin(&world.gateway, "mixed");
    let began = now();
    while began.elapsed() < lasts {
        world.turn().await;
    }
    // No number is below this any more, so everybody leaves.
    world.next.store(ENOUGH, Ordering::Relaxed);
    let looks = watch.looks();
    let (seen, gateway) = world.end().await;
    for gauge in [
        "spafe_connections",
        "spafe_requests_in_flight ",
        "spafe_bodies_bytes",
    ] {
        gateway.counts(gauge, 0).await;
    }
    let (memory, descriptors) = growth(&looks);
    println!(
        "memory grows by {memory:.0} bytes in {GROWTH_REQUESTS} requests, descriptors by {descriptors:?}"
    );
    assert!(seen.named > 0 && seen.broken > 0 && seen.hits > 0);
    assert!(memory <= GROWTH_BYTES_MAX, "{memory} bytes");
    let [early, late] = descriptors;
    assert!(late <= early + DESCRIPTORS_SPARE, "{early}, then {late}");
}

/// How memory grows with requests behind the first quarter, by least squares; and the most
/// descriptors of the second and of the last quarter.
#[expect(clippy::cast_precision_loss, reason = "a slope needs no more")]
fn growth(looks: &[Look]) -> (f64, [usize; 2]) {
    let quarter = looks.len() / 4;
    let most = |looks: &[Look]| looks.iter().map(|look| look.descriptors).max().unwrap_or(0);
    let descriptors = [
        most(&looks[quarter..2 * quarter]),
        most(&looks[3 * quarter..]),
    ];
    let points: Vec<(f64, f64)> = looks[quarter..]
        .iter()
        .map(|look| {
            (
                look.served + look.refused + look.failed,
                look.memory_bytes as f64,
            )
        })
        .collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let together: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let alone: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    (together / alone.max(1.0) * GROWTH_REQUESTS, descriptors)
}
