//! May somebody connect once more in this second?
//!
//! All together may connect so often and no more, so one address that opens and closes
//! connections as fast as it can would shut everybody else out. Each has a pace of its own,
//! counted as a limit by client is, in the same table.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Limiter;
use super::gcra::Rate;
use super::table::Claim;
use crate::config::limits::{By, Window};
use crate::gateway::client::Client;

/// What tells these windows from those of limits.
const APART: u64 = 0x636f_6e6e_6563_7473;

impl Limiter {
    /// Whether this address may, where one may so often each second. It is counted then.
    #[must_use]
    pub fn may_connect(&self, client: &Client, per_second: u32, now: Instant) -> bool {
        let count = u64::from(per_second.max(1));
        let rate = Rate::new(&Window {
            count,
            per: Duration::from_secs(1),
            burst: count,
            calendar: false,
        });
        let caller = self.numbers.of(client);
        let claim = |counted: super::caller::Counted| {
            Claim::new((), counted.number ^ APART, rate.times(counted.times), 1)
        };
        let mut claims: SmallVec<[Claim<()>; 3]> =
            caller.counted(By::Client, 0).map(claim).collect();
        self.table.take(&mut claims, self.ticks(now))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;
    use crate::config::example;

    #[test]
    fn each_address_has_a_pace_of_its_own() {
        let now = crate::sys::now();
        let began = now.instant;
        let limiter = Limiter::new(&example("").limiter, RandomState::new(), now);
        let connected = |last: u8, times, now| {
            let mut client = Client::new(Some([192, 0, 2, last].into()));
            client.times = times;
            let tries = (0..1_000).filter(|_| limiter.may_connect(&client, 10, now));
            tries.count()
        };
        assert_eq!(connected(1, 1, began), 10);
        assert_eq!(connected(1, 1, began), 0);
        assert_eq!(connected(2, 1, began), 10);
        assert_eq!(connected(3, 5, began), 50);
        assert_eq!(connected(1, 1, began + Duration::from_millis(500)), 5);
    }
}
