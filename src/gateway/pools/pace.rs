//! How soon does a pool answer?
//!
//! A histogram of the times to the first event, or to the whole answer, from which one
//! number is asked: within which time 95 of 100 came. Buckets grow by a quarter of their
//! octave, so the number is right within a fifth, which is enough to tell an answer that
//! is late. Old answers count for less: all buckets are halved now and then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The unit of the first bucket, in microseconds.
const UNIT_US: u128 = 250;
/// Four an octave, up to an hour.
const BUCKETS: usize = 96;
/// Answers before anything is said of them.
const SEEN_MIN: u32 = 20;
/// Answers after which all count half.
const SEEN_MAX: u32 = 1_000;

/// The times of the last answers.
#[derive(Debug)]
pub struct Pace {
    /// `Σ buckets ≤ SEEN_MAX`, but for what races add.
    buckets: [AtomicU32; BUCKETS],
    seen: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
            seen: AtomicU32::new(0),
        }
    }
}

impl Pace {
    /// An answer came after this time.
    pub fn answered(&self, after: Duration) {
        if let Some(bucket) = self.buckets.get(place(after)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 >= SEEN_MAX {
            self.halve();
        }
    }

    /// The time within which 95 of 100 answers came; `None` where too few did.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen < SEEN_MIN {
            return None;
        }
        let rank = (u64::from(seen) * 95).div_ceil(100);
        let mut counted = 0;
        let bucket = self.buckets.iter().position(|bucket| {
            counted += u64::from(bucket.load(Ordering::Relaxed));
            counted >= rank
        });
        bucket.map(end)
    }

    fn halve(&self) {
        let mut left = 0;
        for bucket in &self.buckets {
            let half = bucket.load(Ordering::Relaxed) / 2;
            bucket.store(half, Ordering::Relaxed);
            left += half;
        }
        self.seen.store(left, Ordering::Relaxed);
    }
}

/// The bucket of a time.
fn place(time: Duration) -> usize {
    let units = time.as_micros() / UNIT_US + 4;
    let octave = units.ilog2() as usize;
    let quarter = usize::try_from((units >> (octave - 2)) & 3).unwrap_or(0);
    ((octave - 2) * 4 + quarter).min(BUCKETS - 1)
}

/// Where a bucket ends.
fn end(bucket: usize) -> Duration {
    let (octave, quarter) = (bucket / 4 + 2, bucket as u64 % 4);
    let units = ((5 + quarter) << (octave - 2)).saturating_sub(4);
    Duration::from_micros(units * 250)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_before_the_end_of_its_bucket_and_not_far() {
        for us in (0..4_000_000_000_u64).step_by(1_234_567).chain(0..20_000) {
            let time = Duration::from_micros(us);
            let end = end(place(time));
            assert!(time < end, "{time:?} {end:?}");
            let far = time + time / 4 + Duration::from_micros(500);
            assert!(end <= far, "{time:?} {end:?}");
        }
    }

    #[test]
    fn nothing_is_said_of_few_answers() {
        let pace = Pace::default();
        for _ in 1..SEEN_MIN {
            pace.answered(Duration::from_millis(10));
        }
        assert_eq!(pace.p95(), None);
        pace.answered(Duration::from_millis(10));
        assert!(pace.p95().is_some());
    }

    #[test]
    fn one_slow_answer_in_twenty_does_not_count_and_two_do() {
        let pace = |slow: usize| {
            let pace = Pace::default();
            for number in 0..400 {
                let late = number % 20 < slow;
                pace.answered(Duration::from_millis(if late { 2_000 } else { 10 }));
            }
            pace.p95().unwrap()
        };
        assert!(pace(1) < Duration::from_millis(15));
        assert!(pace(2) >= Duration::from_secs(2));
    }

    #[test]
    fn the_past_is_forgotten() {
        let pace = Pace::default();
        for _ in 0..10_000 {
            pace.answered(Duration::from_secs(1));
        }
        for _ in 0..10_000 {
            pace.answered(Duration::from_millis(1));
        }
        assert!(pace.p95().unwrap() < Duration::from_millis(3));
    }
}
