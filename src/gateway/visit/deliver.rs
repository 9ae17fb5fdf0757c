//! How does an answer leave?
//!
//! Whole, or as events, behind a head that tells where it comes from; and this request's
//! places are given back before its last byte.

use std::sync::Arc;

use pingora_http::ResponseHeader;

use super::{Unanswered, Visit};
use crate::gateway::record::metrics::Metrics;
use crate::gateway::refusal::Refusal;
use crate::gateway::relay::head::Provenance;
use crate::gateway::relay::{self, Delivered, Delivery, Opening, ready};
use crate::gateway::route::Leg;
use crate::gateway::work::boarding::Seat;
use crate::gateway::work::{Given, Taken};
use crate::openai::Usage;
use crate::sys;

impl Visit<'_> {
    /// Sends an answer and gives its upstream's connection back.
    pub(in crate::gateway) async fn deliver(
        &mut self,
        given: &Given,
        taken: Taken,
        seat: &Seat,
        metrics: &Metrics,
    ) {
        self.hear(&taken);
        let taken = match self.in_idiom(taken) {
            Ok(taken) => taken,
            Err(refusal) => return Box::pin(self.unanswered(refusal.into())).await,
        };
        let plan = &given.plan;
        let Some(leg) = plan.legs.get(given.leg) else {
            return;
        };
        let asked = self.record.plan.as_ref();
        let stood_in_for = asked.filter(|asked| asked.model != plan.model);
        if let Some(asked) = stood_in_for {
            asked.metrics.fallbacks.inc();
        }
        let is_told = stood_in_for.is_some() || self.record.trace.is_some();
        self.record.answered = is_told.then(|| plan.model.clone());
        if seat.joins() {
            self.record.source = Some(leg.pool.name.clone());
        }
        if !seat.joins() || seat.flight.take_over() {
            self.pays(leg);
        }
        self.record.status = 200;
        let now = sys::instant();
        self.record.passing_since = taken.still_comes().then_some(now);
        let provenance = Provenance {
            model: plan.model.as_str(),
            pool: leg.pool.name.as_str(),
            attempts: self.attempts,
            gateway: self.record.overhead(now),
            upstream: self.record.upstream,
        };
        // Before its head, which so tells what is left by what was used.
        match &taken {
            _ if seat.joins() => self.settle_joined(&taken),
            Taken::Whole { bytes, usage } => self.settle_whole(bytes.len(), *usage),
            _ => {}
        }
        self.explain(Some(&provenance), None);
        let head = if taken.is_events() {
            self.common.stream(Some(provenance))
        } else {
            self.common
                .answer(taken.length(), taken.media_type(), provenance)
        };
        let unsent = (!self.head_sent).then_some(head);
        let is_events = taken.is_events();
        self.no_further_request_if_leaving();
        let Some(delivered) = self.send(taken, unsent).await else {
            // A head left early is a stream's, and its answer events.
            let unanswered = Unanswered::Refused(Refusal::Internal);
            return Box::pin(self.unanswered(unanswered)).await;
        };
        if seat.joins() && seat.flight.take_over() {
            self.pays(leg);
        }
        if delivered.how == Delivery::Gone {
            self.leave(seat);
        }
        if delivered.done_added {
            metrics.terminators_added.inc();
        }
        self.delivered(&delivered);
        self.record.first_event = delivered.first_byte.filter(|_| is_events);
    }

    /// Leaves work that others go on waiting for. What it will have used nobody knows yet, and
    /// those others pay nothing for it: so the estimate stays, or two connections would get for a
    /// few tokens what one has to pay for.
    pub(super) fn leave(&mut self, seat: &Seat) {
        if !seat.joins() && Arc::strong_count(&seat.flight) > 1 {
            self.owes = true;
            seat.flight.let_go();
        }
    }

    /// The answer is counted as this request's, and what it costs: it has begun the work, or goes
    /// on with it alone.
    fn pays(&mut self, leg: &Leg) {
        self.record.leg = Some(Arc::clone(&leg.metrics));
        self.record.served = Some(Arc::clone(&leg.served));
        self.stay.bill = Some((Arc::clone(&leg.served), self.images));
    }

    /// Sends what an answer is made of, and gives this request's places back before its last
    /// byte; `None` where it cannot follow the head that has left.
    async fn send(&mut self, taken: Taken, unsent: Option<ResponseHeader>) -> Option<Delivered> {
        let voice = self.common.voice();
        let (departure, stay) = (&mut *self.departure, &mut self.stay);
        let delivered = match (taken, unsent) {
            (Taken::Whole { bytes, .. }, Some(head)) => {
                relay::whole(self.session, head, bytes).await
            }
            (Taken::Through((mut through, place)), Some(head)) => {
                let delivered =
                    relay::through(self.session, departure, head, &mut through, stay).await;
                if delivered.how == Delivery::Complete {
                    Box::pin(through.finish()).await;
                } else {
                    drop(through);
                }
                // Last, as anywhere: who is next is given it by what is in flight then.
                drop(place);
                delivered
            }
            (Taken::Said(events), head) => {
                stay.release();
                ready::at_once(self.session, head, events).await
            }
            (Taken::Events(mut reader), head) => {
                let opening = Opening { head, voice };
                reader.heard_by(self.record.heard.take());
                let delivered =
                    relay::events(self.session, departure, opening, &mut reader, stay).await;
                self.record.heard = reader.heard_by(None);
                self.record.events = reader.mark().events;
                self.tokens(reader.mark().usage);
                if delivered.how == Delivery::Complete {
                    // Apart, so that an open stream does not carry the room for its end.
                    Box::pin(reader.finish()).await;
                }
                delivered
            }
            (Taken::Whole { .. } | Taken::Through(_), None) => return None,
        };
        Some(delivered)
    }

    /// Gives back what another has used in this one's place.
    fn settle_joined(&mut self, taken: &Taken) {
        let usage = match taken {
            Taken::Whole { usage, .. } => *usage,
            _ => None,
        };
        if self.record.served.is_some() {
            self.tokens(usage);
        }
        self.settle_kept(usage, sys::instant());
    }

    /// Gives back what a whole answer did not need: all is known of it before it leaves.
    fn settle_whole(&mut self, length: usize, usage: Option<Usage>) {
        self.stay.release();
        self.tokens(usage);
        self.record.bytes_out = length as u64;
        self.settle(sys::instant());
    }
}
