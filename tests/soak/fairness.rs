//! Does one caller that asks for a hundred times its share change anything for the others?
//!
//! Fifty callers ask at their own pace, each from its own address. For some phases one more
//! asks a hundred times as often as it may; for the phases between it does not. Phases
//! alternate, so that what the machine does otherwise concerns both alike. The model takes its
//! time, as the quickest of them do: what callers wait for is their model, and not each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Setup;
use crate::kit::now;
use crate::kit::pair::completion;
use crate::kit::upstream::{base, upstream};
use crate::lasting;

/// Callers that ask for less than their share, from `127.0.0.1` on.
const CALLERS: u8 = 50;
/// Time between two questions of one of them: less than two a second, which it may.
const PACE: Duration = Duration::from_millis(700);
/// The address of the one that asks for much more.
const GREEDY: u8 = 200;
/// A caller's share.
const LIMIT: &str = "[[limits]]\nname = \"per-client\"\nby = \"client\"\nrequests = { count = 120, per = \"1m\", burst = 10 }\ntokens = { count = 1000000, per = \"1m\" }\nconcurrent = 8";
/// A hundred times as much, asked on these many connections.
const GREEDY_EACH_SECOND: u32 = 200;
const GREEDY_CONNECTIONS: u32 = 20;
/// How long the model takes for an answer.
const MODEL: Duration = Duration::from_millis(40);
/// How long it asks, and how long it does not.
const PHASE: Duration = Duration::from_secs(PHASE_SECONDS);
const PHASE_SECONDS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_notice_nothing_of_one_that_is_greedy() {
    let upstream = upstream().await;
    upstream.default(completion("Hello.").delay_head(MODEL));
    let gateway = Setup::new()
        .tables(LIMIT)
        .tables("[log]\nrequests = \"off\"\n[bounds]\nrequests_per_connection = 1000000")
        .pool("main", &[&base(&upstream)])
        .model("m", &["main"])
        .start();
    let pairs = (lasting(60).as_secs() / (2 * PHASE.as_secs())).max(1);
    let (mut calm, mut beset) = (Vec::new(), Vec::new());
    // What is made with the first requests is not measured.
    callers(gateway.address, PHASE / 2).await;
    for _ in 0..pairs {
        calm.push(callers(gateway.address, PHASE).await);
        let greed = Greed::begin(gateway.address);
        beset.push(callers(gateway.address, PHASE).await);
        let (asked, served) = greed.end().await;
        println!("greedy: {asked} asked, {served} served");
        // Its burst, its share, and what the end of a phase may take longer.
        assert!(served <= 10 + 2 * (PHASE_SECONDS + 2), "{served}");
    }
    let (calm, beset) = (median(calm), median(beset));
    let change = (beset.as_secs_f64() / calm.as_secs_f64() - 1.0) * 100.0;
    println!(
        "p99, median of {pairs} phases: alone {calm:?}, beside the greedy one {beset:?}, {change:+.1} %"
    );
    assert!(change < 10.0, "{calm:?}, {beset:?}");
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort();
    of[of.len() / 2]
}

/// All callers for so long: none is refused; their p99.
async fn callers(address: SocketAddr, lasting: Duration) -> Duration {
    let one = |n: u8| async move {
        // Not all at the same moment.
        tokio::time::sleep(PACE * u32::from(n) / u32::from(CALLERS)).await;
        let mut connection = Connection::open_from(n, address).await;
        let request = post("/v1/chat/completions", &[], ask("m", false).as_bytes());
        let (begin, mut took) = (now(), Vec::new());
        let mut pace = tokio::time::interval(PACE);
        while begin.elapsed() < lasting {
            pace.tick().await;
            let asked = now();
            connection.send(&request).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, 200, "a caller within its share: {answer:?}");
            took.push(asked.elapsed());
        }
        took
    };
    let all: Vec<_> = (1..=CALLERS).map(|n| tokio::spawn(one(n))).collect();
    let mut took = Vec::new();
    for caller in all {
        took.extend(caller.await.unwrap());
    }
    took.sort();
    took[took.len() * 99 / 100]
}

/// A caller that asks for a hundred times its share.
struct Greed {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Greed {
    fn begin(address: SocketAddr) -> Self {
        let greed = Self {
            stop: Arc::default(),
            asked: Arc::default(),
            served: Arc::default(),
            tasks: Vec::new(),
        };
        let one = || {
            let (stop, asked, served) = (
                Arc::clone(&greed.stop),
                Arc::clone(&greed.asked),
                Arc::clone(&greed.served),
            );
            tokio::spawn(greedy(address, stop, asked, served))
        };
        let tasks = (0..GREEDY_CONNECTIONS).map(|_| one()).collect();
        Self { tasks, ..greed }
    }

    /// How much it asked for, and how much it got.
    async fn end(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.asked), count(&self.served))
    }
}

/// Asks at its pace until it is told to stop, on one connection as far as that lasts.
async fn greedy(
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
) {
    let mut connection = Connection::open_from(GREEDY, address).await;
    let request = post("/v1/chat/completions", &[], ask("m", false).as_bytes());
    let pace = Duration::from_secs(1) * GREEDY_CONNECTIONS / GREEDY_EACH_SECOND;
    let mut pace = tokio::time::interval(pace);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        connection.send(&request).await;
        let answer = connection.answer().await;
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
        asked.fetch_add(1, Ordering::Relaxed);
        served.fetch_add(u64::from(answer.status == 200), Ordering::Relaxed);
        // Refused before its body was read, the connection may be closed.
        if answer.field("connection") == Some("close") {
            connection = Connection::open_from(GREEDY, address).await;
        }
    }
}
