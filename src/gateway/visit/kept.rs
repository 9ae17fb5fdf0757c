//! Is it answered from memory?
//!
//! The questions to `cache`: may this request be, what is its answer kept by, and is it here.
//! What is given from memory has the head of any other answer, made anew; nobody was asked,
//! so nothing counts but the request itself.

use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;

use super::{Unanswered, Visit};
use crate::config::cache as config;
use crate::gateway::cache::control::{Allowed, Facts};
use crate::gateway::cache::flights::Form;
use crate::gateway::cache::key::{Ingredients, Key, Scope};
use crate::gateway::cache::status::{CacheStatus, Forward, Kept};
use crate::gateway::cache::store::{Found, State};
use crate::gateway::cache::{Cache, Verdict, assembly, replay};
use crate::gateway::exchange::Question;
use crate::gateway::exchange::tape::Reader;
use crate::gateway::images::ImageStore;
use crate::gateway::limit::Used;
use crate::gateway::refusal::Refusal;
use crate::gateway::relay::head::{JSON, Provenance};
use crate::gateway::relay::ready;
use crate::gateway::work::boarding::Seat;
use crate::gateway::work::{Given, Landed, Taken};
use crate::money::Usd;
use crate::openai::Usage;
use crate::sys;

/// What of a stream is put together for a caller who wants it whole: what is held of any answer.
const SAID_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What was looked for, and how.
pub(in crate::gateway) struct Sought {
    /// What the answer is kept by; `None` where it is kept away from memory.
    pub key: Option<Key>,
    /// What the request allows.
    pub allowed: Allowed,
    /// Why an upstream is asked, if it is.
    pub why: Forward,
    /// In which form the answer is wanted.
    pub form: Form,
    /// The answer.
    pub found: Option<Found>,
    /// What may be given where no upstream answers.
    pub spare: Option<Found>,
}

impl Visit<'_> {
    /// Looks for the answer in memory. One that names images which are gone is none.
    pub(in crate::gateway) fn look_up(
        &self,
        cache: &Cache,
        images: &ImageStore,
        question: &Question,
    ) -> Sought {
        let config = &self.snapshot.config.cache;
        let Question { plan, ask, .. } = question;
        let client = &self.record.client;
        let facts = Facts {
            config,
            policy: &plan.cache,
            ask,
            is_anonymous: client.key.is_none(),
        };
        let allowed = Allowed::of(&facts, &self.session.req_header().headers);
        let mut sought = Sought {
            key: None,
            allowed,
            why: Forward::Miss,
            form: Form {
                stream: ask.stream,
                usage: ask.include_usage,
            },
            found: None,
            spare: None,
        };
        if let Some(bypass) = allowed.bypass {
            sought.why = Forward::Bypass(bypass);
            return sought;
        }
        let key = Key::of(&Ingredients {
            endpoint: self.record.endpoint,
            scope: match plan.cache.scope {
                config::Scope::Shared => Scope::Shared,
                config::Scope::PerKey => Scope::by_key(client),
                config::Scope::PerClient => Scope::own(client),
            },
            plan,
            model: &ask.model,
            base_url: question.base_url.as_deref(),
            beta: question.beta.as_ref().map(HeaderValue::as_bytes),
            body: question.as_asked(),
            ignored: &config.ignored_fields,
        });
        sought.key = Some(key);
        let is_whole = |found: &Found| question.has_images(&found.entry.body, images);
        match cache.consult(&key, &allowed, sys::instant()) {
            Verdict::Hit(found) | Verdict::Stale(found) if !is_whole(&found) => {}
            Verdict::Bypass(bypass) => sought.why = Forward::Bypass(bypass),
            Verdict::Hit(found) => sought.found = Some(found),
            Verdict::Stale(found) if allowed.write => sought.found = Some(found),
            // Another one that it fetched would not be kept.
            Verdict::Stale(found) => (sought.why, sought.spare) = (Forward::Stale, Some(found)),
            Verdict::Miss { why, spare } => (sought.why, sought.spare) = (why, spare),
        }
        sought
    }

    /// Gives an answer from memory; false where it cannot be given in the form that is wanted.
    pub(in crate::gateway) async fn deliver_kept(&mut self, found: &Found, form: Form) -> bool {
        let entry = &found.entry;
        let Some(taken) = in_form(&entry.body, form).and_then(|taken| self.in_idiom(taken).ok())
        else {
            return false;
        };
        self.note_cache(status(found));
        if let Some(heard) = &mut self.record.heard {
            heard.answer(&entry.body);
        }
        self.record.answered = self.record.trace.as_ref().map(|_| entry.model.clone());
        self.record.source = Some(entry.pool.clone());
        self.record.status = 200;
        let now = sys::instant();
        self.settle_kept(entry.usage, now);
        let provenance = Provenance {
            model: entry.model.as_str(),
            pool: entry.pool.as_str(),
            attempts: self.record.attempts.len(),
            gateway: self.record.overhead(now),
            upstream: self.record.upstream,
        };
        self.explain(Some(&provenance), None);
        let events = match taken {
            Taken::Said(events) => events,
            Taken::Whole { bytes, .. } => {
                let head = self.common.answer(Some(bytes.len()), JSON, provenance);
                self.whole(head, bytes).await;
                return true;
            }
            Taken::Events(_) | Taken::Through(_) => return false,
        };
        let head = self.common.stream(Some(provenance));
        let unsent = (!self.head_sent).then_some(head);
        self.no_further_request_if_leaving();
        let gap = self.snapshot.config.cache.replay_gap;
        let delivered = if gap.is_zero() {
            self.stay.release();
            ready::at_once(self.session, unsent, events).await
        } else {
            let opening = self.opening(unsent);
            let (departure, stay) = (&mut *self.departure, &mut self.stay);
            let paced = ready::paced(self.session, departure, opening, (events, gap), stay);
            Box::pin(paced).await
        };
        self.delivered(&delivered);
        self.record.first_event = delivered.first_byte;
        true
    }

    /// What came of the work, for the record and for the caller.
    pub(in crate::gateway) fn came_of_it(&mut self, landed: &Landed, seat: &Seat, why: Forward) {
        self.attempts = landed.attempts;
        let kept = if seat.joins() {
            Kept::Collapsed
        } else {
            landed.kept
        };
        self.note_cache(CacheStatus::forwarded(why).and(kept));
    }

    /// Whether it may be given what another asked for: a model that answers in another's place
    /// may be one that the other's key may ask for, and this one's not.
    pub(in crate::gateway) fn may_have(
        &self,
        given: &Given,
        seat: &Seat,
        question: &Question,
    ) -> bool {
        let is_other = given.plan.model != question.plan.model;
        let client = &self.record.client;
        !(seat.joins() && is_other) || client.may_ask_for(&given.plan.model).is_ok()
    }

    /// An answer in the form that is wanted, of one that another wanted in another; `None`
    /// where it cannot be brought into that.
    pub(in crate::gateway) async fn in_form(
        &mut self,
        taken: Taken,
        wanted: Form,
        seat: &Seat,
        question: &Question,
    ) -> Result<Option<Taken>, Unanswered> {
        let tells_usage =
            |reader: &Reader| reader.tells_usage() || (seat.joins() && seat.flight.form.usage);
        Ok(match taken {
            Taken::Events(reader) if wanted.stream && !wanted.usage && tells_usage(&reader) => {
                Some(Taken::Events(reader.without_usage()))
            }
            taken if !seat.joins() => Some(taken),
            Taken::Whole { bytes, .. } if wanted.stream => {
                let events = replay::events(&bytes, wanted.usage).ok();
                events.map(Taken::Said)
            }
            Taken::Events(reader) if !wanted.stream => {
                Box::pin(self.put_together(reader, question)).await?
            }
            Taken::Said(events) if !wanted.stream => assembled(&events),
            taken => Some(taken),
        })
    }

    /// What a stream says, as a whole answer, as long as the client waits.
    async fn put_together(
        &mut self,
        reader: Reader,
        question: &Question,
    ) -> Result<Option<Taken>, Unanswered> {
        let until = self.patience(&question.plan).unwrap_or(question.deadline);
        let said = tokio::select! {
            biased;
            said = reader.read_out(SAID_BYTES_MAX) => said,
            () = tokio::time::sleep_until(until.into()) => {
                return Err(Refusal::UpstreamTimeout.into());
            }
            parting = self.departure.watch(self.session) => return Err(parting.into()),
        };
        Ok(said.ok().as_deref().and_then(assembled))
    }

    /// What memory had to do with the answer, for the record and for the caller.
    pub(in crate::gateway) fn note_cache(&mut self, status: CacheStatus) {
        self.record.cache = Some(status);
        self.common.cache = Some(status);
    }

    /// Gives back what an answer did not need that nobody was asked for. The first time counts.
    pub(super) fn settle_kept(&mut self, usage: Option<Usage>, now: Instant) {
        let charged = self.snapshot.config.cache.charge_tokens;
        let tokens = usage.filter(|_| charged).map_or(0, |usage| usage.all());
        // It counts as if it had been made, and costs nothing.
        let usd = Usd::ZERO;
        self.settle_as(Used { tokens, usd }, now);
    }
}

/// What is kept, in the form that is wanted; `None` where it cannot be brought into that.
fn in_form(kept: &Bytes, form: Form) -> Option<Taken> {
    if form.stream {
        replay::events(kept, form.usage).ok().map(Taken::Said)
    } else {
        let (bytes, usage) = (kept.clone(), None);
        Some(Taken::Whole { bytes, usage })
    }
}

/// What a stream has said, as a whole answer.
fn assembled(said: &[Bytes]) -> Option<Taken> {
    let assembled = assembly::completion(said, true).ok()?;
    Some(Taken::Whole {
        bytes: assembled.bytes,
        usage: assembled.usage,
    })
}

/// What an answer from memory is told as.
fn status(found: &Found) -> CacheStatus {
    let Found { entry, age, state } = found;
    let (age, past) = (*age, entry.past(*age));
    match *state {
        State::Fresh { left } => CacheStatus::Hit { age, left },
        State::StaleRevalidate => CacheStatus::Stale { age, past },
        State::StaleIfError => CacheStatus::StaleIfError { age, past },
    }
}

impl Sought {
    /// Whether what was found is to be replaced by a newer answer behind the caller's back.
    pub(in crate::gateway) fn is_to_be_renewed(&self) -> bool {
        let found = self.found.as_ref();
        found.is_some_and(|found| !matches!(found.state, State::Fresh { .. }))
    }
}
