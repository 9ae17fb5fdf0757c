//! In which words is a pool asked?
//!
//! In the caller's own where it speaks OpenAI's protocol, which costs nothing. In another
//! dialect's they are made once for all attempts at the same leg, and count as held until
//! the request is over.

use crate::config::dialect::Dialect;
use crate::gateway::body::Share;
use crate::gateway::dialect::{self, Asked, Inexpressible, Terms};
use crate::gateway::exchange::Question;
use crate::gateway::exchange::course::Next;
use crate::gateway::route::Leg;
use crate::gateway::splice::Spliced;

/// The bodies that were made for a request.
pub(super) struct Phrasing<'q> {
    question: &'q Question,
    made: Vec<Made<'q>>,
}

/// A body that is made of the caller's.
struct Made<'q> {
    leg: &'q Leg,
    model: &'q str,
    body: Spliced,
    _held: Share,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Unphrased {
    /// This leg's dialect has no words for what is asked.
    Inexpressible(Inexpressible),
    /// There is no room for it now.
    NoRoom,
}

impl<'q> Phrasing<'q> {
    /// Nothing is made yet.
    pub(super) fn new(question: &'q Question) -> Self {
        Self {
            question,
            made: Vec::new(),
        }
    }

    /// The body for who is asked next.
    pub(super) fn body(&mut self, next: &Next<'q>) -> Result<Spliced, Unphrased> {
        let Next { leg, name, .. } = *next;
        let model = leg.model(name);
        let dialect = leg.pool.dialect;
        let question = self.question;
        let asked = Asked {
            body: &question.body,
            ask: &question.ask,
            original: question.original.as_ref().map(|(original, _)| original),
            image: question.image.as_ref(),
            model,
            terms: Terms {
                unsupported: leg.pool.unsupported,
                stream_usage: leg.pool.stream_usage,
                max_tokens_default: leg.max_tokens_default,
                thinking: leg.thinking,
            },
        };
        let phrased = || dialect::request(dialect, &asked).map_err(Unphrased::Inexpressible);
        // The caller's own words cost nothing, either.
        let is_own = (dialect == Dialect::Anthropic && question.original.is_some())
            || !dialect::is_put(dialect, question.ask.operation);
        if is_own {
            return phrased();
        }
        let known = |made: &&Made<'_>| std::ptr::eq(made.leg, leg) && made.model == model;
        if let Some(made) = self.made.iter().find(known) {
            return Ok(made.body.clone());
        }
        let body = phrased()?;
        let mut held = question.body.share_beside();
        held.grow(body.len).map_err(|_| Unphrased::NoRoom)?;
        self.made.push(Made {
            leg,
            model,
            body: body.clone(),
            _held: held,
        });
        Ok(body)
    }
}
