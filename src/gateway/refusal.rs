//! Which errors can a client see?
//!
//! All of them stand here: one closed enum and one exhaustive mapping to the
//! envelope. The texts are constant, so nothing a caller or an upstream sent
//! comes back by accident; the two exceptions carry their text as a field.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use crate::gateway::inspect::InspectError;

/// Why a request is not answered as its caller hoped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request's head could not be read as HTTP.
    MalformedHead,
    /// A head without exactly one usable Host.
    BadHost,
    /// A `Connection` header that names what it may not.
    BadConnectionHeader,
    /// `Transfer-Encoding` and `Content-Length`, or a coding other than `chunked`.
    AmbiguousFraming,
    /// The body's framing was broken.
    MalformedBody,
    /// The body is not what the endpoint wants.
    Body(InspectError),
    /// Nothing is served at this path.
    UnknownPath,
    /// No such image, or no longer.
    UnknownImage,
    /// Nobody answers to this model's name; at most 64 printable characters of it.
    UnknownModel(String),
    /// The path is served, not by this method.
    MethodNotAllowed {
        /// For the `Allow` header.
        allow: &'static str,
    },
    /// The head took too long.
    HeadTimeout,
    /// The body took too long.
    BodyTimeout,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// Not JSON, or encoded.
    UnsupportedMediaType,
    /// The request line is too long.
    UriTooLong,
    /// An `Expect` other than `100-continue`.
    ExpectationFailed,
    /// A host that is not served here.
    UnknownHost,
    /// The head is larger than allowed.
    HeadersTooLarge,
    /// More is asked than can be answered at once, or held.
    Overloaded,
    /// This client has too many requests in progress.
    TooManyAtOnce,
    /// A fault of our own.
    Internal,
    /// The process ends before the answer could be whole.
    Stopping,
    /// No target of the model's pools can be used.
    NoHealthyUpstream,
    /// The upstream refused this very request; its words are passed on.
    UpstreamRefused(UpstreamRefusal),
    /// Upstreams are rate limited.
    UpstreamRateLimited {
        /// When to come back.
        retry_after: Duration,
    },
    /// Upstreams are overloaded.
    UpstreamOverloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The upstream does not accept our credential.
    UpstreamAuth,
    /// What came back is no valid answer.
    UpstreamInvalidResponse,
    /// The upstream could not be reached, or broke off.
    UpstreamUnavailable,
    /// The upstream took too long.
    UpstreamTimeout,
}

/// An upstream's own refusal, cleaned of what is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRefusal {
    /// 400, 404, 409, 413, 415 or 422.
    pub status: StatusCode,
    /// At most 1 KiB.
    pub message: String,
    /// The field the upstream complained about.
    pub param: Option<String>,
    /// The upstream's own code.
    pub code: Option<String>,
}

/// The envelope's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The status it travels with.
    pub status: StatusCode,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.code`.
    pub code: Option<Cow<'static, str>>,
    /// `error.message`.
    pub message: Cow<'static, str>,
    /// `error.param`.
    pub param: Option<Cow<'static, str>>,
}

const INVALID_REQUEST: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";
const OVERLOADED: &str = "overloaded_error";
const RATE_LIMIT: &str = "rate_limit_error";

impl Refusal {
    /// For a name nobody answers to; what is told of it is bounded and printable.
    #[must_use]
    pub fn unknown_model(name: &str) -> Self {
        let printable = name.chars().filter(|c| is_printable(*c));
        Self::UnknownModel(printable.take(64).collect())
    }

    /// The envelope of this refusal.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        match self {
            Self::Body(error) => Envelope {
                status: StatusCode::BAD_REQUEST,
                kind: INVALID_REQUEST,
                code: Some(error.code().into()),
                message: error.message().into(),
                param: error.param().map(Cow::Borrowed),
            },
            Self::UnknownModel(name) => Envelope {
                status: StatusCode::NOT_FOUND,
                kind: INVALID_REQUEST,
                code: Some("model_not_found".into()),
                message: format!(
                    "The model '{name}' does not exist here. GET /api/v1/models lists the models that do."
                )
                .into(),
                param: Some("model".into()),
            },
            Self::UpstreamRefused(refused) => Envelope {
                status: refused.status,
                kind: INVALID_REQUEST,
                code: refused.code.clone().map(Cow::Owned),
                message: refused.message.clone().into(),
                param: refused.param.clone().map(Cow::Owned),
            },
            other => {
                let (status, kind, code, message) = other.constant();
                Envelope {
                    status,
                    kind,
                    code: Some(code.into()),
                    message: message.into(),
                    param: None,
                }
            }
        }
    }

    /// Status, type, code and message of the refusals that carry no text of their own.
    fn constant(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::MalformedHead
            | Self::BadHost
            | Self::BadConnectionHeader
            | Self::AmbiguousFraming
            | Self::MalformedBody
            | Self::Body(_)
            | Self::UnknownPath
            | Self::UnknownImage
            | Self::UnknownModel(_)
            | Self::MethodNotAllowed { .. }
            | Self::HeadTimeout
            | Self::BodyTimeout
            | Self::BodyTooLarge
            | Self::UnsupportedMediaType
            | Self::UriTooLong
            | Self::ExpectationFailed
            | Self::UnknownHost
            | Self::HeadersTooLarge => self.callers_fault(),
            Self::Internal
            | Self::Overloaded
            | Self::TooManyAtOnce
            | Self::Stopping
            | Self::NoHealthyUpstream
            | Self::UpstreamRefused(_)
            | Self::UpstreamRateLimited { .. }
            | Self::UpstreamOverloaded { .. }
            | Self::UpstreamAuth
            | Self::UpstreamInvalidResponse
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout => self.our_fault(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one error after the other")]
    fn callers_fault(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        let (status, code, message) = match self {
            Self::BadHost => (
                StatusCode::BAD_REQUEST,
                "invalid_value",
                "The request needs exactly one Host header that agrees with its target. Send one Host header.",
            ),
            Self::BadConnectionHeader => (
                StatusCode::BAD_REQUEST,
                "invalid_value",
                "The Connection header names a header that may not be removed, or too many. Send Connection: keep-alive or close.",
            ),
            Self::AmbiguousFraming => (
                StatusCode::BAD_REQUEST,
                "invalid_value",
                "The length of the request's body is ambiguous. Send either Content-Length or Transfer-Encoding: chunked, once.",
            ),
            Self::MalformedBody => (
                StatusCode::BAD_REQUEST,
                "invalid_value",
                "The request's body ended early or its chunks are malformed. Send the whole body again on a new connection.",
            ),
            Self::UnknownPath => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing at this path. Chat completions are at POST /api/v1/chat/completions.",
            ),
            Self::UnknownImage => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is no such image, or it is no longer kept. Ask the model for a new one.",
            ),
            Self::MethodNotAllowed { .. } => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not take that method. The Allow header names those it takes.",
            ),
            Self::HeadTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request's head did not arrive in time. Send it again, faster.",
            ),
            Self::BodyTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request's body did not arrive in time. Send it again, faster.",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "The request's body is too large. Send fewer or smaller messages, or link images by URL.",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must be plain JSON. Send Content-Type: application/json and no Content-Encoding.",
            ),
            Self::UriTooLong => (
                StatusCode::URI_TOO_LONG,
                "uri_too_long",
                "The request line is too long. Send parameters in the body.",
            ),
            Self::ExpectationFailed => (
                StatusCode::EXPECTATION_FAILED,
                "expectation_failed",
                "The only expectation that can be met is 100-continue. Send no other Expect header.",
            ),
            Self::UnknownHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                "This host is not served here. Use the address you were given for this service.",
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "The request's headers are too many or too large. Send fewer or shorter headers.",
            ),
            _ => (
                StatusCode::BAD_REQUEST,
                "invalid_value",
                "The request's head is not valid HTTP. Check the request line and the header names and values.",
            ),
        };
        let kind = match self {
            Self::HeadTimeout | Self::BodyTimeout => "timeout_error",
            _ => INVALID_REQUEST,
        };
        (status, kind, code, message)
    }

    fn our_fault(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                OVERLOADED,
                "overloaded",
                "More is asked here than can be answered at once. Retry after the time given in Retry-After.",
            ),
            Self::TooManyAtOnce => (
                StatusCode::TOO_MANY_REQUESTS,
                RATE_LIMIT,
                "concurrency_limit_exceeded",
                "Too many of your requests are in progress. Wait until one of them has ended.",
            ),
            Self::Stopping => (
                StatusCode::SERVICE_UNAVAILABLE,
                OVERLOADED,
                "overloaded",
                "This server is being stopped and cannot finish the answer. Send the request again; another server will take it.",
            ),
            Self::NoHealthyUpstream => (
                StatusCode::SERVICE_UNAVAILABLE,
                OVERLOADED,
                "no_healthy_upstream",
                "No upstream for this model can be used at the moment. Try again later or choose another model.",
            ),
            Self::UpstreamRateLimited { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                RATE_LIMIT,
                "upstream_rate_limited",
                "The upstreams of this model are rate limited. Retry after the time given in Retry-After.",
            ),
            Self::UpstreamOverloaded { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                OVERLOADED,
                "overloaded",
                "The upstreams of this model are overloaded. Retry after the time given in Retry-After.",
            ),
            Self::UpstreamAuth => (
                StatusCode::BAD_GATEWAY,
                UPSTREAM,
                "upstream_auth",
                "The upstream of this model does not accept this service's credential. Choose another model; the operator has been told.",
            ),
            Self::UpstreamInvalidResponse => (
                StatusCode::BAD_GATEWAY,
                UPSTREAM,
                "upstream_invalid_response",
                "The upstream of this model did not give a valid answer. Try again or choose another model.",
            ),
            Self::UpstreamUnavailable => (
                StatusCode::BAD_GATEWAY,
                UPSTREAM,
                "upstream_unavailable",
                "The upstream of this model could not be reached or broke off. Try again or choose another model.",
            ),
            Self::UpstreamTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                UPSTREAM,
                "upstream_timeout",
                "The upstream of this model took too long. Try again, ask for less, or choose another model.",
            ),
            _ => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "internal_error",
                "Something failed here that is not your fault. Try again; if it stays, report the x-request-id.",
            ),
        }
    }

    /// When to come back; every 429 and 503 says so, in whole seconds of at least one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::UpstreamRateLimited { retry_after }
            | Self::UpstreamOverloaded { retry_after } => Some(*retry_after),
            Self::Overloaded | Self::TooManyAtOnce | Self::NoHealthyUpstream | Self::Stopping => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// Whether upstreams were already tried more than a caller's own retry could help.
    #[must_use]
    pub fn was_retried_here(&self) -> bool {
        let status = self.envelope().status;
        // Another process has not tried.
        !matches!(self, Self::Internal | Self::Stopping)
            && (status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS)
    }
}

/// Neither a control character nor one that is not seen, or that turns the text behind it.
fn is_printable(c: char) -> bool {
    let unseen = matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}');
    !c.is_control() && !unseen
}

impl Envelope {
    /// The envelope as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_turns_the_text_behind_it_is_told_without_that() {
        let refusal = Refusal::unknown_model("gpt\u{202e}\u{200b}\u{2066}-4\0\n");
        assert_eq!(refusal, Refusal::UnknownModel("gpt-4".to_owned()));
    }
}
