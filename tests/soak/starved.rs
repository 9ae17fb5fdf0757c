//! What if others take the processors?
//!
//! Threads that only count, four for each core, and a gateway that has to share. It becomes slow, and
//! nothing else: an upstream that answers in time has answered in time, so nobody is asked twice and
//! no target rests, and whoever asks whether it is alive hears so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::kit::client::{Connection, chat};
use crate::kit::gateway::Setup;
use crate::kit::now;
use crate::kit::upstream::{base, upstream};
use crate::lasting;
use crate::report::Watch;

const CALLERS: usize = 20;
const ALIVE_WITHIN: Duration = Duration::from_secs(1);
const HUNGRY_PER_CORE: usize = 4;

/// Takes what processor time there is until it is dropped.
struct Hungry(Arc<AtomicBool>);

impl Hungry {
    fn begin() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for _ in 0..cores * HUNGRY_PER_CORE {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || while !is_over.load(Ordering::Relaxed) {});
        }
        Self(is_over)
    }
}

impl Drop for Hungry {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_processor_time_it_is_slow_and_nothing_else() {
    let (first, second) = (upstream().await, upstream().await);
    let gateway = Setup::new()
        .tables("[bounds]\nin_flight_per_client_max = 64\n[log]\nrequests = \"off\"\n[cache]\nenabled = false")
        .pool("p", &[&base(&first), &base(&second)])
        .model("m", &["p"])
        .start();
    let _watch = Watch::begin(&gateway, "starved");
    let hungry = Hungry::begin();
    let (began, lasts) = (now(), lasting(60));
    let answers = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (address, answers) = (gateway.address, Arc::clone(&answers));
            tokio::spawn(async move {
                while began.elapsed() < lasts {
                    let answer = chat(address, "m", number % 2 == 0).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    while began.elapsed() < lasts {
        let asked = now();
        let mut admin = Connection::open(gateway.admin).await;
        admin
            .send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert_eq!(admin.answer().await.status, 200);
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    drop(hungry);
    let answers = answers.load(Ordering::Relaxed);
    println!("{answers} answers, alive within {slowest:?}");
    assert!(answers > 0);
    assert!(slowest <= ALIVE_WITHIN, "{slowest:?}");
    let asked = first.requests().len() + second.requests().len();
    assert_eq!(
        u64::try_from(asked).unwrap(),
        answers,
        "nobody is asked twice"
    );
    gateway.counts("spafe_retries_total{pool=\"p\"}", 0).await;
}
