//! What do operators see?
//!
//! A listener of its own, on loopback unless the configuration says otherwise:
//! metrics, liveness, readiness, the configuration in force, and a way to have it
//! read again. Nothing of it is reachable from the public listeners.

/// What was asked of the configuration.
mod reload;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use pingora_core::server::ShutdownWatch;
use serde_json::json;

use crate::gateway::Gateway;
use crate::gateway::pools::health::Verdict;
use crate::server::Bound;
use crate::server::reload::Reloader;
use crate::sys;

#[derive(Clone)]
struct Admin {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    shutdown: ShutdownWatch,
}

/// Serves the admin listener until the process stops.
pub async fn serve(
    bound: Bound,
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    shutdown: ShutdownWatch,
) {
    let mut stopped = shutdown.clone();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/config", get(reload::configuration))
        .route("/reload", post(reload::reload))
        .fallback(nothing)
        .with_state(Admin {
            gateway,
            reloader,
            shutdown,
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
    admin.measure();
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, admin.gateway.metrics.text())
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
        .map(|pool| {
            let state = match &pool.unusable {
                Some(reason) => json!({"usable": false, "reason": reason}),
                None => json!({"usable": pool.is_usable(now)}),
            };
            (pool.name.to_string(), state)
        })
        .collect();
    let status = if draining {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (
        status,
        Json(json!({
            "ready": !draining,
            "draining": draining,
            "config": snapshot.config.version,
            "reload": reload::last(&admin.reloader.status()),
            "pools": pools,
        })),
    )
}

async fn nothing() -> impl IntoResponse {
    let paths = ["/metrics", "/livez", "/readyz", "/config", "/reload"];
    (
        StatusCode::NOT_FOUND,
        Json(json!({"error": "nothing here", "paths": paths})),
    )
}

impl Admin {
    /// Brings the gauges up to date that are read rather than counted.
    fn measure(&self) {
        let metrics = &self.gateway.metrics;
        let snapshot = self.gateway.snapshot.load_full();
        let now = sys::instant();
        for pool in &snapshot.pools {
            for target in &pool.targets {
                let labels = [pool.name.as_str(), &*target.label];
                let endpoints = target.endpoints();
                let fit = pool.unusable.is_none()
                    && endpoints
                        .iter()
                        .any(|endpoint| endpoint.state.health.verdict(now) == Verdict::Fit);
                metrics
                    .target_fit
                    .with_label_values(&labels)
                    .set(i64::from(fit));
                let in_flight: usize = endpoints
                    .iter()
                    .map(|endpoint| endpoint.state.in_flight())
                    .sum();
                let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
                metrics
                    .target_in_flight
                    .with_label_values(&labels)
                    .set(in_flight);
            }
        }
        let stats = self.gateway.images.stats();
        metrics
            .images_bytes
            .set(i64::try_from(stats.bytes).unwrap_or(i64::MAX));
        metrics
            .images_count
            .set(i64::try_from(stats.count).unwrap_or(i64::MAX));
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        metrics.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        let told = metrics.log_lines_dropped.get();
        let dropped = self.gateway.log_lines_dropped().saturating_sub(told);
        metrics.log_lines_dropped.inc_by(dropped);
    }
}
