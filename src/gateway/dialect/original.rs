//! What did a caller say who speaks a dialect itself?
//!
//! Whoever asks in Anthropic's words is understood as a chat, and limited, routed and kept
//! as one. A pool that speaks the same protocol gets the caller's own words all the same, so that
//! nothing is lost on a way there and back; any other pool gets the chat, unless something was
//! said that a chat cannot say.

/// What does a caller call it that a chat names otherwise?
pub mod origins;

use std::ops::Range;

use bytes::Bytes;

use self::origins::Origins;
use super::{Asked, Inexpressible};
use crate::config::dialect::{Dialect, Unsupported};
use crate::gateway::splice::{self, Spliced};

/// A request in Anthropic's words.
#[derive(Debug, Clone)]
pub struct Original {
    /// The body, as it came.
    pub body: Bytes,
    /// Where the value of `model` stands in it.
    pub model_span: Range<usize>,
    /// What of it the chat does not say.
    pub unsaid: Unsaid,
    /// Where the parts of the chat come from.
    pub origins: Origins,
}

/// What a chat cannot say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsaid {
    /// Part of what is talked about, which is never left out.
    pub content: Option<Inexpressible>,
    /// What stands in the chat, of what is talked about, though OpenAI's own chats have no place
    /// for it there: a picture among what came of a call.
    pub shown: Option<Inexpressible>,
    /// How it is to be answered.
    pub setting: Option<Inexpressible>,
    /// `top_k`, as it was written: OpenAI's protocols have no word for it.
    pub top_k: Option<Box<str>>,
    /// Not to think was asked for, which is what a chat means anyway that says nothing, but not
    /// every model that is asked.
    pub is_unthinking: bool,
}

impl Original {
    /// The body for a pool: as it came where the pool speaks the same, or else the chat's.
    pub(super) fn request(
        &self,
        dialect: Dialect,
        asked: &Asked<'_>,
    ) -> Result<Spliced, Inexpressible> {
        if dialect == Dialect::Anthropic {
            return Ok(self.for_model(*asked.ask.model == *asked.model, asked.model));
        }
        self.unsaid.is_let_go(dialect, asked.terms.unsupported)?;
        super::put(dialect, asked).map_err(|what| Inexpressible {
            param: self.origins.name(&what.param),
            ..what
        })
    }

    /// The body for an upstream that calls the model so.
    fn for_model(&self, is_same: bool, model: &str) -> Spliced {
        if is_same {
            splice::whole(&self.body)
        } else {
            splice::model_name(&self.body, &self.model_span, model)
        }
    }
}

impl Unsaid {
    /// Notes a part of what is talked about. The first one counts.
    pub fn content(&mut self, what: Inexpressible) {
        self.content.get_or_insert(what);
    }

    /// Notes what other dialects may have a place for. The first one counts.
    pub fn shown(&mut self, what: Inexpressible) {
        self.shown.get_or_insert(what);
    }

    /// Notes how it would have been to be answered. The first one counts.
    pub fn setting(&mut self, what: Inexpressible) {
        self.setting.get_or_insert(what);
    }

    /// Whether a pool that speaks another protocol may be asked without that.
    ///
    /// # Errors
    /// What would be missing.
    fn is_let_go(&self, dialect: Dialect, unsupported: Unsupported) -> Result<(), Inexpressible> {
        let shown = match dialect {
            Dialect::OpenAi | Dialect::Azure => self.shown.as_ref(),
            // They look at what messages say themselves, or never read so far.
            Dialect::Anthropic | Dialect::Gemini | Dialect::Responses | Dialect::Images => None,
        };
        let setting = match unsupported {
            Unsupported::Refuse => self.setting.as_ref(),
            Unsupported::Drop => None,
        };
        if let Some(what) = self.content.as_ref().or(shown).or(setting) {
            return Err(what.clone());
        }
        let knows_top_k = matches!(dialect, Dialect::Anthropic | Dialect::Gemini);
        if self.top_k.is_some() && !knows_top_k && unsupported == Unsupported::Refuse {
            return Err(Inexpressible::unknown("top_k"));
        }
        Ok(())
    }
}
