//! What do operators see?
//!
//! A listener of its own, on loopback unless the configuration says otherwise:
//! metrics, liveness, readiness, the configuration in force and a way to have it read
//! again, how callers stand with their limits, what was used and what it cost, what is kept of answers, and a page that shows all
//! this to people. Nothing of it is reachable from the public listeners.

/// May this call change something?
mod guard;

/// What does an operator see who comes with a browser?
mod page;

/// What was asked of the configuration.
mod reload;

/// What do two configurations say otherwise?
mod difference;

/// How do pools and their targets stand?
mod targets;

/// What does the process log?
mod log;

/// What happened last?
mod requests;

/// How do callers stand with their limits, and who asks for most?
mod limits;

/// Who has used how much, and what did it cost?
mod usage;

/// What is kept of answers, for whom, and by which key?
mod cache;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;

use crate::gateway::Gateway;
use crate::gateway::record::metrics::runtime::Measured;
use crate::gateway::record::millis::millis;
use crate::phase::Phase;
use crate::server::Bound;
use crate::server::pulse::Pulse;
use crate::server::reload::Reloader;
use crate::sys;
use crate::telemetry::filter::LogFilter;
use crate::telemetry::unread;

/// The largest body that an operator can ask about.
const BODY_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What is told, and what can be changed.
#[derive(Clone)]
pub struct Admin {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    pulse: Pulse,
    /// What is let into the log of the process.
    filter: LogFilter,
    /// Held while gauges are brought up to date and read: series of targets that are no
    /// more are dropped first, and nobody is to see the gap.
    measuring: Arc<Mutex<()>>,
}

/// Serves the admin listener until the process ends, or is told that another one does.
///
/// On a thread of its own: an orchestrator kills whoever does not answer in time, and a
/// process that is busy with requests is the last that should be killed.
///
/// # Errors
/// Where there is no thread left for it.
pub fn spawn(bound: Bound, admin: Admin, stopped: watch::Receiver<bool>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let serve = move || {
        let served = runtime.block_on(serve(bound, admin, stopped));
        if let Err(error) = served {
            tracing::error!(%error, "the admin listener does not serve");
        }
    };
    let thread = std::thread::Builder::new().name("spafe-admin".to_owned());
    thread.spawn(serve).map(drop)
}

async fn serve(bound: Bound, admin: Admin, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    tokio::spawn(admin.pulse.clone().watch_forever());
    let router = Router::new()
        .route("/", get(page::home))
        .route("/page/{name}", get(page::file))
        .route("/favicon.svg", get(page::icon))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/config", get(reload::configuration))
        .route("/reload", get(reload::preview).post(reload::reload))
        .route("/log", get(log::filter).put(log::set))
        .route("/failures", get(requests::failures))
        .route("/requests", get(requests::requests))
        .route("/requests/{id}", get(requests::request))
        .route("/limits", get(limits::limits).delete(limits::forgive))
        .route("/usage", get(usage::usage))
        .route("/cache", get(cache::cache).delete(cache::forget))
        .route("/cache/key", get(cache::key).post(cache::key))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .fallback(nothing)
        .layer(from_fn_with_state(admin.clone(), guard::guard))
        .with_state(admin);
    let listener = tokio::net::TcpListener::from_std(bound.into_std())?;
    let until = async move {
        // An error means that the process is ending anyway.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(until)
        .await
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, admin.measured())
}

/// Alive while the runtime that serves turns, however busy it is.
async fn livez(State(admin): State<Admin>) -> impl IntoResponse {
    let now = sys::instant();
    let alive = admin.pulse.is_alive(now);
    let told = if alive {
        json!({"alive": true})
    } else {
        json!({"alive": false, "silent_ms": millis(admin.pulse.silence(now))})
    };
    (status(alive), Json(told))
}

/// Ready while requests are served; the state of pools is told, and decides only where the
/// configuration says so.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let phase = admin.gateway.outlook.phase();
    let snapshot = admin.gateway.snapshot.load_full();
    let now = sys::instant();
    let pools: serde_json::Map<String, serde_json::Value> = snapshot
        .pools
        .iter()
        .map(|pool| (pool.name.to_string(), targets::told(pool, now)))
        .collect();
    let some_usable = snapshot.pools.iter().any(|pool| pool.is_usable(now));
    let ready = is_ready(
        phase,
        some_usable || !snapshot.config.server.ready_needs_pool,
    );
    (
        status(ready),
        Json(json!({
            "ready": ready,
            "starting": phase == Phase::Starting,
            "draining": phase > Phase::Serving,
            "config": snapshot.config.version,
            "reload": reload::last(&admin.reloader.status()),
            "pools": pools,
        })),
    )
}

/// Whether requests should be sent here.
fn is_ready(phase: Phase, can_answer: bool) -> bool {
    phase == Phase::Serving && can_answer
}

fn status(well: bool) -> StatusCode {
    if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn nothing() -> impl IntoResponse {
    let paths = [
        "/metrics",
        "/livez",
        "/readyz",
        "/config",
        "/reload",
        "/log",
        "/failures",
        "/requests",
        "/requests/{id}",
        "/limits",
        "/usage",
        "/cache",
        "/cache/key",
    ];
    (
        StatusCode::NOT_FOUND,
        Json(json!({"error": "nothing here", "paths": paths})),
    )
}

impl Admin {
    /// What is told of this gateway, and changed in it.
    #[must_use]
    pub fn new(
        gateway: Arc<Gateway>,
        reloader: Arc<Reloader>,
        pulse: Pulse,
        filter: LogFilter,
    ) -> Self {
        Self {
            gateway,
            reloader,
            pulse,
            filter,
            measuring: Arc::default(),
        }
    }

    /// All metrics, those brought up to date that are read rather than counted.
    fn measured(&self) -> Vec<u8> {
        let one_at_a_time = self.measuring.lock();
        let _one_at_a_time = one_at_a_time.unwrap_or_else(PoisonError::into_inner);
        let metrics = &self.gateway.metrics;
        let snapshot = self.gateway.snapshot.load_full();
        targets::measure(&snapshot, metrics, sys::instant());
        let held = self.gateway.bodies.held_bytes();
        metrics
            .load
            .bodies_bytes
            .set(i64::try_from(held).unwrap_or(i64::MAX));
        metrics
            .limiter
            .keep(self.gateway.limiter.kept(sys::instant()));
        let answers = &self.gateway.cache.store;
        metrics.cache.keep(answers.sizes(), answers.evictions());
        metrics.cache.flights.set(self.gateway.flights_open());
        let stats = self.gateway.images.stats();
        metrics
            .images_bytes
            .set(i64::try_from(stats.bytes).unwrap_or(i64::MAX));
        metrics
            .images_count
            .set(i64::try_from(stats.count).unwrap_or(i64::MAX));
        metrics.runtime.measure(&Measured {
            runtime: &self.reloader.runtime(),
            lag: self.pulse.lag(sys::instant()),
            idle: self.gateway.idle_connections(),
            lookups: self.reloader.lookups(),
        });
        let log = &self.gateway.journal.log;
        metrics
            .journal
            .take(log.written(), log.dropped(), unread::lines_dropped());
        metrics.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_should_come_only_while_they_are_served() {
        assert!(!is_ready(Phase::Starting, true));
        assert!(is_ready(Phase::Serving, true));
        assert!(!is_ready(Phase::Serving, false));
        for leaving in [Phase::Leaving, Phase::Draining, Phase::Over] {
            assert!(!is_ready(leaving, true), "{leaving:?}");
        }
    }
}
