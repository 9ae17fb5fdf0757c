//! Who asks for most?
//!
//! An operator who sees a limit met wants to know by whom, and there may be a million
//! callers: so only the heaviest are kept, by Space-Saving (Metwally and others, 2005).
//! Whoever is not among them takes the place of the lightest and begins with its count, so
//! that nobody heavy is missed, and how much of a count may be somebody else's is told.
//! Counts are halved every [`HALF_LIFE`], or yesterday's flood would hide today's.
//!
//! Callers are told by their address here, which is personal: it is answered to whoever
//! asks the admin listener, and written nowhere.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::gateway::client::Client;
use crate::names::KeyName;

/// After which time what was counted counts half.
pub const HALF_LIFE: Duration = Duration::from_mins(10);

/// Parts, so that two requests seldom wait for one lock. A caller is always in the same.
const SHARDS: usize = 16;
/// Callers kept by each part, for requests and for tokens. Whoever asks for more than a 16th of
/// what its part is asked for, which is about a 256th of everything, is always among them.
const KEPT: usize = 16;

/// The callers that ask for most.
#[derive(Debug)]
pub struct Heaviest {
    began: Instant,
    shards: [Mutex<Shard>; SHARDS],
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// An address, of IPv6 the /64 that is one caller.
    Address(IpAddr),
    /// A key.
    Key(KeyName),
}

/// How much one of the heaviest asked for lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heavy {
    /// Who it is.
    pub who: Who,
    /// How much, older amounts counting less.
    pub count: u64,
    /// How much of that may have been somebody else's.
    pub doubt: u64,
}

#[derive(Debug, Default)]
struct Shard {
    /// How often the counts were halved.
    halvings: u32,
    requests: Sketch,
    tokens: Sketch,
}

/// At most [`KEPT`] of them.
#[derive(Debug, Default)]
struct Sketch(Vec<Heavy>);

impl Heaviest {
    /// Nobody has asked for anything yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            shards: Default::default(),
        }
    }

    /// Counts a request, and what it used.
    pub fn note(&self, client: &Client, tokens: u64, now: Instant) {
        let who = Who::of(client);
        let bits = who.bits(client);
        #[expect(
            clippy::indexing_slicing,
            clippy::cast_possible_truncation,
            reason = "a remainder of SHARDS is below it"
        )]
        let shard = &self.shards[(bits % SHARDS as u64) as usize];
        let mut shard = self.halved(shard, now);
        shard.requests.add(&who, 1);
        if tokens > 0 {
            shard.tokens.add(&who, tokens);
        }
    }

    /// The heaviest by requests, and by tokens, the first first; at most `count` of each.
    #[must_use]
    pub fn lists(&self, count: usize, now: Instant) -> (Vec<Heavy>, Vec<Heavy>) {
        let (mut requests, mut tokens) = (Vec::new(), Vec::new());
        for shard in &self.shards {
            let shard = self.halved(shard, now);
            requests.extend_from_slice(&shard.requests.0);
            tokens.extend_from_slice(&shard.tokens.0);
        }
        for list in [&mut requests, &mut tokens] {
            list.sort_by_key(|heavy| std::cmp::Reverse(heavy.count));
            list.truncate(count);
        }
        (requests, tokens)
    }

    /// A part, with its counts as they count now.
    fn halved<'a>(&self, shard: &'a Mutex<Shard>, now: Instant) -> MutexGuard<'a, Shard> {
        let passed = now.saturating_duration_since(self.began).as_secs() / HALF_LIFE.as_secs();
        let due = u32::try_from(passed).unwrap_or(u32::MAX);
        // Each change leaves a count that can be gone on with.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let times = due.saturating_sub(shard.halvings);
        if times > 0 {
            shard.halvings = due;
            shard.requests.halve(times);
            shard.tokens.halve(times);
        }
        shard
    }
}

impl Who {
    fn of(client: &Client) -> Self {
        match &client.key {
            Some(key) => Self::Key(key.name.clone()),
            None => Self::Address(client.network()),
        }
    }

    /// The same for the same caller.
    fn bits(&self, client: &Client) -> u64 {
        match (self, &client.key) {
            (Self::Key(_), Some(key)) => key
                .sha256
                .iter()
                .take(8)
                .fold(0, |bits, byte| bits << 8 | u64::from(*byte)),
            // Other bits than those that the gate's tables begin with.
            _ => client.id().key() >> 16,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address @ IpAddr::V4(_)) => address.fmt(f),
            Self::Address(network) => write!(f, "{network}/64"),
            Self::Key(name) => write!(f, "key:{name}"),
        }
    }
}

impl Sketch {
    fn add(&mut self, who: &Who, amount: u64) {
        if let Some(heavy) = self.0.iter_mut().find(|heavy| heavy.who == *who) {
            heavy.count = heavy.count.saturating_add(amount);
            return;
        }
        let mut new = Heavy {
            who: who.clone(),
            count: amount,
            doubt: 0,
        };
        if self.0.len() < KEPT {
            self.0.push(new);
        } else if let Some(lightest) = self.0.iter_mut().min_by_key(|heavy| heavy.count) {
            new.count = new.count.saturating_add(lightest.count);
            new.doubt = lightest.count;
            *lightest = new;
        }
    }

    fn halve(&mut self, times: u32) {
        for heavy in &mut self.0 {
            heavy.count = heavy.count.checked_shr(times).unwrap_or(0);
            heavy.doubt = heavy.doubt.checked_shr(times).unwrap_or(0);
        }
        self.0.retain(|heavy| heavy.count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Client {
        let address = std::net::Ipv4Addr::from_bits(0x0A00_0000 | number);
        Client::new(Some(address.into()))
    }

    fn now() -> Instant {
        crate::sys::instant()
    }

    #[test]
    fn the_heaviest_are_found_among_many_and_memory_stays() {
        let began = now();
        let heaviest = Heaviest::new(began);
        // Five ask for 2 % each, a hundred thousand others for the rest.
        for round in 0..100_000 {
            heaviest.note(&client(1_000 + round), 1, began);
            if round % 10 == 0 {
                for heavy in 1..=5 {
                    heaviest.note(&client(heavy), 100, began);
                }
            }
        }
        let (requests, tokens) = heaviest.lists(5, began);
        for list in [requests, tokens] {
            let mut found: Vec<String> = list.iter().map(|heavy| heavy.who.to_string()).collect();
            found.sort();
            assert_eq!(
                found,
                (1..=5)
                    .map(|heavy| format!("10.0.0.{heavy}"))
                    .collect::<Vec<_>>()
            );
            for heavy in &list {
                // Never too little, and too much by no more than is said.
                let real = if list[0].count > 500_000 {
                    1_000_000
                } else {
                    10_000
                };
                assert!(
                    heavy.count >= real && heavy.count - heavy.doubt <= real,
                    "{heavy:?}"
                );
            }
        }
        let (all, _) = heaviest.lists(usize::MAX, began);
        assert_eq!(all.len(), SHARDS * KEPT);
    }

    #[test]
    fn what_is_long_ago_counts_less_and_is_forgotten() {
        let began = now();
        let heaviest = Heaviest::new(began);
        for _ in 0..8 {
            heaviest.note(&client(1), 1_000, began);
        }
        heaviest.note(&client(2), 0, began + HALF_LIFE);
        let counts = |after| {
            let (requests, tokens) = heaviest.lists(9, began + after);
            let told = |list: Vec<Heavy>| list.iter().map(|heavy| heavy.count).collect::<Vec<_>>();
            (told(requests), told(tokens))
        };
        assert_eq!(counts(HALF_LIFE), (vec![4, 1], vec![4_000]));
        assert_eq!(counts(2 * HALF_LIFE), (vec![2], vec![2_000]));
        assert_eq!(counts(100 * HALF_LIFE), (vec![], vec![]));
    }

    #[test]
    fn a_caller_is_told_by_what_it_is_counted_by() {
        let told = |address: &str| Who::of(&Client::new(address.parse().ok())).to_string();
        assert_eq!(told("203.0.113.77"), "203.0.113.77");
        assert_eq!(told("::ffff:203.0.113.77"), "203.0.113.77");
        assert_eq!(told("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    }
}
