//! Who is named to try whether a rest is over, and when is it tried?

use super::*;
use crate::gateway::pools::target::InFlight;

#[test]
fn a_request_that_failed_already_does_not_probe() {
    let start = crate::sys::instant();
    let pool = pool(&[1, 1, 1], "");
    falls(&pool, 0, start);
    let now = start + 10 * SECOND;
    let tried = [endpoint(&pool, 1)];
    assert_eq!(
        port(pool.pick(&tried, Verdict::Fit, chance(0), now)),
        Some(3)
    );
    // Unless nobody else is left.
    let tried = [endpoint(&pool, 1), endpoint(&pool, 2)];
    assert_eq!(
        port(pool.pick(&tried, Verdict::Fit, chance(0), now)),
        Some(1)
    );
}

#[test]
fn one_whose_rest_is_over_is_not_named_where_it_has_no_room() {
    let start = crate::sys::instant();
    let pool = pool(&[1, 1], "concurrency = { target_max = 1 }");
    let in_flight = InFlight::at(&endpoint(&pool, 0));
    assert!(falls(&pool, 0, start).is_some());
    let over = start + 20 * SECOND;
    let named = || port(pool.pick(&[], Verdict::Fit, chance(0), over));
    assert_eq!(named(), Some(2));
    drop(in_flight);
    assert_eq!(named(), Some(1));
}

#[test]
fn a_target_that_is_silent_for_longer_than_its_rest_rests_again() {
    let start = crate::sys::instant();
    let pool = pool(&[1, 1], "");
    falls(&pool, 0, start);
    let over = start + 12 * SECOND;
    let probe = pool.pick(&[], Verdict::Fit, chance(0), over).unwrap();
    assert_eq!(probe.address.port(), endpoint(&pool, 0).address.port());
    assert!(pool.begins(&probe, over));
    // One is enough to find that out, up to the deadline of a first event.
    let next = pool.pick(&[], Verdict::Fit, chance(0), over + 25 * SECOND);
    assert_ne!(port(next), Some(probe.address.port()));
    // And it is heard also when its claim has passed.
    let heard = over + 300 * SECOND;
    let change = pool.learn(&probe, Lesson::Failed, heard, 1 << 63);
    assert!(matches!(change, Some(Change::Ejected(..))), "{change:?}");
}
