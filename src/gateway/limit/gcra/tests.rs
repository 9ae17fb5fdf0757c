//! What a window lets in, and when.

use proptest::prelude::*;

use super::*;

fn rate(count: u32, per: Duration, burst: u32) -> Rate {
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

#[test]
fn a_burst_and_then_one_by_one() {
    let rate = rate(60, Duration::from_mins(1), 2);
    let first = rate.take(Ticks::default(), 1, at(0)).unwrap();
    let second = rate.take(first, 1, at(0)).unwrap();
    assert_eq!(rate.level(second, at(0)).remaining, 0);
    assert_eq!(rate.take(second, 1, at(0)), Err(at(1000)));
    assert_eq!(rate.take(second, 2, at(0)), Err(at(2000)));
    assert!(rate.take(second, 1, at(999)).is_err());
    assert!(rate.take(second, 1, at(1000)).is_ok());
    let level = rate.level(second, at(500));
    assert_eq!((level.limit, level.remaining), (2, 0));
    assert_eq!(level.reset, Duration::from_millis(1500));
}

#[test]
fn more_for_many_is_the_same_span() {
    let one = rate(60, Duration::from_mins(1), 60);
    let many = one.times(16);
    assert_eq!((many.burst(), one.span()), (960, at(60_000)));
    assert_eq!(many.span(), one.span());
    let share = one.shared_by(4);
    assert_eq!((share.burst(), share.span()), (15, one.span()));
    assert_eq!(one.shared_by(100).burst(), 1);
}

#[test]
fn who_owes_nothing_waits_for_no_span_to_end() {
    let day = Rate::new(&Window {
        count: 3,
        per: Duration::from_hours(24),
        burst: 3,
        calendar: true,
    });
    let now = at(3_600_000);
    let level = |full| day.level(full, now);
    let untouched = level(Ticks::default());
    assert_eq!((untouched.remaining, untouched.reset), (3, Duration::ZERO));
    let taken = level(day.take(Ticks::default(), 1, now).unwrap());
    assert_eq!(
        (taken.remaining, taken.reset),
        (2, Duration::from_hours(23))
    );
}

#[test]
fn the_largest_and_the_smallest_windows_count() {
    const MONTH: Duration = Duration::from_hours(31 * 24);
    let slow = rate(1, MONTH, u32::MAX);
    let mut full = Ticks::default();
    full = slow.take(full, u64::from(u32::MAX) - 1, at(1)).unwrap();
    full = slow.take(full, 1, at(1)).unwrap();
    assert!(slow.take(full, 1, at(1)).is_err());
    let fast = rate(u32::MAX, Duration::from_millis(1), u32::MAX);
    let full = fast.take(Ticks::default(), u64::from(u32::MAX), at(1));
    let again = fast.take(full.unwrap(), u64::from(u32::MAX), at(2));
    // Rounded towards less, by a millionth.
    assert!(again.is_err_and(|wait| wait < Ticks::of(Duration::from_nanos(2))));
    let huge = slow.times(u32::MAX);
    assert!(huge.take(Ticks(u128::MAX), u64::MAX, at(1)).is_err());
}

#[test]
fn only_what_is_still_owed_is_given_back() {
    assert_eq!(still_owed(at(10), at(50), at(20)), at(10));
    assert_eq!(still_owed(at(10), at(50), at(45)), at(5));
    assert_eq!(still_owed(at(10), at(50), at(60)), Ticks::default());
}

/// Asks at each of the moments as often as said, and tells how much was admitted when.
fn admitted(rate: Rate, asks: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut full = Ticks::default();
    let mut now = 0;
    let mut all = Vec::new();
    for (pause_us, cost) in asks {
        now += pause_us;
        let cost = (*cost).min(rate.burst());
        if let Ok(then) = rate.take(full, cost, Ticks::of(Duration::from_micros(now))) {
            full = then;
            all.push((now, cost));
        }
    }
    all
}

proptest! {
    #[test]
    fn no_span_has_more_than_its_share(
        count in 1_u32..1000, per_us in 1000_u64..10_000_000, burst in 1_u32..200,
        times in 1_u32..5,
        asks in prop::collection::vec((0_u64..200_000, 1_u64..20), 1..200),
    ) {
        let rate = rate(count, Duration::from_micros(per_us), burst).times(times);
        let all = admitted(rate, &asks);
        for from in 0..all.len() {
            let mut sum = 0;
            for (at, cost) in &all[from..] {
                sum += u128::from(*cost);
                let span_us = u128::from(at - all[from].0);
                let (count, burst) = (u128::from(count * times), u128::from(burst * times));
                prop_assert!(sum * u128::from(per_us) <= burst * u128::from(per_us) + span_us * count);
            }
        }
    }

    #[test]
    fn who_asks_all_the_time_gets_all_of_it(
        count in 1_u32..5000, per_ms in 1_u64..100_000, burst in 1_u32..50,
    ) {
        let rate = rate(count, Duration::from_millis(per_ms), burst);
        let step = rate.each().duration();
        let mut full = Ticks::default();
        let mut got = 0_u32;
        for ask in 0..2000 {
            let now = Ticks::of(step * ask / 4);
            if let Ok(then) = rate.take(full, 1, now) {
                full = then;
                got += 1;
            }
        }
        let span = step * 1999 / 4;
        let due = f64::from(burst)
            + span.as_secs_f64() * f64::from(count) / Duration::from_millis(per_ms).as_secs_f64();
        prop_assert!(f64::from(got) >= due.min(2000.0) * 0.98 - 1.0, "{got} of {due}");
    }

    #[test]
    fn who_waits_as_told_gets_it(
        count in 1_u32..1_000_000, per_ms in 1_u64..2_000_000_000, burst in 1_u32..1000,
        taken in 0_u64..2000, cost in 1_u64..1000, at_ms in 0_u64..1_000_000_000,
    ) {
        let rate = rate(count, Duration::from_millis(per_ms), burst);
        let (now, cost) = (at(at_ms), cost.min(rate.burst()));
        let full = now.plus(rate.each().by(taken));
        if let Err(wait) = rate.take(full, cost, now) {
            let then = now.plus(Ticks::of(wait.duration()));
            prop_assert!(rate.take(full, cost, then).is_ok());
            let early = now.plus(wait.less(Ticks(1)));
            prop_assert!(rate.take(full, cost, early).is_err());
        }
    }
}
