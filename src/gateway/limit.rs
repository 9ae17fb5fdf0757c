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

/// When may so much be taken again?
pub mod gcra;
/// How far has each window been used?
pub mod table;
/// How many requests are being answered?
pub mod gate;
/// Which limits concern a request?
pub mod policy;
/// Under which numbers is a caller counted?
pub mod caller;
/// What does a request ask of each of its limits, and what do they say?
pub mod claims;
/// What has a request taken, and what of it does it use?
pub mod reservation;
/// Until when does a request hold its places?
pub mod stay;
/// How does a caller stand?
pub mod standing;
/// Who asks for most?
pub mod heaviest;

use std::hash::RandomState;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config;
use crate::gateway::client::Client;
use crate::names::{LimitName, ModelId};
use caller::{Caller, Numbers};
use claims::{OfRoom, PlaceClaim, PlaceClaims, WindowClaims};
use gate::Gate;
use gcra::Ticks;
use policy::Concern;
pub use policy::Limits;
use reservation::Taken;
pub use reservation::{Permit, Reservation};
pub use standing::Standing;
use table::Table;

/// Tells the gate's own count of a caller from those of limits.
const GATE: u64 = 0x6761_7465_6761_7465;

/// Who has had how much: what outlives a configuration.
#[derive(Debug)]
pub struct Limiter {
    began: Instant,
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
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// As so many requests: its model's weight.
    pub requests: u32,
    /// As so many tokens, before its model's weight.
    pub tokens: u64,
}

/// What is left of the tightest windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Of requests.
    pub requests: Option<Level>,
    /// Of tokens.
    pub tokens: Option<Level>,
}

/// How full a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// How many may be taken at once after a pause: the window's burst.
    pub limit: u64,
    /// How many may be taken now.
    pub remaining: u64,
    /// When all of them may be taken again.
    pub reset: Duration,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests in a span of time.
    Requests,
    /// Tokens in a span of time.
    Tokens,
    /// Requests in flight.
    Concurrent,
    /// Streams in flight.
    Streams,
}

/// A request that is over a limit. It has taken nothing of any.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("over the limit {name} of {kind:?}")]
pub struct Limited {
    /// Which limit.
    pub name: LimitName,
    /// Whether it is a key's own.
    pub is_own: bool,
    /// Of what.
    pub kind: Kind,
    /// `count` of its window, or how many in flight.
    pub count: u32,
    /// `per` of its window; `None` for what is in flight.
    pub per: Option<Duration>,
    /// After which time it would not be over it; an estimate for what is in flight.
    pub retry_after: Duration,
    /// What is left.
    pub quota: Quota,
}

/// A limit that is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// What metrics call it: its name, or `key` for any key's own.
    pub label: LimitName,
    /// Of what.
    pub kind: Kind,
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

impl Kind {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 4] = [
        Self::Requests,
        Self::Tokens,
        Self::Concurrent,
        Self::Streams,
    ];

    /// The word for labels; it is also what the file calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
            Self::Streams => "streams",
        }
    }
}

impl Limited {
    /// The limit, as metrics call it.
    #[must_use]
    pub fn met(&self) -> Met {
        Met::of(&self.name, self.is_own, self.kind)
    }
}

impl Met {
    fn of(name: &LimitName, is_own: bool, kind: Kind) -> Self {
        let label = if is_own {
            // Names of keys are many, and change without a reload of limits.
            LimitName::new("key")
        } else {
            name.clone()
        };
        Self { label, kind }
    }
}

impl Cost {
    /// The least that a request can cost.
    const LEAST: Self = Self {
        requests: 1,
        tokens: 1,
    };

    /// What a request will cost, as far as its body tells: its bytes, and how many tokens its
    /// answer may have at most, where it says so.
    #[must_use]
    pub fn estimate(
        limiter: &config::limits::Limiter,
        weight: u32,
        body_bytes: usize,
        answer_tokens_max: Option<u64>,
    ) -> Self {
        let question = (body_bytes as u64).div_ceil(u64::from(limiter.bytes_per_token.max(1)));
        let answer = answer_tokens_max.unwrap_or(u64::from(limiter.output_tokens));
        Self {
            requests: weight,
            tokens: question.saturating_add(answer),
        }
    }
}

impl Limiter {
    /// Nobody has had anything yet. What is counted is known by hashes of this hasher.
    #[must_use]
    pub fn new(config: &config::limits::Limiter, hasher: RandomState, now: Instant) -> Self {
        Self {
            began: now,
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
        let mut claims = claims::of_windows(concern, caller, Cost::LEAST);
        self.table.look(&mut claims, now);
        if !claims.iter().any(table::Claim::refuses) {
            return Ok(());
        }
        let mut claims = claims::of_windows(concern, caller, likely);
        self.table.look(&mut claims, now);
        claims::refusal(&claims, &[], now).map_or(Ok(()), Err)
    }

    /// Takes what a request asks for from all of its windows, or nothing from any.
    ///
    /// # Errors
    /// Where a limit is met.
    #[expect(clippy::unused_async, reason = "shared limits wait for Redis")]
    pub async fn reserve(
        &self,
        limits: &Limits,
        asked: &Asked<'_>,
        now: Instant,
    ) -> Result<Reservation<'_>, Refused> {
        Ok(self.reserve_here(limits, asked, self.ticks(now))?)
    }

    /// As much of it as this process decides alone.
    fn reserve_here(
        &self,
        limits: &Limits,
        asked: &Asked<'_>,
        now: Ticks,
    ) -> Result<Reservation<'_>, Limited> {
        let caller = self.numbers.of(asked.client);
        let concern = limits.all(asked.client, asked.model);
        let mut windows = claims::of_windows(concern, &caller, asked.cost);
        let mut places = places(concern, &caller, asked.stream);
        let locked = self.gate.look(&mut places);
        if places.iter().any(gate::Claim::refuses) {
            self.table.look(&mut windows, now);
        } else {
            self.table.take(&mut windows, now);
        }
        if let Some(limited) = claims::refusal(&windows, &places, now) {
            return Err(limited);
        }
        Ok(Reservation {
            limiter: self,
            places: locked.take(&places),
            taken: taken(&windows),
            weight: asked.cost.requests,
            quota: claims::quota(&windows, now, |claim| claim.verdict.unwrap_or(claim.full)),
            shadowed: claims::shadowed(&windows, &places),
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
        Ticks::of(now.saturating_duration_since(self.began))
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

/// What was taken of windows, to be settled.
fn taken(windows: &WindowClaims<'_>) -> Taken {
    let taken = windows.iter().filter_map(|claim| {
        let mut taken = claim.taken()?;
        taken.is_estimate = claim.of.window.kind == Kind::Tokens;
        Some(taken)
    });
    taken.collect()
}

/// What a request that came in asks for beside: of what depends on its model, and of streams.
fn places<'a>(concern: Concern<'a>, caller: &Caller, stream: bool) -> PlaceClaims<'a> {
    let mut claims = PlaceClaims::new();
    let counted = (caller, concern.model);
    for rule in concern.rules() {
        if rule.needs_model {
            let kind = Kind::Concurrent;
            claims::add_places(&mut claims, OfRoom { rule, kind }, rule.concurrent, counted);
        }
        if stream {
            let kind = Kind::Streams;
            claims::add_places(&mut claims, OfRoom { rule, kind }, rule.streams, counted);
        }
    }
    claims
}

#[cfg(test)]
mod tests;
