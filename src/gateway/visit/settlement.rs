//! What did it use in the end?
//!
//! Tokens were reserved by an estimate. The upstream's own count replaces it; where that is
//! missing, because a stream was broken off or the upstream does not count, what passed by is
//! counted: the bytes of the question, and the events of the answer, of which most carry one
//! token, or its bytes. Where nobody answered, nothing was used. Only where the caller left
//! while an upstream was at work nobody knows, and the estimate stays: it would be free
//! otherwise to have answers made and not to wait for them.

use std::time::Instant;

use super::Visit;
use crate::gateway::record::{Outcome, RequestRecord};

impl Visit<'_> {
    /// Replaces what was reserved for this request by what it used. The first time counts: for
    /// a whole answer that is before it leaves.
    pub(in crate::gateway) fn settle(&mut self, now: Instant) {
        let bytes_per_token = self.snapshot.config.limiter.bytes_per_token;
        if let Some(tokens) = used(&self.record, u64::from(bytes_per_token.max(1))) {
            self.stay.settle(tokens, now);
        }
    }
}

/// The tokens that a request used; `None` where nobody knows.
fn used(record: &RequestRecord, bytes_per_token: u64) -> Option<u64> {
    if record.tokens_in.is_some() || record.tokens_out.is_some() {
        return Some(record.tokens());
    }
    if record.leg.is_none() {
        let was_left = record.outcome == Outcome::ClientGone && !record.attempts.is_empty();
        return (!was_left).then_some(0);
    }
    let question = record.bytes_in.div_ceil(bytes_per_token);
    let answer = match record.events {
        0 => record.bytes_out.div_ceil(bytes_per_token),
        events => events,
    };
    Some(question.saturating_add(answer))
}
