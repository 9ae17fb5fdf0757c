//! Is an answer kept?
//!
//! Right where it has come, before anybody who waits for it is told: whoever asks next finds
//! it on its way or in memory, and never neither. A stream is kept when it is over, by the
//! one who came to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::gateway::Gateway;
use crate::gateway::cache::admission::{self, Unfit};
use crate::gateway::cache::key::Key;
use crate::gateway::cache::status::Kept;
use crate::gateway::cache::store::{Entry, Era, Found, Unkept};
use crate::gateway::cache::{assembly, second};
use crate::gateway::exchange::word::Word;
use crate::gateway::exchange::{Answer, Body, Question};
use crate::gateway::route::Plan;
use crate::gateway::shared::answers::{self, Deposit, Lead};
use crate::openai::Usage;
use crate::sys;

/// What other replicas have.
pub(super) enum Around {
    /// The answer.
    Found(Found),
    /// Nothing; with this it is shared with them once it is made, if they share.
    Lead(Option<Lead>),
}

impl Gateway {
    /// Looks among the answers of other replicas. A stream is not kept waiting for that.
    pub(super) async fn look_around(
        &self,
        key: Option<Key>,
        age_max: Option<Duration>,
        question: &Question,
    ) -> Around {
        let answers = self.snapshot.load().answers.clone();
        let (Some(key), Some(answers)) = (key, answers) else {
            return Around::Lead(None);
        };
        let Some(age_max) = age_max.filter(|_| !question.ask.stream) else {
            return Around::Lead(Some(answers.lead(key.bytes())));
        };
        let suits = |deposit: &Deposit| {
            let wall = sys::now().wall;
            deposit.is_fresh(wall) && deposit.age(wall) <= age_max
        };
        let found = answers.find(key.bytes(), question.deadline, suits).await;
        let deposit = match found {
            answers::Found::Answer(deposit) => deposit,
            answers::Found::Lead { lead, spare: _ } => return Around::Lead(Some(lead)),
        };
        let now = sys::now();
        let is_whole = question.has_images(&deposit.body, &self.images);
        if let Some(entry) = second::entry(deposit, now).filter(|_| is_whole) {
            let found = Found::of(entry.clone(), now.instant);
            // What is too large for this memory is given all the same.
            let store = &self.cache.store;
            let _ = store.put_in(store.era(), key, entry);
            if let Some(found) = found {
                return Around::Found(found);
            }
        }
        Around::Lead(Some(answers.lead(key.bytes())))
    }

    /// Keeps an answer, if it is one that may be kept.
    pub(super) fn keep(
        &self,
        key: (Key, Era),
        question: &Question,
        answer: &Answer,
        lead: Option<&Lead>,
    ) -> Kept {
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
                self.put(key, &question.plan, &made, lead)
            }
            Err(unfit) => self.refused(unfit.as_str()),
        }
    }

    /// Counts an answer that is not kept.
    fn refused(&self, reason: &'static str) -> Kept {
        self.metrics.cache.unstored(reason);
        Kept::Refused(reason)
    }

    /// Keeps what a stream has said, as a whole answer: one that does not tell its tokens is none
    /// that others could be given, who may have asked for them.
    pub(super) fn keep_stream(&self, keeping: &Keeping, said: &[Bytes]) {
        let Keeping {
            key,
            era,
            asked,
            plan,
            leg,
            lifetime,
            lead,
        } = keeping;
        // What is wrong with it was told to its callers already.
        let Ok(assembled) = assembly::completion(said, true) else {
            return;
        };
        let fit = match lifetime {
            Ok(_) if assembled.usage.is_none() => Err("no_usage"),
            Ok(lifetime) => admission::admit(&assembled.bytes)
                .map(|()| *lifetime)
                .map_err(Unfit::as_str),
            Err(unfit) => Err(unfit.as_str()),
        };
        match fit {
            Ok(lifetime) => {
                let made = Made {
                    body: &assembled.bytes,
                    usage: assembled.usage,
                    plan,
                    leg: *leg,
                    lifetime,
                };
                self.put((*key, *era), asked, &made, lead.as_ref());
            }
            Err(reason) => {
                self.refused(reason);
            }
        }
    }

    fn put(
        &self,
        (key, era): (Key, Era),
        asked: &Plan,
        made: &Made<'_>,
        lead: Option<&Lead>,
    ) -> Kept {
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
            return self.refused("fallback");
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
        // First, because what one replica has no room for another may find there.
        if let Some(lead) = lead {
            lead.share(second::deposit(entry.clone(), sys::now()));
        }
        match self.cache.store.put_in(era, key, entry) {
            Ok(()) => {
                asked.metrics.cache.stored.inc();
                Kept::Stored
            }
            Err(Unkept::TooLarge { .. }) => self.refused("too_large"),
            Err(Unkept::Forgotten) => self.refused("forgotten"),
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

/// With what a stream is kept that has just begun.
pub(super) struct Keeping {
    key: Key,
    era: Era,
    asked: Arc<Plan>,
    plan: Arc<Plan>,
    leg: usize,
    lifetime: Result<Option<Duration>, Unfit>,
    /// With what it is shared among replicas.
    lead: Option<Lead>,
}

impl Keeping {
    pub(super) fn new(
        key: Key,
        era: Era,
        question: &Question,
        answer: &Answer,
        lead: Option<Lead>,
    ) -> Self {
        Self {
            key,
            era,
            asked: Arc::clone(&question.plan),
            plan: Arc::clone(&answer.plan),
            leg: answer.leg,
            lifetime: lifetime(&answer.word),
            lead,
        }
    }
}

/// How long an upstream lets its answer be kept, if it says so.
fn lifetime(word: &Word) -> Result<Option<Duration>, Unfit> {
    if word.status != StatusCode::OK {
        return Err(Unfit::Status);
    }
    let cache_control = word.cache_control.iter();
    admission::lifetime(cache_control.map(HeaderValue::as_bytes))
}
