//! How many may be in flight at a pool?
//!
//! What those take together who may be asked, up to `pool_max`. So that whoever has a place
//! finds a target with room, and waits in the one queue where none has any.
//!
//! What a target has in flight beyond what it takes now is no less in flight: streams that
//! began before it had too much to do, before it rests, or before it was found to take less.
//! They have places of their own, and keep nobody from the room of the others. Such a place
//! is nobody's when its stream is over, so what is beyond is not a number that is noted once:
//! it is asked for whenever places are given out.

use std::sync::Arc;
use std::time::Instant;

use crate::gateway::pools::Pool;
use crate::gateway::pools::balance::Place;
use crate::gateway::pools::health::Verdict;
use crate::gateway::pools::target::EndpointState;

/// How many may be in flight.
#[derive(Debug, Clone, Default)]
pub struct Capacity {
    /// What those take together who may be asked.
    taken: usize,
    /// Who has more in flight than it takes, and what that is; nobody, as a rule.
    beyond: Vec<(Arc<EndpointState>, usize)>,
    /// However much they take and have.
    most: usize,
}

impl Pool {
    /// How many may be in flight now. Where nobody may be asked there is nothing to wait for,
    /// and it is for the choice of a target to say so.
    pub fn capacity(&self, now: Instant) -> Capacity {
        let places = self.places.load();
        let asked = [Verdict::may_be_asked, Verdict::may_be_asked_in_need];
        let capacity = |asked| self.capacity_of(&places, asked, now);
        let mut capacities = asked.into_iter().map(capacity);
        let some = capacities.find(|capacity| capacity.taken > 0);
        some.unwrap_or_else(|| self.concurrency.pool_max.into())
    }

    /// The same where those are asked of whom this is so.
    fn capacity_of(&self, places: &[Place], asked: fn(Verdict) -> bool, now: Instant) -> Capacity {
        let mut capacity = Capacity {
            most: self.concurrency.pool_max,
            ..Capacity::default()
        };
        for Place { endpoint, .. } in places {
            let state = &endpoint.state;
            let look = state.health.look(now, self.view());
            let takes = if asked(look.verdict) {
                state.room.bound(&self.concurrency)
            } else {
                0
            };
            capacity.taken = capacity.taken.saturating_add(takes);
            if state.in_flight() > takes {
                capacity.beyond.push((Arc::clone(state), takes));
            }
        }
        capacity
    }
}

impl Capacity {
    /// How many that are at this moment.
    #[must_use]
    pub fn slots(&self) -> usize {
        let Self {
            taken,
            beyond,
            most,
        } = self;
        let beyond = beyond
            .iter()
            .map(|(state, takes)| state.in_flight().saturating_sub(*takes));
        beyond.fold(*taken, usize::saturating_add).min(*most)
    }
}

impl From<usize> for Capacity {
    /// So many, whoever may be asked.
    fn from(slots: usize) -> Self {
        Self {
            taken: slots,
            beyond: Vec::new(),
            most: slots,
        }
    }
}
