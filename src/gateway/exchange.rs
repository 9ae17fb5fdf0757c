//! Who answers, in fact?
//!
//! Attempts over the plan until one commits: pools in order, in each the targets
//! the balancer names, all inside one deadline. The exchange never sees the
//! client: plan and body come in, an [`Answer`] that owns everything it needs goes
//! out. Whoever drops either cancels the upstream; that is how a departed client
//! is acted upon, here and in every step to come.

/// One attempt at one target.
mod attempt;
/// What failed attempts mean.
pub mod failure;
/// A stream, event by event.
pub mod events;
/// Connections that no request is on.
mod connections;
/// A list of images as a chat answer.
mod image;
/// A connection that was dead already.
mod stale;
/// An upstream that has answered.
mod upstream;
/// An answer that is no stream.
mod whole;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::config::bounds::Attempts;
use crate::gateway::images::ImageStore;
use crate::gateway::inspect::Ask;
use crate::gateway::inspect::image::ImageAsk;
use crate::gateway::pools::health::Verdict;
use crate::gateway::pools::target::Endpoint;
use crate::gateway::pools::{Change, Choice, Lesson};
use crate::gateway::record::outcome::AttemptOutcome;
use crate::gateway::record::{AttemptRecord, RequestId, millis};
use crate::gateway::refusal::Refusal;
use crate::gateway::route::{Leg, Plan};
use crate::openai::Usage;
use crate::sys;
use attempt::Attempt;
use connections::Connections;
use events::EventStream;
use failure::AttemptError;
use upstream::Upstream;

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
    /// The body as it came.
    pub body: Bytes,
    /// The id it carries upstream.
    pub id: RequestId,
    /// How often.
    pub attempts: Attempts,
    /// When everything must be over.
    pub deadline: Instant,
    /// For an image model: what is to be drawn, and what our own addresses begin with.
    pub image: Option<ImageQuestion>,
}

/// What an image model is asked beyond the body.
#[derive(Debug)]
pub struct ImageQuestion {
    /// What is to be drawn.
    pub ask: ImageAsk,
    /// What the address of a kept image begins with.
    pub base_url: String,
}

/// Who answered, and what.
pub struct Answer {
    /// Index of the leg in the plan.
    pub leg: usize,
    /// The body, OpenAI's protocol whatever was spoken upstream.
    pub body: Body,
}

/// An answer's body.
pub enum Body {
    /// All of it.
    Whole {
        /// The bytes.
        bytes: Bytes,
        /// The tokens it tells of.
        usage: Option<Usage>,
    },
    /// Too large to be held: what was read, and where the rest comes from.
    Through(Box<Through>),
    /// Events, the first of which is here.
    Events(Box<EventStream>),
    /// Events that are all here.
    Said(Vec<Bytes>),
}

/// A JSON answer on its way through.
pub struct Through {
    /// What was read before it was found too large.
    pub begin: Vec<Bytes>,
    /// Its length, where the upstream told.
    pub length: Option<usize>,
    upstream: Upstream,
    deadline: Instant,
}

/// What was tried, for the record; it outlives a dropped exchange.
#[derive(Debug, Default)]
pub struct Trail {
    /// Every attempt in order.
    pub attempts: Vec<AttemptRecord>,
    /// Time spent with upstreams.
    pub upstream: Duration,
}

impl Exchange {
    /// An exchange with no connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            connections: Arc::new(Connections::new()),
        }
    }

    /// Asks until someone answers.
    ///
    /// # Errors
    /// What the caller is told where nobody did.
    pub async fn run(
        &self,
        question: &Question,
        images: &ImageStore,
        trail: &mut Trail,
    ) -> Result<Answer, Refusal> {
        let mut failure = None;
        let mut tried: Vec<(usize, Arc<Endpoint>)> = Vec::new();
        while tried.len() < question.attempts.max {
            let now = sys::instant();
            if now >= question.deadline {
                return Err(Refusal::UpstreamTimeout);
            }
            let Some(next) = next(question, &tried, now) else {
                break;
            };
            tried.push((next.number, Arc::clone(&next.endpoint)));
            let attempt = Attempt {
                connections: &self.connections,
                question,
                images,
                leg: next.leg,
                endpoint: &next.endpoint,
                began: now,
            };
            let leg = next.number;
            match counted(&attempt, trail).await {
                Ok(body) => return Ok(Answer { leg, body }),
                Err(error) if error.may_be_replaced() => failure = Some(error),
                Err(error) => return Err(error.refusal()),
            }
        }
        Err(failure.map_or(Refusal::NoHealthyUpstream, AttemptError::refusal))
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

/// Who is asked next.
struct Next<'a> {
    /// The place of the leg in the plan.
    number: usize,
    leg: &'a Leg,
    endpoint: Arc<Endpoint>,
}

/// Who is next: pools in order, in each what the balancer names, and none that was
/// `tried`. Only where no pool has anyone fit is one asked that rests after failures,
/// for no answer is worse than a doubtful one.
fn next<'a>(
    question: &'a Question,
    tried: &[(usize, Arc<Endpoint>)],
    now: Instant,
) -> Option<Next<'a>> {
    let legs = || question.plan.legs.iter().enumerate();
    let choice = Choice {
        key: 0,
        chance: sys::random(),
    };
    [Verdict::Fit, Verdict::Ejected].iter().find_map(|wanted| {
        legs().find_map(|(number, leg)| {
            let here = tried.iter().filter(|(of, _)| *of == number);
            let here: Vec<Arc<Endpoint>> = here.map(|(_, endpoint)| Arc::clone(endpoint)).collect();
            if here.len() >= question.attempts.per_pool_max {
                return None;
            }
            let endpoint = leg.pool.pick(&here, *wanted, choice, now)?;
            Some(Next {
                number,
                leg,
                endpoint,
            })
        })
    })
}

/// One attempt, with what it teaches about its endpoint.
async fn counted(attempt: &Attempt<'_>, trail: &mut Trail) -> Result<Body, AttemptError> {
    let (leg, endpoint) = (attempt.leg, attempt.endpoint);
    let mut counted = Counted::begin(attempt, trail);
    let result = attempt.run().await;
    let now = sys::instant();
    let lesson = match &result {
        Ok(_) => Some(Lesson::Answered(
            now.saturating_duration_since(attempt.began),
        )),
        Err(error) if error.outcome() == AttemptOutcome::Auth => Some(Lesson::Refused),
        Err(error) if error.blames_target() => Some(Lesson::Failed),
        Err(_) => None,
    };
    let change = lesson.and_then(|lesson| leg.pool.learn(endpoint, lesson, now, 0));
    match (change, &result) {
        (Some(Change::Refused), Err(error)) => {
            leg.metrics.auth_failures.inc();
            tracing::error!(
                pool = leg.pool.name.as_str(),
                address = &*endpoint.label,
                status = error.status(),
                "our credential was refused; check the pool's api_key"
            );
        }
        (Some(Change::Ejected(_)), Err(error)) => {
            leg.metrics.ejections.inc();
            tracing::warn!(
                pool = leg.pool.name.as_str(),
                address = &*endpoint.label,
                cause = %error,
                "target ejected after failures in a row"
            );
        }
        _ => {}
    }
    counted.end(&result, now);
    result
}

/// An attempt that is counted whatever becomes of it: dropped in the middle, it was abandoned.
struct Counted<'a> {
    leg: &'a Leg,
    trail: &'a mut Trail,
    began: Instant,
    ended: bool,
}

impl<'a> Counted<'a> {
    fn begin(attempt: &Attempt<'a>, trail: &'a mut Trail) -> Self {
        trail.attempts.push(AttemptRecord {
            pool: attempt.leg.pool.name.clone(),
            target: attempt.endpoint.label.to_string(),
            outcome: AttemptOutcome::Abandoned.as_str(),
            status: None,
            duration_ms: 0.0,
            cause: Some("the client left".to_owned()),
        });
        Self {
            leg: attempt.leg,
            trail,
            began: attempt.began,
            ended: false,
        }
    }

    fn end(&mut self, result: &Result<Body, AttemptError>, now: Instant) {
        self.ended = true;
        let (outcome, status, cause) = match result {
            Ok(_) => (AttemptOutcome::Answered, Some(200), None),
            Err(error) => (error.outcome(), error.status(), Some(error.to_string())),
        };
        self.took(outcome, now);
        if let Some(record) = self.trail.attempts.last_mut() {
            record.outcome = outcome.as_str();
            record.status = status;
            record.cause = cause;
        }
    }

    fn took(&mut self, outcome: AttemptOutcome, now: Instant) {
        let duration = now.saturating_duration_since(self.began);
        self.trail.upstream += duration;
        self.leg.metrics.attempts(outcome).inc();
        if let Some(record) = self.trail.attempts.last_mut() {
            record.duration_ms = millis(duration);
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.took(AttemptOutcome::Abandoned, sys::instant());
        }
    }
}

impl Through {
    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// Where the upstream breaks off or takes too long; the answer cannot be completed then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AttemptError> {
        self.upstream
            .body(self.deadline, "an answer passing through")
            .await
    }

    /// Gives the upstream's connection back.
    pub async fn finish(self) {
        self.upstream.release().await;
    }
}
