//! How many of the last attempts failed?
//!
//! A ring of ten parts of the window: old attempts leave by parts, and no attempt is
//! kept by itself, so a busy endpoint costs as much as an idle one. What is told covers
//! between nine and ten tenths of the window.

use std::time::{Duration, Instant};

const PARTS: u32 = 10;

/// Attempts of the last while.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// How much time one part covers, and when part 0 began.
    scale: Option<(Duration, Instant)>,
    /// The part that was written last, counted from part 0.
    newest: u128,
    parts: [Part; PARTS as usize],
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    attempts: u32,
    /// `failures ≤ attempts`
    failures: u32,
}

impl Window {
    /// Counts an attempt; `length` is how far back attempts count.
    pub(super) fn count(&mut self, failed: bool, now: Instant, length: Duration) {
        self.forget(now, length);
        let index = usize::try_from(self.newest % u128::from(PARTS)).unwrap_or(0);
        if let Some(part) = self.parts.get_mut(index) {
            part.attempts = part.attempts.saturating_add(1);
            part.failures = part.failures.saturating_add(u32::from(failed));
        }
    }

    /// Whether at least this many attempts are there, and this many percent of them failed.
    pub(super) fn is_bad(&self, attempts_min: u32, percent: u32) -> bool {
        let sum = |of: fn(&Part) -> u32| self.parts.iter().map(|part| u64::from(of(part))).sum();
        let attempts: u64 = sum(|part| part.attempts);
        let failures: u64 = sum(|part| part.failures);
        attempts >= u64::from(attempts_min) && failures * 100 >= attempts * u64::from(percent)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Goes on to the part of `now`; what lies longer back than `length` is forgotten.
    fn forget(&mut self, now: Instant, length: Duration) {
        let part = (length / PARTS).max(Duration::from_millis(1));
        let began = match self.scale {
            Some((known, began)) if known == part => began,
            // The first attempt, or the window's length was changed.
            _ => {
                self.clear();
                self.scale = Some((part, now));
                return;
            }
        };
        let age = now.saturating_duration_since(began);
        let current = age.as_nanos() / part.as_nanos().max(1);
        for passed in 0..current.saturating_sub(self.newest).min(u128::from(PARTS)) {
            let index = (current - passed) % u128::from(PARTS);
            if let Some(part) = self.parts.get_mut(usize::try_from(index).unwrap_or(0)) {
                *part = Part::default();
            }
        }
        self.newest = self.newest.max(current);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    #[test]
    fn few_attempts_say_nothing_and_half_of_many_say_enough() {
        let mut window = Window::default();
        let start = crate::sys::instant();
        for number in 0..19 {
            window.count(number % 2 == 0, start, LENGTH);
            assert!(!window.is_bad(20, 50));
        }
        window.count(true, start, LENGTH);
        assert!(window.is_bad(20, 50));
        for _ in 0..3 {
            window.count(false, start, LENGTH);
        }
        assert!(!window.is_bad(20, 50));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::default();
        let start = crate::sys::instant();
        for _ in 0..20 {
            window.count(true, start, LENGTH);
        }
        window.count(false, start + Duration::from_millis(29_999), LENGTH);
        assert!(window.is_bad(20, 50));
        window.count(false, start + LENGTH, LENGTH);
        assert!(!window.is_bad(1, 1));
    }

    proptest! {
        #[test]
        fn it_tells_what_a_list_of_all_attempts_would(
            attempts in proptest::collection::vec((0_u64..8_000, any::<bool>()), 1..80),
        ) {
            let mut window = Window::default();
            let start = crate::sys::instant();
            let mut all = Vec::new();
            let mut at_ms = 0;
            for (pause_ms, failed) in attempts {
                at_ms += if all.is_empty() { 0 } else { pause_ms };
                window.count(failed, start + Duration::from_millis(at_ms), LENGTH);
                all.push((at_ms / 3_000, failed));
                let newest = at_ms / 3_000;
                let counted: Vec<bool> = all
                    .iter()
                    .filter(|(part, _)| part + 10 > newest)
                    .map(|(_, failed)| *failed)
                    .collect();
                let failures = counted.iter().filter(|failed| **failed).count();
                for attempts_min in [1, 5, 20] {
                    let expected = counted.len() >= attempts_min && failures * 2 >= counted.len();
                    let told = window.is_bad(u32::try_from(attempts_min).unwrap(), 50);
                    prop_assert_eq!(told, expected);
                }
            }
        }
    }
}
