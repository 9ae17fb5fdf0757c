//! What if something panics right here, or hangs?
//!
//! A panic must end its own request and nothing else, wherever it happens, and a thread that does
//! not come back must be told of by another. To test that, a build with debug assertions does it
//! where `SPAFE_PANIC_AT` says, once for each request that asks for it by a word in its id. In
//! other builds nothing of this is there.

use std::sync::OnceLock;
use std::time::Duration;

/// Longer than a runtime may be silent.
const STALL: Duration = Duration::from_secs(7);

/// A place on the way of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The head was judged.
    Door,
    /// The body is here.
    Body,
    /// Who may answer is known.
    Route,
    /// An attempt begins.
    Attempt,
    /// An upstream has committed.
    Deliver,
    /// All is over but the record.
    Record,
}

static PANIC_AT: OnceLock<Phase> = OnceLock::new();

impl Phase {
    /// Every phase with its name.
    pub const ALL: [(&str, Self); 6] = [
        ("door", Self::Door),
        ("body", Self::Body),
        ("route", Self::Route),
        ("attempt", Self::Attempt),
        ("deliver", Self::Deliver),
        ("record", Self::Record),
    ];
}

/// Chooses the phase in which requests panic. It cannot be chosen again.
pub fn panic_at(name: &str) {
    let phase = Phase::ALL.into_iter().find(|(known, _)| *known == name);
    if let Some((_, phase)) = phase {
        // Only the first choice counts.
        let _ = PANIC_AT.set(phase);
    }
}

/// Panics, if this phase was chosen and the request asks for it: its id begins with `panic`. With
/// `stall`, its thread does nothing for a while.
///
/// # Panics
/// That is what it is for.
pub fn reach(phase: Phase, id: &str) {
    let chosen = cfg!(debug_assertions) && PANIC_AT.get() == Some(&phase);
    if chosen && id.starts_with("stall") {
        #[expect(clippy::disallowed_methods, reason = "to block is what it is for")]
        std::thread::sleep(STALL);
    }
    assert!(
        !(chosen && id.starts_with("panic")),
        "told to panic at {phase:?}"
    );
}
