//! Who works for everybody who asks the same?
//!
//! One piece of work asks the upstreams, with a deadline of its own, for whoever waits for
//! it. It belongs to no caller: the one who began it may leave, and it goes on as long as
//! anybody waits. It is no task either. Whoever waits drives it, so that a request nobody
//! shares costs neither a task nor a waking, and when the last one has left it is dropped,
//! and its upstream with it.

/// Where does a caller wait?
pub(super) mod boarding;
/// Is an answer kept?
mod keeping;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderValue;

use crate::gateway::Gateway;
use crate::gateway::body::Held;
use crate::gateway::cache::flights::Place;
use crate::gateway::cache::key::Key;
use crate::gateway::cache::status::Kept;
use crate::gateway::cache::store::Found;
use crate::gateway::exchange::tape::{AtEnd, Keep, Reader, Tape};
use crate::gateway::exchange::trail::Trail;
use crate::gateway::exchange::{Answer, Body, Question, Through};
use crate::gateway::pools::slots::Slot;
use crate::gateway::refusal::Refusal;
use crate::gateway::relay::head::JSON;
use crate::gateway::route::Plan;
use crate::openai::Usage;
use boarding::Seat;
use keeping::{Around, Keeping};

/// What it came to, for everybody who waited.
pub(super) struct Landed {
    /// The answer, or what everybody is told.
    pub answer: Result<Came, Refusal>,
    /// How many were asked.
    pub attempts: usize,
    /// Whether it is kept.
    pub kept: Kept,
}

/// Where an answer came from.
pub(super) enum Came {
    /// From an upstream.
    Given(Given),
    /// From another replica, which had asked before.
    Kept(Found),
}

/// What work is begun with.
struct Order {
    /// What is asked.
    pub question: Arc<Question>,
    /// Where the attempts are noted.
    pub trail: Arc<Trail>,
    /// What its answer is kept by, if it may be kept.
    pub keep_as: Option<Key>,
    /// How old an answer of another replica may be; `None`: none is wanted.
    pub age_max: Option<Duration>,
    /// Bytes of a stream that are kept for those who come later; `None`: nobody will.
    pub keep_bytes: Option<usize>,
    /// By what others find it.
    pub place: Option<Place<Arc<Landed>>>,
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
/// else.
async fn ask(gateway: Arc<Gateway>, order: Order) -> Arc<Landed> {
    let (id, place) = (order.question.id.clone(), order.place.clone());
    let landed = AssertUnwindSafe(ask_in_turn(&gateway, order)).catch_unwind();
    let landed = landed.await.unwrap_or_else(|_| {
        gateway.metrics.panics.inc();
        tracing::error!(request_id = id.as_str(), "asking ended in a panic");
        if let Some(place) = place {
            place.close();
        }
        Landed {
            answer: Err(Refusal::Internal),
            attempts: 0,
            kept: Kept::Unsaid,
        }
    });
    Arc::new(landed)
}

async fn ask_in_turn(gateway: &Arc<Gateway>, order: Order) -> Landed {
    // What is forgotten from now on is not to come back with this.
    let era = gateway.cache.store.era();
    let Order {
        question,
        trail,
        keep_as,
        age_max,
        keep_bytes,
        place,
    } = order;
    let lead = match gateway.look_around(keep_as, age_max, &question).await {
        Around::Found(found) => return Landed::elsewhere(found, place),
        Around::Lead(lead) => lead,
    };
    let asked = gateway.exchange.run(&question, &gateway.images, &trail);
    let answer = asked.await;
    let kept = match (&answer, keep_as) {
        (Ok(answer), Some(key)) => gateway.keep((key, era), &question, answer, lead.as_ref()),
        _ => Kept::Unsaid,
    };
    let keep = keep_bytes.map(|bytes_max| Keep {
        bytes_max,
        share: question.body.share_of_answer(),
    });
    // A stream can be joined from its beginning for as long as it goes on and that is kept; else
    // whoever asks from now on finds the answer in memory, or is to ask anew.
    let at_end = match &answer {
        Ok(answer) if matches!(answer.body, Body::Events(_)) => {
            let stream = keep_as.map(|key| Keeping::new(key, era, &question, answer, lead));
            Some(at_end(gateway, place, stream))
        }
        _ => {
            if let Some(place) = place {
                place.close();
            }
            None
        }
    };
    Landed {
        answer: answer.map(|answer| Came::Given(Given::new(answer, keep, at_end))),
        attempts: trail.asked(),
        kept,
    }
}

/// Keeps what a stream has said, if it is to be kept, and then lets nobody join it any more.
fn at_end(
    gateway: &Arc<Gateway>,
    place: Option<Place<Arc<Landed>>>,
    keeping: Option<Keeping>,
) -> AtEnd {
    // Not the gateway itself, whose flights would hold it.
    let gateway = Arc::downgrade(gateway);
    Box::new(move |said| {
        if let (Some(said), Some(keeping), Some(gateway)) = (said, keeping, gateway.upgrade()) {
            gateway.keep_stream(&keeping, &said);
        }
        if let Some(place) = place {
            place.close();
        }
    })
}

impl Landed {
    /// Another replica had the answer.
    fn elsewhere(found: Found, place: Option<Place<Arc<Self>>>) -> Self {
        if let Some(place) = place {
            place.close();
        }
        Self {
            answer: Ok(Came::Kept(found)),
            attempts: 0,
            kept: Kept::Stored,
        }
    }
}

impl Given {
    fn new(answer: Answer, keep: Option<Keep>, at_end: Option<AtEnd>) -> Self {
        let Answer {
            plan,
            leg,
            body,
            word: _,
            place,
        } = answer;
        let body = match body {
            Body::Whole { bytes, glance } => Shape::Whole {
                bytes,
                usage: glance.usage,
            },
            Body::Said(events) => Shape::Said(events),
            Body::Events(stream) => Shape::Events(Tape::new(stream, place, keep, at_end)),
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
    /// where only the one who began it can have it.
    pub(super) fn take(&self, seat: &Seat) -> Option<Taken> {
        Some(match &self.body {
            Shape::Whole { bytes, usage } => Taken::Whole {
                bytes: Bytes::clone(bytes),
                usage: *usage,
            },
            Shape::Said(events) => Taken::Said(events.clone()),
            Shape::Events(tape) => Taken::Events(tape.join()?),
            Shape::Through(through) if !seat.joins() => {
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

    /// What it is.
    pub(super) fn media_type(&self) -> HeaderValue {
        match self {
            Self::Through((through, _)) => through.media_type.clone(),
            Self::Whole { .. } | Self::Events(_) | Self::Said(_) => JSON,
        }
    }

    /// Whether more of it comes from an upstream while it is handed on.
    pub(super) fn still_comes(&self) -> bool {
        matches!(self, Self::Events(_) | Self::Through(_))
    }

    /// Whether it is a stream of events.
    pub(super) fn is_events(&self) -> bool {
        matches!(self, Self::Events(_) | Self::Said(_))
    }
}
