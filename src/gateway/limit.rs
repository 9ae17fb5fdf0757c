//! May they ask at all now, and is there room in every limit?
//!
//! Two questions of one step. [`Limiter::enter`] is asked before a body is read, because
//! whoever is refused must cost next to nothing: it takes a place among the requests that are
//! answered at once, and looks at the windows without taking of them. [`Limiter::reserve`] is
//! asked when the body has told the model and what it may cost: it takes of every window and
//! of every bound that concerns the request, or of none.
//!
//! Policy comes in with every question, the counts stay: a reload changes the limits, and
//! nobody who has had something is forgotten.

/// What is counted, and how much of it?
mod measure;
/// When may so much be taken again?
pub mod gcra;
/// How far has each window been used?
pub mod table;
/// How many requests are being answered?
pub mod gate;
/// Which limits concern a request?
pub mod policy;
/// May somebody connect once more?
mod connecting;
/// Under which numbers is a caller counted?
pub mod caller;
/// What does a request ask of each of its limits, and what do they say?
pub mod claims;
/// What do all replicas say together?
pub mod together;
/// What has a request taken, and what of it does it use?
pub mod reservation;
/// Until when does a request hold its places?
pub mod stay;
/// How does a caller stand?
pub mod standing;
/// Who asks for most?
pub mod heaviest;

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;

use crate::config;
use crate::gateway::client::Client;
use crate::gateway::shared::Shared;
use crate::names::{LimitName, ModelId};
use crate::sys::Now;
use caller::{Caller, Numbers};
use claims::{OfRoom, PlaceClaim, PlaceClaims, WindowClaims};
use gate::Gate;
use gcra::Ticks;
pub use measure::{Cost, Kind, Level, Quota};
use policy::Concern;
pub use policy::Limits;
use reservation::Taken;
pub use reservation::{Permit, Reservation, Used};
pub use standing::Standing;
use table::Table;

/// Tells the gate's own count of a caller from those of limits.
const GATE: u64 = 0x6761_7465_6761_7465;

/// Who has had how much: what outlives a configuration.
#[derive(Debug)]
pub struct Limiter {
    began: Instant,
    /// How long before that spans of the calendar began to be counted.
    before: Ticks,
    numbers: Numbers,
    gate: Gate,
    table: Table,
}

/// What a request asks of its limits.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// For which model.
    pub model: &'a ModelId,
    /// Whether for a stream.
    pub stream: bool,
    /// How much.
    pub cost: Cost,
    /// Where limits of all replicas are counted, where there are some.
    pub shared: Option<&'a Arc<Shared>>,
}

/// A request that is over a limit. It has taken nothing of any.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("over the limit {name} of {kind:?}")]
pub struct Limited {
    /// Which limit.
    pub name: LimitName,
    /// Of what.
    pub kind: Kind,
    /// `count` of its window, of a budget in billionths of a dollar; or how many in flight.
    pub count: u64,
    /// `per` of its window; `None` for what is in flight.
    pub per: Option<Duration>,
    /// After which time it would not be over it; an estimate for what is in flight.
    pub retry_after: Duration,
    /// What is left; apart, because a refusal is handed on from many places and this is most of it.
    pub quota: Box<Quota>,
}

/// How many requests may be answered at once.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of everybody; ≥ 1.
    pub all: usize,
    /// Of one client; ≥ 1. The most there is: any number.
    pub per_client: usize,
}

/// Why a request is not let in.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Too many are being answered.
    #[error("too many requests are being answered")]
    All,
    /// Too many of this client are being answered.
    #[error("too many requests of this client are being answered")]
    Client,
}

/// Why a request may not be answered now.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Too many are being answered.
    #[error(transparent)]
    Full(#[from] Full),
    /// A limit is met.
    #[error(transparent)]
    Limited(#[from] Limited),
}

impl Limiter {
    /// Nobody has had anything yet. What is counted is known by hashes of this hasher.
    #[must_use]
    pub fn new(config: &config::limits::Limiter, hasher: RandomState, now: Now) -> Self {
        let unix = now.wall.duration_since(SystemTime::UNIX_EPOCH);
        let origin = config::limits::Window::ORIGIN_UNIX;
        Self {
            began: now.instant,
            before: Ticks::of(unix.unwrap_or_default().saturating_sub(origin)),
            numbers: Numbers::new(hasher),
            gate: Gate::default(),
            table: Table::new(config.keys_max),
        }
    }

    /// Lets a request in before its body is read. Nothing of a window is taken yet, but who is over
    /// one that does not depend on the model is refused.
    ///
    /// # Errors
    /// Where there is no room, or a limit is met.
    pub fn enter(
        &self,
        limits: &Limits,
        client: &Client,
        bounds: Bounds,
        now: Instant,
    ) -> Result<Permit<'_>, Refused> {
        let caller = self.numbers.of(client);
        let concern = limits.early(client);
        self.look(concern, &caller, limits.likely, self.ticks(now))?;
        if !self.gate.enter(bounds.all) {
            return Err(Full::All.into());
        }
        let mut permit = Permit {
            limiter: self,
            places: gate::Places::new(),
            inside: true,
            shadowed: Vec::new(),
        };
        let mut claims = PlaceClaims::new();
        if let Ok(max) = u32::try_from(bounds.per_client) {
            claims.push(PlaceClaim::new(None, caller.narrowest() ^ GATE, max));
        }
        for rule in concern.rules() {
            let kind = Kind::Concurrent;
            let of = OfRoom { rule, kind };
            claims::add_places(&mut claims, of, rule.concurrent, (&caller, 0));
        }
        let locked = self.gate.look(&mut claims);
        if claims
            .iter()
            .any(|claim| claim.of.is_none() && claim.refuses())
        {
            return Err(Full::Client.into());
        }
        if let Some(limited) = claims::refusal(&[], &claims, self.ticks(now)) {
            return Err(limited.into());
        }
        permit.places = locked.take(&claims);
        permit.shadowed = claims::shadowed(&[], &claims);
        Ok(permit)
    }

    /// Whether any window has nothing left, even for the least of requests. When to come back
    /// is told for one as they usually are.
    fn look(
        &self,
        concern: Concern<'_>,
        caller: &Caller,
        likely: Cost,
        now: Ticks,
    ) -> Result<(), Limited> {
        let mut claims = WindowClaims::new();
        for cost in [Cost::LEAST, likely] {
            claims.clear();
            claims::add_windows(&mut claims, concern, caller, cost);
            claims.retain(|claim| !claims::may_have_been_given_back(claim));
            self.table.look(&mut claims, now);
            if !claims.iter().any(table::Claim::refuses) {
                return Ok(());
            }
        }
        claims::refusal(&claims, &[], now).map_or(Ok(()), Err)
    }

    /// Takes what a request asks for from all of its windows, or nothing from any.
    ///
    /// # Errors
    /// Where a limit is met.
    pub async fn reserve(
        &self,
        limits: &Limits,
        asked: &Asked<'_>,
        now: Instant,
    ) -> Result<Reservation<'_>, Refused> {
        let question = Question {
            caller: self.numbers.of(asked.client),
            concern: limits.all(asked.client, asked.model),
            asked,
            now: self.ticks(now),
        };
        let reservation = match asked.shared.filter(|_| question.concern.is_shared()) {
            None => {
                let mut windows = WindowClaims::new();
                question.add_windows(&mut windows);
                self.reserve_here(&question, &mut windows)?
            }
            // Apart, so that a request without shared limits does not carry the room for them.
            Some(shared) => Box::pin(self.reserve_together(&question, shared)).await?,
        };
        Ok(reservation)
    }

    /// As much of it as this process decides alone.
    fn reserve_here(
        &self,
        question: &Question<'_>,
        windows: &mut WindowClaims<'_>,
    ) -> Result<Reservation<'_>, Limited> {
        let now = question.now;
        let mut places = question.places();
        let locked = self.gate.look(&mut places);
        if places.iter().any(gate::Claim::refuses) {
            self.table.look(windows, now);
        } else {
            self.table.take(windows, now);
        }
        if let Some(limited) = claims::refusal(windows, &places, now) {
            return Err(limited);
        }
        Ok(Reservation {
            limiter: self,
            places: locked.take(&places),
            taken: estimated(windows),
            together: None,
            weight: question.asked.cost.requests,
            reserved: question.asked.cost.usd,
            quota: claims::quota(windows, now, claims::When::After),
            shadowed: claims::shadowed(windows, &places),
        })
    }

    /// What is kept of windows. For a look now and then: it takes every lock once.
    #[must_use]
    pub fn kept(&self, now: Instant) -> Kept {
        Kept {
            keys: self.table.live(self.ticks(now)),
            evictions: self.table.evictions(),
        }
    }

    fn ticks(&self, now: Instant) -> Ticks {
        Ticks::of(now.saturating_duration_since(self.began)).plus(self.before)
    }
}

/// What is kept of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// How many are not full.
    pub keys: usize,
    /// How many that were not had to make room, since the start.
    pub evictions: u64,
}

/// What was taken by an estimate, to be settled.
fn estimated(windows: &WindowClaims<'_>) -> Taken {
    let estimated = windows.iter().filter_map(|claim| {
        let kind = Some(claim.of.window.kind).filter(|kind| kind.is_estimated());
        Some((kind?, claim.taken()?))
    });
    estimated.collect()
}

/// What is asked, of whom, and when.
struct Question<'a> {
    caller: Caller,
    concern: Concern<'a>,
    asked: &'a Asked<'a>,
    now: Ticks,
}

impl<'a> Question<'a> {
    fn add_windows(&self, claims: &mut WindowClaims<'a>) {
        claims::add_windows(claims, self.concern, &self.caller, self.asked.cost);
    }

    /// What a request that came in asks for beside: of what depends on its model, and of streams.
    fn places(&self) -> PlaceClaims<'a> {
        let mut claims = PlaceClaims::new();
        let counted = (&self.caller, self.concern.model);
        for rule in self.concern.rules() {
            if rule.needs_model {
                let kind = Kind::Concurrent;
                claims::add_places(&mut claims, OfRoom { rule, kind }, rule.concurrent, counted);
            }
            if self.asked.stream {
                let kind = Kind::Streams;
                claims::add_places(&mut claims, OfRoom { rule, kind }, rule.streams, counted);
            }
        }
        claims
    }
}

#[cfg(test)]
mod tests;
