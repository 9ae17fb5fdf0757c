//! What do operators see?
//!
//! A listener of its own, on loopback unless the configuration says otherwise:
//! metrics, liveness, readiness and the configuration in force. Nothing of it is
//! reachable from the public listeners.

/// How do pools and their targets stand?
mod targets;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use pingora_core::server::ShutdownWatch;
use serde_json::json;

use crate::config;
use crate::gateway::Gateway;
use crate::server::Bound;
use crate::sys;

#[derive(Clone)]
struct Admin {
    gateway: Arc<Gateway>,
    shutdown: ShutdownWatch,
    /// Held while gauges are brought up to date and read: series of targets that are no
    /// more are dropped first, and nobody is to see the gap.
    measuring: Arc<Mutex<()>>,
}

/// Serves the admin listener until the process stops.
pub async fn serve(bound: Bound, gateway: Arc<Gateway>, shutdown: ShutdownWatch) {
    let mut stopped = shutdown.clone();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/config", get(configuration))
        .fallback(nothing)
        .with_state(Admin {
            gateway,
            shutdown,
            measuring: Arc::default(),
        });
    let listener = match tokio::net::TcpListener::from_std(bound.into_std()) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin listener does not serve");
            return;
        }
    };
    let until = async move {
        // An error means that the process is already ending.
        let _ = stopped.wait_for(|down| *down).await;
        // Readiness is asked for until the end of the drain, which ends the process.
        std::future::pending::<()>().await;
    };
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(until)
        .await
    {
        tracing::error!(%error, "the admin listener stopped");
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, admin.measured())
}

async fn livez() -> impl IntoResponse {
    Json(json!({"alive": true}))
}

/// Ready while requests are served; the state of pools is told and does not decide.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let draining = *admin.shutdown.borrow();
    let snapshot = admin.gateway.snapshot.load_full();
    let now = sys::instant();
    let pools: serde_json::Map<String, serde_json::Value> = snapshot
        .pools
        .iter()
        .map(|pool| (pool.name.to_string(), targets::told(pool, now)))
        .collect();
    let status = if draining {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (
        status,
        Json(
            json!({"ready": !draining, "draining": draining, "config": snapshot.config.version, "pools": pools}),
        ),
    )
}

async fn configuration(State(admin): State<Admin>) -> impl IntoResponse {
    let snapshot = admin.gateway.snapshot.load_full();
    Json(json!({"version": snapshot.config.version, "config": config::redacted(&snapshot.config)}))
}

async fn nothing() -> impl IntoResponse {
    let paths = ["/metrics", "/livez", "/readyz", "/config"];
    (
        StatusCode::NOT_FOUND,
        Json(json!({"error": "nothing here", "paths": paths})),
    )
}

impl Admin {
    /// All metrics, those brought up to date that are read rather than counted.
    fn measured(&self) -> Vec<u8> {
        let one_at_a_time = self.measuring.lock();
        let _one_at_a_time = one_at_a_time.unwrap_or_else(PoisonError::into_inner);
        let metrics = &self.gateway.metrics;
        let snapshot = self.gateway.snapshot.load_full();
        targets::measure(&snapshot.pools, metrics, sys::instant());
        let stats = self.gateway.images.stats();
        metrics
            .images_bytes
            .set(i64::try_from(stats.bytes).unwrap_or(i64::MAX));
        metrics
            .images_count
            .set(i64::try_from(stats.count).unwrap_or(i64::MAX));
        let told = metrics.log_lines_dropped.get();
        let dropped = self.gateway.log_lines_dropped().saturating_sub(told);
        metrics.log_lines_dropped.inc_by(dropped);
        metrics.text()
    }
}
