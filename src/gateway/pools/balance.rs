//! Which of several endpoints is next?
//!
//! Each method answers for endpoints that others found fit: none here asks whether one
//! may be asked, so that balancing and health never meet in one function. Weights are
//! shares: a target of weight 3 gets three times what one of weight 1 gets, however many
//! addresses stand behind either name.

/// In turn, by weight.
pub mod turns;
/// Of two by chance the better one.
pub mod two;
/// The same one for the same key.
pub mod rendezvous;

use std::sync::Arc;
use std::time::Instant;

use crate::config::policy::Balance;
use crate::gateway::pools::Choice;
use crate::gateway::pools::target::Endpoint;
use turns::Turns;

/// An endpoint among all of its pool's.
#[derive(Debug)]
pub struct Place {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The place of its target in the pool.
    pub target: usize,
    /// The target's weight, divided among its endpoints; > 0.
    pub weight: f64,
    /// What tells it from others, the same in every process: replicas agree on keys.
    pub id: u64,
}

/// Time to the first byte that an endpoint nobody measured is taken to need while it has
/// requests in flight: longer than any, so that one request measures it and not a burst.
const UNMEASURED_S: f64 = 3600.0;

/// The next of these by this method; none where nothing is offered.
pub(super) fn choose<'a>(
    method: Balance,
    turns: &Turns,
    offered: &[&'a Place],
    choice: Choice,
    now: Instant,
) -> Option<&'a Place> {
    if offered.len() < 2 {
        return offered.first().copied();
    }
    let index = match method {
        Balance::RoundRobin => turns.next(&offered.iter().map(|place| place.target)),
        Balance::LeastRequests => {
            let load = |place: &Place| in_flight(place) / place.weight;
            of_two(offered, load, choice.chance)
        }
        Balance::PeakEwma => of_two(offered, |place| slowness(place, now), choice.chance),
        Balance::Hash(_) => {
            let offers = offered.iter().map(|place| rendezvous::Offer {
                id: place.id,
                weight: place.weight,
                in_flight: in_flight(place),
            });
            rendezvous::choose(offers, choice.key)
        }
    };
    offered.get(index?).copied()
}

fn of_two(offered: &[&Place], cost: impl Fn(&Place) -> f64, chance: u64) -> Option<usize> {
    let weights = offered.iter().map(|place| place.weight);
    let cost = |index: usize| offered.get(index).map_or(f64::MAX, |place| cost(place));
    two::choose(weights, cost, chance)
}

/// What `peak_ewma` compares: one that was never measured is tried, by one request.
fn slowness(place: &Place, now: Instant) -> f64 {
    let in_flight = in_flight(place);
    match place.endpoint.state.latency.seconds(now) {
        Some(seconds) => seconds * (in_flight + 1.0) / place.weight,
        None if in_flight < 1.0 => 0.0,
        None => UNMEASURED_S * (in_flight + 1.0) / place.weight,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "far fewer than 2^52 requests are in flight"
)]
fn in_flight(place: &Place) -> f64 {
    place.endpoint.state.in_flight() as f64
}

/// Spreads bits: every bit of `value` changes about half of the result's (`SplitMix64`,
/// Steele, Lea and Flood 2014).
pub(super) fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number in `0.0 ≤ x < 1.0` of 32 bits.
pub(super) fn fraction(bits: u32) -> f64 {
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// The upper half of some bits.
pub(super) fn upper(bits: u64) -> u32 {
    u32::try_from(bits >> 32).unwrap_or(u32::MAX)
}
