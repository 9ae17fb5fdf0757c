//! Whom does a pool give?
//!
//! Health says who may be asked, the room of each who has some, and the balance chooses
//! among those: three questions that are never asked in one breath. Whoever walks on after
//! a failure asks again, with whom it has tried.
//!
//! Who is named is not asked yet: there may be no place, no budget and no words for it. So
//! naming one whose rest is over claims nothing, and whoever is sent there says so as it
//! begins.

use std::sync::Arc;
use std::time::Instant;

use crate::gateway::pools::balance::{self, Place};
use crate::gateway::pools::health::Verdict;
use crate::gateway::pools::target::Endpoint;
use crate::gateway::pools::{Choice, Pool};

impl Pool {
    /// The endpoint to ask next: by the pool's balance, in the state that is `wanted`, and
    /// none that was tried. [`Verdict::Fit`] is what serves; [`Verdict::Ejected`] is for
    /// where nobody else is left, and gives the least bad one. Who cools down or refused our
    /// credential is never given: asking can only fail. One without room is named only where
    /// no other is there, which says whom to wait for; whoever has a place at the pool asks
    /// it for room once more.
    pub fn pick(
        &self,
        tried: &[Arc<Endpoint>],
        wanted: Verdict,
        choice: Choice,
        now: Instant,
    ) -> Option<Arc<Endpoint>> {
        if self.unusable.is_some() {
            return None;
        }
        let places = self.places.load();
        let place = if wanted == Verdict::Fit {
            self.fit(&places, tried, choice, now)
        } else {
            self.least_bad(&places, tried, choice, now)
        };
        place.map(|place| Arc::clone(&place.endpoint))
    }

    /// Whether a request begins at an endpoint that was named as one that serves. Where its
    /// rest is over, this is the one request that tries whether it is; false where another
    /// does already, which may have been named it at the same time.
    pub fn begins(&self, endpoint: &Endpoint, now: Instant) -> bool {
        endpoint.state.health.begins(now, self.probe_lasts)
    }

    /// Who serves next. Health says who may be asked, the balance who of them is.
    fn fit<'a>(
        &self,
        places: &'a [Place],
        tried: &[Arc<Endpoint>],
        choice: Choice,
        now: Instant,
    ) -> Option<&'a Place> {
        let mut due = None;
        let mut fit = Vec::with_capacity(if places.len() > 1 { places.len() } else { 0 });
        let (mut growing, mut full) = (Vec::new(), Vec::new());
        for place in places.iter().filter(|place| !place.is_among(tried)) {
            let look = place.endpoint.state.health.look(now, self.view());
            match look.verdict {
                // The others have nobody to stand behind.
                Verdict::Fit if places.len() == 1 => return Some(place),
                Verdict::Fit | Verdict::Due if !place.endpoint.has_room(&self.concurrency) => {
                    full.push(place);
                }
                Verdict::Fit if place.is_in_share(look.share, choice.chance) => fit.push(place),
                Verdict::Fit => growing.push(place),
                Verdict::Due => due = due.or(Some(place)),
                _ => {}
            }
        }
        let mut offered = [fit, growing].into_iter().filter(|some| !some.is_empty());
        let offered = offered.next();
        // A request that failed already does not try whether a rest is over, if it need not.
        if due.is_some() && (tried.is_empty() || offered.is_none()) {
            return due;
        }
        let offered = offered.unwrap_or(full);
        balance::choose(self.method, &self.turns, &offered, choice, now)
    }

    /// Who is asked where nobody is fit: of those that are equally bad, by the balance.
    fn least_bad<'a>(
        &self,
        places: &'a [Place],
        tried: &[Arc<Endpoint>],
        choice: Choice,
        now: Instant,
    ) -> Option<&'a Place> {
        let in_need = places.iter().filter(|place| {
            let look = place.endpoint.state.health.look(now, self.view());
            look.verdict.may_be_asked_in_need() && !place.is_among(tried)
        });
        let judged = in_need.map(|place| {
            let is_full = !place.endpoint.has_room(&self.concurrency);
            let badness = place.endpoint.state.health.badness(now);
            ((is_full, badness), place)
        });
        let judged: Vec<_> = judged.collect();
        let least = judged.iter().map(|(badness, _)| *badness).min()?;
        let equal = judged.iter().filter(|(badness, _)| *badness == least);
        let offered: Vec<&Place> = equal.map(|(_, place)| *place).collect();
        balance::choose(self.method, &self.turns, &offered, choice, now)
    }
}

impl Place {
    fn is_among(&self, tried: &[Arc<Endpoint>]) -> bool {
        tried.iter().any(|tried| tried.is(&self.endpoint))
    }

    /// Whether it takes part in this choice, while it grows into its share.
    fn is_in_share(&self, share: f64, chance: u64) -> bool {
        share >= 1.0 || balance::fraction(balance::upper(balance::mix(chance ^ self.id))) < share
    }
}
