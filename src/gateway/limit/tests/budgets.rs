//! Is no more spent in a span of the calendar than may be, and all of that?

use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::config::limits::Window;
use crate::gateway::limit::gcra::Rate;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const USD: u64 = 1_000_000_000;

/// Five dollars a day for the key `a`; the process begins at this time of a day.
fn scene(of_day: Duration) -> Scene {
    let tables = |usd: &str| {
        format!(
            "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"a\"\nsha256 = \"{:064x}\"\ncost = {{ usd = {usd}, per = \"1d\" }}",
            1
        )
    };
    let mut scene = Scene::new(&tables("5.0"));
    let midnight = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000);
    scene.began.wall = midnight + of_day;
    scene.limiter = Limiter::new(&scene.config.limiter, sys::hasher(), scene.began);
    scene
}

fn spent(nanos: u64) -> Used {
    Used {
        tokens: 1,
        usd: Usd::nanos(nanos),
    }
}

/// What is left of the key's budget.
fn left(scene: &Scene, now: Instant) -> u64 {
    let standing = scene
        .limiter
        .standing(&scene.limits, &scene.keyed("a"), now);
    let cost = standing.iter().find(|one| one.kind == Kind::Cost);
    cost.and_then(|one| one.level).unwrap().remaining
}

#[test]
fn a_day_has_its_budget_once_and_the_next_one_anew() {
    let scene = scene(Duration::from_hours(17));
    let (key, began) = (scene.keyed("a"), scene.began.instant);
    for _ in 0..5 {
        let mut reservation = scene.spend(&key, USD, began).unwrap();
        reservation.settle(spent(USD), began);
    }
    assert_eq!(left(&scene, began), 0);
    // A window that refills would have let this in, 20 % of it, by now.
    let evening = began + Duration::from_hours(5);
    let limited = limited(scene.spend(&key, 1, evening));
    assert_eq!((limited.kind, limited.count), (Kind::Cost, 5 * USD));
    assert_eq!(limited.name.as_str(), "key:a");
    // It says when, and then it is so; a moment before it is not.
    assert_eq!(limited.retry_after, Duration::from_hours(2));
    let midnight = evening + limited.retry_after;
    assert!(
        scene
            .spend(
                &key,
                1,
                midnight.checked_sub(Duration::from_nanos(1)).unwrap()
            )
            .is_err()
    );
    assert!(scene.spend(&key, 5 * USD, midnight).is_ok());
    assert!(scene.spend(&key, 1, midnight + 23 * HOUR).is_err());
    assert!(scene.spend(&key, 1, midnight + 24 * HOUR).is_ok());
}

#[test]
fn what_is_free_asks_nothing_of_a_budget_that_is_spent() {
    let scene = scene(HOUR);
    let (key, began) = (scene.keyed("a"), scene.began.instant);
    scene
        .spend(&key, 5 * USD, began)
        .unwrap()
        .settle(spent(7 * USD), began);
    assert!(scene.enter(&key, 0).is_ok());
    assert!(scene.spend(&key, 0, began).is_ok());
    assert!(scene.spend(&key, 1, began).is_err());
    // Of whoever has no budget, nothing is asked at all.
    assert!(scene.spend(&client("192.0.2.1"), 99 * USD, began).is_ok());
}

#[test]
fn what_was_not_used_is_given_back_in_whatever_order() {
    let scene = scene(HOUR);
    let (key, began) = (scene.keyed("a"), scene.began.instant);
    let mut first = scene.spend(&key, 2 * USD, began).unwrap();
    let mut second = scene.spend(&key, 3 * USD, began).unwrap();
    assert!(scene.spend(&key, 1, began).is_err());
    second.settle(spent(USD), began + MINUTE);
    first.settle(spent(USD / 2), began + 2 * MINUTE);
    // Again, it does nothing.
    first.settle(spent(0), began + 2 * MINUTE);
    assert_eq!(left(&scene, began + 3 * MINUTE), 3 * USD + USD / 2);
    // One that was cut off is settled by nobody: its estimate stays.
    drop(scene.spend(&key, USD, began + 3 * MINUTE).unwrap());
    assert_eq!(left(&scene, began + 3 * MINUTE), 2 * USD + USD / 2);
}

#[test]
fn what_a_stream_did_not_use_of_yesterday_is_no_credit_today() {
    let scene = scene(Duration::from_hours(23));
    let (key, began) = (scene.keyed("a"), scene.began.instant);
    let mut held = scene.spend(&key, 4 * USD, began).unwrap();
    let mut over = scene.spend(&key, USD, began).unwrap();
    let next = began + Duration::from_hours(2);
    scene.spend(&key, 5 * USD, next).unwrap();
    held.settle(spent(0), next);
    assert_eq!(left(&scene, next), 0);
    assert!(scene.spend(&key, 1, next).is_err());
    // What was used beyond it is the day's on which that is known.
    over.settle(spent(3 * USD), next);
    assert_eq!(left(&scene, next + Duration::from_hours(24)), 5 * USD);
}

#[test]
fn a_budget_that_is_raised_is_raised_by_that_much() {
    let mut scene = scene(HOUR);
    let (key, began) = (scene.keyed("a"), scene.began.instant);
    scene
        .spend(&key, 5 * USD, began)
        .unwrap()
        .settle(spent(5 * USD), began);
    let raised = format!(
        "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"a\"\nsha256 = \"{:064x}\"\ncost = {{ usd = 12, per = \"1d\" }}",
        1
    );
    scene.reload(&raised);
    assert_eq!(left(&scene, began), 7 * USD);
    assert!(scene.spend(&key, 7 * USD + 1, began).is_err());
    assert!(scene.spend(&key, 7 * USD, began).is_ok());
}

#[test]
fn who_is_forgiven_has_all_of_it_and_is_given_nothing_back_beside() {
    let scene = scene(HOUR);
    let (key, began) = (scene.keyed("a"), scene.began.instant);
    let mut held = scene.spend(&key, 4 * USD, began).unwrap();
    assert_eq!(scene.limiter.forgive(&scene.limits, &key, began), 1);
    assert_eq!(left(&scene, began), 5 * USD);
    scene.spend(&key, 3 * USD, began).unwrap();
    held.settle(spent(0), began);
    assert_eq!(left(&scene, began), 2 * USD);
}

#[test]
fn weeks_begin_on_mondays() {
    // 2026-11-29 is a Sunday.
    let sunday = Duration::from_hours(498_864).saturating_sub(Window::ORIGIN_UNIX);
    let week = Rate::new(&Window::budget(
        Usd::nanos(USD),
        Duration::from_hours(7 * 24),
    ));
    let now = Ticks::of(sunday + Duration::from_hours(20));
    let full = week.take(Ticks::default(), USD, now).unwrap();
    assert_eq!(
        week.take(full, 1, now),
        Err(Ticks::of(Duration::from_hours(4)))
    );
}

proptest! {
    /// Whoever asks, settles and comes back when: no day has more than its budget but for what
    /// requests cost beyond their estimates, and none has less than nothing.
    #[test]
    fn no_day_spends_more_than_its_budget(
        steps in prop::collection::vec((0_u64..6 * 3600, 1_u64..2 * USD, 0_u64..=100), 1..120),
    ) {
        let scene = scene(Duration::from_hours(13));
        let key = scene.keyed("a");
        let (mut seconds, mut days) = (0, std::collections::HashMap::<u64, u64>::new());
        let mut held: Vec<(Reservation<'_>, u64, u64)> = Vec::new();
        for (pause, nanos, percent) in steps {
            seconds += pause;
            let (now, day) = (scene.began.instant + Duration::from_secs(seconds), (13 * 3600 + seconds) / 86_400);
            if let Ok(reservation) = scene.spend(&key, nanos, now) {
                *days.entry(day).or_default() += nanos;
                held.push((reservation, nanos, day));
            }
            if percent % 3 == 0 && let Some((mut reservation, nanos, of)) = held.pop() {
                let used = nanos * percent / 100;
                reservation.settle(spent(used), now);
                if of == day {
                    *days.entry(day).or_default() -= nanos - used;
                }
            }
            let spent = days.get(&day).copied().unwrap_or_default();
            prop_assert!(spent <= 5 * USD, "{spent} on day {day}");
            prop_assert_eq!(left(&scene, now), 5 * USD - spent);
        }
    }
}
