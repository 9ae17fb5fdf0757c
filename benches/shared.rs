//! What does a decision of all replicas together cost?
//!
//! `cargo bench --bench shared`. A real Redis on this machine decides: one question after
//! the other, which is what a caller waits for, and many at once over the one connection,
//! which is what a busy gateway does. The processor time is this process's own, the
//! server's apart.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench measures with the clock, prints what it found, and stops where it cannot"
)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use spafe::config::limits;
use spafe::gateway::record::metrics::Metrics;
use spafe::gateway::shared::{Shared, Window};
use spafe::names::Secret;
use tokio::task::JoinSet;

/// As in the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decisions of one measurement.
const DECISIONS: usize = 40_000;

/// A server, until it is dropped.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    if Command::new("redis-server")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("redis-server is not installed: benches/setup.sh does that");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let (_redis, port) = redis();
    let shared = Arc::new(found(port).await);
    println!(
        "{:>8} {:>8} {:>12} {:>12} {:>12} {:>14}",
        "windows", "at once", "p50", "p99", "decisions/s", "CPU a decision"
    );
    for (windows, at_once) in [(1, 1), (5, 1), (1, 64), (5, 64)] {
        let windows = windows_of(&shared, windows);
        // Once to warm up.
        decide(&shared, &windows, at_once, DECISIONS / 10).await;
        let (began, cpu) = (Instant::now(), cpu());
        let mut took = decide(&shared, &windows, at_once, DECISIONS).await;
        let (elapsed, cpu) = (began.elapsed(), self::cpu().saturating_sub(cpu));
        took.sort_unstable();
        let count = u32::try_from(took.len()).expect("few decisions");
        let rate = f64::from(count) / elapsed.as_secs_f64();
        println!(
            "{:>8} {at_once:>8} {:>12?} {:>12?} {rate:>12.0} {:>14?}",
            windows.len(),
            took[took.len() / 2],
            took[took.len() * 99 / 100],
            cpu / count,
        );
    }
}

/// How long each decision took.
async fn decide(
    shared: &Arc<Shared>,
    windows: &[Window],
    at_once: usize,
    all: usize,
) -> Vec<Duration> {
    let mut asking = JoinSet::new();
    for _ in 0..at_once {
        let (shared, windows) = (Arc::clone(shared), windows.to_vec());
        asking.spawn(async move {
            let mut took = Vec::with_capacity(all / at_once);
            for _ in 0..all / at_once {
                let began = Instant::now();
                shared.admit(&windows).await.expect("an answer in time");
                took.push(began.elapsed());
            }
            took
        });
    }
    asking.join_all().await.concat()
}

fn windows_of(shared: &Shared, count: u8) -> Vec<Window> {
    let window = |index: u8| Window {
        key: shared.key(&[b"bench", &[index]]),
        count: 1_000_000,
        per: Duration::from_secs(1),
        burst: 1_000_000,
        times: 1,
        calendar: false,
        cost: 1,
        shadow: false,
        personal: false,
    };
    (0..count).map(window).collect()
}

async fn found(port: u16) -> Shared {
    let settings = limits::Shared {
        redis: format!("redis://127.0.0.1:{port}"),
        password: None,
        ca: None,
        cluster: false,
        secret: Secret::new("of a bench"),
        hash_tag: "bench".to_owned(),
        replicas: None,
        timeout: Duration::from_secs(1),
        failures: 5,
        rest: Duration::from_secs(1),
    };
    let shared = Shared::new(&settings, "bench", &Metrics::new()).expect("a plain address");
    shared.start();
    while !shared.is_up() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    shared
}

fn redis() -> (Redis, u16) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts");
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        std::thread::yield_now();
    }
    (Redis(child), port)
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}
