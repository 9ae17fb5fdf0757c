//! A flood of callers who come once.
//!
//! A million prefixes in ten minutes, by the limiter's clock: what it keeps stays within its
//! bound, and whoever is over a limit stays over it while a million others are forgotten.

use std::future::Future;
use std::net::Ipv6Addr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use spafe::config::{self, Config, Source};
use spafe::gateway::client::Client;
use spafe::gateway::limit::{Asked, Cost, Limiter, Limits};
use spafe::money::Usd;
use spafe::names::ModelId;
use spafe::sys;

const LIMITS: &str = r#"
[[limits]]
name = "per-client"
by = "client"
requests = { count = 20, per = "10m" }
[[pools]]
name = "p"
targets = [{ url = "http://127.0.0.1:1" }]
[[models]]
id = "m"
pools = ["p"]
"#;

fn config() -> Config {
    let source = Source {
        name: "limits.toml",
        text: LIMITS,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    config::load(source, &|_| None, &nothing).unwrap()
}

fn is_admitted(limiter: &Limiter, limits: &Limits, client: &Client, now: Instant) -> bool {
    let asked = Asked {
        client,
        model: &ModelId::new("m"),
        stream: false,
        cost: Cost {
            requests: 1,
            tokens: 0,
            usd: Usd::ZERO,
        },
        shared: None,
    };
    let mut context = Context::from_waker(Waker::noop());
    match pin!(limiter.reserve(limits, &asked, now)).poll(&mut context) {
        Poll::Ready(reserved) => reserved.is_ok(),
        Poll::Pending => panic!("a local limit waits for nobody"),
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[test]
fn a_million_prefixes_make_nobody_forget_who_is_limited() {
    let config = config();
    let (before, began) = (resident_kb(), sys::now());
    let limiter = Limiter::new(&config.limiter, sys::hasher(), began);
    let began = began.instant;
    let limits = Limits::new(&config);
    let greedy = ["192.0.2.1", "2001:db8::1"].map(|address| Client::new(address.parse().ok()));
    let mut admitted = [0_u64; 2];
    for number in 0..1_000_000_u64 {
        let milliseconds = number * 6 / 10;
        let now = began + Duration::from_millis(milliseconds);
        // Each from a /48 of its own: three windows.
        let bits = 0x2a00_u128 << 112 | u128::from(number) << 80;
        let stranger = Client::new(Some(Ipv6Addr::from_bits(bits).into()));
        assert!(is_admitted(&limiter, &limits, &stranger, now));
        if number.is_multiple_of(100) {
            for (client, admitted) in greedy.iter().zip(&mut admitted) {
                *admitted += u64::from(is_admitted(&limiter, &limits, client, now));
            }
        }
    }
    let kept = limiter.kept(began + Duration::from_mins(10));
    let grown_kb = resident_kb().saturating_sub(before);
    println!("{kept:?}, {grown_kb} kB, limited ones were admitted {admitted:?} times of 10,000");
    // A burst of 20, and 20 more in ten minutes.
    assert!(admitted.iter().all(|count| (38..=40).contains(count)));
    assert!(kept.keys <= config.limiter.keys_max);
    assert!(kept.evictions > 1_000_000);
    assert!(grown_kb <= 16 * 1024);
}
