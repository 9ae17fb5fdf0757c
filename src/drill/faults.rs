//! What can go wrong with one request at one upstream?
//!
//! The table of a drill. Each file is one place where things go wrong, in the order in
//! which a request meets them; a line is a fault and what it means.

/// Before a byte of a request is sent.
mod connecting;
/// An answer with a status of its own.
mod statuses;
/// The head of an answer.
mod heads;
/// An answer that is no stream, and the first event of one that is.
mod answers;
/// A stream that has begun.
mod streams;

use std::time::Duration;

use crate::drill::fault::{Fault, Means, TIMEOUT, Upstream};
use crate::drill::policy::Policy;
use crate::drill::said::FIRST;

/// Every fault that a request of this kind can meet.
pub(super) fn all(stream: bool, policy: &Policy) -> Vec<Fault> {
    let times = &policy.pool.timeouts;
    let first = if stream {
        times.first_event
    } else {
        times.answer
    };
    let mut faults = connecting::faults(times.connect, first);
    faults.extend(statuses::faults());
    faults.extend(heads::faults(stream, first));
    if stream {
        faults.extend(answers::first_events(first));
        faults.extend(streams::faults(policy));
    } else {
        faults.extend(answers::whole(first));
    }
    faults.push(late(stream, policy));
    faults
}

/// A first token, or an answer, that comes after 20 seconds.
fn late(stream: bool, policy: &Policy) -> Fault {
    const NAME: &str = "first-token-after-20s";
    const LATE: Duration = Duration::from_secs(20);
    let (told, first) = if stream {
        (policy.told.first_event, policy.pool.timeouts.first_event)
    } else {
        (policy.told.answer, policy.pool.timeouts.answer)
    };
    let (script, bytes) = FIRST.answer(stream);
    let says = |delay| Upstream::Says(script.clone().delay_head(delay));
    let late = policy.scaled(LATE).min(first.mul_f64(0.7));
    if told > LATE {
        Fault::new(NAME, says(late), Means::Good(bytes)).costing(late)
    } else {
        Fault::new(NAME, says(first * 2), Means::Failed(TIMEOUT)).costing(first)
    }
}
