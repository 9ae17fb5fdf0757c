//! Which configuration is in force, and is it the one on disk?

use std::time::SystemTime;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use serde_json::{Value, json};

use super::{Admin, difference};
use crate::config::problem::Problem;
use crate::config::{self, Config};
use crate::server::reload::{ReloadError, Status, Trigger};

/// `GET /config`: what is in force, without its secrets, and since when.
pub(super) async fn configuration(State(admin): State<Admin>) -> impl IntoResponse {
    let status = admin.reloader.status();
    let snapshot = admin.gateway.snapshot.load_full();
    Json(json!({
        "version": snapshot.config.version,
        "since": time(status.since),
        "generation": status.generation,
        "config": config::redacted(&snapshot.config),
    }))
}

/// `GET /reload`: what a reload would change, and whether it could; nothing is changed by it.
pub(super) async fn preview(State(admin): State<Admin>) -> impl IntoResponse {
    let snapshot = admin.gateway.snapshot.load_full();
    match admin.reloader.preview().await {
        Ok(config) => {
            let (before, after) = (said(&snapshot.config), said(&config));
            let (changes, more) = difference::changes(&before, &after);
            let told = json!({
                "possible": true,
                "version": snapshot.config.version,
                "next": config.version,
                "changes": changes,
                "more": more,
                "secrets_changed": config::secrets::differ(&snapshot.config, &config),
            });
            (StatusCode::OK, Json(told))
        }
        Err(error) => {
            let told = json!({
                "possible": false,
                "version": snapshot.config.version,
                "problems": problems(&error),
            });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(told))
        }
    }
}

/// What a configuration says, without its hash: that is told apart.
fn said(config: &Config) -> Value {
    let mut said = config::redacted(config);
    if let Some(keys) = said.as_object_mut() {
        keys.remove("version");
    }
    said
}

/// `POST /reload`: 200 with what is in force now, 422 with every problem, 409 where it is
/// too late.
pub(super) async fn reload(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.reloader.reload(Trigger::Admin).await {
        Ok(status) => {
            let told = json!({
                "reloaded": true,
                "version": status.version,
                "since": time(status.since),
                "generation": status.generation,
            });
            (StatusCode::OK, Json(told))
        }
        Err(error) => {
            let code = match *error {
                ReloadError::Ending => StatusCode::CONFLICT,
                ReloadError::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let told = json!({
                "reloaded": false,
                "version": admin.reloader.status().version,
                "problems": problems(&error),
            });
            (code, Json(told))
        }
    }
}

/// What became of the last reload, for readiness: a failed one is told and does not
/// decide, since what was in force before still serves.
pub(super) fn last(status: &Status) -> Value {
    json!({
        "ok": status.failure.is_none(),
        "since": time(status.since),
        "tried": status.tried.map(time),
        "problems": status.failure.as_deref().map(problems),
    })
}

fn problems(error: &ReloadError) -> Value {
    match error {
        ReloadError::Problems(problems) => problems.iter().map(problem).collect(),
        other => json!([{ "message": other.to_string() }]),
    }
}

fn problem(problem: &Problem) -> Value {
    let Problem {
        source,
        line,
        column,
        key,
        message,
    } = problem;
    json!({ "file": source, "line": line, "column": column, "key": key, "message": message })
}

pub(super) fn time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| time.to_string())
}
