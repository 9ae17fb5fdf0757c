//! What does a failed attempt mean?
//!
//! One enum of the ways an attempt fails, and for each: may another take its
//! place, is the target to blame, and what is the caller told when it was the
//! last one.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use pingora_core::{Error, ErrorType};

use crate::gateway::pools::Pool;
use crate::gateway::record::outcome::AttemptOutcome;
use crate::gateway::refusal::{Refusal, UpstreamRefusal};
use crate::openai::UpstreamError;

/// The longest an upstream can tell callers to stay away, and the least it means.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_mins(2);
/// What of an upstream's message is passed on.
const MESSAGE_BYTES_MAX: usize = 1024;

/// How an attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AttemptError {
    /// No connection.
    #[error("not connected: {0}")]
    Connect(String),
    /// The connection broke before the answer was whole, or before its first event.
    #[error("broke off: {0}")]
    Broken(String),
    /// A deadline passed.
    #[error("too slow: {0}")]
    Timeout(&'static str),
    /// The upstream answered with an error.
    #[error("status {status}")]
    Status {
        /// Its status, or the one its error event stands for.
        status: StatusCode,
        /// What it said about coming back.
        retry_after: Option<Duration>,
        /// What it said.
        refusal: Option<UpstreamRefusal>,
    },
    /// What came is no answer.
    #[error("no valid answer: {0}")]
    Invalid(&'static str),
    /// A fault of our own.
    #[error("internal: {0}")]
    Internal(String),
}

impl AttemptError {
    /// From an error of pingora's, while an upstream was spoken to.
    #[must_use]
    pub fn spoken(error: &Error) -> Self {
        match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => {
                Self::Timeout("connecting")
            }
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::InvalidCert
            | ErrorType::HandshakeError
            | ErrorType::TLSWantX509Lookup
            | ErrorType::SocketError
            | ErrorType::BindError => Self::Connect(cause(error)),
            ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
                Self::Timeout("reading or writing")
            }
            ErrorType::InvalidHTTPHeader => Self::Invalid("malformed head"),
            // pingora keeps the constant to itself.
            ErrorType::Custom("InvalidChunk") => Self::Invalid("malformed chunks"),
            ErrorType::InternalError => Self::Internal(cause(error)),
            _ => Self::Broken(cause(error)),
        }
    }

    /// The word for metrics and logs.
    #[must_use]
    pub fn outcome(&self) -> AttemptOutcome {
        match self {
            Self::Connect(_) => AttemptOutcome::Connect,
            Self::Broken(_) => AttemptOutcome::Broken,
            Self::Timeout(_) => AttemptOutcome::Timeout,
            Self::Status { status, .. } => match status.as_u16() {
                401..=403 => AttemptOutcome::Auth,
                429 => AttemptOutcome::RateLimited,
                500.. => AttemptOutcome::ServerError,
                400 | 404 | 409 | 413 | 415 | 422 => AttemptOutcome::Refused,
                _ => AttemptOutcome::Invalid,
            },
            Self::Invalid(_) | Self::Internal(_) => AttemptOutcome::Invalid,
        }
    }

    /// The upstream's status, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    /// Whether another target may be asked instead. A request that was refused for
    /// what it says would be refused again; so would our credential, and asking
    /// around with it only spreads the fault.
    #[must_use]
    pub fn may_be_replaced(&self) -> bool {
        !matches!(
            self.outcome(),
            AttemptOutcome::Refused | AttemptOutcome::Auth
        ) && !matches!(self, Self::Internal(_))
    }

    /// Whether the target is the worse for it.
    #[must_use]
    pub fn blames_target(&self) -> bool {
        matches!(
            self.outcome(),
            AttemptOutcome::Connect
                | AttemptOutcome::Broken
                | AttemptOutcome::Timeout
                | AttemptOutcome::ServerError
                | AttemptOutcome::Invalid
        ) && !matches!(self, Self::Internal(_))
    }

    /// What the caller is told when nothing more is tried.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Connect(_) | Self::Broken(_) => Refusal::UpstreamUnavailable,
            Self::Timeout(_) => Refusal::UpstreamTimeout,
            Self::Invalid(_) => Refusal::UpstreamInvalidResponse,
            Self::Internal(_) => Refusal::Internal,
            Self::Status {
                status,
                retry_after,
                refusal,
            } => {
                let retry_after = retry_after.unwrap_or(*RETRY_AFTER.start());
                match (status.as_u16(), refusal) {
                    (400 | 404 | 409 | 413 | 415 | 422, Some(refusal)) => {
                        Refusal::UpstreamRefused(refusal)
                    }
                    (401..=403, _) => Refusal::UpstreamAuth,
                    (429, _) => Refusal::UpstreamRateLimited { retry_after },
                    (503 | 529, _) => Refusal::UpstreamOverloaded { retry_after },
                    (408 | 504, _) => Refusal::UpstreamTimeout,
                    (500.., _) => Refusal::UpstreamUnavailable,
                    _ => Refusal::UpstreamInvalidResponse,
                }
            }
        }
    }
}

/// Reads an upstream's error answer.
#[must_use]
pub fn from_answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    pool: &Pool,
    now: SystemTime,
) -> AttemptError {
    AttemptError::Status {
        status,
        retry_after: retry_after(headers, now),
        refusal: Some(refusal(status, UpstreamError::read(body).as_ref(), pool)),
    }
}

/// Reads an error that came as an event, or inside an answer of status 200.
#[must_use]
pub fn from_error_object(body: &[u8], pool: &Pool) -> AttemptError {
    let error = UpstreamError::read(body);
    let status = error
        .as_ref()
        .map_or(StatusCode::BAD_GATEWAY, implied_status);
    AttemptError::Status {
        status,
        retry_after: None,
        refusal: Some(refusal(status, error.as_ref(), pool)),
    }
}

/// The status an error object stands for: its code if that is one, else its type.
fn implied_status(error: &UpstreamError) -> StatusCode {
    let code = error.code.as_deref().unwrap_or_default();
    let numeric = code
        .parse::<u16>()
        .ok()
        .filter(|status| (400..600).contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok());
    if let Some(status) = numeric {
        return status;
    }
    let kind = error.kind.as_deref().unwrap_or_default();
    let says = |word: &str| kind.contains(word) || code.contains(word);
    if says("overloaded") {
        StatusCode::SERVICE_UNAVAILABLE
    } else if says("rate_limit") {
        StatusCode::TOO_MANY_REQUESTS
    } else if says("timeout") {
        StatusCode::GATEWAY_TIMEOUT
    } else if says("authentication") || says("permission") {
        StatusCode::UNAUTHORIZED
    } else if says("invalid_request") {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::BAD_GATEWAY
    }
}

fn refusal(status: StatusCode, error: Option<&UpstreamError>, pool: &Pool) -> UpstreamRefusal {
    let word = |text: Option<&str>| {
        text.filter(|text| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .map(|text| cleaned(text, pool))
    };
    let message = error.and_then(|error| error.message.as_deref());
    UpstreamRefusal {
        status,
        message: message.map_or_else(
            || "The upstream of this model refused the request and did not say why. Check the request's fields against the model's documentation.".to_owned(),
            |message| cleaned(message, pool),
        ),
        param: word(error.and_then(|error| error.param.as_deref())),
        code: word(error.and_then(|error| error.code.as_deref())),
    }
}

/// An upstream's words without what is ours: credential, hosts, organisation ids.
fn cleaned(text: &str, pool: &Pool) -> String {
    const REMOVED: &str = "[removed]";
    let mut text = text.to_owned();
    let key = pool.api_key.as_ref().map(crate::names::Secret::expose);
    let hosts = pool.targets.iter().flat_map(|target| {
        let name = target
            .label
            .rsplit_once(':')
            .map_or(&*target.label, |(name, _)| name);
        [&*target.label, name]
    });
    for ours in key.into_iter().chain(hosts).filter(|ours| !ours.is_empty()) {
        if text.contains(ours) {
            text = text.replace(ours, REMOVED);
        }
    }
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        if ["org-", "proj_", "sk-"]
            .iter()
            .any(|prefix| bare.starts_with(prefix))
        {
            format!(
                "{REMOVED}{}",
                if word.ends_with(char::is_whitespace) {
                    " "
                } else {
                    ""
                }
            )
        } else {
            word.to_owned()
        }
    });
    let mut clean: String = words.collect();
    let mut end = clean.len().min(MESSAGE_BYTES_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean.truncate(end);
    clean
}

/// `retry-after-ms`, or `Retry-After` in seconds or as a date; bounded.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = |text: &str| {
        text.trim()
            .parse::<f64>()
            .ok()
            .filter(|number| *number >= 0.0)
    };
    let wait = if let Some(ms) = text("retry-after-ms").and_then(seconds) {
        Duration::try_from_secs_f64(ms / 1000.0).ok()?
    } else {
        let value = text(header::RETRY_AFTER.as_str())?;
        match seconds(value) {
            Some(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
            None => httpdate::parse_http_date(value)
                .ok()?
                .duration_since(now)
                .unwrap_or_default(),
        }
    };
    Some(wait.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end()))
}

/// The error's own words, without what it says about the peer.
fn cause(error: &Error) -> String {
    let root = error.root_cause().to_string();
    let kind = error.etype().as_str();
    let context = error.context.as_ref().map(pingora_core::ImmutStr::as_str);
    let mut text = match context {
        Some(context) if !root.contains(context) => format!("{kind}: {context}: {root}"),
        _ => format!("{kind}: {root}"),
    };
    let mut end = text.len().min(256);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn wait(name: &'static str, value: &str) -> Option<u128> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        retry_after(&headers, now).map(|wait| wait.as_millis())
    }

    #[test]
    fn every_way_to_say_when_to_come_back_is_understood_and_bounded() {
        assert_eq!(wait("retry-after", "7"), Some(7000));
        assert_eq!(wait("retry-after", "7.5"), Some(7500));
        assert_eq!(wait("retry-after", "99999"), Some(120_000));
        assert_eq!(wait("retry-after", "0"), Some(1000));
        assert_eq!(
            wait("retry-after", "Sun, 22 Nov 2026 10:00:09 GMT"),
            Some(9000)
        );
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(wait("retry-after-ms", "1500"), Some(1500));
    }

    fn told(status: u16) -> (bool, u16) {
        let error = AttemptError::Status {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            refusal: Some(UpstreamRefusal {
                status: StatusCode::from_u16(status).unwrap(),
                message: "no".to_owned(),
                param: None,
                code: None,
            }),
        };
        (
            error.may_be_replaced(),
            error.refusal().envelope().status.as_u16(),
        )
    }

    #[test]
    fn each_status_is_retried_and_told_as_documented() {
        for status in [400, 404, 409, 413, 415, 422] {
            assert_eq!(told(status), (false, status));
        }
        for status in [401, 402, 403] {
            assert_eq!(told(status), (false, 502));
        }
        assert_eq!(told(429), (true, 429));
        assert_eq!(told(503), (true, 503));
        assert_eq!(told(529), (true, 503));
        assert_eq!(told(408), (true, 504));
        assert_eq!(told(504), (true, 504));
        for status in [500, 502, 501, 302, 410, 451] {
            assert_eq!(told(status), (true, 502), "{status}");
        }
    }
}
