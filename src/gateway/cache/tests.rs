//! What is a request told of what is kept?

use std::time::Duration;

use super::*;
use crate::names::{ModelId, PoolName};
use store::Entry;

fn key(number: u8) -> Key {
    Key::from_bytes([number; 32])
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A cache with one answer: fresh for 10 s, then to be fetched anew for 10 s, then for 10 s good
/// enough where nobody answers.
fn with_one(now: Instant) -> Cache {
    let cache = Cache::new(&crate::config::example(""));
    let entry = Entry {
        body: "{}".into(),
        usage: None,
        model: ModelId::new("m"),
        pool: PoolName::new("p"),
        made: now,
        fresh: seconds(10),
        stale_while_revalidate: seconds(10),
        stale_if_error: seconds(20),
    };
    cache.store.put(key(7), entry).unwrap();
    cache
}

const ALL: Allowed = Allowed {
    read: true,
    write: true,
    join: true,
    age_max: None,
    bypass: None,
};

/// What it comes to, in one word.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Bypass(bypass) => bypass.as_str(),
        Verdict::Hit(_) => "hit",
        Verdict::Stale(_) => "stale",
        Verdict::Miss { why, spare } => match (why, spare.is_some()) {
            (Forward::Miss, false) => "miss",
            (Forward::Request, false) => "request",
            (Forward::Stale, true) => "stale with a spare",
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn an_answer_is_given_as_far_as_its_age_and_the_request_allow() {
    let now = crate::sys::instant();
    let cache = with_one(now);
    let no_older = |age| Allowed {
        age_max: Some(seconds(age)),
        ..ALL
    };
    let another = Allowed { read: false, ..ALL };
    for (allowed, age, expected) in [
        (ALL, 0, "hit"),
        (ALL, 9, "hit"),
        (ALL, 10, "stale"),
        (ALL, 19, "stale"),
        (ALL, 20, "stale with a spare"),
        (ALL, 29, "stale with a spare"),
        (ALL, 30, "miss"),
        (no_older(5), 5, "hit"),
        (no_older(5), 6, "request"),
        (no_older(12), 12, "stale"),
        (no_older(12), 13, "request"),
        (no_older(12), 25, "request"),
        (no_older(12), 30, "miss"),
        (another, 0, "request"),
        (another, 25, "request"),
        (Allowed::nothing(Bypass::User), 0, "user"),
    ] {
        let verdict = cache.consult(&key(7), &allowed, now + seconds(age));
        assert_eq!(word(verdict), expected, "{allowed:?} {age}");
    }
    let other = cache.consult(&key(8), &ALL, now);
    assert_eq!(word(other), "miss");
}

#[test]
fn answers_stay_over_a_reload_until_nothing_is_kept_any_more() {
    let now = crate::sys::instant();
    let cache = with_one(now);
    let is_there = || word(cache.consult(&key(7), &ALL, now)) == "hit";
    let apply = |tables: &str| cache.apply(&crate::config::example(tables), now);
    apply("");
    assert!(is_there());
    apply("[cache]\nmax_bytes = \"1MiB\"\nttl = \"1s\"\n");
    assert!(is_there());
    let mut one_model = crate::config::example("[cache]\nenabled = false\n");
    one_model.models[0].cache.enabled = Some(true);
    cache.apply(&one_model, now);
    assert!(is_there());
    apply("[cache]\nenabled = false\n");
    assert!(!is_there());
}
