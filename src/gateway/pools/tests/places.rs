//! Is there a place for whoever would find a target with room, and for nobody else?

use std::future::Future;
use std::pin::Pin;

use futures_util::FutureExt;

use super::*;
use crate::gateway::pools::target::InFlight;

/// A stream on its way. It ends as an answer does: its place is given back last.
struct Stream {
    _in_flight: InFlight,
    _slot: Slot,
}

type Entering<'a> = Pin<Box<dyn Future<Output = Result<Slot, Full>> + 'a>>;

fn entering(pool: &Pool, now: Instant) -> Entering<'_> {
    Box::pin(pool.enter(1, crate::sys::instant() + Duration::from_mins(1), now))
}

/// Streams at one of its targets, none of which has to wait.
fn streams(pool: &Pool, target: usize, count: usize, now: Instant) -> Vec<Stream> {
    let stream = |_| Stream {
        _slot: entering(pool, now).now_or_never().unwrap().unwrap(),
        _in_flight: InFlight::at(&endpoint(pool, target)),
    };
    (0..count).map(stream).collect()
}

#[tokio::test]
async fn what_goes_on_at_a_target_that_cools_takes_no_room_from_the_others() {
    let now = crate::sys::instant();
    let pool = pool(&[1, 1], "concurrency = { target_max = 2, queue_max = 2 }");
    let mut cooling = streams(&pool, 0, 2, now);
    let mut asked = streams(&pool, 1, 1, now);
    pool.learn(&endpoint(&pool, 0), Lesson::Busy(Some(7 * SECOND)), now, 0);
    asked.extend(streams(&pool, 1, 1, now));
    let mut waits = entering(&pool, now);
    assert!((&mut waits).now_or_never().is_none());
    // Nobody is sent to that target now, so nothing is free there.
    cooling.pop();
    assert!((&mut waits).now_or_never().is_none());
    asked.pop();
    assert!((&mut waits).now_or_never().unwrap().is_ok());
    assert_eq!(pool.capacity(now + 7 * SECOND).slots(), 4);
}

#[tokio::test]
async fn what_a_target_has_beyond_its_bound_takes_no_room_from_the_others() {
    let now = crate::sys::instant();
    let pool = pool(
        &[1, 1],
        "concurrency = { adaptive = true, target_max = 64 }",
    );
    let mut held = streams(&pool, 0, 16, now);
    pool.learn(&endpoint(&pool, 0), Lesson::Busy(Some(SECOND)), now, 0);
    let later = now + SECOND;
    let concurrency = &pool.concurrency;
    assert_eq!(endpoint(&pool, 0).state.room.bound(concurrency), 11);
    assert_eq!(pool.capacity(later).slots(), 16 + 16);
    held.truncate(13);
    assert_eq!(pool.capacity(later).slots(), 13 + 16);
    held.truncate(3);
    assert_eq!(pool.capacity(later).slots(), 11 + 16);
}

#[tokio::test]
async fn no_more_than_its_most_are_in_flight_at_a_pool() {
    let now = crate::sys::instant();
    let pool = pool(&[1, 1], "concurrency = { target_max = 8, pool_max = 9 }");
    let _held = streams(&pool, 0, 8, now);
    assert_eq!(pool.capacity(now).slots(), 9);
    pool.learn(&endpoint(&pool, 0), Lesson::Busy(Some(7 * SECOND)), now, 0);
    assert_eq!(pool.capacity(now).slots(), 9);
    let refused = Lesson::Refused;
    pool.learn(&endpoint(&pool, 1), refused, now, 0);
    assert_eq!(
        pool.capacity(now).slots(),
        9,
        "there is nothing to wait for"
    );
}
