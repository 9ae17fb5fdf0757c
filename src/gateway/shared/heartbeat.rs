//! Who makes a connection, and when?
//!
//! One task for each purpose makes its connection, and makes it anew where it was lost.
//! Before a request asks on one, what is needed of it was tried there, within the time that a
//! request would have: for limits this process writes its name down, so a server that is
//! loading, full, only to be read from, or slow is still away. The same is done every few
//! seconds; the names of those who were heard of in the last fifteen are counted.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::Rests;
use super::reach::{self, Line, Purpose};
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
pub(super) async fn keep(purpose: Arc<impl Purpose>) {
    let mut rests = Rests::default();
    let mut is_told = false;
    loop {
        let mut rest = purpose.reach().rest;
        match reach::found(&*purpose).await {
            Ok(line) => {
                let began = sys::instant();
                reach::open(&*purpose, &line);
                beat_until_lost(&*purpose, &line).await;
                if sys::instant().saturating_duration_since(began) >= STEADY {
                    rests.reset();
                    if !line.is_broken(purpose.reach()) {
                        rest = AGAIN;
                    }
                }
            }
            Err(absence) => {
                purpose.reach().count(absence);
                if !is_told {
                    reach::tell_away(&*purpose, absence);
                }
            }
        }
        is_told = true;
        tokio::time::sleep(rests.next(rest, sys::chance())).await;
    }
}

async fn beat_until_lost(purpose: &impl Purpose, line: &Line) {
    let reach = purpose.reach();
    loop {
        let woken = tokio::time::timeout(PERIOD, reach.woken()).await;
        if woken.is_ok() && line.is_lost() {
            return;
        }
        match reach.in_time(purpose.prove(&line.link)).await {
            Ok(()) => line.succeeded(),
            Err(absence) => {
                reach::failed(purpose, line, absence);
            }
        }
    }
}
