//! Is there memory for more?
//!
//! Each thing that takes memory has a bound of its own; what they come to together depends on who
//! asks what, and on the allocator. So what the process really holds is held against
//! `memory_max`. Near it, requests to models are refused, which is what takes memory, and right
//! below it connections, too. The way back begins a little lower than the way there, so that it
//! is not taken a hundred times a second.

use std::sync::atomic::{AtomicU8, Ordering};

/// Hundredths of `memory_max` at which requests are refused, and at which they no longer are.
const HIGH: [u64; 2] = [92, 88];
/// And connections.
const FULL: [u64; 2] = [98, 95];

/// How near the process is to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is memory.
    None,
    /// Requests to models are refused.
    High,
    /// Connections, too.
    Full,
}

impl Pressure {
    const ALL: [Self; 3] = [Self::None, Self::High, Self::Full];

    /// The one behind this, where so many bytes are held of so many.
    #[must_use]
    pub fn after(self, held_bytes: u64, bytes_max: usize) -> Self {
        let percent = held_bytes.saturating_mul(100) / (bytes_max as u64).max(1);
        let is = |which: Self, [begins, ends]: [u64; 2]| {
            percent >= if self >= which { ends } else { begins }
        };
        if is(Self::Full, FULL) {
            Self::Full
        } else if is(Self::High, HIGH) {
            Self::High
        } else {
            Self::None
        }
    }
}

/// What whoever measures tells everybody else.
#[derive(Debug, Default)]
pub struct Memory {
    /// `< Pressure::ALL.len()`
    place: AtomicU8,
}

impl Memory {
    /// As it was measured last: one load.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        let place = usize::from(self.place.load(Ordering::Relaxed));
        Pressure::ALL.get(place).copied().unwrap_or(Pressure::None)
    }

    /// As it is from now on.
    pub fn set(&self, pressure: Pressure) {
        self.place.store(pressure as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_begins_lower_than_the_way_there() {
        use Pressure::{Full, High, None};
        let mut pressure = None;
        for (held, expected) in [
            (91, None),
            (92, High),
            (97, High),
            (88, High),
            (87, None),
            (98, Full),
            (95, Full),
            (94, High),
            (u64::MAX / 100, Full),
            (0, None),
        ] {
            pressure = pressure.after(held, 100);
            assert_eq!(pressure, expected, "{held}");
            let memory = Memory::default();
            memory.set(pressure);
            assert_eq!(memory.pressure(), pressure);
        }
        assert_eq!(None.after(1, 0), Full);
    }
}
