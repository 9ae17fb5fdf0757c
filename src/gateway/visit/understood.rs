//! What does it say, whatever protocol it is asked in?
//!
//! In OpenAI's it is what came. What comes in Anthropic's is put into a chat, and both count as
//! held until the request is over. What is answered goes the way back.

use bytes::Bytes;
use http::HeaderValue;

use super::Visit;
use crate::gateway::body::Held;
use crate::gateway::dialect::Unreadable;
use crate::gateway::dialect::original::Original;
use crate::gateway::idiom::{Idiom, Telling, beta, question};
use crate::gateway::inspect::strict;
use crate::gateway::record::outcome::Shed;
use crate::gateway::refusal::Refusal;
use crate::gateway::work::Taken;
use crate::operation::Operation;

impl Visit<'_> {
    /// The body as a chat, and what it is made of where that is something else.
    pub(in crate::gateway) fn understood(
        &mut self,
        operation: Operation,
        body: Held,
    ) -> Result<(Held, Option<(Original, Held)>), Refusal> {
        // What is no chat goes through as it came.
        match (self.common.idiom, operation) {
            (Idiom::Anthropic, Operation::Chat) => self.told_in = Idiom::Anthropic,
            _ => return Ok((body, None)),
        }
        let model_span = strict::model(&body, &self.snapshot.bounds).map_err(Refusal::Body)?;
        let chat = question::chat(&body).map_err(Refusal::Inexpressible)?;
        let mut share = body.share_beside();
        if share.grow(chat.body.len()).is_err() {
            self.record.shed = Some(Shed::Bodies);
            return Err(Refusal::Overloaded);
        }
        let original = Original {
            body: Bytes::clone(&body),
            model_span,
            unsaid: chat.unsaid,
            origins: chat.origins,
        };
        Ok((Held::new(chat.body.into(), share), Some((original, body))))
    }

    /// Which betas are wanted of who speaks the caller's own protocol.
    pub(in crate::gateway) fn beta(&self) -> Option<HeaderValue> {
        match self.common.idiom {
            Idiom::OpenAi => None,
            Idiom::Anthropic => beta::wanted(&self.session.req_header().headers),
        }
    }

    /// An answer in the words it was asked in.
    pub(super) fn in_idiom(&self, taken: Taken) -> Result<Taken, Refusal> {
        let (idiom, id) = (self.told_in, &self.common.id);
        if idiom == Idiom::OpenAi {
            return Ok(taken);
        }
        let told = match taken {
            Taken::Whole { bytes, usage } => {
                let bytes = idiom.answer(bytes, id);
                bytes.map(|bytes| Taken::Whole { bytes, usage })
            }
            Taken::Said(events) => idiom.answers(events, id).map(Taken::Said),
            Taken::Events(reader) => Ok(Taken::Events(reader.told(Telling::new(idiom, id)))),
            Taken::Through((through, _)) if !through.is_too_large => {
                return Err(Refusal::Overloaded);
            }
            Taken::Through(_) => Err(Unreadable("an answer too large to be held")),
        };
        told.map_err(|Unreadable(why)| {
            tracing::warn!(
                request_id = id.as_str(),
                why,
                "answer not put into the caller's words"
            );
            Refusal::UpstreamInvalidResponse
        })
    }
}
