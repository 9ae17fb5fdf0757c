//! How does Redis learn what requests cost in the end?
//!
//! Behind their backs: corrections wait in a queue that has a bound, and go out many in a
//! question. One that is lost leaves a window with what was estimated. That is told by a
//! counter, and nobody waits for it.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Receipt, State, Window};

/// Corrections that wait, 96 bytes each: a tenth of a second of 40,000 requests.
pub(super) const WAITING_MAX: usize = 4096;
/// Corrections of one question: a tenth of a millisecond of Redis's time.
const TOGETHER_MAX: usize = 64;

/// What a window has to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correction {
    pub(super) window: Window,
    /// By what it knows what was taken.
    pub(super) receipt: Receipt,
    /// How much more was taken of it than its cost; below zero: less.
    pub(super) more: i64,
}

/// Sends corrections for as long as somebody may have some.
pub(super) async fn settle(state: Arc<State>, mut waiting: mpsc::Receiver<Correction>) {
    let mut together = Vec::with_capacity(TOGETHER_MAX);
    while waiting.recv_many(&mut together, TOGETHER_MAX).await > 0 {
        let is_told = match state.reach.line() {
            Some(line) => {
                let question = state.scripts.settle(&together);
                state.ask(&line, &question).await.is_ok()
            }
            None => false,
        };
        if !is_told {
            let count = together.len() as u64;
            state.metrics.dropped.inc_by(count);
        }
        together.clear();
    }
}
