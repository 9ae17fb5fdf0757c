//! What does it cost to be let in?
//!
//! `cargo bench --bench limits`. A request with five windows is to be decided in under a
//! microsecond, and without asking for memory: allocations are counted, and shown below a
//! row where there are any. `one` is always the same caller, as a load test is; `many` are
//! ten thousand in turn, whose windows are in no cache.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use divan::{AllocProfiler, Bencher, black_box};
use mimalloc::MiMalloc;
use spafe::config::{self, Config, Source};
use spafe::gateway::client::Client;
use spafe::gateway::limit::{Asked, Bounds, Cost, Limiter, Limits, Reservation, Used};
use spafe::money::Usd;
use spafe::names::ModelId;
use spafe::sys;

#[global_allocator]
static ALLOCATOR: AllocProfiler<MiMalloc> = AllocProfiler::new(MiMalloc);

/// Five windows that are never used up, and a bound on what is in flight.
const LIMITS: &str = r#"
[[limits]]
name = "short"
by = "client"
requests = { count = 1000000000, per = "1s" }
tokens = { count = 4000000000, per = "1m" }
concurrent = 1000
[[limits]]
name = "long"
by = "client"
requests = { count = 4000000000, per = "1d" }
tokens = { count = 4000000000, per = "1m" }
[[limits]]
name = "all"
by = "global"
requests = { count = 1000000000, per = "1s" }
[[pools]]
name = "p"
targets = [{ url = "http://127.0.0.1:1" }]
[[models]]
id = "m"
pools = ["p"]
"#;

const BOUNDS: Bounds = Bounds {
    all: 10_000,
    per_client: 1000,
};

fn main() {
    divan::main();
}

/// A limiter in its steady state: everybody has asked once.
struct Scene {
    limiter: Limiter,
    limits: Limits,
    model: ModelId,
    clients: Vec<Client>,
    turn: AtomicUsize,
}

impl Scene {
    fn new(callers: &str) -> Self {
        let config = config(LIMITS);
        let address = |number: u32| -> IpAddr { Ipv4Addr::from_bits(0x0A00_0000 | number).into() };
        let clients: Vec<Client> = match callers {
            "one" => vec![Client::new(Some(address(1)))],
            "one of IPv6" => vec![Client::new("2001:db8::1".parse().ok())],
            _ => (0..10_000).map(|n| Client::new(Some(address(n)))).collect(),
        };
        let scene = Self {
            limiter: Limiter::new(&config.limiter, sys::hasher(), sys::now()),
            limits: Limits::new(&config),
            model: ModelId::new("m"),
            clients,
            turn: AtomicUsize::new(0),
        };
        for _ in 0..scene.clients.len() {
            scene.enter();
            scene.settle();
        }
        scene
    }

    fn client(&self) -> Option<&Client> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.clients.get(turn % self.clients.len())
    }

    fn enter(&self) -> bool {
        let entered = self.client().map(|client| {
            let now = sys::instant();
            self.limiter.enter(&self.limits, client, BOUNDS, now)
        });
        matches!(entered, Some(Ok(_)))
    }

    fn reserve(&self) -> Option<Reservation<'_>> {
        let asked = Asked {
            client: self.client()?,
            model: &self.model,
            stream: false,
            cost: Cost {
                requests: 1,
                tokens: 1,
                usd: Usd::ZERO,
            },
            shared: None,
        };
        let reserved = self.limiter.reserve(&self.limits, &asked, sys::instant());
        at_once(reserved)?.ok()
    }

    fn settle(&self) {
        if let Some(mut reservation) = self.reserve() {
            let (tokens, usd) = (2, Usd::ZERO);
            reservation.settle(Used { tokens, usd }, sys::instant());
        }
    }
}

#[expect(clippy::expect_used, reason = "the configuration stands above")]
fn config(text: &str) -> Config {
    let source = Source {
        name: "limits.toml",
        text,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    config::load(source, &|_| None, &nothing).expect("it is whole")
}

fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[divan::bench(args = ["one", "one of IPv6", "many"], threads = [1, 2])]
fn enter(bencher: Bencher, callers: &str) {
    let scene = Scene::new(callers);
    bencher.bench(|| scene.enter());
}

#[divan::bench(args = ["one", "one of IPv6", "many"], threads = [1, 2])]
fn reserve(bencher: Bencher, callers: &str) {
    let scene = Scene::new(callers);
    bencher.bench(|| black_box(scene.reserve()).is_some());
}

#[divan::bench(args = ["one", "one of IPv6", "many"])]
fn reserve_and_settle(bencher: Bencher, callers: &str) {
    let scene = Scene::new(callers);
    bencher.bench(|| scene.settle());
}

/// What of each of them is the clock's.
#[divan::bench]
fn clock() -> std::time::Instant {
    sys::instant()
}
