//! Who makes the connection, and who else is there?
//!
//! One task makes it, and makes it anew where it was lost. Before a request asks on a
//! connection this process has written its name down there, within the time that a request
//! would have: a server that is loading, full, only to be read from, or slow is still away.
//! The same is done every few seconds, and the names of those who were heard of in the last
//! fifteen are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::breaker::{Breaker, Rests};
use super::link::Link;
use super::{Line, State, script};
use crate::gateway::record::outcome::Absence;
use crate::sys;

/// Two may be lost before others believe that we are gone.
const PERIOD: Duration = Duration::from_secs(5);
/// A connection that was closed may be made again almost at once: a server that was
/// replaced is there already.
const AGAIN: Duration = Duration::from_millis(50);

/// A connection that lasts so long was a good one. Who gives up after less is not asked
/// again at once, however well it begins.
const STEADY: Duration = Duration::from_secs(10);

/// Keeps a connection, for as long as anybody lets it.
pub(super) async fn keep(state: Arc<State>) {
    let mut rests = Rests::default();
    let mut is_told = false;
    loop {
        let mut rest = state.config.rest;
        match found(&state).await {
            Ok(line) => {
                let began = sys::instant();
                state.line.store(Some(Arc::clone(&line)));
                state.tell_back();
                beat_until_lost(&state, &line).await;
                if sys::instant().saturating_duration_since(began) >= STEADY {
                    rests.reset();
                    if !line.breaker.is_open(state.config.failures) {
                        rest = AGAIN;
                    }
                }
            }
            Err(absence) => {
                state.metrics.failed(absence).inc();
                if !is_told {
                    state.tell_away(absence);
                }
            }
        }
        is_told = true;
        tokio::time::sleep(rests.next(rest, sys::chance())).await;
    }
}

/// A connection on which this process is known.
async fn found(state: &State) -> Result<Arc<Line>, Absence> {
    let link = state.place.connect().await?;
    announce(state, &link).await?;
    Ok(Arc::new(Line {
        link,
        breaker: Breaker::default(),
        is_lost: AtomicBool::new(false),
    }))
}

/// Says that we are there, and learns who else is.
async fn announce(state: &State, link: &Link) -> Result<(), Absence> {
    let question = state.scripts.beat(&state.process);
    let answer = tokio::time::timeout(state.config.timeout, link.ask(&question)).await;
    let answer = answer.map_err(|_| Absence::Slow)??;
    let count = script::processes(&answer).ok_or(Absence::Garbage)?;
    state.seen.store(count.max(1), Ordering::Relaxed);
    state.metrics.replicas.set(state.replicas().into());
    Ok(())
}

async fn beat_until_lost(state: &State, line: &Line) {
    loop {
        let lost = tokio::time::timeout(PERIOD, state.lost.notified()).await;
        if lost.is_ok() && line.is_lost.load(Ordering::Relaxed) {
            return;
        }
        match announce(state, &line.link).await {
            Ok(()) => line.breaker.succeeded(),
            Err(absence) => {
                state.failed(line, absence);
            }
        }
    }
}
