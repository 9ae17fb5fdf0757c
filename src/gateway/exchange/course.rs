//! Who is asked next?
//!
//! The order in which a request goes through its pools, decided one attempt at a time by
//! what the attempts so far have come to. For the model that was asked for: its pools in
//! order, in each whom the balancer names; then, where an attempt failed at once, the
//! same target once more. After it the models that answer in its place, and only where
//! no one else is left a target that rests: no answer is worse than a doubtful one. A model
//! that the caller's key may not ask for answers in nobody's place.
//!
//! Two bounds hold against a storm of attempts. A request has a number of them, the last
//! of which is kept for the models in its place where there are any; and a pool that was
//! asked already is asked again only as far as its budget goes.

/// Does an attempt begin?
mod begin;
/// What names the target of a request where the balancer hashes?
mod key;
/// Is an attempt paid for?
mod paid;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::gateway::dialect::Inexpressible;
use crate::gateway::exchange::Question;
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::exchange::failure::words::About;
use crate::gateway::pools::health::Verdict;
use crate::gateway::pools::target::Endpoint;
use crate::gateway::pools::{Choice, Pool};
use crate::gateway::refusal::Refusal;
use crate::gateway::route::{Fallback, Leg, Plan};
use key::key;

/// A request's way through its pools.
pub(super) struct Course<'a> {
    question: &'a Question,
    tried: Vec<Tried<'a>>,
    /// Models in place of the one that was asked for.
    fallbacks: &'a [Fallback],
    /// How far those have refused the request.
    fallbacks_refused: usize,
    /// The model that was asked for is out of question: it refused the request.
    own_refused: bool,
    /// What the caller is told where nobody answers: how the model it asked for failed, or
    /// else how the last one did.
    failure: Option<AttemptError>,
    own_failed: bool,
    /// Pools that had no place.
    full: Vec<&'a Arc<Pool>>,
    /// Legs whose dialect has no words for the request.
    unfit: Vec<&'a Leg>,
    /// What the first of them has none for.
    inexpressible: Option<Inexpressible>,
}

/// How soon it is worth asking again where there was no place.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Who is asked.
#[derive(Clone)]
pub(super) struct Next<'a> {
    /// The model.
    pub plan: &'a Arc<Plan>,
    /// What the model is called by.
    pub name: &'a str,
    /// The place of the leg in the plan.
    pub number: usize,
    /// Its pool, name and deadlines.
    pub leg: &'a Leg,
    /// Where.
    pub endpoint: Arc<Endpoint>,
    /// As what it was named: [`Verdict::Fit`], or else in need.
    pub wanted: Verdict,
    /// How long to wait before.
    pub wait: Duration,
}

/// An attempt that was begun.
struct Tried<'a> {
    /// The model that was asked.
    plan: &'a Arc<Plan>,
    /// The pool, which several legs may share.
    pool: &'a Arc<Pool>,
    endpoint: Arc<Endpoint>,
    /// It failed in a way that may pass.
    may_pass: bool,
    /// It failed in a way in which any other model would, too.
    for_all: bool,
    /// It failed in a way in which all of its pool would.
    for_pool: bool,
}

impl<'a> Course<'a> {
    /// A request that nobody was asked yet.
    pub(super) fn new(question: &'a Question) -> Self {
        Self {
            question,
            tried: Vec::new(),
            fallbacks: &question.plan.fallbacks.unavailable,
            fallbacks_refused: 0,
            own_refused: false,
            failure: None,
            own_failed: false,
            full: Vec::new(),
            unfit: Vec::new(),
            inexpressible: None,
        }
    }

    /// Who is next, if anyone is. It counts as tried from here on, as long as the attempt
    /// begins.
    pub(super) fn next(&mut self, now: Instant, chance: u64) -> Option<Next<'a>> {
        let next = self.find(now, chance)?;
        self.take(&next);
        Some(next)
    }

    /// Who may be asked beside `first`, which is slow. It counts as tried from here on.
    pub(super) fn beside(
        &mut self,
        first: &Next<'a>,
        now: Instant,
        chance: u64,
    ) -> Option<Next<'a>> {
        if self.tried.len() >= self.question.attempts.max {
            return None;
        }
        let mut next = first.clone();
        next.wanted = Verdict::Fit;
        next.endpoint = self.untried((first.plan, first.leg), next.wanted, now, chance)?;
        if !next.endpoint.has_room(&first.leg.pool.concurrency) {
            return None;
        }
        next.wait = Duration::ZERO;
        let pool = &first.leg.pool;
        // It has no free ones: all of them are more than callers asked for.
        let paid = pool.state.hedges.spend(0, now);
        if !paid || !pool.begins(&next.endpoint, now) {
            return None;
        }
        self.take(&next);
        Some(next)
    }

    /// Takes down how an attempt failed. False where that is the end of the request.
    pub(super) fn failed(&mut self, next: &Next<'a>, error: AttemptError) -> bool {
        let replaceable = error.may_be_replaced(&self.question.attempts.final_statuses);
        let own = Arc::ptr_eq(next.plan, &self.question.plan);
        if let Some(tried) = self
            .tried
            .iter_mut()
            .rfind(|tried| tried.endpoint.is(&next.endpoint))
        {
            tried.may_pass = error.may_pass();
            tried.for_all = error.is_for_all_models();
            tried.for_pool = error.is_for_whole_pool();
        }
        let fallbacks = &self.question.plan.fallbacks;
        let mut goes_on = replaceable;
        if own && !replaceable {
            self.own_refused = true;
            self.fallbacks = match error.about() {
                About::Context => &fallbacks.context,
                About::Policy => &fallbacks.policy,
                About::Other => &[],
            };
            goes_on = !self.fallbacks.is_empty();
        } else if !own && !replaceable {
            // It speaks of that model and not of the one that was asked for.
            let refused = self
                .fallbacks
                .iter()
                .position(|fallback| Arc::ptr_eq(&fallback.plan, next.plan));
            self.fallbacks_refused = refused.map_or(self.fallbacks.len(), |place| place + 1);
            goes_on = true;
        }
        if own || !self.own_failed {
            self.own_failed = own;
            self.failure = Some(error);
        }
        goes_on
    }

    /// What the caller is told when nobody is left: that nobody has words for what it asks, how
    /// it failed, that there was no place, or when somebody who is left alone may be asked again.
    pub(super) fn refusal(mut self, now: Instant) -> Refusal {
        if let Some(what) = self.inexpressible.take()
            && self.question.plan.legs.iter().all(|leg| self.is_out(leg))
        {
            return Refusal::Inexpressible(what);
        }
        if let Some(failure) = self.failure {
            return failure.refusal();
        }
        if !self.full.is_empty() {
            return Refusal::UpstreamOverloaded {
                retry_after: FULL_RETRY_AFTER,
            };
        }
        let legs = self.question.plan.legs.iter();
        let cooling = legs.filter_map(|leg| leg.pool.cooling(now)).min();
        cooling.map_or(Refusal::NoHealthyUpstream, |retry_after| {
            Refusal::UpstreamRateLimited { retry_after }
        })
    }

    fn take(&mut self, next: &Next<'a>) {
        self.tried.push(Tried {
            plan: next.plan,
            pool: &next.leg.pool,
            endpoint: Arc::clone(&next.endpoint),
            may_pass: false,
            for_all: false,
            for_pool: false,
        });
    }

    fn find(&self, now: Instant, chance: u64) -> Option<Next<'a>> {
        let left = self.question.attempts.max.saturating_sub(self.tried.len());
        if left == 0 {
            return None;
        }
        let fallbacks = self
            .fallbacks
            .get(self.fallbacks_refused..)
            .unwrap_or_default();
        let key = self.question.key.as_deref();
        let is_allowed = |fallback: &&Fallback| {
            fallback.serves(self.question.ask.operation)
                && key.is_none_or(|key| key.may_ask_for(fallback.plan.model.as_str()))
        };
        let others = || {
            fallbacks
                .iter()
                .filter(is_allowed)
                .map(|fallback| (&fallback.plan, &*fallback.name))
        };
        let fit = |model| self.in_order(model, Verdict::Fit, now, chance);
        let own = (!self.own_refused).then_some((&self.question.plan, &*self.question.ask.model));
        // The last attempt is kept for the models in its place, if one was made already.
        let kept = left == 1 && !self.tried.is_empty();
        let kept = if kept { others().find_map(fit) } else { None };
        kept.or_else(|| own.and_then(fit))
            .or_else(|| own.and_then(|model| self.once_more(model, now, chance)))
            .or_else(|| others().find_map(fit))
            .or_else(|| {
                let resting = |model| self.in_order(model, Verdict::Ejected, now, chance);
                own.into_iter().chain(others()).find_map(resting)
            })
    }

    /// The first pool of a model that has someone in this state who was not asked for it yet.
    fn in_order(
        &self,
        (plan, name): (&'a Arc<Plan>, &'a str),
        wanted: Verdict,
        now: Instant,
        chance: u64,
    ) -> Option<Next<'a>> {
        plan.legs.iter().enumerate().find_map(|(number, leg)| {
            let asked = self.asked(&leg.pool);
            let is_spent = asked >= self.question.attempts.per_pool_max;
            let is_out = self.is_unfit(leg) || !leg.answers(self.question.ask.operation);
            if is_spent || self.is_full(&leg.pool) || is_out {
                return None;
            }
            let endpoint = self.untried((plan, leg), wanted, now, chance)?;
            self.is_paid_for(leg, now).then(|| Next {
                plan,
                name,
                number,
                leg,
                endpoint,
                wanted,
                wait: self.backoff(asked, chance),
            })
        })
    }

    /// A target that failed at once, which may do better a moment later.
    fn once_more(
        &self,
        (plan, name): (&'a Arc<Plan>, &'a str),
        now: Instant,
        chance: u64,
    ) -> Option<Next<'a>> {
        plan.legs.iter().enumerate().find_map(|(number, leg)| {
            let asked = self.asked(&leg.pool);
            let here = |tried: &&Tried<'_>| {
                Arc::ptr_eq(tried.pool, &leg.pool) && tried.plan.model == plan.model
            };
            let last = self.tried.iter().rev().find(here)?;
            let fit = last.endpoint.state.health.verdict(now) == Verdict::Fit;
            let again = fit
                && last.may_pass
                && asked < self.question.attempts.per_pool_max
                && !self.is_full(&leg.pool);
            (again && self.is_paid_for(leg, now)).then(|| Next {
                plan,
                name,
                number,
                leg,
                endpoint: Arc::clone(&last.endpoint),
                wanted: Verdict::Fit,
                wait: self.backoff(asked, chance),
            })
        })
    }

    /// Whoever was not asked for this model yet. What another model is refused for, or too
    /// slow with, says nothing of this one.
    fn untried(
        &self,
        (plan, leg): (&Plan, &Leg),
        wanted: Verdict,
        now: Instant,
        chance: u64,
    ) -> Option<Arc<Endpoint>> {
        let says_something = |tried: &&Tried<'_>| tried.for_all || tried.plan.model == plan.model;
        let tried = || self.tried.iter().filter(says_something);
        // What one of a pool is refused with our credential, the others are, too.
        if tried().any(|tried| tried.for_pool && Arc::ptr_eq(tried.pool, &leg.pool)) {
            return None;
        }
        let key = key(self.question, leg.pool.method);
        let tried: Vec<Arc<Endpoint>> = tried().map(|tried| Arc::clone(&tried.endpoint)).collect();
        leg.pool.pick(&tried, wanted, Choice { key, chance }, now)
    }

    /// Whether its dialect has no words for the request.
    fn is_unfit(&self, leg: &Leg) -> bool {
        self.unfit.iter().any(|unfit| std::ptr::eq(*unfit, leg))
    }

    /// Whether it could not be asked at a better time either.
    fn is_out(&self, leg: &Leg) -> bool {
        let is_other = !leg.answers(self.question.ask.operation);
        self.is_unfit(leg) || is_other || leg.pool.unusable.is_some()
    }

    fn is_full(&self, pool: &Arc<Pool>) -> bool {
        self.full.iter().any(|full| Arc::ptr_eq(full, pool))
    }

    /// How often this request has asked a pool.
    pub(super) fn asked(&self, pool: &Arc<Pool>) -> usize {
        let here = |tried: &&Tried<'_>| Arc::ptr_eq(tried.pool, pool);
        self.tried.iter().filter(here).count()
    }

    /// How long to wait before asking a pool again that was asked so often: by chance
    /// anything up to a bound that doubles, so that those who failed together do not come
    /// back together.
    fn backoff(&self, asked: usize, chance: u64) -> Duration {
        let attempts = &self.question.attempts;
        let Some(doublings) = asked.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1_u32 << doublings.min(16);
        let most = attempts
            .backoff
            .saturating_mul(factor)
            .min(attempts.backoff_max);
        #[expect(clippy::cast_precision_loss, reason = "chance needs no last digit")]
        let part = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        most.mul_f64(part)
    }
}

#[cfg(test)]
mod tests;
