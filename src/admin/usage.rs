//! Who has used how much, and what did it cost?
//!
//! `GET /usage?by=model|key|pool&since=…&until=…`: sums of whole hours, of this process and since
//! it began; where several serve, each tells its own.

use std::time::{Duration, SystemTime};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Admin, reload};
use crate::config::units;
use crate::gateway::record::usage::{By, Tally};
use crate::sys;

/// What is asked for; times in which nothing is said are the whole history.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    by: By,
    since: SystemTime,
    until: SystemTime,
}

/// `GET /usage`
pub(super) async fn usage(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let now = sys::now().wall;
    let asked = match read(query.as_deref().unwrap_or_default(), now) {
        Ok(asked) => asked,
        Err(words) => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": words }))).into_response();
        }
    };
    let usage = &admin.gateway.usage;
    let told = usage.told(asked.by, asked.since, asked.until);
    let costs = admin.gateway.snapshot.load().config.costs;
    let name = word(asked.by);
    let rows = told.names.iter().map(|(known, tally)| {
        let mut row = json!({ name: known });
        put(&mut row, tally);
        row
    });
    let mut total = json!({});
    put(&mut total, &told.total);
    Json(json!({
        "by": name,
        "since": reload::time(told.since),
        "until": reload::time(asked.until),
        "process_since": reload::time(usage.began()),
        "usage": rows.collect::<Vec<_>>(),
        "total": total,
        "history": {
            "kept": units::duration_text(costs.history),
            "rows": told.rows,
            "rows_max": costs.history_rows_max,
        },
    }))
    .into_response()
}

fn put(row: &mut Value, tally: &Tally) {
    let Tally {
        requests,
        estimated,
        unpriced,
        tokens_in,
        tokens_cached,
        tokens_out,
        cost,
    } = tally;
    if let Some(fields) = row.as_object_mut() {
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("requests", json!(requests));
        put("requests_estimated", json!(estimated));
        put("requests_unpriced", json!(unpriced));
        put("tokens_in", json!(tokens_in));
        put("tokens_cached", json!(tokens_cached));
        put("tokens_out", json!(tokens_out));
        put("cost_usd", json!(cost));
    }
}

fn word(by: By) -> &'static str {
    match by {
        By::Model => "model",
        By::Pool => "pool",
        By::Key => "key",
    }
}

fn read(query: &str, now: SystemTime) -> Result<Asked, &'static str> {
    let mut asked = Asked {
        by: By::Model,
        since: SystemTime::UNIX_EPOCH,
        until: now,
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "by" => {
                let all = [By::Model, By::Pool, By::Key];
                let by = all.into_iter().find(|by| word(*by) == value);
                asked.by = by.ok_or("by is model, key or pool")?;
            }
            "since" => asked.since = moment(&value, now)?,
            "until" => asked.until = moment(&value, now)?,
            _ => return Err("only by, since and until can be asked for"),
        }
    }
    if asked.since > asked.until {
        return Err("since lies behind until");
    }
    Ok(asked)
}

/// A moment of RFC 3339, in Unix seconds, or so long ago.
fn moment(text: &str, now: SystemTime) -> Result<SystemTime, &'static str> {
    let expected =
        "write a time such as 2026-01-31T00:00:00Z, Unix seconds, or a length such as 24h";
    if let Ok(seconds) = text.parse::<u64>() {
        let since = Duration::from_secs(seconds);
        return SystemTime::UNIX_EPOCH.checked_add(since).ok_or(expected);
    }
    if let Ok(ago) = units::duration(text) {
        let since = now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        return Ok(since.max(SystemTime::UNIX_EPOCH));
    }
    let parsed = text.parse::<jiff::Timestamp>().map_err(|_| expected)?;
    Ok(parsed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(query: &str, expected: Option<(By, u64, u64)>) {
        let now = unix(1_000_000);
        let expected = expected.map(|(by, since, until)| Asked {
            by,
            since: unix(since),
            until: unix(until),
        });
        assert_eq!(read(query, now).ok(), expected, "{query}");
    }

    #[test]
    fn times_are_written_in_three_ways() {
        check("", Some((By::Model, 0, 1_000_000)));
        check("by=key", Some((By::Key, 0, 1_000_000)));
        check("by=pool&since=24h", Some((By::Pool, 913_600, 1_000_000)));
        check("since=5&until=70", Some((By::Model, 5, 70)));
        let written = "since=1970-01-02T00%3A00%3A00Z&until=1970-01-03T01:00:00%2B01:00";
        check(written, Some((By::Model, 86_400, 172_800)));
        // Longer ago than there was anything.
        check("since=31d", Some((By::Model, 0, 1_000_000)));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for wrong in [
            "by=models",
            "by=",
            "since=yesterday",
            "since=-5",
            "until=1h&since=30m",
            "from=24h",
        ] {
            assert!(read(wrong, unix(1_000_000)).is_err(), "{wrong}");
        }
    }
}
