//! How is it said to an upstream that speaks another protocol?
//!
//! A dialect lies under the exchange: what a caller asked goes in and an upstream's
//! body comes out, and the other way round what the exchange hands on is always
//! OpenAI's chat completions. Cache and relay never see a dialect. Everything here is
//! pure: bytes in, bytes out; moments and ids are handed in. A vendor that speaks OpenAI's
//! protocol is no dialect; it is a base address in the configuration.
//!
//! The set is closed, and this file delegates: one verb, one `match`, one file a dialect.
//! * [`request`]: the caller's body in the upstream's words;
//! * the head of the request: `pools/wire/manner.rs`, because it is rendered with the pools;
//! * [`answer`] and [`Translation`]: a whole answer, and a stream event by event;
//! * [`error`]: what an error answer says.
//!
//! OpenAI's own protocol goes through all of them untouched: its requests are the caller's
//! bytes, its answers and events the upstream's.

/// OpenAI's protocol as Azure speaks it.
pub mod azure;
/// OpenAI's `images/generations`, asked for and answered as a chat completion.
pub mod images;
/// Anthropic's messages.
mod anthropic;
/// Google's Gemini.
mod gemini;
/// OpenAI's Responses.
mod responses;
/// How is an answer written that is made here?
mod written;
/// And a call of a tool?
mod calls;
/// What does an object say, member by member?
pub mod members;
/// What did a caller say who speaks a dialect itself?
pub mod original;
/// Why can something not be said?
mod inexpressible;
/// What does an error answer say?
mod words;

use bytes::Bytes;
use http::StatusCode;

use crate::config::dialect::{Dialect, StreamUsage, Thinking, Unsupported};
use crate::gateway::inspect::Ask;
use crate::gateway::inspect::image::ImageAsk;
use crate::gateway::splice::{self, Spliced};
use crate::openai::UpstreamError;
use crate::operation::Operation;
use crate::sse::split::{Said, Splitter, TooLong};
use original::Original;
pub use words::error;

/// What an upstream is to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The caller's body, as it came.
    pub body: &'a Bytes,
    /// What was read in it.
    pub ask: &'a Ask,
    /// Where the caller speaks Anthropic's protocol: what it said, of which the body is made.
    pub original: Option<&'a Original>,
    /// For an image model: what is to be drawn.
    pub image: Option<&'a ImageAsk>,
    /// What the upstream calls the model.
    pub model: &'a str,
    /// What the configuration says for this model at this pool.
    pub terms: Terms,
}

/// What is configured of how a request is put into other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What becomes of what cannot be put.
    pub unsupported: Unsupported,
    /// Whether streams are asked to count their tokens.
    pub stream_usage: StreamUsage,
    /// How many tokens an answer may have, where a protocol wants to be told and the caller
    /// did not say, ≥ 1.
    pub max_tokens_default: u32,
    /// How a model is told how hard to think.
    pub thinking: Thinking,
}

/// What a dialect has no words for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param} cannot be put into the upstream's words: {why:?}")]
pub struct Inexpressible {
    /// Where it stands in the body, such as `logit_bias` or `messages[2].content[0]`. Names
    /// in it are the caller's, of any length and character.
    pub param: String,
    /// What is in the way.
    pub why: Why,
}

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The upstream knows nothing like it.
    Unknown,
    /// It knows that, but not this value; a clause that follows the field's name, such as
    /// "must be at most 1".
    Value(&'static str),
    /// It is not what the caller's own protocol says that it is; such a clause, too.
    Malformed(&'static str),
}

/// What an answer that is made here says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `chatcmpl-…`
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The model, where the upstream does not tell.
    pub model: String,
    /// Whether the upstream's own words are to stand beside what they mean, for a caller who
    /// speaks its protocol.
    pub verbatim: bool,
}

/// A whole answer that was put into OpenAI's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// As it is sent, but for the addresses of its pictures.
    pub bytes: Bytes,
    /// The pictures, by rising place.
    pub pictures: Vec<Picture>,
}

/// A picture that came as bytes. Its address is known only where it is kept, which is no
/// dialect's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Where its address belongs.
    pub at: usize,
    /// The bytes in base64, neither decoded nor looked at.
    pub base64: String,
}

impl<B: Into<Bytes>> From<B> for Answered {
    fn from(bytes: B) -> Self {
        Self {
            bytes: bytes.into(),
            pictures: Vec::new(),
        }
    }
}

impl Names {
    /// A model's name of which the upstream may say what it likes: it stands in every chunk.
    const MODEL_BYTES_MAX: usize = 256;

    /// The model, as the upstream tells it, or else as it was asked for.
    fn model<'a>(&'a self, told: Option<&'a str>) -> &'a str {
        let told = told.filter(|told| told.len() <= Self::MODEL_BYTES_MAX);
        told.unwrap_or(&self.model)
    }
}

/// What came is no answer; the words say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

impl From<TooLong> for Unreadable {
    fn from(_: TooLong) -> Self {
        Self("an event that is too long")
    }
}

/// Whether a dialect answers with events where a stream is asked for.
#[must_use]
pub fn has_events(dialect: Dialect) -> bool {
    match dialect {
        Dialect::OpenAi
        | Dialect::Azure
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Responses => true,
        Dialect::Images => false,
    }
}

/// How many choices an answer has where so many were asked for.
#[must_use]
pub fn choices(dialect: Dialect, asked: u32) -> u32 {
    match dialect {
        Dialect::OpenAi | Dialect::Azure | Dialect::Images | Dialect::Gemini => asked,
        // Whoever asked for more was refused, or had that dropped.
        Dialect::Anthropic | Dialect::Responses => 1,
    }
}

/// Whether a dialect's whole answers must be put into other words by [`answer`].
#[must_use]
pub fn is_translated(dialect: Dialect) -> bool {
    match dialect {
        // An answer of images is made where they are kept, `exchange/image.rs`.
        Dialect::OpenAi | Dialect::Azure | Dialect::Images => false,
        Dialect::Anthropic | Dialect::Gemini | Dialect::Responses => true,
    }
}

/// Whether that is so for what is asked: what is no chat is asked only where it needs no
/// other words.
#[must_use]
pub fn is_put(dialect: Dialect, operation: Operation) -> bool {
    operation == Operation::Chat && is_translated(dialect)
}

/// Whether a stream is asked to count its tokens though its caller did not ask for that.
#[must_use]
pub fn asks_for_usage(dialect: Dialect, stream_usage: StreamUsage, ask: &Ask) -> bool {
    let is_openai = matches!(dialect, Dialect::OpenAi | Dialect::Azure);
    let has_options = matches!(ask.operation, Operation::Chat | Operation::Completions);
    is_openai && stream_usage == StreamUsage::Ask && has_options && ask.stream && !ask.include_usage
}

/// The body of a request in the upstream's words.
///
/// # Errors
/// The first thing that it has no words for, unless that is to be left out.
pub fn request(dialect: Dialect, asked: &Asked<'_>) -> Result<Spliced, Inexpressible> {
    match asked.original {
        Some(original) => original.request(dialect, asked),
        None => put(dialect, asked),
    }
}

fn put(dialect: Dialect, asked: &Asked<'_>) -> Result<Spliced, Inexpressible> {
    if asks_for_usage(dialect, asked.terms.stream_usage, asked.ask) {
        let name = (asked.model != &*asked.ask.model).then_some(asked.model);
        return Ok(splice::with_usage(asked.body, asked.ask, name));
    }
    match (dialect, asked.image) {
        (_, Some(image)) => {
            images::asked::is_all_said(asked.body, asked.terms.unsupported)?;
            Ok(splice::whole(&images::request(image, asked.model)))
        }
        _ if !is_put(dialect, asked.ask.operation) => Ok(as_it_came(asked)),
        (Dialect::OpenAi | Dialect::Azure | Dialect::Images, None) => Ok(as_it_came(asked)),
        (Dialect::Anthropic, None) => Ok(splice::whole(&anthropic::request::body(asked)?)),
        (Dialect::Responses, None) => Ok(splice::whole(&responses::request::body(asked)?)),
        (Dialect::Gemini, None) => Ok(splice::whole(&gemini::request::body(asked)?)),
    }
}

/// The caller's body, but for the model's name.
fn as_it_came(asked: &Asked<'_>) -> Spliced {
    let (body, span) = (asked.body, &asked.ask.model_span);
    match asked.ask.boundary {
        _ if asked.model == &*asked.ask.model => splice::whole(body),
        None => splice::model_name(body, span, asked.model),
        Some(_) => splice::form_model_name(body, span, asked.model),
    }
}

/// A whole answer as a `chat.completion`, or as OpenAI's error object where it tells of one.
///
/// # Errors
/// Where it is neither.
pub fn answer(dialect: Dialect, body: Bytes, names: &Names) -> Result<Answered, Unreadable> {
    match dialect {
        Dialect::OpenAi | Dialect::Azure | Dialect::Images => Ok(body.into()),
        Dialect::Anthropic => anthropic::answer::completion(&body, names).map(Answered::from),
        Dialect::Gemini => gemini::answer::completion(&body, names),
        Dialect::Responses => responses::answer::completion(&body, names),
    }
}

/// The status that an error answer stands for, where it came with this one.
#[must_use]
pub fn status(dialect: Dialect, status: StatusCode, error: Option<&UpstreamError>) -> StatusCode {
    match dialect {
        Dialect::OpenAi
        | Dialect::Azure
        | Dialect::Images
        | Dialect::Anthropic
        | Dialect::Responses => status,
        Dialect::Gemini => gemini::failure::status(status, error),
    }
}

/// A stream on its way into OpenAI's events.
///
/// Each event of the upstream's leaves before the next is read: what [`Translation::feed`]
/// appends are whole events, all that the slice tells.
#[derive(Debug)]
pub struct Translation {
    splitter: Splitter,
    translator: Translator,
}

/// What a stream said so far, by dialect.
#[derive(Debug)]
enum Translator {
    Anthropic(anthropic::events::Events),
    Gemini(gemini::events::Events),
    Responses(responses::events::Events),
}

impl Translation {
    /// A translation at the start of a stream; `None` where the stream is OpenAI's already.
    ///
    /// Units: `event_bytes_max` in bytes.
    #[must_use]
    pub fn new(dialect: Dialect, names: Names, event_bytes_max: usize) -> Option<Self> {
        let translator = Translator::of(dialect, names)?;
        Some(Self {
            splitter: Splitter::new(event_bytes_max),
            translator,
        })
    }

    /// Takes the next slice and appends to `out` what it means: whole events of OpenAI's,
    /// their last `[DONE]`. They always count tokens, in an event of its own at the end where
    /// these are known; it is withheld from who did not ask for it.
    ///
    /// # Errors
    /// Where the stream is not understood; what was appended before is good.
    pub fn feed(&mut self, slice: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let translator = &mut self.translator;
        self.splitter.feed(slice, |said| match said {
            Said::Comment => {
                out.extend_from_slice(b":\n\n");
                Ok(())
            }
            Said::Data(data) => translator.event(&data, out),
        })
    }

    /// The pictures in what was appended since this was asked last. Places are those in `out`
    /// of that one [`Translation::feed`].
    pub fn pictures(&mut self) -> Vec<Picture> {
        match &mut self.translator {
            Translator::Anthropic(_) | Translator::Responses(_) => Vec::new(),
            Translator::Gemini(events) => events.pictures(),
        }
    }

    /// Bytes that wait for the end of their event.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.splitter.held_bytes()
    }

    /// Appends what it began with, where it has said nothing else yet.
    pub fn open(&mut self, out: &mut Vec<u8>) {
        match &mut self.translator {
            Translator::Anthropic(events) => events.opening().give(out),
            Translator::Gemini(_) => {}
            Translator::Responses(events) => events.opening().give(out),
        }
    }

    /// The upstream has ended in order: appends what is still to be said.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.translator.end(out);
    }
}

impl Translator {
    fn of(dialect: Dialect, names: Names) -> Option<Self> {
        match dialect {
            Dialect::OpenAi | Dialect::Azure | Dialect::Images => None,
            Dialect::Anthropic => Some(Self::Anthropic(anthropic::events::Events::new(names))),
            Dialect::Gemini => Some(Self::Gemini(gemini::events::Events::new(names))),
            Dialect::Responses => Some(Self::Responses(responses::events::Events::new(names))),
        }
    }

    /// One event's data.
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match self {
            Self::Anthropic(events) => events.event(data, out),
            Self::Gemini(events) => events.event(data, out),
            Self::Responses(events) => events.event(data, out),
        }
    }

    /// The end of the connection.
    fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            // They say their end themselves.
            Self::Anthropic(_) | Self::Responses(_) => {}
            Self::Gemini(events) => events.end(out),
        }
    }
}
