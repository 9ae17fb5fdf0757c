//! What happened last?
//!
//! The last requests as their log lines have them, filtered by whoever asks. They are rendered
//! here, for those who look, and not where they happen.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use url::form_urlencoded;

use super::Admin;
use crate::gateway::record::ended::Ended;
use crate::gateway::record::outcome::ending::Ending;
use crate::gateway::record::recent::Kept;
use crate::names::{KeyName, ModelId};

/// How many are told where nobody says how many.
const TOLD: usize = 100;

/// Everything that can be asked for.
const KNOWN: &str =
    "failed=1, slow=1, model=, pool=, client= (as it is told), key=, outcome=, status=, limit=N";

/// `GET /requests`: the last requests, the newest first, those that fit.
pub(super) async fn requests(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let wanted = match Wanted::read(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(words) => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": words }))).into_response();
        }
    };
    let all = admin.gateway.journal.recent.all();
    let fitting = all.iter().filter(|kept| wanted.takes(&kept.ended));
    told("requests", fitting.take(wanted.limit))
}

/// `GET /requests/ID`: the newest request with this id, and every attempt of it.
pub(super) async fn request(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let all = admin.gateway.journal.recent.all();
    let mut with_id = all
        .iter()
        .filter(|kept| kept.ended.record().id.as_str() == id);
    let Some(kept) = with_id.next() else {
        let words = "no request of this id is kept in mind; [log] recent says how many are";
        return (StatusCode::NOT_FOUND, Json(json!({ "error": words }))).into_response();
    };
    let mut text = Vec::with_capacity(1024);
    kept.ended.json(&mut text, true);
    given(text)
}

/// `GET /failures`: the last requests that failed, the newest first.
pub(super) async fn failures(State(admin): State<Admin>) -> Response {
    let failures = admin.gateway.journal.recent.failures();
    told("failures", failures.iter())
}

/// A list of requests as JSON.
fn told<'a>(name: &str, all: impl Iterator<Item = &'a Arc<Kept>>) -> Response {
    let mut text = format!("{{\"{name}\":[").into_bytes();
    for (number, kept) in all.enumerate() {
        if number > 0 {
            text.push(b',');
        }
        kept.ended.json(&mut text, false);
    }
    text.extend_from_slice(b"]}");
    given(text)
}

fn given(text: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Which requests are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    failed: bool,
    slow: bool,
    model: Option<String>,
    pool: Option<String>,
    client: Option<String>,
    key: Option<String>,
    outcome: Option<String>,
    status: Option<u16>,
    limit: usize,
}

impl Wanted {
    fn read(query: &str) -> Result<Self, String> {
        let mut wanted = Self {
            limit: TOLD,
            ..Self::default()
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            let number = |value: &str| {
                let number = value.parse::<usize>();
                number.map_err(|_| format!("{name} is a whole number"))
            };
            let yes = |value: &str| match value {
                "1" => Ok(true),
                "0" => Ok(false),
                _ => Err(format!("{name} is 1, or it is left out")),
            };
            match &*name {
                "failed" => wanted.failed = yes(&value)?,
                "slow" => wanted.slow = yes(&value)?,
                "model" => wanted.model = Some(value),
                "pool" => wanted.pool = Some(value),
                "client" => wanted.client = Some(value),
                "key" => wanted.key = Some(value),
                "outcome" if Ending::ALL.iter().any(|it| it.as_str() == value) => {
                    wanted.outcome = Some(value);
                }
                "outcome" => {
                    let known = Ending::ALL.map(Ending::as_str).join(", ");
                    return Err(format!("there is no such outcome; there are {known}"));
                }
                "status" => {
                    let status = u16::try_from(number(&value)?);
                    wanted.status = Some(status.map_err(|_| "there is no such status".to_owned())?);
                }
                "limit" => wanted.limit = number(&value)?,
                _ => return Err(format!("this cannot be asked for; ask for {KNOWN}")),
            }
        }
        Ok(wanted)
    }

    fn takes(&self, ended: &Ended) -> bool {
        let record = ended.record();
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let asked = record.attempts.iter().map(|attempt| &attempt.pool);
        let mut pools = asked.chain(record.source.as_ref());
        (!self.failed || ended.has_failed())
            && (!self.slow || ended.slow)
            && self.status.is_none_or(|status| status == record.status)
            && (is(&self.outcome, Some(record.outcome.as_str()))
                || is(&self.outcome, Some(record.ending().as_str())))
            && (is(&self.model, ended.model.as_ref().map(ModelId::as_str))
                || is(&self.model, record.answered.as_ref().map(ModelId::as_str)))
            && is(&self.key, ended.key.as_ref().map(KeyName::as_str))
            && self
                .pool
                .as_deref()
                .is_none_or(|pool| pools.any(|asked| asked.as_str() == pool))
            && self
                .client
                .as_deref()
                .is_none_or(|client| ended.client.to_string() == client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_for_is_told_and_nothing_is_passed_over() {
        let wanted = Wanted::read("failed=1&status=503&model=a%2Fb&limit=7").unwrap();
        let expected = Wanted {
            failed: true,
            status: Some(503),
            model: Some("a/b".to_owned()),
            limit: 7,
            ..Wanted::default()
        };
        assert_eq!(wanted, expected);
        assert_eq!(Wanted::read("").unwrap().limit, TOLD);
        let limited = Wanted::read("outcome=limited").unwrap();
        assert_eq!(limited.outcome.as_deref(), Some("limited"));
        for (query, word) in [
            ("failed=yes", "failed is 1"),
            ("status=abc", "status is a whole number"),
            ("status=99999", "no such status"),
            ("limit=-1", "limit is a whole number"),
            ("modle=m", "model="),
            ("outcome=limitted", "served, refused, shed, limited,"),
        ] {
            let error = Wanted::read(query).unwrap_err();
            assert!(error.contains(word), "{query}: {error}");
        }
    }
}
