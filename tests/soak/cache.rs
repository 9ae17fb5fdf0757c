//! More answers than there is room for.
//!
//! A million small ones, a thousand large ones and one that is too large: what is kept stays
//! within its bound by weight, and the weight is what it takes of the process's memory.

use std::time::Duration;

use spafe::config::{self, Config, Source};
use spafe::gateway::cache::key::Key;
use spafe::gateway::cache::store::{Entry, Store, Unkept};
use spafe::names::{ModelId, PoolName};
use spafe::sys;

const DEFAULTS: &str = r#"
[[pools]]
name = "p"
targets = [{ url = "http://127.0.0.1:1" }]
[[models]]
id = "m"
pools = ["p"]
"#;

/// One and a half times what may be kept.
const GROWTH_KB_MAX: u64 = 96 * 1024;

fn config() -> Config {
    let source = Source {
        name: "cache.toml",
        text: DEFAULTS,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    config::load(source, &|_| None, &nothing).unwrap()
}

fn key(number: u64) -> Key {
    Key::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// An answer of so many bytes, cut out of a buffer that is twice as large.
fn entry(number: u64, bytes: usize) -> Entry {
    let mut body = vec![b'a'; bytes * 2];
    body[..8].copy_from_slice(&number.to_le_bytes());
    Entry {
        body: bytes::Bytes::from(body).slice(..bytes),
        usage: None,
        model: ModelId::new("m"),
        pool: PoolName::new("p"),
        made: sys::instant(),
        fresh: Duration::from_hours(1),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[test]
fn answers_take_no_more_memory_than_they_may() {
    let config = config();
    let before_kb = resident_kb();
    let store = Store::new(&config.cache);
    let mut grown_kb = 0;
    let mut put = |number: u64, bytes: usize| {
        let put = store.put(key(number), entry(number, bytes));
        if number.is_multiple_of(100) {
            grown_kb = grown_kb.max(resident_kb().saturating_sub(before_kb));
        }
        put
    };
    for number in 0..1_000_000 {
        put(number, 1 << 10).unwrap();
    }
    let small = store.sizes();
    for number in 1_000_000..1_001_000 {
        // Asked for before, so that they are let in in place of those that were asked for once.
        for _ in 0..3 {
            let _ = store.get(&key(number), sys::instant());
        }
        put(number, 256 << 10).unwrap();
    }
    let large = store.sizes();
    let too_large = put(1_001_000, 300 << 10);
    println!(
        "grown by {grown_kb} kB at most, {small:?}, {large:?}, {:?}",
        store.evictions()
    );
    assert!(matches!(
        too_large,
        Err(Unkept::TooLarge {
            bytes_max: 262_144,
            ..
        })
    ));
    assert!(store.get(&key(1_001_000), sys::instant()).is_none());
    for sizes in [small, large] {
        assert!(sizes.bytes <= 64 << 20);
        // And it is made use of.
        assert!(sizes.bytes > 60 << 20);
    }
    assert!(grown_kb <= GROWTH_KB_MAX);
}
