//! In which protocol does a caller ask?
//!
//! An idiom is the mirror of a dialect: it lies at the edge, before inspection and behind the
//! relay, and everything in between is OpenAI's chat completions. So whoever asks in Anthropic's
//! words is inspected, limited, answered from memory, routed and failed over as anybody is, and
//! every model answers. Everything here is pure: bytes in, bytes out.
//!
//! The set is closed, and this file delegates. OpenAI's own callers go through untouched.

/// What is asked, as a chat?
pub mod question;
/// How does a whole answer read?
pub mod answer;
/// How does a stream read?
mod events;
/// What does a model say that answers in parts?
mod parts;
/// How do an upstream's own words go out?
mod own;
/// Which of Anthropic's betas does a caller want?
pub mod beta;
/// How is a caller refused?
mod envelope;
/// How is a message written?
mod written;

use bytes::Bytes;

use crate::gateway::dialect::Unreadable;
use crate::gateway::record::id::RequestId;
use crate::gateway::refusal::{Envelope, Refusal};
use crate::sse::split::{Said, Splitter};
use events::Events;

/// What waits for the end of an event.
const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// What tells a waiting client, and what stands between, that work goes on.
const COMMENT: Bytes = Bytes::from_static(b": working\n\n");

/// The protocol a caller asks in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Idiom {
    /// OpenAI's.
    #[default]
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

/// How a caller is told anything beside its answer.
#[derive(Debug, Clone)]
pub struct Voice {
    /// In which protocol.
    pub idiom: Idiom,
    /// The request's id.
    pub id: RequestId,
}

impl Voice {
    /// A refusal as a body.
    #[must_use]
    pub fn refusal(&self, envelope: &Envelope) -> Bytes {
        match self.idiom {
            Idiom::OpenAi => envelope.json(),
            Idiom::Anthropic => envelope::json(envelope, &self.id),
        }
        .into()
    }

    /// A refusal as the last event of a stream.
    #[must_use]
    pub fn refusal_event(&self, refusal: &Refusal) -> Bytes {
        let envelope = refusal.envelope();
        match self.idiom {
            Idiom::OpenAi => format!("data: {}\n\n", envelope.json()).into(),
            Idiom::Anthropic => envelope::event(&envelope, &self.id).into(),
        }
    }
}

impl Idiom {
    /// A refusal as a body, for those who describe the API.
    #[must_use]
    pub fn shown(self, envelope: &Envelope) -> Bytes {
        let (idiom, id) = (self, RequestId::made(0, 0));
        Voice { idiom, id }.refusal(envelope)
    }

    /// What stands in a stream where nothing else comes.
    #[must_use]
    pub fn sign_of_life(self) -> Bytes {
        match self {
            Self::OpenAi => COMMENT,
            Self::Anthropic => Bytes::from_static(events::PING),
        }
    }

    /// A whole answer.
    ///
    /// # Errors
    /// Where it is none.
    pub fn answer(self, completion: Bytes, id: &RequestId) -> Result<Bytes, Unreadable> {
        match self {
            Self::OpenAi => Ok(completion),
            Self::Anthropic => answer::message(&completion, id),
        }
    }

    /// All events of a stream that has ended well.
    ///
    /// # Errors
    /// Where they are not understood.
    pub fn answers(self, events: Vec<Bytes>, id: &RequestId) -> Result<Vec<Bytes>, Unreadable> {
        let Some(mut telling) = Telling::new(self, id) else {
            return Ok(events);
        };
        let mut told = Vec::with_capacity(events.len());
        for slice in &events {
            telling.feed(slice, &mut told)?;
        }
        telling.end(&mut told);
        Ok(told)
    }
}

/// A stream on its way into a caller's words.
#[derive(Debug)]
pub struct Telling {
    splitter: Splitter,
    events: Events,
}

impl Telling {
    /// A stream of which nothing was told; `None` where it is told as it comes.
    #[must_use]
    pub fn new(idiom: Idiom, id: &RequestId) -> Option<Self> {
        match idiom {
            Idiom::OpenAi => None,
            Idiom::Anthropic => Some(Self {
                splitter: Splitter::new(EVENT_BYTES_MAX),
                events: Events::new(id.clone()),
            }),
        }
    }

    /// Takes the next slice of chunks, and appends to `out` what it means, if anything.
    ///
    /// # Errors
    /// Where the stream is not understood; what was appended before is good.
    pub fn feed(&mut self, slice: &[u8], out: &mut Vec<Bytes>) -> Result<(), Unreadable> {
        let mut told = Vec::new();
        let events = &mut self.events;
        let fed = self.splitter.feed(slice, |said| match said {
            Said::Comment => {
                told.extend_from_slice(events::PING);
                Ok(())
            }
            Said::Data(data) => events.chunk(&data, &mut told),
        });
        out.extend((!told.is_empty()).then(|| told.into()));
        fed
    }

    /// The stream has ended well: appends what is still to be said.
    pub fn end(&mut self, out: &mut Vec<Bytes>) {
        let mut told = Vec::new();
        self.events.end(&mut told);
        out.extend((!told.is_empty()).then(|| told.into()));
    }
}
