//! What becomes of one attempt at one target?
//!
//! It commits with a whole answer, or with the first valid event of a stream; up
//! to there nothing has reached the client, and another attempt may replace it.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;

use crate::config::dialect::Dialect;
use crate::deadline::until;
use crate::gateway::dialect;
use crate::gateway::exchange::connections::Connections;
use crate::gateway::exchange::failure::wait::spent;
use crate::gateway::exchange::failure::{AttemptError, CONNECTING, from_answer};
use crate::gateway::exchange::source::{Source, Whose};
use crate::gateway::exchange::upstream::{Connected, Request, SendError, Upstream};
use crate::gateway::exchange::word::Word;
use crate::gateway::exchange::{Body, Question};
use crate::gateway::images::ImageStore;
use crate::gateway::pools::Lesson;
use crate::gateway::pools::target::Endpoint;
use crate::gateway::pools::wire::{Passed, Traced, Varying};
use crate::gateway::route::Leg;
use crate::gateway::splice::Spliced;
use crate::operation::Operation;
use crate::sys;

/// What of an error answer is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// How long an error answer is read.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// One attempt.
pub(super) struct Attempt<'a> {
    pub connections: &'a Arc<Connections>,
    pub question: &'a Question,
    pub images: &'a Arc<ImageStore>,
    pub leg: &'a Leg,
    /// What the model is called by.
    pub name: &'a str,
    pub endpoint: &'a Arc<Endpoint>,
    /// What is asked, in the pool's words.
    pub body: &'a Spliced,
    /// Its span in the request's trace, where there is one.
    pub span: Option<u64>,
    pub began: Instant,
    /// What it goes over.
    pub over: Over,
}

/// Over what kind of connection an attempt goes, as far as it has one.
#[derive(Debug, Default)]
pub(super) struct Over(AtomicU8);

impl Over {
    const REUSED: u8 = 1;
    const NEW: u8 = 2;

    fn set(&self, reused: bool) {
        let kind = if reused { Self::REUSED } else { Self::NEW };
        self.0.store(kind, Ordering::Relaxed);
    }

    /// Whether it was there before; `None`: there is none yet.
    pub(super) fn reused(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            Self::REUSED => Some(true),
            Self::NEW => Some(false),
            _ => None,
        }
    }
}

impl Attempt<'_> {
    /// Runs it to its commit. Where the caller's own deadline, or what is left of the whole
    /// request's, is shorter than what its target may take, a target that is not done by
    /// then is not to blame: an impatient caller must not send it to rest.
    pub(super) async fn run(&self) -> Result<(Body, Word), AttemptError> {
        let (allowed, what) = self.allowed();
        let run = self.run_within(allowed, what).await;
        let in_full = self.began + allowed <= self.question.deadline + allowed / 20;
        match run {
            Err(AttemptError::Timeout(_))
                if !in_full && sys::instant() >= self.question.deadline =>
            {
                Err(AttemptError::CutShort)
            }
            run => run,
        }
    }

    /// Whether its span is sent.
    pub(super) fn is_sampled(&self) -> bool {
        let trace = self.question.trace.as_ref();
        trace.is_some_and(|trace| trace.sampled)
    }

    /// What its target is told of the trace, where the pool is.
    fn traced(&self) -> Option<(HeaderValue, Option<&HeaderValue>)> {
        let trace = self.question.trace.as_ref()?;
        let span = self.span.filter(|_| self.leg.pool.traceparent)?;
        Some((trace.traceparent(span), trace.state.as_ref()))
    }

    fn wants_events(&self) -> bool {
        let ask = &self.question.ask;
        // What goes through as it came is asked for events as its caller asks for them.
        let is_chat = ask.operation == Operation::Chat;
        ask.stream && (!is_chat || dialect::has_events(self.leg.pool.dialect))
    }

    /// How long it may take to its commit, and what is missing where it takes longer.
    fn allowed(&self) -> (Duration, &'static str) {
        let may_come_whole = self.question.ask.operation.may_ignore_stream();
        if self.wants_events() && !may_come_whole {
            (self.leg.timeouts.first_event, "no first event")
        } else {
            (self.leg.timeouts.answer, "no answer")
        }
    }

    async fn run_within(
        &self,
        allowed: Duration,
        what: &'static str,
    ) -> Result<(Body, Word), AttemptError> {
        let wants_events = self.wants_events();
        let deadline = (self.began + allowed).min(self.question.deadline);
        let sent = until(deadline, pin!(self.send(wants_events))).await;
        let upstream = sent.unwrap_or(Err(AttemptError::Timeout(what)))?;
        if !upstream.status().is_success() {
            return Err(self.error_answer(upstream).await);
        }
        if let Some(wait) = spent(upstream.headers()) {
            self.learn(Lesson::Spent(wait), sys::instant(), None);
        }
        let word = upstream.word();
        let body = if wants_events {
            self.events(upstream, deadline).await
        } else {
            self.whole(upstream, deadline).await
        };
        body.map(|body| (body, word))
    }

    pub(super) fn source(&self) -> Source {
        Source {
            pool: Arc::clone(&self.leg.pool),
            endpoint: Arc::clone(self.endpoint),
            metrics: Arc::clone(&self.leg.metrics),
        }
    }

    /// Takes what the attempt taught about its endpoint.
    pub(super) fn learn(&self, lesson: Lesson, now: Instant, error: Option<&AttemptError>) {
        let whose = Whose {
            pool: &self.leg.pool,
            endpoint: self.endpoint,
            metrics: &self.leg.metrics,
        };
        whose.learn(lesson, now, error.map(|error| error as &dyn fmt::Display));
    }

    /// Sends the request; a stale connection is replaced once by a fresh one, free of charge.
    async fn send(&self, stream: bool) -> Result<Upstream, AttemptError> {
        let id = self.question.id.header();
        let ask = &self.question.ask;
        let form = ask.boundary.map(|boundary| boundary.media_type());
        let passed = (ask.operation != Operation::Chat).then(|| Passed {
            path: ask.operation.path(),
            media_type: form.as_deref().unwrap_or("application/json"),
            accept: match ask.operation {
                Operation::Speech | Operation::Transcriptions => "*/*",
                _ => "application/json",
            },
        });
        let traced = self.traced();
        let request = Request {
            wire: &self.endpoint.wire,
            varying: Varying {
                request_id: &id,
                model: self.leg.model(self.name),
                stream,
                body_bytes: self.body.len,
                passed,
                beta: self.beta(),
                traced: traced.as_ref().map(|(parent, state)| Traced {
                    parent,
                    state: *state,
                }),
            },
            body: self.body,
        };
        let sent = match self.send_over(request, false).await {
            Err(error) if error.stale => self.send_over(request, true).await,
            sent => sent,
        };
        sent.map_err(|error| error.error)
    }

    fn beta(&self) -> Option<&HeaderValue> {
        let beta = self.question.beta.as_ref();
        beta.filter(|_| self.leg.pool.dialect == Dialect::Anthropic)
    }

    async fn send_over(&self, request: Request<'_>, fresh: bool) -> Result<Upstream, SendError> {
        let connected = self.connect(fresh).await?;
        let idle_timeout = self.leg.timeouts.idle;
        connected
            .send(request, self.connections, idle_timeout)
            .await
    }

    async fn connect(&self, fresh: bool) -> Result<Connected, SendError> {
        let now = sys::instant();
        let connecting = Connected::to(self.connections, self.endpoint, fresh, now);
        let connected = until(now + self.leg.timeouts.connect, pin!(connecting))
            .await
            .unwrap_or_else(|| Err(AttemptError::Timeout(CONNECTING).into()))?;
        self.over.set(connected.reused);
        if connected.reused {
            self.leg.metrics.reused.inc();
        } else {
            let took = sys::instant().saturating_duration_since(now);
            self.leg.metrics.connected.inc();
            self.leg.metrics.connect.get().observe(took.as_secs_f64());
        }
        Ok(connected)
    }

    /// Reads an error answer within its own bounds; an unreadable body leaves the status.
    async fn error_answer(&self, mut upstream: Upstream) -> AttemptError {
        let deadline = (sys::instant() + ERROR_BODY_TIMEOUT).min(self.question.deadline);
        let mut body = Vec::new();
        while let Ok(Some(part)) = upstream.body(deadline, "an error answer").await {
            body.extend_from_slice(&part);
            if body.len() > ERROR_BYTES_MAX {
                body.truncate(ERROR_BYTES_MAX);
                break;
            }
        }
        let wall: SystemTime = sys::now().wall;
        let error = from_answer(
            upstream.status(),
            upstream.headers(),
            &body,
            &self.leg.pool,
            wall,
        );
        if upstream.is_done() {
            upstream.release().await;
        }
        error
    }
}
