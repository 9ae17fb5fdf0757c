//! What happens when the configuration is read again?
//!
//! Everything is read, checked and compiled as at the start; only what is whole comes
//! into force, in one store. What cannot come into force changes nothing and is told
//! with every problem. One reload is made at a time, and each reads when its turn has
//! come: so the last one that was asked for decides, whatever came between.
//!
//! The work is done in a task and on threads that no request waits for, and whoever
//! asked may leave meanwhile.

/// What would a reload change?
mod preview;
/// Where does the request log go on?
mod log;
/// What goes on that replicas share?
mod shared;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::sync::Notify;

use crate::config::Config;
use crate::config::listeners::ListenersError;
use crate::config::policy;
use crate::config::problem::Problems;
use crate::config::read::ReadProblem;
use crate::gateway::Gateway;
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::resolve::lookups::Lookups;
use crate::gateway::pools::tend;
use crate::server::certificate::{Certificate, Pair};
use crate::server::compile::Compiled;
use crate::server::demo::Player;
use crate::server::origin::{Inputs, Origin, OriginError, Reading};
use crate::server::{bounds, retire};
use crate::snapshot::Snapshot;
use crate::sys;

/// What is said of a key that a running process cannot follow.
const NEEDS_RESTART: &str =
    "needs a restart to change; restart the process, or write what it was started with";

/// Who asked for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A file is another one than before.
    Files,
    /// SIGHUP.
    Signal,
    /// `POST /reload`.
    Admin,
}

/// Replaces the configuration of a gateway.
pub struct Reloader {
    gateway: Arc<Gateway>,
    origin: Origin,
    registry: Arc<Registry>,
    certificate: Option<Arc<Certificate>>,
    /// What the process was started with.
    first: Config,
    /// Held by the reload that is on.
    turn: tokio::sync::Mutex<Player>,
    inputs: Mutex<Inputs>,
    status: ArcSwap<Status>,
    attempted: Notify,
    /// Where the work is done, whatever thread it is asked for on.
    runtime: Handle,
}

/// What a process was started with.
pub struct First {
    /// Where that came from.
    pub origin: Origin,
    /// The configuration.
    pub config: Config,
    /// The files that were read.
    pub inputs: Inputs,
    /// The certificate that TLS listeners show.
    pub certificate: Option<Arc<Certificate>>,
    /// Who plays pools.
    pub player: Player,
}

/// Which configuration is in force, and what became of the last reload.
#[derive(Debug, Clone)]
pub struct Status {
    /// The hash of the file's text.
    pub version: String,
    /// Since when it is in force.
    pub since: SystemTime,
    /// Counts what came into force since the start, from 1: another secret is another
    /// configuration with the same version.
    pub generation: u64,
    /// When the last reload was tried; `None`: there was none.
    pub tried: Option<SystemTime>,
    /// Why it changed nothing; `None`: it did not fail.
    pub failure: Option<Arc<ReloadError>>,
}

/// Why a reload changed nothing.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(ReadProblem),
    /// There are problems in it, or in what it names.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// It does not go with the command line.
    #[error(transparent)]
    Listeners(ListenersError),
    /// The built-in upstream does not start.
    #[error("the built-in upstream cannot listen: {0}")]
    Demo(std::io::Error),
    /// The process is about to end.
    #[error("the process is ending and keeps its configuration; ask the next one")]
    Ending,
    /// A fault of this program.
    #[error("the reload broke off ({0}); this is a fault of spafe's, please report it")]
    Broken(#[from] tokio::task::JoinError),
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Signal => "signal",
            Self::Admin => "admin",
        }
    }
}

impl Reloader {
    /// A reloader for a gateway that serves what `first` says.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, registry: Arc<Registry>, first: First) -> Arc<Self> {
        let status = Status {
            version: first.config.version.clone(),
            since: sys::now().wall,
            generation: 1,
            tried: None,
            failure: None,
        };
        gateway
            .metrics
            .config
            .in_force(&status.version, status.since);
        Arc::new(Self {
            gateway,
            origin: first.origin,
            registry,
            certificate: first.certificate,
            first: first.config,
            turn: tokio::sync::Mutex::new(first.player),
            inputs: Mutex::new(first.inputs),
            status: ArcSwap::from_pointee(status),
            attempted: Notify::new(),
            runtime: Handle::current(),
        })
    }

    /// Reads the configuration and lets it come into force; answers with its status.
    ///
    /// # Errors
    /// Why it did not; then nothing has changed.
    pub async fn reload(
        self: &Arc<Self>,
        trigger: Trigger,
    ) -> Result<Arc<Status>, Arc<ReloadError>> {
        let reloader = Arc::clone(self);
        let turn = async move { reloader.take_turn(trigger).await };
        match self.runtime.spawn(turn).await {
            Ok(result) => result,
            Err(broken) => Err(Arc::new(broken.into())),
        }
    }

    /// Which configuration is in force, and what became of the last reload.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// What was read last, whether it came into force or not.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.clone()
    }

    /// What the runtime that serves tells of itself.
    #[must_use]
    pub fn runtime(&self) -> RuntimeMetrics {
        self.runtime.metrics()
    }

    /// What came of looking names of targets up.
    #[must_use]
    pub fn lookups(&self) -> &Lookups {
        &self.registry.lookups
    }

    /// `[reload]` as it is in force.
    #[must_use]
    pub fn settings(&self) -> policy::Reload {
        self.gateway.snapshot.load().config.reload.clone()
    }

    /// Waits for the next reload, and for one that was not waited for.
    pub async fn attempted(&self) {
        self.attempted.notified().await;
    }

    /// Whether the process is about to end and keeps what it has.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.gateway.outlook.is_leaving()
    }

    async fn take_turn(self: Arc<Self>, trigger: Trigger) -> Result<Arc<Status>, Arc<ReloadError>> {
        let mut player = self.turn.lock().await;
        // Whoever asks may have moved it away, and needs no other configuration for that.
        self.gateway.journal.log.open_again();
        let result = self.replace(&mut player).await;
        let result = result.map_err(Arc::new);
        let failure = result.as_ref().err();
        // An end that comes is no fault of the file's.
        if !failure.is_some_and(|failure| matches!(**failure, ReloadError::Ending)) {
            self.tell(trigger, failure);
        }
        self.attempted.notify_one();
        result.map(|()| self.status())
    }

    async fn replace(self: &Arc<Self>, player: &mut Player) -> Result<(), ReloadError> {
        if self.is_ending() {
            return Err(ReloadError::Ending);
        }
        let reading = self.read().await?;
        let mut config = reading.config?;
        bounds::fit(&mut config.bounds);
        player.play(&mut config).await.map_err(ReloadError::Demo)?;
        let reloader = Arc::clone(self);
        let text: Arc<str> = reading.text.into();
        let whole = Arc::clone(&text);
        let compile = move || {
            let (registry, metrics) = (&reloader.registry, &reloader.gateway.metrics);
            reloader.compile(config, &whole, (registry, metrics))
        };
        let Compiled { snapshot, pair } = tokio::task::spawn_blocking(compile).await??;
        let log = self.open_log(&snapshot.config, &text).await?;
        // The process may have begun to end meanwhile.
        if self.is_ending() {
            return Err(ReloadError::Ending);
        }
        tend::spawn(&snapshot.pools, &snapshot.config.dns, &self.registry)
            .wait()
            .await;
        self.move_log(log, &snapshot);
        self.put_into_force(snapshot, pair);
        let reloader = Arc::clone(self);
        // It may copy all that is kept. What becomes of it, the configuration is in force.
        let _ = tokio::task::spawn_blocking(move || reloader.keep_what_fits()).await;
        Ok(())
    }

    async fn read(self: &Arc<Self>) -> Result<Reading, ReloadError> {
        let origin = self.origin.clone();
        let reading = tokio::task::spawn_blocking(move || origin.read()).await?;
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.clone_from(&reading.inputs);
        Ok(reading)
    }

    /// From here on nothing can fail.
    fn put_into_force(self: &Arc<Self>, snapshot: Snapshot, pair: Option<Pair>) {
        let metrics = &self.gateway.metrics;
        let before = self.gateway.snapshot.load();
        for pool in &snapshot.pools {
            let mut old = before.pools.iter();
            if let Some(old) = old.find(|old| old.name == pool.name) {
                pool.succeed(old);
            }
        }
        bounds::tell(&snapshot.config, metrics);
        let status = Status {
            version: snapshot.config.version.clone(),
            since: sys::now().wall,
            generation: self.status.load().generation + 1,
            tried: None,
            failure: None,
        };
        metrics.config.in_force(&status.version, status.since);
        if let (Some(certificate), Some(pair)) = (&self.certificate, pair) {
            certificate.replace(pair);
        }
        shared::limits_succeed(before.shared.as_ref(), snapshot.shared.as_ref(), metrics);
        shared::answers_succeed(before.answers.as_ref(), snapshot.answers.as_ref(), metrics);
        if let Some(otlp) = &snapshot.otlp {
            otlp.start();
        }
        let old = self.gateway.snapshot.swap(Arc::new(snapshot));
        self.status.store(Arc::new(status));
        tokio::spawn(retire::retire(Arc::clone(self), old));
    }

    fn keep_what_fits(&self) {
        let snapshot = self.gateway.snapshot.load();
        self.gateway.cache.apply(&snapshot.config, sys::instant());
    }

    /// Forgets what no configuration names and no request needs any more.
    pub(super) async fn sweep(&self) {
        // Not while another configuration is being made of the same state.
        let _turn = self.turn.lock().await;
        self.registry.sweep();
        self.gateway
            .metrics
            .keep_only(&self.gateway.snapshot.load().config);
    }

    /// The gateway whose configuration this is.
    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    fn tell(&self, trigger: Trigger, failure: Option<&Arc<ReloadError>>) {
        let now = sys::now().wall;
        let mut status = Status::clone(&self.status.load());
        status.tried = Some(now);
        status.failure = failure.cloned();
        let trigger = trigger.as_str();
        let version = status.version.as_str();
        match failure {
            None => {
                let config = &self.gateway.snapshot.load().config;
                let (pools, models) = (config.pools.len(), config.models.len());
                let generation = status.generation;
                tracing::info!(
                    trigger,
                    version,
                    generation,
                    pools,
                    models,
                    "configuration reloaded"
                );
            }
            Some(failure) => {
                let problems = failure.to_string().replace('\n', "; ");
                tracing::error!(
                    trigger,
                    version,
                    problems,
                    "configuration not reloaded: the one before stays in force"
                );
            }
        }
        self.gateway.metrics.config.reloaded(failure.is_none());
        self.status.store(Arc::new(status));
    }
}

impl From<OriginError> for ReloadError {
    fn from(error: OriginError) -> Self {
        match error {
            OriginError::Unreadable(problem) => Self::Unreadable(problem),
            OriginError::Problems(problems) => Self::Problems(problems),
            OriginError::Listeners(error) => Self::Listeners(error),
        }
    }
}

#[cfg(test)]
mod tests;
