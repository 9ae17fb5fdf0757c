//! Where does a caller wait?
//!
//! With whoever asks the same already, or at work of its own that others may join. It waits
//! a second time if what others had begun came to nothing, since that may have been their
//! bad luck, and then by itself; no failure is shared twice.

use std::sync::Arc;
use std::time::Duration;

use super::{Came, Given, Landed, Order, Taken, ask};
use crate::gateway::Gateway;
use crate::gateway::cache::Verdict;
use crate::gateway::cache::flights::{Boarded, Flight, Form, Work};
use crate::gateway::cache::store::Found;
use crate::gateway::exchange::Question;
use crate::gateway::exchange::trail::Trail;
use crate::gateway::record::spend::told;
use crate::gateway::visit::kept::Sought;
use crate::openai::Usage;
use crate::sys;

/// Where a caller waits, if it has to.
pub(in crate::gateway) enum Boarding {
    /// Here.
    Seat(Seat),
    /// Nowhere: the answer came in the meantime.
    Landed(Found),
}

/// Where a caller waits.
pub(in crate::gateway) struct Seat {
    /// With whom.
    pub flight: Arc<Flight<Arc<Landed>>>,
    /// What is tried for it; `None` where another began it, whose attempts they are.
    pub trail: Option<Arc<Trail>>,
}

/// How often a caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Turn {
    /// With others, if there are some.
    First,
    /// Once more, with those who waited with it: what others had begun has failed, or could not
    /// be shared.
    Again,
    /// By itself, whoever else asks.
    Alone,
    /// Not at all: what was kept too long is renewed behind it, by one for all.
    Renewal,
}

impl Turn {
    /// Those of a caller who waits, in order.
    pub(in crate::gateway) const ALL: [Self; 3] = [Self::First, Self::Again, Self::Alone];
}

impl Seat {
    /// Whether another began it.
    pub(in crate::gateway) fn joins(&self) -> bool {
        self.trail.is_none()
    }
}

impl Gateway {
    /// Finds who asks for this already, or begins to. `before` is where it has waited in vain.
    pub(in crate::gateway) fn board(
        self: &Arc<Self>,
        question: &Arc<Question>,
        sought: &Sought,
        turn: Turn,
        before: Option<&Seat>,
    ) -> Boarding {
        let leads = |flight, trail| {
            let trail = Some(trail);
            Boarding::Seat(Seat { flight, trail })
        };
        let Sought {
            key, allowed, form, ..
        } = sought;
        let trail = Arc::new(Trail::default());
        let alone = turn == Turn::Alone;
        let may_be_joined = !alone && (allowed.join || turn == Turn::Renewal);
        let begin = |place| {
            let keep_bytes = self.snapshot.load().config.cache.flight_bytes_max;
            let is_read_again = form.stream && (may_be_joined || allowed.write);
            let order = Order {
                question: Arc::clone(question),
                trail: Arc::clone(&trail),
                keep_as: key.filter(|_| allowed.write),
                age_max: (allowed.read && !alone)
                    .then_some(allowed.age_max.unwrap_or(Duration::MAX)),
                keep_bytes: is_read_again.then_some(keep_bytes),
                place,
            };
            let work: Work<_> = Box::pin(ask(Arc::clone(self), order));
            (*form, work)
        };
        let Some(key) = key.filter(|_| may_be_joined) else {
            let (form, work) = begin(None);
            return leads(Flight::alone(form, work), trail);
        };
        let suits = |leads: Form| !(form.stream && leads.stream) || leads.usage || !form.usage;
        let landed = || {
            let Verdict::Hit(found) = self.cache.consult(&key, allowed, sys::instant()) else {
                return None;
            };
            let is_whole = question.has_images(&found.entry.body, &self.images);
            is_whole.then_some(found)
        };
        let board = || self.flights.board(key, suits, landed, begin);
        let boarded = match before {
            Some(before) => before.flight.board_again(suits, board),
            None => board(),
        };
        match boarded {
            Boarded::Leads(flight) => leads(flight, trail),
            Boarded::Joins(flight) => Boarding::Seat(Seat {
                flight,
                trail: None,
            }),
            Boarded::Landed(found) => Boarding::Landed(found),
        }
    }

    /// Asks for what was kept too long, for whoever asks next, unless somebody does so already.
    pub(in crate::gateway) fn renew(self: &Arc<Self>, question: &Arc<Question>, sought: &Sought) {
        let Boarding::Seat(seat) = self.board(question, sought, Turn::Renewal, None) else {
            return;
        };
        if seat.joins() || self.outlook.is_leaving() {
            return;
        }
        question.plan.metrics.cache.revalidations.inc();
        let gateway = Arc::clone(self);
        let images = question.ask.images(question.plan.modality);
        tokio::spawn(async move {
            let landed = seat.flight.landing().await;
            let Ok(Came::Given(given)) = &landed.answer else {
                return;
            };
            let usage = match given.take(&seat) {
                Some(Taken::Events(mut reader)) => {
                    // It is kept as its end is come to; a break is nobody's here.
                    let _ = reader.read_to_end(usize::MAX).await;
                    let usage = reader.mark().usage;
                    reader.finish().await;
                    usage
                }
                Some(Taken::Whole { usage, .. }) => usage,
                _ => None,
            };
            gateway.renewed(given, usage, images);
        });
    }

    /// Counts what a renewal used: no request of a caller's has paid for it.
    fn renewed(&self, given: &Given, usage: Option<Usage>, images: u32) {
        let Some(leg) = given.plan.legs.get(given.leg) else {
            return;
        };
        let used = usage.map(|usage| told(usage, images));
        let costs = self.snapshot.load().config.costs;
        self.usage
            .note_renewal(&leg.served, used, (sys::now().wall, &costs));
    }
}
