//! Whom does a pool give, and whom never?

/// Who has a place?
mod places;
/// Who tries whether a rest is over?
mod probes;

use proptest::prelude::*;

use super::health::Verdict;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(10);

/// A pool of targets with these weights, and more keys of its table.
fn pool(weights: &[u32], keys: &str) -> Pool {
    let targets = weights.iter().enumerate().map(|(index, weight)| {
        format!(
            "{{ url = \"http://127.0.0.1:{}\", weight = {weight} }}",
            index + 1
        )
    });
    let targets: Vec<String> = targets.collect();
    let text = format!(
        "[[pools]]\nname = \"p\"\ntargets = [{}]\n{keys}\n[[models]]\nid = \"m\"\npools = [\"p\"]\n",
        targets.join(", ")
    );
    let source = config::Source {
        name: "example.toml",
        text: &text,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let config = config::load(source, &|_| None, &nothing);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    Pool::new(&config.pools[0], &Registry::default()).unwrap()
}

const METHODS: [&str; 4] = ["round_robin", "least_requests", "peak_ewma", "hash"];

fn chance(number: u64) -> Choice {
    Choice {
        key: balance::mix(number),
        chance: balance::mix(!number),
    }
}

fn endpoint(pool: &Pool, target: usize) -> Arc<Endpoint> {
    Arc::clone(&pool.targets[target].endpoints()[0])
}

fn falls(pool: &Pool, target: usize, now: Instant) -> Option<Change> {
    let endpoint = endpoint(pool, target);
    let fails = |_| pool.learn(&endpoint, Lesson::Failed, now, 1 << 63);
    (0..3).filter_map(fails).last()
}

fn port(endpoint: Option<Arc<Endpoint>>) -> Option<u16> {
    endpoint.map(|endpoint| endpoint.address.port())
}

/// How many of a thousand requests each target gets.
fn shares(pool: &Pool, now: Instant) -> Vec<usize> {
    let mut counts = vec![0; pool.targets.len()];
    for number in 0..1_000 {
        let picked = port(pool.pick(&[], Verdict::Fit, chance(number), now));
        counts[usize::from(picked.unwrap()) - 1] += 1;
    }
    counts
}

#[test]
fn never_more_than_half_of_a_pool_rests_and_one_always_may() {
    let now = crate::sys::instant();
    for (targets, allowed) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (8, 4)] {
        let pool = pool(&vec![1; targets], "");
        let ejected = (0..targets).filter(|target| falls(&pool, *target, now).is_some());
        assert_eq!(ejected.count(), allowed, "of {targets}");
    }
    let never = pool(&[1, 1], "ejection = { pool_percent_max = 0 }");
    assert_eq!(falls(&never, 0, now), None);
}

#[test]
fn where_one_comes_back_another_that_fails_may_rest() {
    let start = crate::sys::instant();
    let pool = pool(&[1, 1], "");
    assert!(falls(&pool, 0, start).is_some());
    assert!(falls(&pool, 1, start).is_none());
    let now = start + 10 * SECOND;
    let probe = pool.pick(&[], Verdict::Fit, chance(1), now).unwrap();
    assert_eq!(probe.address.port(), 1);
    let change = pool.learn(&probe, Lesson::Answered(FAST), now + FAST, 0);
    assert_eq!(change, Some(Change::Returned));
    let failed = pool.learn(&endpoint(&pool, 1), Lesson::Failed, now + FAST, 0);
    assert!(matches!(failed, Some(Change::Ejected(..))), "{failed:?}");
}

#[test]
fn a_pool_of_one_is_asked_in_need_only() {
    let now = crate::sys::instant();
    let pool = pool(&[1], "");
    assert!(falls(&pool, 0, now).is_some());
    assert!(!pool.is_usable(now));
    assert_eq!(port(pool.pick(&[], Verdict::Fit, chance(0), now)), None);
    assert_eq!(
        port(pool.pick(&[], Verdict::Ejected, chance(0), now)),
        Some(1)
    );
}

#[test]
fn in_need_the_least_bad_is_asked_and_equally_bad_ones_in_turn() {
    let start = crate::sys::instant();
    let keys =
        "ejection = { pool_percent_max = 100 }\ncheck = { interval = \"1s\", timeout = \"1s\" }";
    let pool = pool(&[1, 1, 1], keys);
    let check = pool.check.clone().unwrap();
    for round in 0..3 {
        for target in 0..3 {
            let health = &endpoint(&pool, target).state.health;
            health.checked(false, &check, start + round * SECOND);
        }
    }
    let now = start + 3 * SECOND;
    assert_eq!(port(pool.pick(&[], Verdict::Fit, chance(0), now)), None);
    let picks = (0..6).map(|number| pool.pick(&[], Verdict::Ejected, chance(number), now));
    let mut picks: Vec<u16> = picks.filter_map(port).collect();
    picks.sort_unstable();
    assert_eq!(picks, [1, 1, 2, 2, 3, 3]);
    let now = now + 5 * SECOND;
    falls(&pool, 0, now);
    falls(&pool, 1, now);
    let picks = (0..6).map(|number| pool.pick(&[], Verdict::Ejected, chance(number), now));
    assert!(picks.filter_map(port).all(|port| port == 3));
    let tried = [endpoint(&pool, 2)];
    let picked = port(pool.pick(&tried, Verdict::Ejected, chance(0), now));
    assert!(picked == Some(1) || picked == Some(2), "{picked:?}");
}

#[test]
fn who_is_busy_or_refuses_our_credential_is_not_asked_even_in_need() {
    let now = crate::sys::instant();
    let pool = pool(&[1, 1], "");
    let busy = Lesson::Busy(Some(7 * SECOND));
    assert_eq!(pool.learn(&endpoint(&pool, 0), busy, now, 0), None);
    let change = pool.learn(&endpoint(&pool, 1), Lesson::Refused, now, 0);
    assert_eq!(change, Some(Change::Refused));
    for wanted in [Verdict::Fit, Verdict::Ejected] {
        assert_eq!(port(pool.pick(&[], wanted, chance(0), now)), None);
    }
    assert_eq!(pool.cooling(now), Some(7 * SECOND));
    assert_eq!(pool.cooling(now + 7 * SECOND), None);
    let now = now + 7 * SECOND;
    assert_eq!(port(pool.pick(&[], Verdict::Fit, chance(0), now)), Some(1));
}

#[test]
fn what_an_old_credential_comes_to_says_nothing_of_the_new_one() {
    let now = crate::sys::instant();
    let mut config = config::example("").pools.remove(0);
    let registry = Registry::default();
    let old = Pool::new(&config, &registry).unwrap();
    config.api_key = ApiKey::Known(Secret::new("sk-new"));
    let new = Pool::new(&config, &registry).unwrap();
    new.succeed(&old);
    let refused = old.learn(&endpoint(&old, 0), Lesson::Refused, now, 0);
    assert_eq!(refused, None);
    assert!(new.is_usable(now));
    let refused = new.learn(&endpoint(&new, 0), Lesson::Refused, now, 0);
    assert_eq!(refused, Some(Change::Refused));
}

#[test]
fn what_comes_back_gets_a_tenth_of_its_share_and_then_more_by_every_method() {
    for method in METHODS {
        let start = crate::sys::instant();
        let pool = pool(&[1, 1], &format!("balance = {method:?}"));
        for target in 0..2 {
            let answered = Lesson::Answered(FAST);
            pool.learn(&endpoint(&pool, target), answered, start, 0);
        }
        let even = shares(&pool, start)[0];
        assert!(
            (450..=550).contains(&even) || method == "peak_ewma",
            "{method}: {even}"
        );
        falls(&pool, 0, start);
        assert_eq!(shares(&pool, start)[0], 0, "{method}");
        let now = start + 10 * SECOND;
        let probe = pool.pick(&[], Verdict::Fit, chance(1), now);
        assert_eq!(port(probe.clone()), Some(1), "{method}");
        pool.learn(&probe.unwrap(), Lesson::Answered(FAST), now + FAST, 0);
        let slower = Lesson::Answered(2 * FAST);
        pool.learn(&endpoint(&pool, 1), slower, now + FAST, 0);
        let at_first = shares(&pool, now + FAST)[0];
        assert!((20..=130).contains(&at_first), "{method}: {at_first}");
        let later = shares(&pool, now + 5 * SECOND)[0];
        assert!((200..=650).contains(&later), "{method}: {later}");
        let at_last = shares(&pool, now + 10 * SECOND + FAST)[0];
        assert!(at_last >= 400, "{method}: {at_last}");
    }
}

#[test]
fn the_sooner_of_two_gets_the_requests_and_the_other_is_not_forgotten() {
    let start = crate::sys::instant();
    let pool = pool(&[1, 1], "balance = \"peak_ewma\"");
    pool.learn(&endpoint(&pool, 0), Lesson::Answered(FAST), start, 0);
    // Whoever was never measured is tried.
    assert_eq!(shares(&pool, start)[1], 1_000);
    let _in_flight = target::InFlight::at(&endpoint(&pool, 1));
    assert_eq!(shares(&pool, start)[1], 0, "by one request");
    pool.learn(&endpoint(&pool, 1), Lesson::Answered(SECOND), start, 0);
    assert_eq!(shares(&pool, start)[0], 1_000);
    for second in 1..60 {
        let now = start + second * SECOND;
        pool.learn(&endpoint(&pool, 0), Lesson::Answered(FAST), now, 0);
    }
    assert_eq!(shares(&pool, start + 59 * SECOND)[1], 1_000);
}

#[test]
fn the_less_loaded_for_its_weight_gets_the_next_request() {
    let now = crate::sys::instant();
    let pool = pool(&[2, 1], "balance = \"least_requests\"");
    let mut held = Vec::new();
    for number in 0..300 {
        let picked = pool.pick(&[], Verdict::Fit, chance(number), now).unwrap();
        held.push(target::InFlight::at(&picked));
    }
    let in_flight = |target| endpoint(&pool, target).state.in_flight();
    assert!((199..=201).contains(&in_flight(0)), "{}", in_flight(0));
    assert_eq!(in_flight(0) + in_flight(1), 300);
}

#[test]
fn a_key_has_its_target_until_that_has_too_much_to_do() {
    let now = crate::sys::instant();
    let pool = pool(&[1, 1, 1, 1], "balance = \"hash\"");
    let one_key = |number| Choice {
        key: 42,
        chance: balance::mix(number),
    };
    let mut held = Vec::new();
    let mut counts = [0_usize; 4];
    let first = pool.pick(&[], Verdict::Fit, one_key(0), now).unwrap();
    for number in 0..100 {
        let picked = pool.pick(&[], Verdict::Fit, one_key(number), now).unwrap();
        if number == 0 {
            assert!(picked.is(&first));
        }
        counts[usize::from(picked.address.port()) - 1] += 1;
        held.push(target::InFlight::at(&picked));
    }
    assert!(counts.iter().all(|count| *count <= 32), "{counts:?}");
    drop(held);
    assert!(
        pool.pick(&[], Verdict::Fit, one_key(7), now)
            .unwrap()
            .is(&first)
    );
}

#[test]
fn failures_of_a_process_that_has_just_woken_blame_nobody() {
    let start = crate::sys::instant();
    let pool = pool(&[1; 4], "");
    pool.state.pulse.beat(start);
    let woken = start + 30 * SECOND;
    for target in 0..4 {
        assert_eq!(falls(&pool, target, woken), None);
    }
    assert_eq!(shares(&pool, woken), [250; 4]);
    pool.state.pulse.beat(woken);
    let later = woken + 2 * SECOND;
    pool.state.pulse.beat(later);
    assert!(falls(&pool, 0, later).is_some());
}

#[test]
fn what_was_learned_and_found_outlives_a_new_configuration() {
    let now = crate::sys::instant();
    let registry = Registry::default();
    let config = config::example("");
    let before = Pool::new(&config.pools[0], &registry).unwrap();
    falls(&before, 0, now);
    let after = Pool::new(&config.pools[0], &registry).unwrap();
    assert!(!after.is_usable(now));

    let mut named = config.pools[0].clone();
    named.targets[0].url = "http://up.test:81".parse().unwrap();
    let before = Pool::new(&named, &registry).unwrap();
    assert!(!before.is_usable(now));
    let target = &before.targets[0];
    let addresses = vec!["127.0.0.1:81".parse().unwrap()];
    target
        .name()
        .unwrap()
        .located
        .store(Arc::new(addresses.clone()));
    before.locate(target, &addresses, &registry);
    assert!(before.is_usable(now));
    let after = Pool::new(&named, &registry).unwrap();
    assert_eq!(
        port(after.pick(&[], Verdict::Fit, chance(0), now)),
        Some(81)
    );
    drop((before, after));
    let forgotten = Pool::new(&named, &registry).unwrap();
    assert!(!forgotten.is_usable(now), "nobody used it any more");
}

proptest! {
    #[test]
    fn what_rests_or_was_tried_is_never_picked(
        method in 0_usize..4,
        weights in proptest::collection::vec(1_u32..4, 1..8),
        happenings in proptest::collection::vec((0_usize..8, 0_u8..8, 0_u64..4_000), 0..120),
    ) {
        let pool = pool(&weights, &format!("balance = {:?}", METHODS[method]));
        let mut now = crate::sys::instant();
        for (number, (target, what, pause_ms)) in (0..).zip(happenings) {
            now += Duration::from_millis(pause_ms);
            let endpoint = endpoint(&pool, target % weights.len());
            match what {
                0..=4 => { pool.learn(&endpoint, Lesson::Failed, now, number); }
                5 => { pool.learn(&endpoint, Lesson::Busy(None), now, number); }
                6 => { pool.learn(&endpoint, Lesson::Answered(FAST), now, number); }
                _ => { pool.learn(&endpoint, Lesson::Refused, now, number); }
            }
            let fit = |target: usize| {
                self::endpoint(&pool, target).state.health.verdict(now).may_be_asked()
            };
            let fit: Vec<bool> = (0..weights.len()).map(fit).collect();
            let tried = [endpoint];
            let picked = pool.pick(&tried, Verdict::Fit, chance(number), now);
            if let Some(picked) = &picked {
                prop_assert!(!picked.is(&tried[0]));
                prop_assert!(fit[usize::from(picked.address.port()) - 1]);
            } else {
                let others = fit.iter().enumerate();
                let mut others = others.filter(|(other, _)| *other != target % weights.len());
                prop_assert!(others.all(|(_, fit)| !fit), "somebody was fit");
            }
            let ejected = (0..weights.len())
                .filter(|target| self::endpoint(&pool, *target).state.health.is_ejected());
            prop_assert!(ejected.count() <= (weights.len() / 2).max(1));
        }
    }

    #[test]
    fn shares_follow_the_weights(
        method in 0_usize..2,
        weights in proptest::collection::vec(1_u32..5, 2..6),
    ) {
        let pool = pool(&weights, &format!("balance = {:?}", METHODS[method]));
        let total: u32 = weights.iter().sum();
        let shares = shares(&pool, crate::sys::instant());
        for (share, weight) in shares.iter().zip(&weights) {
            let expected = f64::from(*weight) / f64::from(total) * 1_000.0;
            let share = f64::from(u32::try_from(*share).unwrap());
            prop_assert!((share - expected).abs() < 70.0, "{shares:?} for {weights:?}");
        }
    }
}
