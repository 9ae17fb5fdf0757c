//! Is an answer kept?
//!
//! Right where it has come, before anybody who waits for it is told: whoever asks next finds
//! it on its way or in memory, and never neither. A stream is kept when it is over, by the
//! one who came to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::Given;
use crate::gateway::Gateway;
use crate::gateway::cache::admission::{self, Unfit};
use crate::gateway::cache::assembly;
use crate::gateway::cache::key::Key;
use crate::gateway::cache::status::Kept;
use crate::gateway::cache::store::{Entry, TooLarge};
use crate::gateway::exchange::{Answer, Body, Question, Word};
use crate::gateway::route::Plan;
use crate::openai::Usage;
use crate::sys;

impl Gateway {
    /// Keeps an answer, if it is one that may be kept.
    pub(super) fn keep(&self, key: Key, question: &Question, answer: &Answer) -> Kept {
        let Body::Whole { bytes, glance } = &answer.body else {
            return Kept::Unsaid;
        };
        match admission::judge(glance).and(lifetime(&answer.word)) {
            Ok(lifetime) => {
                let made = Made {
                    body: bytes,
                    usage: glance.usage,
                    plan: &answer.plan,
                    leg: answer.leg,
                    lifetime,
                };
                self.put(key, &question.plan, &made)
            }
            Err(unfit) => Kept::Refused(unfit.as_str()),
        }
    }

    /// Keeps what a stream has said, as a whole answer.
    pub(in crate::gateway) fn keep_stream(
        &self,
        key: Key,
        asked: &Plan,
        given: &Given,
        slices: &[Bytes],
    ) {
        // What is wrong with it was told to its caller already.
        let Ok(assembled) = assembly::completion(slices, true) else {
            return;
        };
        let is_refused = given.lifetime == Some(Duration::ZERO);
        if !is_refused && admission::admit(&assembled.bytes).is_ok() {
            let made = Made {
                body: &assembled.bytes,
                usage: assembled.usage,
                plan: &given.plan,
                leg: given.leg,
                lifetime: given.lifetime,
            };
            self.put(key, asked, &made);
        }
    }

    fn put(&self, key: Key, asked: &Plan, made: &Made<'_>) -> Kept {
        let Made {
            body,
            usage,
            plan,
            leg,
            lifetime,
        } = *made;
        let Some(leg) = plan.legs.get(leg) else {
            return Kept::Unsaid;
        };
        if plan.model != asked.model {
            return Kept::Refused("fallback");
        }
        let policy = &asked.cache;
        let fresh = Entry::jittered(policy.ttl, sys::chance());
        let entry = Entry {
            body: body.clone(),
            usage,
            model: plan.model.clone(),
            pool: leg.pool.name.clone(),
            made: sys::instant(),
            fresh: lifetime.map_or(fresh, |lifetime| lifetime.min(fresh)),
            stale_while_revalidate: policy.stale_while_revalidate,
            stale_if_error: policy.stale_if_error,
        };
        match self.cache.store.put(key, entry) {
            Ok(()) => Kept::Stored,
            Err(TooLarge { .. }) => Kept::Refused("too_large"),
        }
    }
}

/// An answer that may be kept.
struct Made<'a> {
    body: &'a Bytes,
    usage: Option<Usage>,
    plan: &'a Arc<Plan>,
    leg: usize,
    /// How long its upstream lets it be kept.
    lifetime: Option<Duration>,
}

/// How long an upstream lets its answer be kept, if it says so.
pub(super) fn lifetime(word: &Word) -> Result<Option<Duration>, Unfit> {
    if word.status != StatusCode::OK {
        return Err(Unfit::Status);
    }
    let cache_control = word.cache_control.iter();
    admission::lifetime(cache_control.map(HeaderValue::as_bytes))
}
