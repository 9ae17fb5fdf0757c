//! Is everything counted once, and forgotten last where it matters?

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::limits::Window;

const MINUTE: Duration = Duration::from_mins(1);

fn rate(count: u32, per: Duration) -> Rate {
    let burst = count;
    Rate::new(&Window {
        count: count.into(),
        per,
        burst: burst.into(),
        calendar: false,
    })
}

fn at(milliseconds: u64) -> Ticks {
    Ticks::of(Duration::from_millis(milliseconds))
}

fn claim(key: u64, count: u32, cost: u64) -> Claim<()> {
    Claim::new((), key, rate(count, MINUTE), cost)
}

fn take(table: &Table, claims: &[Claim<()>], now: Ticks) -> Result<Vec<Taken>, ()> {
    let mut claims = claims.to_vec();
    if table.take(&mut claims, now) {
        Ok(claims.iter().filter_map(Claim::taken).collect())
    } else {
        Err(())
    }
}

/// How many more of a window may be taken now.
fn remaining(table: &Table, key: u64, count: u32, now: Ticks) -> u64 {
    rate(count, MINUTE).level(table.full(key), now).remaining
}

#[test]
fn all_windows_or_none() {
    let table = Table::new(1024);
    let both = [claim(1 << 60, 2, 1), claim(7, 9, 3)];
    take(&table, &both, at(1)).unwrap();
    take(&table, &both, at(1)).unwrap();
    for _ in 0..10 {
        take(&table, &both, at(1)).unwrap_err();
    }
    assert_eq!(remaining(&table, 1 << 60, 2, at(1)), 0);
    assert_eq!(remaining(&table, 7, 9, at(1)), 3);
}

#[test]
fn who_knows_better_says_what_is_left() {
    let table = Table::new(1024);
    let mine = claim(7, 60, 1);
    table.mirror(&mine, at(10_001), at(1));
    assert_eq!(
        (remaining(&table, 7, 60, at(1)), table.live(at(1))),
        (50, 1)
    );
    take(&table, &[mine], at(1)).unwrap();
    assert_eq!(remaining(&table, 7, 60, at(1)), 49);
    table.mirror(&mine, at(1), at(1));
    assert_eq!(
        (remaining(&table, 7, 60, at(1)), table.live(at(1))),
        (60, 0)
    );
}

#[test]
fn what_is_forgotten_was_taken_or_not() {
    let table = Table::new(1024);
    assert!(!table.forget(7, at(1)));
    take(&table, &[claim(7, 60, 1)], at(1)).unwrap();
    assert!(table.forget(7, at(1)));
    assert_eq!(remaining(&table, 7, 60, at(1)), 60);
    take(&table, &[claim(7, 60, 1)], at(1)).unwrap();
    // By now it has come back.
    assert!(!table.forget(7, at(1001)));
}

#[test]
fn two_windows_of_one_set_are_two_windows() {
    // One set holds them all, and locks itself once.
    let table = Table::new(WAYS);
    let all: Vec<_> = (1..=9).map(|key| claim(key << 59, 3, 1)).collect();
    for _ in 0..3 {
        take(&table, &all, at(1)).unwrap();
    }
    take(&table, &all, at(1)).unwrap_err();
    assert_eq!(table.live(at(1)), 9);
    assert_eq!(table.live(at(1).plus(Ticks::of(MINUTE))), 0);
    assert_eq!(table.evictions(), 0);
}

#[test]
fn a_shadow_takes_as_though_it_refused() {
    let table = Table::new(1024);
    let mut shadow = claim(1, 1, 1);
    shadow.shadow = true;
    let both = [shadow, claim(2, 9, 1)];
    assert_eq!(take(&table, &both, at(1)).unwrap().len(), 2);
    assert_eq!(take(&table, &both, at(1)).unwrap().len(), 1);
    assert_eq!(remaining(&table, 2, 9, at(1)), 7);
}

#[test]
fn what_was_not_used_comes_back_and_what_was_used_too_much_is_owed() {
    let table = Table::new(1024);
    let taken = take(&table, &[claim(1, 60, 40)], at(1)).unwrap();
    table.settle(&taken[0], 10, at(1));
    assert_eq!(remaining(&table, 1, 60, at(1)), 50);
    let taken = take(&table, &[claim(1, 60, 10)], at(1)).unwrap();
    table.settle(&taken[0], 100, at(1));
    assert_eq!(remaining(&table, 1, 60, at(1)), 0);
    // 110 were used of 60: it takes 50 s until there is none owed.
    assert_eq!(remaining(&table, 1, 60, at(50_500)), 0);
    assert_eq!(remaining(&table, 1, 60, at(51_002)), 1);
}

#[test]
fn what_time_has_given_back_is_not_given_back_again() {
    let table = Table::new(1024);
    let idle = take(&table, &[claim(1, 60, 60)], at(0)).unwrap();
    // A minute later all of it is back, and somebody takes it.
    take(&table, &[claim(1, 60, 60)], at(60_000)).unwrap();
    table.settle(&idle[0], 0, at(60_000));
    assert_eq!(remaining(&table, 1, 60, at(60_000)), 0);
}

#[test]
fn two_who_give_back_do_not_give_back_what_a_third_has_taken() {
    let table = Table::new(1024);
    let first = take(&table, &[claim(1, 20, 10)], at(0)).unwrap();
    let second = take(&table, &[claim(1, 20, 10)], at(0)).unwrap();
    table.settle(&first[0], 0, at(3000));
    // The second's part has moved before the first's, and is back by itself at 30 s.
    take(&table, &[claim(1, 20, 15)], at(33_000)).unwrap();
    table.settle(&second[0], 0, at(33_000));
    assert_eq!(remaining(&table, 1, 20, at(33_000)), 5);
}

#[test]
fn who_was_forgotten_gets_nothing_back() {
    let table = Table::new(WAYS);
    let taken = take(&table, &[claim(1, 60, 60)], at(1)).unwrap();
    assert!(table.forget(1, at(1)));
    assert!(!table.forget(1, at(1)));
    take(&table, &[claim(1, 60, 50)], at(2)).unwrap();
    table.settle(&taken[0], 0, at(2));
    assert_eq!(remaining(&table, 1, 60, at(2)), 10);
}

/// Strangers that ask once and never come again.
fn flood(table: &Table, from: u64, count: u64, now: Ticks) {
    for number in from..from + count {
        let key = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let _ = take(table, &[claim(key, 60, 1)], now);
    }
}

#[test]
fn a_flood_forgets_those_who_asked_least() {
    let table = Table::new(1024);
    let limited: Vec<u64> = (1..=64).map(|number| number << 56 | number).collect();
    for key in &limited {
        for _ in 0..60 {
            take(&table, &[claim(*key, 60, 1)], at(0)).unwrap();
        }
    }
    for part in 0..100 {
        let now = at(part);
        flood(&table, part * 1000, 1000, now);
        for key in &limited {
            assert!(take(&table, &[claim(*key, 60, 1)], now).is_err());
        }
    }
    assert!(table.live(at(100)) <= 1024);
    assert!(table.evictions() > 90_000);
}

#[test]
fn who_makes_room_is_who_has_used_the_smaller_part() {
    let now = at(1000);
    let state = |owed_ms: u64, per: Duration, named: bool| State {
        full: Ticks::of(Duration::from_millis(1000 + owed_ms)),
        span: span(rate(60, per)),
        named,
        ..State::begin(now)
    };
    let hour = Duration::from_hours(1);
    let half_of_a_minute = state(30_000, MINUTE, false);
    let little_of_an_hour = state(60_000, hour, false);
    assert!(little_of_an_hour.says_less(&half_of_a_minute, now).is_lt());
    assert!(half_of_a_minute.says_less(&little_of_an_hour, now).is_gt());
    // By now nothing is owed.
    let named = state(0, MINUTE, true);
    assert!(named.says_less(&little_of_an_hour, now).is_lt());
}

#[test]
fn whoever_owes_nothing_any_more_makes_room_unnoticed() {
    let table = Table::new(1024);
    flood(&table, 0, 2000, at(0));
    let before = table.evictions();
    assert!(before > 0);
    // By then each has what it took.
    flood(&table, 2000, 1, at(1000));
    assert_eq!(table.evictions(), before);
}

#[test]
fn what_the_configuration_names_outlives_any_flood() {
    let table = Table::new(1024);
    let mut named = claim(1 << 40, 1_000_000, 1);
    named.named = true;
    take(&table, &[named], at(0)).unwrap();
    flood(&table, 1, 50_000, at(0));
    assert!(table.full(1 << 40) > at(0));
}

#[test]
fn eight_threads_take_what_there_is_and_no_more() {
    let table = Table::new(1024);
    let taken = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..8_u64 {
            let (table, taken) = (&table, &taken);
            // All want the first; the others lie before and behind it.
            let is_taken = move |round: &u64| {
                let other = claim((number * 31 + round) << 50, 1000, 1);
                take(table, &[claim(1 << 63, 7000, 1), other], at(1)).is_ok()
            };
            scope.spawn(move || {
                let count = (0..5000).filter(is_taken).count();
                taken.fetch_add(count, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(taken.into_inner(), 7000);
}

#[derive(Debug, Clone)]
enum Step {
    Take { cost: u64 },
    Settle { which: usize, used: u64 },
    Pause { milliseconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_u64..40).prop_map(|cost| Step::Take { cost }),
        (0_usize..8, 0_u64..40).prop_map(|(which, used)| Step::Settle { which, used }),
        (0_u64..20_000).prop_map(|milliseconds| Step::Pause { milliseconds }),
    ]
}

proptest! {
    /// What was really used, counted where it was taken, keeps to the formula whenever and in
    /// whichever order it is settled.
    #[test]
    fn settlement_gives_nobody_more_than_the_window(steps in prop::collection::vec(step(), 1..80)) {
        let table = Table::new(WAYS);
        let mut now = 0;
        let mut open: Vec<(usize, Taken)> = Vec::new();
        let mut used: Vec<(u64, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Pause { milliseconds } => now += milliseconds,
                Step::Take { cost } => {
                    if let Ok(taken) = take(&table, &[claim(1, 60, cost)], at(now)) {
                        open.push((used.len(), taken[0]));
                        used.push((now, cost));
                    }
                }
                Step::Settle { which, used: really } => {
                    if which < open.len() {
                        let (index, taken) = open.remove(which);
                        let really = really.min(used[index].1);
                        table.settle(&taken, really, at(now));
                        used[index].1 = really;
                    }
                }
            }
        }
        for from in 0..used.len() {
            let mut sum = 0;
            for (time, count) in &used[from..] {
                sum += count;
                let allowed = 60_000 + (time - used[from].0);
                prop_assert!(sum * 1000 <= allowed, "{sum} in {} ms", time - used[from].0);
            }
        }
    }
}
