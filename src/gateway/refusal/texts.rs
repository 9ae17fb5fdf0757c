//! What is a caller told?
//!
//! A table: for each refusal that carries no words of its own its status, type, code and
//! message. A message says what to do next.

use http::StatusCode;

use crate::gateway::client::ClientError;
use crate::gateway::refusal::Refusal;
use crate::operation::Operation;

pub(super) const INVALID_REQUEST: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";
const OVERLOADED: &str = "overloaded_error";
pub(super) const RATE_LIMIT: &str = "rate_limit_error";

impl Refusal {
    /// Status, type, code and message of the refusals that carry no text of their own.
    pub(super) fn constant(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::MalformedHead
            | Self::BadHost
            | Self::BadConnectionHeader
            | Self::AmbiguousFraming
            | Self::MalformedBody
            | Self::Body(_)
            | Self::UnknownPath
            | Self::ResponsesNotKept
            | Self::NotServed(_)
            | Self::UnknownImage
            | Self::UnknownModel(_)
            | Self::MethodNotAllowed { .. }
            | Self::HeadTimeout
            | Self::BodyTimeout
            | Self::BodyTooLarge
            | Self::UnsupportedMediaType
            | Self::NoForm
            | Self::UriTooLong
            | Self::ExpectationFailed
            | Self::UnknownHost
            | Self::HeadersTooLarge => self.callers_fault(),
            Self::Client(error) => of_a_client(*error),
            Self::Internal
            | Self::Overloaded
            | Self::TooManyAtOnce
            | Self::Limited(_)
            | Self::Stopping
            | Self::NoHealthyUpstream
            | Self::Inexpressible(_)
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
                "The chunks of the request's body are malformed. Send the whole body again on a new connection.",
            ),
            Self::UnknownPath => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing at this path. Chat completions are at POST /api/v1/chat/completions.",
            ),
            Self::ResponsesNotKept => (
                StatusCode::NOT_FOUND,
                "not_found",
                "Responses are not kept here, so none can be asked for, deleted or cancelled. POST /api/v1/responses makes one.",
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
            Self::NoForm => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must be a plain form. Send Content-Type: multipart/form-data with one boundary, and no Content-Encoding.",
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
                "The upstream of this model does not accept this service's credential, or not for this request: it may not use this model, or cannot pay for so many tokens. Choose another model or a smaller max_tokens; the operator can see it.",
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
}

/// What is told to who asks a model for what it is not asked for here.
pub(super) fn not_served(operation: Operation) -> String {
    match operation {
        Operation::Counting => "The tokens of this model's questions are not counted here: no upstream of it speaks Anthropic's protocol. Ask at /messages, whose answer tells how many there were, or choose another model.".to_owned(),
        other => format!(
            "This model is not served at {}. GET /api/v1/models tells at which endpoints each model is.",
            other.path()
        ),
    }
}

/// What is told to who may not come in, or not for this model.
fn of_a_client(error: ClientError) -> (StatusCode, &'static str, &'static str, &'static str) {
    match error {
        ClientError::Denied => (
            StatusCode::FORBIDDEN,
            "permission_error",
            "client_denied",
            "Callers from this address are not served here. Ask the operator of this gateway.",
        ),
        ClientError::InvalidKey => (
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "invalid_api_key",
            "A valid API key is needed here. Send one as 'Authorization: Bearer KEY'; the operator of this gateway gives them out.",
        ),
        ClientError::ModelNotAllowed => (
            StatusCode::FORBIDDEN,
            "permission_error",
            "model_not_allowed",
            "This API key may not use this model. Ask for another model, or use another key.",
        ),
    }
}
