//! What did it use in the end?
//!
//! Tokens were reserved by an estimate. The upstream's own count replaces it; where that is
//! missing, because a stream was broken off or the upstream does not count, what passed by is
//! counted: the bytes of the question and its pictures, and the events of the answer, of which
//! most carry one token, or its bytes. Where nobody answered, nothing was used. Only where an
//! upstream was cut off at its work, because the caller left or did not wait longer, nobody
//! knows, and the estimate stays: it would be free otherwise to have answers made and not to
//! wait for them.

use std::time::Instant;

use super::Visit;
use crate::gateway::record::RequestRecord;

impl Visit<'_> {
    /// Replaces what was reserved for this request by what it used. The first time counts: for
    /// a whole answer that is before it leaves.
    pub(in crate::gateway) fn settle(&mut self, now: Instant) {
        if self.owes {
            return;
        }
        let bytes_per_token = self.snapshot.config.limiter.bytes_per_token;
        let expected = (self.question_tokens, self.answer_tokens);
        if let Some(tokens) = used(&self.record, expected, bytes_per_token) {
            self.settle_as(tokens, now);
        }
    }

    /// As [`Self::settle`], where it is known what it used.
    pub(super) fn settle_as(&mut self, tokens: u64, now: Instant) {
        self.stay.settle(tokens, now);
        if let Some(reservation) = &self.stay.reservation {
            self.common.quota = reservation.quota();
        }
    }
}

/// The tokens that a request used; `None` where nobody knows.
fn used(
    record: &RequestRecord,
    (question, answer): (u64, Option<u64>),
    bytes_per_token: u32,
) -> Option<u64> {
    if record.leg.is_none() {
        let may_have_worked = record.attempts.iter().any(|attempt| attempt.cut_off);
        return (!may_have_worked).then_some(0);
    }
    // None at all is no count: there was a question, and what passed by was no less for it.
    if record.tokens() > 0 {
        return Some(record.tokens());
    }
    let answer = match (answer, record.events) {
        (Some(answer), _) => answer,
        (None, 0) => record.bytes_out.div_ceil(u64::from(bytes_per_token.max(1))),
        (None, events) => events,
    };
    Some(question.saturating_add(answer))
}
