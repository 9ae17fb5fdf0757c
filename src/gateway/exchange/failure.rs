//! What does a failed attempt mean?
//!
//! One enum of the ways an attempt fails, and for each: may another take its
//! place, is the target to blame, and what is the caller told when it was the
//! last one.

/// What an upstream said.
pub mod words;
/// When does an upstream want to be asked again?
pub mod wait;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use pingora_core::{Error, ErrorType};

use crate::gateway::dialect;
use crate::gateway::pools::{Lesson, Pool};
use crate::gateway::record::outcome::AttemptOutcome;
use crate::gateway::refusal::{Refusal, UpstreamRefusal};
use crate::openai::UpstreamError;
use wait::WAIT;
use words::{About, refusal};

/// What is too slow where there is no connection yet.
pub(super) const CONNECTING: &str = "connecting";

/// How an attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AttemptError {
    /// No connection.
    #[error("not connected: {0}")]
    Connect(String),
    /// No trust: the handshake failed, or the certificate is not one to be trusted.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The connection broke before the answer was whole, or before its first event.
    #[error("broke off: {0}")]
    Broken(String),
    /// The request's own deadline passed before the target had had its time.
    #[error("the request had no more time")]
    CutShort,
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
        /// What that is about.
        about: About,
        /// What it said.
        refusal: Option<UpstreamRefusal>,
    },
    /// What came is no answer.
    #[error("no valid answer: {0}")]
    Invalid(&'static str),
    /// It must be held to be understood, and there is no room for it.
    #[error("no room for the answer")]
    NoRoom,
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
                Self::Timeout(CONNECTING)
            }
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::BindError => Self::Connect(cause(error)),
            ErrorType::TLSHandshakeFailure
            | ErrorType::InvalidCert
            | ErrorType::HandshakeError
            | ErrorType::TLSWantX509Lookup => Self::Tls(cause(error)),
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
            Self::Tls(_) => AttemptOutcome::Tls,
            Self::Broken(_) => AttemptOutcome::Broken,
            Self::Timeout(_) | Self::CutShort => AttemptOutcome::Timeout,
            Self::Status {
                about: About::Context | About::Policy,
                ..
            } => AttemptOutcome::Refused,
            Self::Status { status, .. } => match status.as_u16() {
                401..=403 => AttemptOutcome::Auth,
                429 => AttemptOutcome::RateLimited,
                500.. => AttemptOutcome::ServerError,
                400 | 404 | 409 | 413 | 415 | 422 => AttemptOutcome::Refused,
                _ => AttemptOutcome::Invalid,
            },
            Self::Invalid(_) | Self::NoRoom | Self::Internal(_) => AttemptOutcome::Invalid,
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
    /// what it says, with one of the `final_statuses`, would be refused again; so would a
    /// credential that nobody knows, and asking around with it only spreads the fault.
    #[must_use]
    pub fn may_be_replaced(&self, final_statuses: &[u16]) -> bool {
        match self {
            Self::NoRoom | Self::Internal(_) => false,
            Self::Status { status, about, .. } => {
                *about == About::Other
                    && !final_statuses.contains(&status.as_u16())
                    && status.as_u16() != 401
            }
            _ => true,
        }
    }

    /// Whether the same target may be asked once more: it failed at once, and may do
    /// better. One that was slow, has too much to do, or speaks another language would not.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self.outcome(),
            AttemptOutcome::Connect
                | AttemptOutcome::Tls
                | AttemptOutcome::Broken
                | AttemptOutcome::ServerError
        ) && self.busy().is_none()
    }

    /// Whether the same target would fail any other model, too: it cannot be reached, or
    /// does not know our credential.
    #[must_use]
    pub fn is_for_all_models(&self) -> bool {
        matches!(self, Self::Timeout(CONNECTING))
            || self.is_unknown_credential()
            || matches!(
                self.outcome(),
                AttemptOutcome::Connect | AttemptOutcome::Tls
            )
    }

    /// Whether all who share its credential would answer the same: they do not know it (401),
    /// or it may not have what was asked (402, 403).
    #[must_use]
    pub fn is_for_whole_pool(&self) -> bool {
        self.outcome() == AttemptOutcome::Auth
    }

    /// 402 and 403 may be about this request alone, such as a model that our account may not
    /// use, or more tokens than it can pay for. Only 401 is about the credential whatever is asked.
    fn is_unknown_credential(&self) -> bool {
        self.outcome() == AttemptOutcome::Auth && self.status() == Some(401)
    }

    /// Whether the target was no longer waited for, and may have been at work.
    pub(super) fn is_cut_off(&self) -> bool {
        match self {
            Self::Timeout(what) => *what != CONNECTING,
            Self::CutShort => true,
            _ => false,
        }
    }

    /// What a refusal is about.
    #[must_use]
    pub fn about(&self) -> About {
        match self {
            Self::Status { about, .. } => *about,
            _ => About::Other,
        }
    }

    /// How long the upstream wants not to be asked, where it says that it is asked too much.
    #[must_use]
    pub fn busy(&self) -> Option<Option<Duration>> {
        match self {
            Self::Status {
                status,
                retry_after,
                ..
            } => match status.as_u16() {
                429 => Some(*retry_after),
                503 | 529 => retry_after.map(Some),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the target is the worse for it.
    #[must_use]
    pub fn blames_target(&self) -> bool {
        matches!(
            self.outcome(),
            AttemptOutcome::Connect
                | AttemptOutcome::Tls
                | AttemptOutcome::Broken
                | AttemptOutcome::Timeout
                | AttemptOutcome::ServerError
                | AttemptOutcome::Invalid
        ) && !matches!(self, Self::Internal(_) | Self::NoRoom | Self::CutShort)
    }

    /// What it teaches of the target: whether that is to blame, and whether it wants to be
    /// left alone.
    #[must_use]
    pub fn lessons(&self) -> [Option<Lesson>; 2] {
        let standing = if self.is_unknown_credential() {
            Some(Lesson::Refused)
        } else {
            self.blames_target().then_some(Lesson::Failed)
        };
        [standing, self.busy().map(Lesson::Busy)]
    }

    /// What the caller is told when nothing more is tried.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Connect(_) | Self::Tls(_) | Self::Broken(_) => Refusal::UpstreamUnavailable,
            Self::Timeout(_) | Self::CutShort => Refusal::UpstreamTimeout,
            Self::Invalid(_) => Refusal::UpstreamInvalidResponse,
            Self::NoRoom => Refusal::Overloaded,
            Self::Internal(_) => Refusal::Internal,
            Self::Status {
                status,
                retry_after,
                about,
                refusal,
            } => {
                let retry_after = retry_after.unwrap_or(*WAIT.start());
                match (status.as_u16(), refusal) {
                    (400 | 404 | 409 | 413 | 415 | 422, Some(refusal)) => {
                        Refusal::UpstreamRefused(refusal)
                    }
                    // Some say 403 of what the caller asked; our own credential is good.
                    (_, Some(refusal)) if about != About::Other => {
                        Refusal::UpstreamRefused(UpstreamRefusal {
                            status: StatusCode::BAD_REQUEST,
                            ..refusal
                        })
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
    let error = dialect::error(pool.dialect, body);
    let status = dialect::status(pool.dialect, status, error.as_ref());
    let told = error.as_ref().and_then(|error| error.retry_after);
    AttemptError::Status {
        status,
        retry_after: wait::retry_after(headers, now).or_else(|| told.map(wait::bounded)),
        about: words::about(status, error.as_ref()),
        refusal: Some(refusal(status, error.as_ref(), pool)),
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
        about: words::about(status, error.as_ref()),
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
    } else if says("rate_limit") || says("insufficient_quota") {
        StatusCode::TOO_MANY_REQUESTS
    } else if says("timeout") {
        StatusCode::GATEWAY_TIMEOUT
    } else if says("authentication") {
        StatusCode::UNAUTHORIZED
    } else if says("billing") {
        StatusCode::PAYMENT_REQUIRED
    } else if says("permission") {
        StatusCode::FORBIDDEN
    } else if says("not_found") {
        StatusCode::NOT_FOUND
    } else if says("too_large") {
        StatusCode::PAYLOAD_TOO_LARGE
    } else if says("invalid_request") || says("content_") || says("context_") {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::BAD_GATEWAY
    }
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

    fn told(status: u16) -> (bool, u16) {
        let error = AttemptError::Status {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            about: About::Other,
            refusal: Some(UpstreamRefusal {
                status: StatusCode::from_u16(status).unwrap(),
                message: "no".to_owned(),
                param: None,
                code: None,
            }),
        };
        (
            error.may_be_replaced(&[400, 404, 409, 413, 415, 422]),
            error.refusal().envelope().status.as_u16(),
        )
    }

    #[test]
    fn each_status_is_retried_and_told_as_documented() {
        for status in [400, 404, 409, 413, 415, 422] {
            assert_eq!(told(status), (false, status));
        }
        assert_eq!(told(401), (false, 502));
        for status in [402, 403] {
            assert_eq!(told(status), (true, 502));
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
