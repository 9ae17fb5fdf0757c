//! How does a caller stand?
//!
//! For an operator who asks about somebody, and may forgive them.

use std::time::Instant;

use super::caller::Counted;
use super::claims::{self, WindowClaims};
use super::policy::{Limits, Room, Rule};
use super::{Cost, Kind, Level, Limiter, Permit, Quota, together};
use crate::config::limits::By;
use crate::gateway::client::Client;
use crate::gateway::client::subject::Subject;
use crate::gateway::shared::{Away, Shared};
use crate::names::{LimitName, ModelId};

/// How a caller stands with one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which limit.
    pub limit: LimitName,
    /// Of what.
    pub kind: Kind,
    /// Whom it counts there: a key, an address, a network, or everybody.
    pub counted: String,
    /// For which model, where it counts models apart.
    pub model: Option<ModelId>,
    /// How full its window is; `None` for what is in flight.
    pub level: Option<Level>,
    /// How many are in flight, and how many may be; `None` for windows.
    pub in_flight: Option<(u32, u32)>,
}

impl Limiter {
    /// How a caller stands with every limit that concerns it. Of models that are counted apart
    /// only those that it has asked for lately are told.
    #[must_use]
    pub fn standing(&self, limits: &Limits, client: &Client, now: Instant) -> Vec<Standing> {
        let mut all = Vec::new();
        for (model, rule, number) in limits.everywhere(client) {
            let mut seen = self.of_rule(rule, client, (model, number), now);
            if model.is_some() {
                seen.retain(Standing::says_something);
            }
            all.append(&mut seen);
        }
        all
    }

    /// Forgets what a caller has had of windows that are its own. Says of how many.
    pub fn forgive(&self, limits: &Limits, client: &Client, now: Instant) -> usize {
        let caller = self.numbers.of(client);
        let now = self.ticks(now);
        let mut forgiven = 0;
        for (_, rule, model) in limits.everywhere(client) {
            if matches!(rule.by, By::Model | By::Global) {
                continue;
            }
            for window in &rule.windows {
                let keys = caller.counted(rule.by, model);
                let keys = keys.map(|counted| counted.number ^ window.number);
                forgiven += keys.filter(|key| self.table.forget(*key, now)).count();
            }
        }
        forgiven
    }

    /// Forgets the same where replicas count together. Says of how many windows that was more
    /// than nothing. What was forgotten there first cannot come back here from there, so this
    /// comes before [`Self::forgive`].
    ///
    /// # Errors
    /// Where Redis has not done so within its `timeout`.
    pub async fn forgive_together(
        &self,
        limits: &Limits,
        client: &Client,
        shared: &Shared,
    ) -> Result<u64, Away> {
        let caller = self.numbers.of(client);
        let mut keys = Vec::new();
        for (model, rule, number) in limits.everywhere(client) {
            if !rule.is_shared || matches!(rule.by, By::Model | By::Global) {
                continue;
            }
            for window in &rule.windows {
                let places = 0..caller.counted(rule.by, number).count();
                let key = |place| together::key(shared, (rule, window), (client, place), model);
                keys.extend(places.map(key));
            }
        }
        shared.forget(&keys).await
    }

    fn of_rule(
        &self,
        rule: &Rule,
        client: &Client,
        (model, number): (Option<&ModelId>, u64),
        now: Instant,
    ) -> Vec<Standing> {
        let now = self.ticks(now);
        let caller = self.numbers.of(client);
        let mut all = Vec::new();
        for (place, counted) in caller.counted(rule.by, number).enumerate() {
            let standing = |kind, level, in_flight| Standing {
                limit: rule.name.clone(),
                kind,
                counted: name_of(rule.by, client, place),
                model: model.cloned(),
                level,
                in_flight,
            };
            for window in &rule.windows {
                let full = self.table.full(counted.number ^ window.number);
                let level = window.rate.times(counted.times).level(full, now);
                all.push(standing(window.kind, Some(level), None));
            }
            for (kind, room) in [
                (Kind::Concurrent, rule.concurrent),
                (Kind::Streams, rule.streams),
            ] {
                let in_flight = room.map(|room| self.in_flight(counted, room));
                if in_flight.is_some() {
                    all.push(standing(kind, None, in_flight));
                }
            }
        }
        all
    }

    fn in_flight(&self, counted: Counted, room: Room) -> (u32, u32) {
        let there = self.gate.there(counted.number ^ room.number);
        (there, room.max.saturating_mul(counted.times))
    }
}

impl Permit<'_> {
    /// What is left of the windows that need no model to be asked, for whoever is refused before
    /// anything was taken of them.
    #[must_use]
    pub fn quota(&self, limits: &Limits, client: &Client, now: Instant) -> Quota {
        let now = self.limiter.ticks(now);
        let caller = self.limiter.numbers.of(client);
        let mut windows = WindowClaims::new();
        claims::add_windows(&mut windows, limits.early(client), &caller, Cost::LEAST);
        self.limiter.table.look(&mut windows, now);
        claims::quota(&windows, now, claims::When::Before)
    }
}

impl Standing {
    fn says_something(&self) -> bool {
        let taken = |level: Level| level.remaining < level.limit;
        self.level.is_some_and(taken) || self.in_flight.is_some_and(|(there, _)| there > 0)
    }
}

/// What a limit counts at this place among a caller's subjects.
pub(super) fn name_of(by: By, client: &Client, place: usize) -> String {
    let subject = match by {
        By::Model | By::Global => None,
        By::Client | By::Key | By::ClientModel => client.subjects().nth(place),
    };
    match subject.map(|counted| counted.subject) {
        None => "everybody".to_owned(),
        Some(Subject::Key(name)) => name.to_string(),
        Some(Subject::V4(address)) => address.to_string(),
        Some(Subject::V6 {
            network,
            prefix_bits,
        }) => format!("{network}/{prefix_bits}"),
    }
}
