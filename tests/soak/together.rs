//! Do replicas together let in what a limit says, and what does it cost to lose Redis?
//!
//! Two and four gateways over one real Redis, eight callers who ask for more than they get.
//! What is let in obeys the formula of one limit within 2 %. Then Redis is killed, stopped,
//! and made slow: nobody is lost, nobody waits longer than the breaker takes, and it is found
//! again within five seconds.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use spafe::simulator::Simulator;
use tokio::task::JoinHandle;

use crate::kit::client::{Connection, ask};
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::redis::Redis;
use crate::kit::upstream::{base, upstream};
use crate::kit::wedge::{Does, Wedge};
use crate::lasting;

const CALLERS: usize = 8;
const COUNT: u32 = 200;
const BURST: u32 = 100;

/// Callers that ask all the time.
struct Callers {
    stop: Arc<AtomicBool>,
    began: Instant,
    tasks: Vec<JoinHandle<Vec<Seen>>>,
}

/// One answer.
struct Seen {
    at: Instant,
    took: Duration,
    status: u16,
}

impl Callers {
    /// They take turns at these gateways.
    fn start(gateways: &[Gateway]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..CALLERS).map(|number| {
            let address = gateways[number % gateways.len()].address;
            let stop = Arc::clone(&stop);
            tokio::spawn(ask_until(address, stop))
        });
        Self {
            began: Instant::now(),
            tasks: tasks.collect(),
            stop,
        }
    }

    /// Everything they have seen, and for how long they have asked.
    async fn end(self) -> (Vec<Seen>, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        (all, self.began.elapsed())
    }
}

/// Asks this gateway again and again, and says what it has seen.
async fn ask_until(address: SocketAddr, stop: Arc<AtomicBool>) -> Vec<Seen> {
    let mut connection = Connection::open(address).await;
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let at = Instant::now();
        let answer = connection
            .post("/v1/chat/completions", ask("m", false))
            .await;
        let (took, status) = (at.elapsed(), answer.status);
        seen.push(Seen { at, took, status });
        // A connection serves so many requests, and says when it is over.
        if answer.field("connection") == Some("close") {
            connection = Connection::open(address).await;
        }
        // Eight that never pause would measure the machine.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    seen
}

fn setup(upstream: &Simulator, redis: &str, timeout: &str) -> Setup {
    let mut tables = format!("[shared]\nredis = {redis:?}\nsecret = {{ env = \"SECRET\" }}\n");
    writeln!(tables, "timeout = {timeout:?}").unwrap();
    writeln!(
        tables,
        "[[limits]]\nname = \"all\"\nby = \"global\"\nscope = \"shared\""
    )
    .unwrap();
    writeln!(
        tables,
        "requests = {{ count = {COUNT}, per = \"1s\", burst = {BURST} }}"
    )
    .unwrap();
    Setup::new()
        .variable("SECRET", "the-same-everywhere")
        .tables(&tables)
        .pool("p", &[&base(upstream)])
        .model("m", &["p"])
}

async fn gateways(count: usize, upstream: &Simulator, redis: &str, timeout: &str) -> Vec<Gateway> {
    let mut all = Vec::new();
    for _ in 0..count {
        let gateway = setup(upstream, redis, timeout).start();
        gateway.counts("spafe_shared_up", 1).await;
        gateway
            .counts("spafe_shared_replicas", all.len() as u64 + 1)
            .await;
        all.push(gateway);
    }
    for gateway in &all {
        gateway.counts("spafe_shared_replicas", count as u64).await;
    }
    all
}

fn served(seen: &[Seen]) -> f64 {
    let count = seen.iter().filter(|seen| seen.status == 200).count();
    f64::from(u32::try_from(count).unwrap())
}

fn allowed(time: Duration) -> f64 {
    f64::from(BURST) + f64::from(COUNT) * time.as_secs_f64()
}

/// Nobody was answered with anything but an answer or a refusal.
fn nobody_is_lost(seen: &[Seen]) {
    let lost = seen
        .iter()
        .filter(|seen| ![200, 429].contains(&seen.status));
    assert_eq!(lost.count(), 0);
}

fn p99(seen: &[Seen], during: impl Fn(Instant) -> bool) -> Duration {
    let during = seen.iter().filter(|seen| during(seen.at));
    let mut took: Vec<Duration> = during.map(|seen| seen.took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

async fn check_formula(replicas: usize) {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let gateways = gateways(replicas, &upstream, &redis.url(), "500ms").await;
    let callers = Callers::start(&gateways);
    tokio::time::sleep(lasting(15)).await;
    let (seen, time) = callers.end().await;
    nobody_is_lost(&seen);
    let (served, allowed) = (served(&seen), allowed(time));
    println!("{replicas} replicas: {served} of {allowed:.0} in {time:?}");
    assert!(served <= 1.02 * allowed, "{served} of {allowed}");
    assert!(served >= 0.98 * allowed, "{served} of {allowed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_let_in_what_one_would() {
    check_formula(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_replicas_let_in_what_one_would() {
    check_formula(4).await;
}

/// How Redis is hurt.
#[derive(Debug, Clone, Copy)]
enum Hurt {
    Killed,
    Stopped,
    Slow,
}

async fn check_loss(hurt: Hurt) {
    let (mut redis, upstream) = (Redis::start().await, upstream().await);
    let wedge = Wedge::before(redis.port).await;
    let gateways = gateways(4, &upstream, &wedge.url(), "20ms").await;
    let callers = Callers::start(&gateways);
    let phase = lasting(15) / 3;
    tokio::time::sleep(phase).await;
    let away = Instant::now();
    match hurt {
        Hurt::Killed => redis.kill(),
        Hurt::Stopped => redis.signal(Signal::STOP),
        Hurt::Slow => wedge.does(Does::Delay(Duration::from_millis(100))),
    }
    tokio::time::sleep(phase).await;
    let back = Instant::now();
    match hurt {
        Hurt::Killed => redis.again().await,
        Hurt::Stopped => redis.signal(Signal::CONT),
        Hurt::Slow => wedge.does(Does::Pass),
    }
    for gateway in &gateways {
        while gateway.metric("spafe_shared_up").await < 1.0 {
            assert!(back.elapsed() < Duration::from_secs(5), "{hurt:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    let found = back.elapsed();
    tokio::time::sleep(phase).await;
    let (seen, time) = callers.end().await;
    nobody_is_lost(&seen);
    let before = p99(&seen, |at| at < away);
    let during = p99(&seen, |at| at >= away && at < back);
    let (served, allowed) = (served(&seen), allowed(time));
    println!(
        "{hurt:?}: p99 {before:?}, away {during:?}, found after {found:?}; {served} of {allowed:.0}"
    );
    assert!(during <= before + Duration::from_millis(25), "{hurt:?}");
    // One more bucket where its memory was lost; and whoever finds it first may have all of
    // the limit there, while the others keep their parts until they have found it, too.
    let more = f64::from(BURST) + f64::from(COUNT) * found.as_secs_f64();
    assert!(served <= 1.02 * (allowed + more), "{hurt:?}");
    for gateway in &gateways {
        let told = gateway.output().matches("until Redis is back").count();
        assert_eq!(told, 1, "{hurt:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_costs_nobody_anything() {
    check_loss(Hurt::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_stopped_costs_five_short_waits() {
    check_loss(Hurt::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_slow_costs_five_short_waits() {
    check_loss(Hurt::Slow).await;
}
