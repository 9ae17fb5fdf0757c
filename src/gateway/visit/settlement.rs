//! What did it use in the end?
//!
//! Tokens were reserved by an estimate. The upstream's own count replaces it; where that is
//! missing, because a stream was broken off or the upstream does not count, what passed by is
//! counted: the bytes of the question and its pictures, and the events of the answer, of which
//! most carry one token, or its bytes. Where nobody answered, nothing was used. Only where an
//! upstream was cut off at its work, because the caller left or did not wait longer, nobody
//! knows, and the estimate stays: it would be free otherwise to have answers made and not to
//! wait for them. (What that cost is then not counted as spent: nobody was answered for it.)

use std::time::Instant;

use super::Visit;
use crate::gateway::limit::Used;
use crate::gateway::record::RequestRecord;

impl Visit<'_> {
    /// Replaces what was reserved for this request by what it used. The first time counts: for
    /// a whole answer that is before it leaves.
    pub(in crate::gateway) fn settle(&mut self, now: Instant) {
        if self.owes {
            // Whoever goes on waiting pays for all of it.
            self.record.served = None;
            return;
        }
        let bytes_per_token = self.snapshot.config.limiter.bytes_per_token;
        let expected = (self.question_tokens, self.answer_tokens);
        let used = used(&self.record, expected, bytes_per_token);
        if let Some((question, answer)) = used {
            self.record.estimated = self.is_estimated().then_some((question, answer));
            self.record.spend(self.images);
            let used = Used {
                tokens: question.saturating_add(answer),
                usd: self.record.cost.unwrap_or_default(),
            };
            self.settle_as(used, now);
        }
    }

    /// Whether an upstream answered and did not tell its tokens.
    fn is_estimated(&self) -> bool {
        self.record.served.is_some() && self.record.tokens() == 0
    }

    /// As [`Self::settle`], where it is known what it used.
    pub(super) fn settle_as(&mut self, used: Used, now: Instant) {
        self.stay.settle(used, now);
        if let Some(reservation) = &self.stay.reservation {
            self.common.quota = reservation.quota();
        }
    }
}

/// The tokens that a request used, of its question and of its answer; `None` where nobody knows.
fn used(
    record: &RequestRecord,
    (question, answer): (u64, Option<u64>),
    bytes_per_token: u32,
) -> Option<(u64, u64)> {
    if record.served.is_none() {
        let may_have_worked = record.attempts.iter().any(|attempt| attempt.cut_off);
        return (!may_have_worked).then_some((0, 0));
    }
    // None at all is no count: there was a question, and what passed by was no less for it.
    if record.tokens() > 0 {
        let told = (record.tokens_in, record.tokens_out);
        return Some((told.0.unwrap_or(0), told.1.unwrap_or(0)));
    }
    let answer = match (answer, record.events) {
        (Some(answer), _) => answer,
        (None, 0) => record.bytes_out.div_ceil(u64::from(bytes_per_token.max(1))),
        (None, events) => events,
    };
    Some((question, answer))
}
