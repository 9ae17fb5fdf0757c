//! Who answers, in fact?
//!
//! Attempts over the plan until one commits: pools in order, in each the targets
//! the balancer names, all inside one deadline. The exchange never sees the
//! client: plan and body come in, an [`Answer`] that owns everything it needs goes
//! out. Whoever drops either cancels the upstream; that is how a departed client
//! is acted upon, here and in every step to come.

/// Who is asked next?
mod course;
/// In which words is a pool asked?
mod phrasing;
/// What becomes of one attempt at one target?
mod attempt;
/// When is an attempt the answer?
mod commit;
/// When is a second target asked beside a slow one?
mod hedge;
/// What was tried?
pub mod trail;
/// What failed attempts mean.
pub mod failure;
/// Where an answer comes from.
mod source;
/// A stream in other words than OpenAI's.
mod putting;
/// A stream, event by event.
pub mod events;
/// A stream that several read.
pub mod tape;
/// Connections that no request is on.
mod connections;
/// A list of images as a chat answer.
mod image;
/// A connection that was dead already.
mod stale;
/// What an upstream says of keeping its answer.
pub mod word;
/// An upstream that has answered.
mod upstream;
/// An answer that is no stream.
mod whole;
/// An answer that is not held.
mod through;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use pingora_core::upstreams::peer::HttpPeer;

use crate::config::bounds::Attempts;
use crate::config::clients::Key;
use crate::fail_point::{Phase, reach};
use crate::gateway::body::Held;
use crate::gateway::dialect::original::Original;
use crate::gateway::images::ImageStore;
use crate::gateway::inspect::Ask;
use crate::gateway::inspect::image::ImageAsk;
use crate::gateway::pools::Lesson;
use crate::gateway::pools::slots::Slot;
use crate::gateway::record::id::RequestId;
use crate::gateway::record::trace::Trace;
use crate::gateway::refusal::Refusal;
use crate::gateway::route::Plan;
use crate::gateway::splice::Spliced;
use crate::openai::glance::Glance;
use crate::sys;
use attempt::{Attempt, Over};
use connections::Connections;
use course::{Course, Next};
use events::EventStream;
use failure::AttemptError;
use phrasing::{Phrasing, Unphrased};
pub use through::Through;
use trail::Trail;
use word::Word;

/// Drives upstreams.
pub struct Exchange {
    connections: Arc<Connections>,
}

/// What upstreams are asked.
#[derive(Debug)]
pub struct Question {
    /// Who may be asked.
    pub plan: Arc<Plan>,
    /// What was read in the body.
    pub ask: Ask,
    /// The body as it came; it counts as held until this is dropped.
    pub body: Held,
    /// Where the caller speaks Anthropic's protocol: what it said, of which the body is made. It
    /// counts as held until this is dropped.
    pub original: Option<(Original, Held)>,
    /// Which betas it wants of pools that speak Anthropic's protocol.
    pub beta: Option<HeaderValue>,
    /// The id it carries upstream.
    pub id: RequestId,
    /// Who asks, as a number that is the same for the same client.
    pub client: u64,
    /// The key it showed, which may list models: no other answers in another's place.
    pub key: Option<Arc<Key>>,
    /// How often.
    pub attempts: Arc<Attempts>,
    /// When everything must be over.
    pub deadline: Instant,
    /// For an image model: what is to be drawn.
    pub image: Option<ImageAsk>,
    /// Where answers may show images: what the address of a kept one begins with.
    pub base_url: Option<String>,
    /// The trace it belongs to, where there is one.
    pub trace: Option<Arc<Trace>>,
}

/// Who answered, and what.
pub struct Answer {
    /// The model that answered.
    pub plan: Arc<Plan>,
    /// Index of the leg in that plan.
    pub leg: usize,
    /// The body, OpenAI's protocol whatever was spoken upstream.
    pub body: Body,
    /// What its upstream says of keeping it.
    pub word: Word,
    /// The place at the pool, where the upstream is not done yet.
    pub place: Option<Slot>,
}

/// An answer's body.
pub enum Body {
    /// All of it.
    Whole {
        /// The bytes.
        bytes: Held,
        /// What it says of itself.
        glance: Glance,
    },
    /// Not held: what was read, and where the rest comes from.
    Through(Box<Through>),
    /// Events, the first of which is here.
    Events(Box<EventStream>),
    /// Events that are all here.
    Said(Vec<Bytes>),
}

impl Question {
    /// The body as the caller wrote it.
    #[must_use]
    pub fn as_asked(&self) -> &[u8] {
        match &self.original {
            Some((original, _)) => &original.body,
            None => &self.body,
        }
    }

    /// Whether the images are here that an earlier answer to it names.
    #[must_use]
    pub fn has_images(&self, answer: &[u8], images: &ImageStore) -> bool {
        let base_url = self.base_url.as_deref();
        base_url.is_none_or(|base_url| images.has_all(answer, base_url, sys::now().wall))
    }
}

impl Exchange {
    /// Idle upstream connections of each version of HTTP that are kept where it is not said.
    pub const IDLE_CONNECTIONS_MAX: usize = connections::IDLE_CONNECTIONS_MAX;

    /// An exchange with no connection yet, which keeps so many idle ones.
    #[must_use]
    pub fn new(idle_max: usize) -> Self {
        let connections = Arc::new(Connections::new(idle_max));
        Self { connections }
    }

    /// Asks until someone answers.
    ///
    /// # Errors
    /// What the caller is told where nobody did.
    pub async fn run(
        &self,
        question: &Question,
        images: &Arc<ImageStore>,
        trail: &Trail,
    ) -> Result<Answer, Refusal> {
        let asking = Asking {
            connections: &self.connections,
            question,
            images,
            trail,
        };
        let mut course = Course::new(question);
        let mut phrasing = Phrasing::new(question);
        let mut place = None;
        loop {
            let now = sys::instant();
            if now >= question.deadline {
                return Err(Refusal::UpstreamTimeout);
            }
            let Some(next) = course.next(now, sys::chance()) else {
                break;
            };
            let body = match phrasing.body(&next) {
                Ok(body) => body,
                Err(Unphrased::Inexpressible(what)) => {
                    course.unfit(&next, what);
                    continue;
                }
                Err(Unphrased::NoRoom) => return Err(Refusal::Overloaded),
            };
            let Some(next) = asking.enter(&mut course, next, &mut place, now).await else {
                continue;
            };
            if !next.wait.is_zero() {
                let until = (now + next.wait).min(question.deadline);
                tokio::time::sleep_until(until.into()).await;
            }
            let Some(next) = course.begin(next, sys::instant(), sys::chance()) else {
                continue;
            };
            // This attempt is among those that the course counts.
            if course.asked(&next.leg.pool) > 1 {
                next.leg.metrics.retries.inc();
            }
            let answered = match asking.hedged_after(&next) {
                None => {
                    let asked = asking.ask(&next, &body).await;
                    asked.map_err(|error| (next, error))
                }
                Some(after) => {
                    let hedged = asking.ask_hedged(&mut course, next, &body, after);
                    Box::pin(hedged).await
                }
            };
            match answered {
                Ok(mut answer) => {
                    let goes_on = matches!(answer.body, Body::Through(_) | Body::Events(_));
                    answer.place = place.filter(|_| goes_on);
                    return Ok(answer);
                }
                Err((next, error)) => {
                    if !course.failed(&next, error) {
                        break;
                    }
                }
            }
        }
        Err(course.refusal(sys::instant()))
    }

    /// How many connections no request is on.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.connections.idle()
    }

    /// Closes the connections to a peer that no request is on.
    pub fn close_idle(&self, peer: &HttpPeer) {
        self.connections.close_idle(peer);
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new(Self::IDLE_CONNECTIONS_MAX)
    }
}

/// What all attempts of a request have in common.
struct Asking<'a> {
    connections: &'a Arc<Connections>,
    question: &'a Question,
    images: &'a Arc<ImageStore>,
    trail: &'a Trail,
}

impl<'q> Asking<'q> {
    /// Sees to it that the request has a place at the pool it asks next; `None` where there is
    /// none. It has one place at a time.
    async fn enter(
        &self,
        course: &mut Course<'q>,
        mut next: Next<'q>,
        place: &mut Option<Slot>,
        now: Instant,
    ) -> Option<Next<'q>> {
        let pool = &next.leg.pool;
        let here = |place: &Slot| place.is_at(&pool.state.slots);
        if !place.as_ref().is_some_and(here) {
            drop(place.take());
            let question = self.question;
            let entered = pool.enter(question.client, question.deadline, now).await;
            next.leg.metrics.places.entered(&entered);
            let Ok(slot) = entered else {
                course.full(&next);
                return None;
            };
            let waited = place.insert(slot).waited();
            if waited.is_some() {
                next = course.anew(&next, sys::instant(), sys::chance())?;
            }
        }
        Some(next)
    }

    /// One attempt, with what it teaches about its endpoint.
    async fn ask(&self, next: &Next<'_>, body: &Spliced) -> Result<Answer, AttemptError> {
        let attempt = Attempt {
            connections: self.connections,
            question: self.question,
            images: self.images,
            leg: next.leg,
            name: next.name,
            endpoint: &next.endpoint,
            body,
            span: self.question.trace.as_ref().map(|_| sys::chance().max(1)),
            began: sys::instant(),
            over: Over::default(),
        };
        let noted = self.trail.begin(&attempt);
        reach(Phase::Attempt, self.question.id.as_str());
        let result = attempt.run().await;
        let now = sys::instant();
        match &result {
            Ok((body, _)) => {
                let after = now.saturating_duration_since(attempt.began);
                let took = &next.leg.metrics.took;
                let took = next
                    .endpoint
                    .took
                    .get_or_init(|| took.of(&next.endpoint.label));
                took.observe(after.as_secs_f64());
                self.paced(next, after);
                let lesson = match body {
                    Body::Events(_) => Lesson::Began(after),
                    _ => Lesson::Answered(after),
                };
                attempt.learn(lesson, now, None);
            }
            Err(error) => {
                if error.is_for_whole_pool() {
                    next.leg.metrics.auth_failures.inc();
                }
                for lesson in error.lessons().into_iter().flatten() {
                    attempt.learn(lesson, now, Some(error));
                }
            }
        }
        noted.end(&result, now);
        result.map(|(body, word)| Answer {
            plan: Arc::clone(next.plan),
            leg: next.number,
            body,
            word,
            place: None,
        })
    }
}
