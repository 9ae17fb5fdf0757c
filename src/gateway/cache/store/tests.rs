//! Is an answer there for as long as it should be, and within its bounds?

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::names::PoolName;
use crate::openai::Usage;

/// What the map's own share of a small entry's weight is within.
const OVERHEAD_MIN: u64 = 600;
const OVERHEAD_MAX: u64 = 2_048;

fn config(max_bytes: u64) -> Config {
    static DEFAULT: LazyLock<Config> = LazyLock::new(|| crate::config::example("").cache);
    Config {
        max_bytes,
        entry_bytes_max: 1_000,
        ..DEFAULT.clone()
    }
}

fn key(number: u32) -> Key {
    Key::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Of so many bytes, fresh for longer than any test takes.
fn entry(bytes: usize, made: Instant) -> Entry {
    Entry {
        body: vec![b'a'; bytes].into(),
        usage: Some(Usage::default()),
        model: ModelId::new("m"),
        pool: PoolName::new("p"),
        made,
        fresh: seconds(1_000),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
    }
}

#[test]
fn what_was_put_is_found_and_nothing_else() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    assert!(store.get(&key(1), now).is_none());
    store.put(key(1), entry(10, now)).unwrap();
    let found = store.get(&key(1), now + seconds(400)).unwrap();
    assert_eq!(*found.entry, entry(10, now));
    assert_eq!(found.age, seconds(400));
    assert_eq!(found.state, State::Fresh { left: seconds(600) });
    assert!(store.get(&key(2), now).is_none());
    store.put(key(1), entry(11, now)).unwrap();
    assert_eq!(store.get(&key(1), now).unwrap().entry.body.len(), 11);
    assert_eq!(store.sizes().entries, 1);
    store.remove(&key(1));
    assert!(store.get(&key(1), now).is_none());
}

#[test]
fn an_answer_is_fresh_then_stale_then_gone() {
    #[track_caller]
    fn check(windows: (u64, u64), age: u64, expected: Option<State>) {
        let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
        let stale = Entry {
            stale_while_revalidate: seconds(windows.0),
            stale_if_error: seconds(windows.1),
            ..entry(10, now)
        };
        store.put(key(1), stale).unwrap();
        let found = store.get(&key(1), now + seconds(age));
        assert_eq!(
            found.map(|found| found.state),
            expected,
            "{windows:?} {age}"
        );
    }
    let fresh = |left| {
        Some(State::Fresh {
            left: seconds(left),
        })
    };
    check((0, 0), 0, fresh(1_000));
    check((0, 0), 999, fresh(1));
    check((0, 0), 1_000, None);
    check((50, 0), 1_000, Some(State::StaleRevalidate));
    check((50, 0), 1_049, Some(State::StaleRevalidate));
    check((50, 0), 1_050, None);
    check((50, 200), 1_050, Some(State::StaleIfError));
    check((50, 200), 1_199, Some(State::StaleIfError));
    check((50, 200), 1_200, None);
    check((50, 20), 1_049, Some(State::StaleRevalidate));
    check((0, 20), 1_000, Some(State::StaleIfError));
}

/// moka keeps the old time where nobody says otherwise.
#[test]
fn an_answer_in_the_place_of_another_has_its_own_time() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    let gone = Entry {
        fresh: Duration::ZERO,
        ..entry(10, now)
    };
    store.put(key(1), gone.clone()).unwrap();
    store.put(key(1), entry(10, now)).unwrap();
    assert!(store.get(&key(1), now).is_some());
    store.put(key(1), gone).unwrap();
    assert!(store.shelf.load().get(&key(1)).is_none());
}

/// moka looks at times about once a second.
#[test]
fn what_nobody_may_be_given_any_more_is_cleared_away() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    let before = now.checked_sub(seconds(1_000)).unwrap_or(now);
    for number in 0..10 {
        let gone = Entry {
            fresh: now.saturating_duration_since(before),
            ..entry(10, before)
        };
        store.put(key(number), gone).unwrap();
        store.put(key(100 + number), entry(10, now)).unwrap();
    }
    let given_up = now + seconds(30);
    while store.sizes().entries > 10 && crate::sys::instant() < given_up {
        std::thread::yield_now();
    }
    let sizes = store.sizes();
    let weight = u64::from(weighed(10));
    assert_eq!((sizes.entries, sizes.bytes), (10, 10 * weight));
    let by_cause = store.evictions().by_cause();
    assert_eq!(by_cause, [("expired", 10), ("size", 0), ("removed", 0)]);
}

#[test]
fn a_time_to_live_is_shortened_by_up_to_a_tenth() {
    let ttl = Duration::from_mins(5);
    assert_eq!(Entry::jittered(ttl, 0), ttl);
    let lived = (0..1_000_u64).map(|chance| Entry::jittered(ttl, chance << 6));
    let lived: Vec<Duration> = lived.collect();
    assert!(
        lived
            .iter()
            .all(|lived| (ttl / 10 * 9..=ttl).contains(lived))
    );
    assert!(lived.iter().min().unwrap() < &Duration::from_secs(271));
    assert!(Entry::jittered(Duration::MAX, u64::MAX) <= Duration::MAX);
}

#[test]
fn one_that_is_too_large_is_not_kept() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    store.put(key(1), entry(1_000, now)).unwrap();
    let too_large = Unkept::TooLarge {
        bytes: 1_001,
        bytes_max: 1_000,
    };
    assert_eq!(store.put(key(2), entry(1_001, now)), Err(too_large));
    assert!(store.get(&key(2), now).is_none());
    let larger = Config {
        entry_bytes_max: 1_001,
        ..config(1 << 20)
    };
    store.apply(&larger, now);
    assert_eq!(store.put(key(2), entry(1_001, now)), Ok(()));
}

#[test]
fn the_bound_of_bytes_holds_after_every_put() {
    let max_bytes = 100_000;
    let (store, now) = (Store::new(&config(max_bytes)), crate::sys::instant());
    for number in 0..500 {
        store.put(key(number), entry(1_000, now)).unwrap();
        // Without a look, which would make room: a sixteenth and one entry more at most.
        let kept = store.shelf.load().bytes_unswept();
        assert!(kept <= max_bytes + max_bytes / 16 + 2_000, "{kept}");
    }
    let sizes = store.sizes();
    assert!(
        sizes.bytes <= max_bytes && sizes.bytes > max_bytes / 2,
        "{sizes:?}"
    );
    let [_, (_, made_room), _] = store.evictions().by_cause();
    assert_eq!(
        made_room + sizes.entries,
        500,
        "{sizes:?} {:?}",
        store.evictions()
    );
}

#[test]
fn a_body_is_kept_in_no_more_memory_than_it_needs() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    let large = bytes::Bytes::from(vec![b'a'; 1 << 20]);
    let small = Entry {
        body: large.slice(5..15),
        ..entry(0, now)
    };
    store.put(key(1), small).unwrap();
    let kept = store.get(&key(1), now).unwrap().entry;
    assert_eq!(kept.body, "aaaaaaaaaa");
    assert!(!large.as_ptr_range().contains(&kept.body.as_ptr()));
}

#[test]
fn what_a_model_answered_can_be_forgotten_apart() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    for number in 0..100 {
        let model = ModelId::new(if number < 30 { "a" } else { "b" });
        let entry = Entry {
            model,
            ..entry(10, now)
        };
        store.put(key(number), entry).unwrap();
    }
    assert_eq!(store.remove_model(&ModelId::new("a")), 30);
    assert_eq!(store.sizes().entries, 70);
    assert!(store.get(&key(29), now).is_none() && store.get(&key(30), now).is_some());
    assert_eq!(store.remove_all(), 70);
    assert_eq!((store.sizes().entries, store.sizes().bytes), (0, 0));
    let by_cause = store.evictions().by_cause();
    assert_eq!(by_cause, [("expired", 0), ("size", 0), ("removed", 100)]);
}

#[test]
fn the_heaviest_are_told_in_their_order() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    for number in 0..100_u32 {
        let bytes = usize::try_from(number * 7 % 100).unwrap();
        store.put(key(number), entry(bytes, now)).unwrap();
    }
    let heaviest = store.heaviest(3);
    let bodies = |heavy: &Heavy| (heavy.entry.body.len(), heavy.bytes);
    let bodies: Vec<(usize, u32)> = heaviest.iter().map(bodies).collect();
    let weighed = |bytes| (bytes, weighed(bytes));
    assert_eq!(bodies, [weighed(99), weighed(98), weighed(97)]);
    let found = store.get(&heaviest[0].key, now).unwrap();
    assert_eq!(found.entry.body.len(), 99);
    assert_eq!(store.heaviest(1_000).len(), 100);
    assert!(store.heaviest(0).is_empty());
}

#[test]
fn another_bound_keeps_what_fits_the_newest_first() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    for number in 0..100 {
        let made = now + seconds(u64::from(number));
        store.put(key(number), entry(1_000, made)).unwrap();
    }
    let later = now + seconds(100);
    let is_there = |number: &u32| store.get(&key(*number), later).is_some();
    let larger = 2 << 20;
    store.apply(&config(larger), later);
    assert_eq!((0..100).filter(is_there).count(), 100);
    assert_eq!(store.sizes().bytes_max, larger);

    let ten = u64::from(weighed(1_000)) * 10;
    store.apply(&config(ten), later);
    let left: Vec<u32> = (0..100).filter(is_there).collect();
    assert_eq!(left, (90..100).collect::<Vec<u32>>());
    assert_eq!(store.sizes().bytes, ten);
    let [_, (_, made_room), _] = store.evictions().by_cause();
    assert_eq!(made_room, 90);

    // The times are still their own.
    let one = |number| {
        store
            .get(&key(number), now + seconds(1_098))
            .map(|found| found.state)
    };
    assert_eq!(one(98), None);
    assert_eq!(one(99), Some(State::Fresh { left: seconds(1) }));
    store.apply(&config(ten), later);
    assert_eq!(store.sizes().entries, 10);
}

#[test]
fn what_is_kept_shows_in_no_debug_text() {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    let secret = Entry {
        body: "sk-secret".into(),
        ..entry(0, now)
    };
    store.put(key(1), secret).unwrap();
    let found = store.get(&key(1), now);
    assert!(!format!("{store:?} {found:?} {:?}", store.heaviest(1)).contains("sk-"));
}

/// What an entry with so long a body weighs.
fn weighed(bytes: usize) -> u32 {
    let (store, now) = (Store::new(&config(1 << 20)), crate::sys::instant());
    store.put(key(0), entry(bytes, now)).unwrap();
    let weighed = store.heaviest(1)[0].bytes;
    assert_eq!(u64::from(weighed), store.sizes().bytes);
    let body = u64::try_from(bytes).unwrap();
    assert!((body + OVERHEAD_MIN..body + OVERHEAD_MAX).contains(&weighed.into()));
    weighed
}

proptest! {
    /// Whatever is put, removed and asked for: only what was put last is found, and only as long
    /// as it may be.
    #[test]
    fn nothing_is_found_that_was_not_put(steps in prop::collection::vec((0_u32..8, 0_u64..3, 0_u64..400), 1..60)) {
        let (store, began) = (Store::new(&config(1 << 20)), crate::sys::instant());
        let mut known = std::collections::HashMap::new();
        let mut now = began;
        for (number, what, passed) in steps {
            now += seconds(passed);
            match what {
                0 => {
                    store.put(key(number), entry(number as usize, now)).unwrap();
                    known.insert(number, now);
                }
                1 => {
                    store.remove(&key(number));
                    known.remove(&number);
                }
                _ => {
                    let found = store.get(&key(number), now);
                    let made = known.get(&number).filter(|made| now < **made + seconds(1_000));
                    prop_assert_eq!(found.is_some(), made.is_some());
                    if let Some(found) = found {
                        prop_assert_eq!(found.entry.body.len(), number as usize);
                        prop_assert_eq!(Some(&found.entry.made), made);
                    }
                }
            }
        }
    }
}
