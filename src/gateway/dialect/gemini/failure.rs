//! What does an error say?
//!
//! Shape: `{"error": {"code", "message", "status", "details"}}`, sometimes in a list. The status
//! says what class it is; details say when to come back and, of our credential, that it is
//! not taken, which Google calls a fault of the request.
//!
//! Source: Google's error model (AIP-193) and the Gemini API's page on troubleshooting.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::openai::{ErrorEnvelope, ErrorObject, UpstreamError};

/// When to come back where the day's share is used up. It is more than is believed.
const A_DAY_IS_LONG: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct Envelope {
    error: Failure,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    message: Option<String>,
    status: Option<String>,
    details: Vec<Detail>,
}

/// A detail, with the members of every kind.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    reason: Option<String>,
    retry_delay: Option<String>,
    violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Violation {
    quota_id: Option<String>,
}

/// What an error answer says, if it is understood.
pub(in crate::gateway::dialect) fn error(body: &[u8]) -> Option<UpstreamError> {
    // serde would take a list for an object, member by member.
    let envelope: Envelope = if body.trim_ascii_start().first() == Some(&b'[') {
        let list: Vec<Envelope> = serde_json::from_slice(body).ok()?;
        list.into_iter().next()?
    } else {
        serde_json::from_slice(body).ok()?
    };
    Some(envelope.error.told())
}

/// An error object inside an answer or a stream, as OpenAI writes one.
pub(super) fn written(error: &str) -> String {
    let failure: Failure = serde_json::from_str(error).unwrap_or_default();
    let told = failure.told();
    envelope(
        told.kind.as_deref().unwrap_or_default(),
        told.code.as_deref(),
        told.message.as_deref().unwrap_or_default(),
    )
}

/// A prompt that was not answered, as an error. Another model's policy may be another, and who
/// chose models for that case is asked to.
pub(super) fn blocked(reason: &str) -> String {
    let message = format!("The prompt was blocked by the upstream's policy ({reason}).");
    envelope("invalid_request_error", Some("content_filter"), &message)
}

fn envelope(kind: &str, code: Option<&str>, message: &str) -> String {
    let error = ErrorObject {
        message: message.into(),
        kind: kind.into(),
        param: None,
        code: code.map(Into::into),
    };
    ErrorEnvelope { error }.to_json()
}

/// The status that an error answer stands for. Our credential and our account are no fault of
/// the caller's, whatever the upstream calls it.
pub(in crate::gateway::dialect) fn status(
    status: StatusCode,
    error: Option<&UpstreamError>,
) -> StatusCode {
    let kind = error.and_then(|error| error.kind.as_deref());
    match (status, kind) {
        (StatusCode::BAD_REQUEST, Some(AUTHENTICATION)) => StatusCode::UNAUTHORIZED,
        (StatusCode::BAD_REQUEST, Some(PERMISSION)) => StatusCode::FORBIDDEN,
        _ => status,
    }
}

const AUTHENTICATION: &str = "authentication_error";
const PERMISSION: &str = "permission_error";

impl Failure {
    fn told(self) -> UpstreamError {
        let Self {
            message,
            status,
            details,
        } = self;
        let reasons = || details.iter().filter_map(|detail| detail.reason.as_deref());
        let is_of_key = reasons().any(|reason| reason.starts_with("API_KEY_"));
        let kind = match status.as_deref() {
            _ if is_of_key => AUTHENTICATION,
            Some("UNAUTHENTICATED") => AUTHENTICATION,
            // Where we are, or that nobody pays.
            Some("PERMISSION_DENIED" | "FAILED_PRECONDITION") => PERMISSION,
            Some("INVALID_ARGUMENT" | "OUT_OF_RANGE") => "invalid_request_error",
            Some("NOT_FOUND") => "not_found_error",
            Some("RESOURCE_EXHAUSTED") => "rate_limit_error",
            Some("UNAVAILABLE") => "overloaded_error",
            Some("DEADLINE_EXCEEDED") => "timeout_error",
            _ => "server_error",
        };
        let said = details
            .iter()
            .filter_map(|detail| seconds(detail.retry_delay.as_deref()?));
        let of_a_day = details
            .iter()
            .flat_map(|detail| &detail.violations)
            .any(|violation| {
                let id = violation.quota_id.as_deref();
                id.is_some_and(|id| id.contains("PerDay"))
            });
        UpstreamError {
            kind: Some(kind.to_owned()),
            code: reasons().next().map(str::to_owned).or(status),
            param: None,
            retry_after: said.chain(of_a_day.then_some(A_DAY_IS_LONG)).max(),
            message,
        }
    }
}

/// A length of time as protocol buffers write it in JSON: seconds with an `s` behind them.
fn seconds(text: &str) -> Option<Duration> {
    let number: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, kind: &str, code: Option<&str>, retry_after_ms: Option<u128>) {
        let told = error(body.as_bytes()).unwrap();
        assert_eq!(told.kind.as_deref(), Some(kind), "{body}");
        assert_eq!(told.code.as_deref(), code, "{body}");
        let wait = told.retry_after.map(|wait| wait.as_millis());
        assert_eq!(wait, retry_after_ms, "{body}");
    }

    #[test]
    fn classes_reasons_and_waits_are_found() {
        let limited = |details: &str| {
            format!(
                r#"{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{details}]}}}}"#
            )
        };
        let info =
            r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}"#;
        let quota = |id| {
            format!(
                r#"{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaMetric":"q","quotaId":"{id}"}}]}}"#
            )
        };
        let code = Some("RESOURCE_EXHAUSTED");
        let minute = format!("{},{info}", quota("GenerateRequestsPerMinutePerProject"));
        check(&limited(&minute), "rate_limit_error", code, Some(34_074));
        let day = format!("{},{info}", quota("GenerateRequestsPerDayPerProject"));
        check(&limited(&day), "rate_limit_error", code, Some(3_600_000));
        check(&limited(""), "rate_limit_error", code, None);
        check(
            r#"[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#,
            "overloaded_error",
            Some("UNAVAILABLE"),
            None,
        );
    }

    #[test]
    fn a_key_that_is_not_taken_is_no_fault_of_the_request() {
        let body = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
        let told = error(body.as_bytes());
        let of = |told: Option<&UpstreamError>| status(StatusCode::BAD_REQUEST, told).as_u16();
        assert_eq!(of(told.as_ref()), 401);
        let body = r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#;
        assert_eq!(of(error(body.as_bytes()).as_ref()), 403);
        let body = r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#;
        assert_eq!(of(error(body.as_bytes()).as_ref()), 400);
        assert_eq!(of(None), 400);
    }
}
