//! How does one purpose reach Redis?
//!
//! Limits and answers have a connection each, with failures counted apart: an answer may be
//! long, and a decision behind it on the same connection would be late. What is done with a
//! connection is the same for both: nobody waits longer than `timeout`, after so many
//! failures in a row it is given up, and from then on nobody asks until another one is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::Away;
use super::breaker::Breaker;
use super::link::{Link, Place};
use crate::config;
use crate::gateway::record::metrics::RedisMetrics;
use crate::gateway::record::outcome::Absence;

/// What a connection is for.
pub(super) trait Purpose: Send + Sync + 'static {
    /// How it is reached.
    fn reach(&self) -> &Reach;

    /// Does on a connection what has to go well before anybody asks on it.
    fn prove(&self, link: &Link) -> impl Future<Output = Result<(), Absence>> + Send;

    /// Says in the log that Redis is away.
    fn tell_away(&self, absence: Absence);

    /// Says in the log that it is there.
    fn tell_back(&self);
}

/// A connection as it comes and goes.
#[derive(Debug)]
pub(super) struct Reach {
    place: Place,
    /// How long an answer may take.
    timeout: Duration,
    /// Failures in a row after which nobody asks, ≥ 1.
    failures: u32,
    /// For how long, at first.
    pub(super) rest: Duration,
    /// `None`: it is away.
    line: ArcSwapOption<Line>,
    /// That a line was given up, or should be looked at.
    woken: Notify,
    /// Whether another one is in force.
    retired: AtomicBool,
    metrics: RedisMetrics,
}

/// A connection in use.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) link: Link,
    breaker: Breaker,
    /// Whether it was given up.
    is_lost: AtomicBool,
}

impl Reach {
    /// Nobody is spoken to yet.
    pub(super) fn new(
        config: &config::limits::Shared,
        place: Place,
        metrics: RedisMetrics,
    ) -> Self {
        Self {
            place,
            timeout: config.timeout,
            failures: config.failures,
            rest: config.rest,
            line: ArcSwapOption::empty(),
            woken: Notify::new(),
            retired: AtomicBool::new(false),
            metrics,
        }
    }

    /// The connection, where there is one.
    pub(super) fn line(&self) -> Option<Arc<Line>> {
        self.line.load_full()
    }

    /// Whether Redis is there, as far as we know.
    pub(super) fn is_up(&self) -> bool {
        self.line.load().is_some()
    }

    /// What is answered in time.
    pub(super) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, Absence>>,
    ) -> Result<T, Absence> {
        let answer = tokio::time::timeout(self.timeout, asked).await;
        answer.unwrap_or(Err(Absence::Slow))
    }

    /// Lets the connection be tried at once.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Comes back when somebody said so.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Leaves the stage: nothing is told any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Counts something that went wrong.
    pub(super) fn count(&self, absence: Absence) {
        self.metrics.failed(absence).inc();
    }
}

impl Line {
    /// Whether it was given up.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// An answer came in time.
    pub(super) fn succeeded(&self) {
        self.breaker.succeeded();
    }

    /// Whether the last so many answers did not come.
    pub(super) fn is_broken(&self, reach: &Reach) -> bool {
        self.breaker.is_open(reach.failures)
    }
}

/// A connection on which what is needed went well.
pub(super) async fn found(purpose: &impl Purpose) -> Result<Arc<Line>, Absence> {
    let reach = purpose.reach();
    let link = reach.place.connect().await?;
    reach.in_time(purpose.prove(&link)).await?;
    Ok(Arc::new(Line {
        link,
        breaker: Breaker::default(),
        is_lost: AtomicBool::new(false),
    }))
}

/// Lets everybody ask on a connection.
pub(super) fn open(purpose: &impl Purpose, line: &Arc<Line>) {
    let reach = purpose.reach();
    reach.line.store(Some(Arc::clone(line)));
    reach.metrics.is_up(true);
    purpose.tell_back();
}

/// Says that there is no connection to be had.
pub(super) fn tell_away(purpose: &impl Purpose, absence: Absence) {
    let reach = purpose.reach();
    if !reach.is_retired() {
        reach.metrics.is_up(false);
        purpose.tell_away(absence);
    }
}

/// Asks on a connection, within the time that is for it.
pub(super) async fn ask<T>(
    purpose: &impl Purpose,
    line: &Line,
    asked: impl Future<Output = Result<T, Absence>>,
) -> Result<T, Away> {
    match purpose.reach().in_time(asked).await {
        Ok(answer) => {
            line.succeeded();
            Ok(answer)
        }
        Err(absence) => Err(failed(purpose, line, absence)),
    }
}

/// Counts a failure, and gives the connection up where that was one too many.
pub(super) fn failed(purpose: &impl Purpose, line: &Line, absence: Absence) -> Away {
    let reach = purpose.reach();
    reach.count(absence);
    let is_over = line.breaker.failed(reach.failures) || ends_connection(absence);
    if is_over && !line.is_lost.swap(true, Ordering::Relaxed) {
        reach.line.store(None);
        tell_away(purpose, absence);
        reach.wake();
    }
    Away(absence)
}

/// Whether nothing good can come on a connection where this has happened.
fn ends_connection(absence: Absence) -> bool {
    matches!(absence, Absence::Lost | Absence::Refused | Absence::Garbage)
}

/// What has happened, and what may be done about it.
pub(super) fn reason(absence: Absence) -> &'static str {
    match absence {
        Absence::Refused => "Redis cannot be reached; look whether it runs at shared.redis",
        Absence::Lost => "Redis has closed the connection",
        Absence::Slow => "Redis does not answer within shared.timeout",
        Absence::Loading => "Redis is loading its data",
        Absence::OutOfMemory => "Redis is out of memory; raise its maxmemory",
        Absence::ReadOnly => "Redis may only be read from; let shared.redis lead to the primary",
        Absence::Moved => {
            "Redis is a node of a cluster that has our keys elsewhere; set shared.cluster"
        }
        Absence::Unauthorized => "Redis refuses our name or password; check shared.password",
        Absence::Garbage => "what answers is no Redis; check shared.redis",
        Absence::Failed => "Redis answers with an error",
        Absence::Resting => "Redis is away",
    }
}
