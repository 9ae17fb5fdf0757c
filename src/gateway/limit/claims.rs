//! What does a request ask of each of its limits, and what do they say?
//!
//! A limit that counts callers asks an IPv6 address three times, for its /64, its /56 and its
//! /48, and each may have requests and tokens: every one of these is a claim. Who is refused
//! is told of the claim that has to wait longest, for only then all of them let it in.

use std::time::Duration;

use smallvec::SmallVec;

use super::caller::Caller;
use super::gcra::{Rate, Ticks};
use super::policy::{Concern, Room, Rule, RuleWindow};
use super::{Cost, Kind, Level, Limited, Quota, gate, table};
use crate::config::limits::By;
use crate::names::LimitName;

/// Claims of one request that are kept without memory being asked for.
const CLAIMS_INLINE: usize = 16;

/// When to ask again where a place has to become free: nobody knows when that is.
const PLACE_WAIT: Duration = Duration::from_secs(1);

/// A window of a limit, and the limit.
#[derive(Debug, Clone, Copy)]
pub struct OfWindow<'a> {
    /// The limit.
    pub rule: &'a Rule,
    /// Its window.
    pub window: &'a RuleWindow,
    /// Which of the caller's subjects it counts, from the narrowest on.
    pub place: usize,
    /// How many times what the limit says that may have, ≥ 1.
    pub times: u32,
}

impl OfWindow<'_> {
    /// Whether it counts a key apart from everybody else; `named`: its subject is no address.
    #[must_use]
    pub fn is_own_of_key(&self, named: bool) -> bool {
        named && matches!(self.rule.by, By::Client | By::Key | By::ClientModel)
    }
}

/// A bound on what is in flight, and its limit.
#[derive(Debug, Clone, Copy)]
pub struct OfRoom<'a> {
    /// The limit.
    pub rule: &'a Rule,
    /// Requests or streams.
    pub kind: Kind,
}

/// What is asked of windows.
pub type WindowClaim<'a> = table::Claim<OfWindow<'a>>;
/// All of it.
pub type WindowClaims<'a> = SmallVec<[WindowClaim<'a>; CLAIMS_INLINE]>;
/// A place that is asked for; without a limit, it is the gate's own.
pub type PlaceClaim<'a> = gate::Claim<Option<OfRoom<'a>>>;
/// All of them.
pub type PlaceClaims<'a> = SmallVec<[PlaceClaim<'a>; CLAIMS_INLINE]>;

/// Adds what a request of this cost asks of the windows that concern it. All that there is room
/// for is kilobytes, which are not to be moved from hand to hand.
pub fn add_windows<'a>(
    claims: &mut WindowClaims<'a>,
    concern: Concern<'a>,
    caller: &Caller,
    cost: Cost,
) {
    for rule in concern.rules() {
        for window in &rule.windows {
            let cost = cost.of(window.kind);
            if window.kind == Kind::Cost && cost == 0 {
                // What is free asks nothing of a budget, not even of one that is spent.
                continue;
            }
            for (place, counted) in caller.counted(rule.by, concern.model).enumerate() {
                let key = counted.number ^ window.number;
                let times = counted.times;
                let rate = window.rate.times(times);
                let of = OfWindow {
                    rule,
                    window,
                    place,
                    times,
                };
                let mut claim = WindowClaim::new(of, key, rate, cost);
                claim.named = counted.named;
                claim.shadow = rule.shadow;
                claims.push(claim);
            }
        }
    }
}

/// Whether a window may have more left than is known here: what replicas share of tokens and
/// money is settled where it is shared, and by all of them.
#[must_use]
pub fn may_have_been_given_back(claim: &WindowClaim<'_>) -> bool {
    claim.of.rule.is_shared && claim.of.window.kind.is_estimated()
}

/// Adds what a limit bounds of requests or streams in flight.
pub fn add_places<'a>(
    claims: &mut PlaceClaims<'a>,
    of: OfRoom<'a>,
    room: Option<Room>,
    (caller, model): (&Caller, u64),
) {
    let Some(room) = room else { return };
    for counted in caller.counted(of.rule.by, model) {
        let max = room.max.saturating_mul(counted.times);
        let mut claim = PlaceClaim::new(Some(of), counted.number ^ room.number, max);
        claim.shadow = of.rule.shadow;
        claims.push(claim);
    }
}

/// Whom a request is refused by, where it is: the one that it has to wait for longest.
#[must_use]
pub fn refusal(
    windows: &[WindowClaim<'_>],
    places: &[PlaceClaim<'_>],
    now: Ticks,
) -> Option<Limited> {
    let over = windows.iter().filter(|claim| claim.refuses());
    let over = over.filter_map(|claim| Some((claim, claim.verdict.err()?)));
    let window = over.max_by_key(|(_, wait)| *wait).map(|(claim, wait)| {
        let OfWindow { rule, window, .. } = claim.of;
        let count = (window.window.count, Some(window.window.per));
        limited(rule, window.kind, count, wait.duration())
    });
    let full = places.iter().filter(|claim| claim.refuses());
    let place = full.filter_map(|claim| {
        let OfRoom { rule, kind } = claim.of?;
        Some(limited(rule, kind, (claim.max.into(), None), PLACE_WAIT))
    });
    let longest = place
        .chain(window)
        .max_by_key(|limited| limited.retry_after);
    longest.map(|limited| Limited {
        quota: Box::new(quota(windows, now, When::Before)),
        ..limited
    })
}

fn limited(
    rule: &Rule,
    kind: Kind,
    (count, per): (u64, Option<Duration>),
    retry_after: Duration,
) -> Limited {
    Limited {
        name: rule.name.clone(),
        kind,
        count,
        per,
        retry_after,
        quota: Box::default(),
    }
}

/// Before a request has taken what it asks for, or after.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// It has taken nothing.
    Before,
    /// It has.
    After,
}

/// What is left of the tightest windows; those of shadows are nobody's business.
#[must_use]
pub fn quota(windows: &[WindowClaim<'_>], now: Ticks, when: When) -> Quota {
    let full = |claim: &WindowClaim<'_>| match when {
        When::Before => claim.full,
        When::After => claim.full_with(),
    };
    let of = |kind: Kind| -> Option<Level> {
        let of_kind = windows
            .iter()
            .filter(|claim| claim.of.window.kind == kind && !claim.shadow)
            // What all callers together may still spend is none of theirs.
            .filter(|claim| kind != Kind::Cost || claim.of.is_own_of_key(claim.named));
        tightest(of_kind.map(|claim| (claim.rate, full(claim))), now)
    };
    Quota {
        requests: of(Kind::Requests),
        tokens: of(Kind::Tokens),
        cost: of(Kind::Cost),
    }
}

/// How full the window is of which least can be taken: a caller who goes by that is let in by all.
#[must_use]
pub fn tightest(windows: impl Iterator<Item = (Rate, Ticks)>, now: Ticks) -> Option<Level> {
    let left = windows.map(|(rate, full)| (rate.left(full, now), rate, full));
    let (_, rate, full) = left.min_by(|(one, ..), (other, ..)| one.total_cmp(other))?;
    Some(rate.level(full, now))
}

/// Limits that would have refused, if they were not shadows. One that counts an address
/// three times is told of once.
#[must_use]
pub fn shadowed(windows: &[WindowClaim<'_>], places: &[PlaceClaim<'_>]) -> Vec<(LimitName, Kind)> {
    let over = windows
        .iter()
        .filter(|claim| claim.shadow && claim.verdict.is_err());
    let over = over.map(|claim| (claim.of.rule, claim.of.window.kind));
    let full = places
        .iter()
        .filter(|claim| claim.shadow && claim.is_full());
    let full = full.filter_map(|claim| claim.of.map(|of| (of.rule, of.kind)));
    let mut met = Vec::new();
    for (rule, kind) in over.chain(full) {
        let one = (rule.name.clone(), kind);
        if !met.contains(&one) {
            met.push(one);
        }
    }
    met
}
