//! What does the process log, and may it be more for a while?

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Admin;
use crate::config::units;
use crate::telemetry::filter::{FilterError, LogFilter, WHILE_MAX};

/// `GET /log`: the filter in force.
pub(super) async fn filter(State(admin): State<Admin>) -> Json<Value> {
    Json(told(&admin.filter))
}

/// `PUT /log` with a filter in the words of `RUST_LOG` as its body: that comes into force, with
/// `?for=10m` for so long. Libraries stay capped whatever it says.
pub(super) async fn set(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
    text: String,
) -> Response {
    let filter = admin.filter;
    let set = period(query.as_deref().unwrap_or_default()).and_then(|period| {
        let set = filter.set(&text, period.is_some());
        let passing = set.map_err(|error: FilterError| error.to_string())?;
        Ok((period, passing))
    });
    let (period, passing) = match set {
        Ok(set) => set,
        Err(words) => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": words }))).into_response();
        }
    };
    let in_force = told(&filter);
    tracing::warn!(
        filter = filter.in_force().filter,
        "the log has another filter"
    );
    if let Some(period) = period {
        tokio::spawn(async move {
            tokio::time::sleep(period).await;
            if filter.end(passing) {
                let filter = filter.in_force().filter;
                tracing::warn!(filter, "the log has the filter again that it had");
            }
        });
    }
    Json(in_force).into_response()
}

fn told(filter: &LogFilter) -> Value {
    let in_force = filter.in_force();
    json!({ "filter": in_force.filter, "then": in_force.then })
}

/// For how long; `None`: for good.
fn period(query: &str) -> Result<Option<Duration>, String> {
    let mut found = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "for" {
            return Err("this cannot be asked for; say how long as ?for=10m".to_owned());
        }
        let period = units::duration(&value).map_err(|words| format!("for {words}"))?;
        if period > WHILE_MAX {
            return Err("for is at most 24h".to_owned());
        }
        found = Some(period);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_while_is_a_length_of_time_of_a_day_at_most() {
        assert_eq!(period(""), Ok(None));
        assert_eq!(period("for=10m"), Ok(Some(Duration::from_mins(10))));
        for query in ["for=", "for=soon", "for=25h", "fro=10m", "for=0s"] {
            assert!(period(query).is_err(), "{query}");
        }
    }
}
