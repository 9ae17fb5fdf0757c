//! What have all replicas together let in?
//!
//! Windows of `scope = "shared"` are kept in Redis, or Valkey. One script decides all
//! windows of a request in one round trip, by Redis's own clock: nothing is read here and
//! written there, so no two replicas can take the same last place, and none needs to agree
//! with another on the time. What a request did not use is given back behind its back.
//!
//! Redis is never waited for longer than `timeout`, and never in a start. Whoever finds it
//! away hears so at once, and keeps the limit in this process at its part of it: a limit
//! that is a little off is better than a request that is lost. One task looks after the
//! connection; it alone tries whether Redis is back, so no request pays for that.

/// What is said to Redis, and what does it answer?
mod script;
/// How is Redis spoken to?
mod link;
/// Is a connection still any good?
mod breaker;
/// How does one purpose reach Redis?
mod reach;
/// Who makes a connection, and when?
mod heartbeat;
/// How does Redis learn what requests cost in the end?
mod settlement;
/// Which answers have all replicas?
pub mod answers;
/// Which one is in force?
pub mod kept;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config;
use crate::gateway::record::metrics::{Metrics, SharedMetrics};
use crate::gateway::record::outcome::Absence;
use crate::sys;
use link::{Link, Place};
use reach::{Line, Purpose, Reach};
use script::Scripts;
use settlement::Correction;

/// What all replicas have let in.
#[derive(Debug)]
pub struct Shared {
    state: Arc<State>,
    corrections: mpsc::Sender<Correction>,
    /// Until the task that takes them has begun.
    corrected: Mutex<Option<mpsc::Receiver<Correction>>>,
    tasks: Mutex<Tasks>,
}

/// One window of a limit, of one caller or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Whose it is: [`Shared::key`].
    pub key: u128,
    /// So many, ≥ 1
    pub count: u64,
    /// in this time, from one millisecond to 31 days,
    pub per: Duration,
    /// and so many at once, ≥ 1,
    pub burst: u64,
    /// all so many times, ≥ 1.
    pub times: u32,
    /// Whether it begins anew with each span of the calendar.
    pub calendar: bool,
    /// How many a request takes; more than `burst · times` counts as that.
    pub cost: u64,
    /// Whether it refuses nobody.
    pub shadow: bool,
    /// Whether its key stands for somebody's address: it is forgotten after a day then.
    pub personal: bool,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether the request has taken what it costs; otherwise it has taken nothing.
    pub admitted: bool,
    /// Of each window, in the order of the question.
    pub windows: Vec<Level>,
}

/// How a window stands after the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// When this cost would be admitted; zero: now.
    pub wait: Duration,
    /// When the window is whole again.
    pub debt: Duration,
    /// By what Redis knows what was taken, where it was.
    pub receipt: Receipt,
}

/// By what Redis knows what was taken of a window, in its own words: it alone reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// When all of it comes back by itself, if nobody gives anything back.
    pub moment_us: i64,
    /// When the window was first taken of.
    pub begun_us: i64,
    /// By how much it had been moved back since.
    pub back_us: i64,
}

/// Nobody has decided: Redis is not there, and why.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("{}", reach::reason(*.0))]
pub struct Away(pub Absence);

/// Why `[shared]` cannot be followed.
#[derive(Debug, Error, Clone)]
pub enum SharedError {
    /// The address.
    #[error("cannot be used: {0}")]
    Address(String),
    /// The authorities.
    #[error("holds no authorities that can be used: {0}")]
    Authorities(String),
}

/// What the tasks and the requests know.
#[derive(Debug)]
struct State {
    config: config::limits::Shared,
    /// What the file says that `ca` names.
    authorities: Option<Vec<u8>>,
    reach: Reach,
    scripts: Scripts,
    /// What keys are hashed with.
    secret: [u8; 32],
    /// What this process is called there.
    process: String,
    /// How many processes were last seen, ≥ 1.
    seen: AtomicU32,
    metrics: SharedMetrics,
}

#[derive(Debug, Default)]
struct Tasks {
    heartbeat: JoinSet<()>,
    settlement: JoinSet<()>,
}

impl Shared {
    /// What `[shared]` says, with nobody spoken to yet; `process` is this one's name there.
    ///
    /// # Errors
    /// Where it cannot be followed.
    pub fn new(
        config: &config::limits::Shared,
        process: &str,
        metrics: &Metrics,
    ) -> Result<Self, SharedError> {
        let authorities = authorities(config)?;
        let place = Place::new(config, authorities.as_deref(), config.timeout)?;
        let (corrections, corrected) = mpsc::channel(settlement::WAITING_MAX);
        let state = State {
            reach: Reach::new(config, place, metrics.shared.redis.clone()),
            authorities,
            scripts: Scripts::new(&config.hash_tag),
            secret: blake3::derive_key(
                // Windows that are kept in another form have other keys: replicas of two versions
                // count apart, and none reads what it does not understand.
                "spafe: the keys of limits that replicas share, in the second form",
                config.secret.expose().as_bytes(),
            ),
            config: config.clone(),
            process: process.to_owned(),
            seen: AtomicU32::new(1),
            metrics: metrics.shared.clone(),
        };
        Ok(Self {
            state: Arc::new(state),
            corrections,
            corrected: Mutex::new(Some(corrected)),
            tasks: Mutex::default(),
        })
    }

    /// Whether another one would be the same.
    fn is_as(&self, other: &Self) -> bool {
        let (state, other) = (&self.state, &other.state);
        let is_retired = state.reach.is_retired();
        !is_retired && state.config == other.config && state.authorities == other.authorities
    }

    /// Knows what the one before has seen.
    fn succeed(&self, before: &Self) {
        let seen = before.state.seen.load(Ordering::Relaxed);
        self.state.seen.store(seen, Ordering::Relaxed);
    }

    /// Begins to look for Redis, once; whoever lets go of this ends it.
    pub fn start(&self) {
        let mut corrected = self
            .corrected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(corrected) = corrected.take() else {
            return;
        };
        self.state.metrics.replicas.set(self.replicas().into());
        let mut tasks = self.tasks();
        let state = Arc::clone(&self.state);
        tasks.heartbeat.spawn(heartbeat::keep(state));
        let state = Arc::clone(&self.state);
        tasks.settlement.spawn(settlement::settle(state, corrected));
    }

    /// Leaves the stage to another one: what was begun is settled, and nothing told any more.
    pub fn retire(&self) {
        self.state.reach.retire();
        self.tasks().heartbeat.abort_all();
    }

    /// Says that this process is no longer there, as far as Redis hears it.
    pub async fn leave(&self) {
        self.retire();
        if let Some(line) = self.state.reach.line() {
            let leave = self.state.scripts.leave(&self.state.process);
            let _ = self.state.reach.in_time(line.link.tell(&leave)).await;
        }
    }

    /// The key of what these parts name, the same in all replicas that have the same secret.
    ///
    /// It tells nobody who that is, and whoever chooses the parts does not choose the key.
    #[must_use]
    pub fn key(&self, parts: &[&[u8]]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.state.secret);
        for part in parts {
            // So that no two lists of parts are the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        u128::from_le_bytes(key)
    }

    /// Takes what a request costs of all of its windows, or nothing.
    ///
    /// # Errors
    /// Where Redis has not decided within `timeout`.
    pub async fn admit(&self, windows: &[Window]) -> Result<Told, Away> {
        let state = &self.state;
        let Some(line) = state.reach.line() else {
            state.reach.count(Absence::Resting);
            return Err(Away(Absence::Resting));
        };
        let began = sys::instant();
        let answer = state.ask(&line, &state.scripts.admit(windows)).await?;
        let took = sys::instant().saturating_duration_since(began);
        state.metrics.duration.observe(took.as_secs_f64());
        match script::told(&answer, windows.len()) {
            Some(told) => Ok(told),
            None => Err(reach::failed(&**state, &line, Absence::Garbage)),
        }
    }

    /// Tells Redis by how much more a request has taken of a window in the end, or less, than
    /// its cost was. Nobody waits for it, and where too many are on their way it is dropped. What
    /// time has given back since, or somebody has forgiven, is not given back again.
    pub fn settle(&self, window: &Window, receipt: Receipt, more: i64) {
        if more == 0 {
            return;
        }
        let correction = Correction {
            window: *window,
            receipt,
            more,
        };
        if self.corrections.try_send(correction).is_err() {
            self.state.metrics.dropped.inc();
        }
    }

    /// Forgets what was had of these windows, and says of how many that was anything.
    ///
    /// An operator asks for it, who is told what goes wrong: no limit has to be kept here for it.
    ///
    /// # Errors
    /// Where Redis has not done so within `timeout`.
    pub async fn forget(&self, keys: &[u128]) -> Result<u64, Away> {
        if keys.is_empty() {
            return Ok(0);
        }
        let reach = &self.state.reach;
        let line = reach.line().ok_or(Away(Absence::Resting))?;
        let command = self.state.scripts.forget(keys);
        let answer = reach
            .in_time(line.link.tell(&command))
            .await
            .map_err(Away)?;
        script::forgotten(&answer).ok_or(Away(Absence::Garbage))
    }

    /// How many processes a limit is shared by: as it is configured, or as many as were last
    /// seen; ≥ 1.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.state.replicas()
    }

    /// Whether Redis is there, as far as we know.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state.reach.is_up()
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the file says that `ca` names.
fn authorities(config: &config::limits::Shared) -> Result<Option<Vec<u8>>, SharedError> {
    let authorities = config.ca.as_ref().map(std::fs::read).transpose();
    authorities.map_err(|error| SharedError::Authorities(error.to_string()))
}

impl State {
    fn replicas(&self) -> u32 {
        let seen = || self.seen.load(Ordering::Relaxed);
        self.config.replicas.unwrap_or_else(seen).max(1)
    }

    /// Asks Redis once, within `timeout`.
    async fn ask(
        &self,
        line: &Line,
        question: &script::Question<'_>,
    ) -> Result<redis::Value, Away> {
        reach::ask(self, line, line.link.ask(question)).await
    }
}

impl Purpose for State {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Says that we are there, and learns who else is.
    ///
    /// That has to be written, so a server that is loading, full or only to be read from is
    /// still away.
    async fn prove(&self, link: &Link) -> Result<(), Absence> {
        let answer = link.ask(&self.scripts.beat(&self.process)).await?;
        let count = script::processes(&answer).ok_or(Absence::Garbage)?;
        self.seen.store(count.max(1), Ordering::Relaxed);
        self.metrics.replicas.set(self.replicas().into());
        Ok(())
    }

    fn tell_away(&self, absence: Absence) {
        let (kind, replicas) = (absence.as_str(), self.replicas());
        tracing::warn!(
            kind,
            replicas,
            "shared limits: {}; until Redis is back each process keeps its part of them, one of \
             {replicas}",
            reach::reason(absence)
        );
    }

    fn tell_back(&self) {
        let replicas = self.replicas();
        tracing::info!(
            replicas,
            "shared limits: Redis is there; all replicas count together"
        );
    }
}
