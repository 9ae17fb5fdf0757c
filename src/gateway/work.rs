//! Who works for everybody who asks the same?
//!
//! One piece of work asks the upstreams, with a deadline of its own, for whoever waits for
//! it. It belongs to no caller: the one who began it may leave, and it goes on as long as
//! anybody waits. It is no task either. Whoever waits drives it, so that a request nobody
//! shares costs neither a task nor a waking, and when the last one has left it is dropped,
//! and its upstream with it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;

use crate::gateway::Gateway;
use crate::gateway::body::Held;
use crate::gateway::cache::flights::Work;
use crate::gateway::exchange::tape::{Keep, Reader, Tape};
use crate::gateway::exchange::trail::Trail;
use crate::gateway::exchange::{Answer, Body, Question, Through};
use crate::gateway::pools::slots::Slot;
use crate::gateway::refusal::Refusal;
use crate::gateway::route::Plan;
use crate::openai::Usage;

/// What whoever waits for it drives.
pub(super) type Landing = futures_util::future::Shared<Work<Arc<Landed>>>;

/// What it came to, for everybody who waited.
pub(super) struct Landed {
    /// The answer, or what everybody is told.
    pub answer: Result<Given, Refusal>,
}

/// An answer, and who gave it.
pub(super) struct Given {
    /// The model that answered.
    pub plan: Arc<Plan>,
    /// Index of the leg in that plan.
    pub leg: usize,
    /// The answer.
    pub body: Shape,
}

/// An answer that can have several takers.
pub(super) enum Shape {
    /// All of it.
    Whole {
        /// The bytes.
        bytes: Held,
        /// The tokens it tells of.
        usage: Option<Usage>,
    },
    /// Events that are all here.
    Said(Vec<Bytes>),
    /// Events that are still coming.
    Events(Arc<Tape>),
    /// Too large to be held: one taker has it, with its place at the pool.
    Through(Mutex<Option<Passing>>),
}

/// An answer that passes through, and its place at the pool.
pub(super) type Passing = (Box<Through>, Option<Slot>);

/// Asks until somebody answers. A panic in it is told to everybody who waits, and to nobody
/// else; `keep` is what is kept of a stream for those who come later.
pub(super) fn ask(
    gateway: Arc<Gateway>,
    question: Arc<Question>,
    trail: Arc<Trail>,
    keep_bytes: Option<usize>,
) -> impl Future<Output = Arc<Landed>> + Send + 'static {
    async move {
        let asked = gateway.exchange.run(&question, &gateway.images, &trail);
        let answer = match AssertUnwindSafe(asked).catch_unwind().await {
            Ok(answer) => answer,
            Err(_) => {
                gateway.metrics.panics.inc();
                let request_id = question.id.as_str();
                tracing::error!(request_id, "asking ended in a panic");
                Err(Refusal::Internal)
            }
        };
        let keep = keep_bytes.map(|bytes_max| Keep {
            bytes_max,
            share: question.body.share_of_answer(),
        });
        Arc::new(Landed {
            answer: answer.map(|answer| Given::new(answer, keep)),
        })
    }
}

impl Given {
    fn new(answer: Answer, keep: Option<Keep>) -> Self {
        let Answer {
            plan,
            leg,
            body,
            place,
        } = answer;
        let body = match body {
            Body::Whole { bytes, usage } => Shape::Whole { bytes, usage },
            Body::Said(events) => Shape::Said(events),
            Body::Events(stream) => Shape::Events(Tape::new(stream, place, keep)),
            Body::Through(through) => Shape::Through(Mutex::new(Some((through, place)))),
        };
        Self { plan, leg, body }
    }
}

/// An answer as one caller takes it.
pub(super) enum Taken {
    /// All of it.
    Whole {
        /// The bytes.
        bytes: Bytes,
        /// The tokens it tells of.
        usage: Option<Usage>,
    },
    /// Events that are all here.
    Said(Vec<Bytes>),
    /// Events that are still coming.
    Events(Reader),
    /// What passes through.
    Through(Passing),
}

impl Given {
    /// The answer for one who waited; `None` where too much of it has gone by already, or
    /// where only the one who `leads` can have it.
    pub(super) fn take(&self, leads: bool) -> Option<Taken> {
        Some(match &self.body {
            Shape::Whole { bytes, usage } => Taken::Whole {
                bytes: Bytes::clone(bytes),
                usage: *usage,
            },
            Shape::Said(events) => Taken::Said(events.clone()),
            Shape::Events(tape) => Taken::Events(tape.join()?),
            Shape::Through(through) if leads => {
                let mut through = through.lock().unwrap_or_else(PoisonError::into_inner);
                Taken::Through(through.take()?)
            }
            Shape::Through(_) => return None,
        })
    }
}

impl Taken {
    /// Its length, where that is known.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Whole { bytes, .. } => Some(bytes.len()),
            Self::Through((through, _)) => through.length,
            Self::Events(_) | Self::Said(_) => None,
        }
    }

    /// Whether it is a stream of events.
    pub(super) fn is_events(&self) -> bool {
        matches!(self, Self::Events(_) | Self::Said(_))
    }
}
