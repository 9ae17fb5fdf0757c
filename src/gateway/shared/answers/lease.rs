//! Who makes an answer, where many replicas want it?
//!
//! Within a process equal requests have one flight; here one of all replicas' flights has the
//! lease, and the others look every now and then whether its answer is there. The lease ends by
//! itself, so nobody waits for a replica that is gone; it is short, so nobody waits for one
//! that is slow. Whoever has waited in vain asks by itself.
//!
//! An answer is written before its lease is given back, and whoever takes the lease looks once
//! more: so nobody makes what was made just now.
//!
//! A stream waits for nobody and looks nowhere. A look may take as long as `timeout`, and that
//! would stand in front of its first byte. What a stream was answered is shared all the same.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blake3::Hash;

use super::writes::Job;
use super::{Answers, Deposit, Era, State, by_chance};
use crate::gateway::record::outcome::second::{SecondLease, SecondRead, SecondWrite};
use crate::sys;

/// The first pause between two looks, which doubles with each.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest: an answer takes seconds, and this is noticed by nobody.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// What came of looking for an answer.
#[derive(Debug)]
pub enum Found {
    /// Here it is.
    Answer(Deposit),
    /// Whoever asked makes it.
    Lead {
        /// What it is made with.
        lead: Lead,
        /// What is there, and did not suit.
        spare: Option<Deposit>,
    },
}

/// The making of an answer. What comes of it can be shared; without that, it is over when this
/// is dropped.
pub struct Lead {
    state: Arc<State>,
    key: [u8; 32],
    /// The one in which it began; `None`: nobody knows, so nothing can be shared.
    era: Option<Arc<Era>>,
    /// Behind what is shared: it is dropped last.
    lease: Option<Lease>,
}

/// The turn to make an answer for all replicas, given back when it is dropped.
struct Lease {
    state: Arc<State>,
    name: Hash,
    token: String,
    /// False once Redis has said that another one has it.
    may_be_ours: bool,
}

/// How long to wait for the next look.
struct Pauses(Duration);

impl Answers {
    /// Looks for an answer that suits, and where another replica makes it waits for that until
    /// `until`, and no longer than `lease`.
    pub async fn find(
        &self,
        key: &[u8; 32],
        until: Instant,
        suits: impl Fn(&Deposit) -> bool,
    ) -> Found {
        let state = &self.state;
        let name = state.name(key);
        let looked = state.look(&name, key, None).await;
        state.count(&looked.answer);
        let spare = match looked.answer {
            Ok(deposit) if suits(&deposit) => return Found::Answer(deposit),
            Ok(deposit) => Some(deposit),
            Err(SecondRead::Miss | SecondRead::Garbage | SecondRead::Ahead) => None,
            // Of a Redis that says nothing in time no turn is to be had either.
            Err(_) => return self.found_none(key, None, None),
        };
        if state.lease.is_zero() {
            return self.found_none(key, None, spare);
        }
        let turn = self.take_turn(&name, key, until, suits).await;
        turn.unwrap_or_else(|lease| self.found_none(key, lease, spare))
    }

    /// The making of an answer by whoever looks for none: a stream, or who wants another one.
    #[must_use]
    pub fn lead(&self, key: &[u8; 32]) -> Lead {
        Lead {
            state: Arc::clone(&self.state),
            key: *key,
            era: self.state.era.load_full(),
            lease: None,
        }
    }

    fn found_none(&self, key: &[u8; 32], lease: Option<Lease>, spare: Option<Deposit>) -> Found {
        let lead = Lead {
            lease,
            ..self.lead(key)
        };
        Found::Lead { lead, spare }
    }

    /// The answer, once another replica has made it; or the lease, if it is ours.
    async fn take_turn(
        &self,
        name: &Hash,
        key: &[u8; 32],
        until: Instant,
        suits: impl Fn(&Deposit) -> bool,
    ) -> Result<Found, Option<Lease>> {
        let state = &self.state;
        let now = sys::instant();
        let until = until.min(now.checked_add(state.lease).unwrap_or(now));
        let mut pauses = Pauses(PAUSE);
        loop {
            // Before it is asked for: whoever is dropped meanwhile may have it.
            let mut lease = Lease::new(state, *name);
            let looked = state.look(name, key, Some(&lease.token)).await;
            lease.may_be_ours = looked.is_leased != Some(false);
            if let Some(deposit) = looked.answer.ok().filter(&suits) {
                state.metrics.leased(SecondLease::Answered);
                return Ok(Found::Answer(deposit));
            }
            let result = match looked.is_leased {
                Some(true) => SecondLease::Taken,
                None => SecondLease::Failed,
                Some(false) if sys::instant() >= until => SecondLease::Expired,
                Some(false) => {
                    pauses.pause(until).await;
                    continue;
                }
            };
            state.metrics.leased(result);
            return Err(Some(lease).filter(|lease| lease.may_be_ours));
        }
    }
}

impl Lead {
    /// Lets all replicas have what was made. Nobody waits for that.
    pub fn share(&self, deposit: Deposit) {
        let state = &self.state;
        let bytes = deposit.body.len();
        let result = match self.era.as_deref() {
            _ if bytes > state.body_bytes_max => SecondWrite::TooLarge,
            None => SecondWrite::Away,
            Some(_) if !state.reach.is_up() => SecondWrite::Away,
            Some(era) if state.queue.write(self.key, *era, deposit) => return,
            Some(_) => SecondWrite::Dropped,
        };
        state.metrics.written(result);
    }
}

impl Lease {
    fn new(state: &Arc<State>, name: Hash) -> Self {
        Self {
            state: Arc::clone(state),
            name,
            token: format!("{:032x}", by_chance()),
            may_be_ours: true,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.may_be_ours {
            // Behind the answer, which was added before. Where there is no room it ends by
            // itself.
            let token = std::mem::take(&mut self.token);
            self.state.queue.add(Job::Release(self.name, token));
        }
    }
}

impl Pauses {
    /// Waits, each time longer than before, and not past `until`. By chance up to a quarter
    /// less, so that those who wait for one answer do not look all at once.
    async fn pause(&mut self, until: Instant) {
        let quarter = u64::try_from(self.0.as_nanos() / 4).unwrap_or(u64::MAX);
        let less = Duration::from_nanos(sys::chance() % quarter.max(1));
        let pause = self.0.saturating_sub(less);
        self.0 = self.0.saturating_mul(2).min(PAUSE_MAX);
        let left = until.saturating_duration_since(sys::instant());
        tokio::time::sleep(pause.min(left)).await;
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead")
            .field("has_lease", &self.lease.is_some())
            .finish_non_exhaustive()
    }
}
