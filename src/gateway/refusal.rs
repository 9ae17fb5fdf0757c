//! Which errors can a client see?
//!
//! All of them stand here: one closed enum and one exhaustive mapping to the
//! envelope. The texts are constant, so nothing a caller or an upstream sent
//! comes back by accident; the two exceptions carry their text as a field. What a limit or
//! a cap allows is filled in, from the configuration.

/// What is a caller told?
mod texts;
/// And what is one told that is over a limit?
mod limited;
/// And one whose request nobody has words for?
mod inexpressible;
/// Which refusals are there, and where?
pub mod listed;

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use crate::gateway::client::ClientError;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::inspect::InspectError;
use crate::gateway::limit::{Kind, Limited};
use crate::openai::{ErrorEnvelope, ErrorObject};
use crate::operation::Operation;
use texts::{INVALID_REQUEST, RATE_LIMIT};

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
    /// Answers are not kept here to be asked for later.
    ResponsesNotKept,
    /// The model is there, and is not asked for this.
    NotServed(Operation),
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
    /// Not a form, or encoded.
    NoForm,
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
    /// Who asks may not come in, or not for this model.
    Client(ClientError),
    /// A limit is met.
    Limited(Limited),
    /// A fault of our own.
    Internal,
    /// The process ends before the answer could be whole.
    Stopping,
    /// No target of the model's pools can be used.
    NoHealthyUpstream,
    /// No upstream of the model has words for what is asked.
    Inexpressible(Inexpressible),
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
    /// The upstream does not accept our credential, or not for this request.
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
                message: error.message(),
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
            Self::NotServed(operation) => Envelope {
                status: StatusCode::NOT_FOUND,
                kind: INVALID_REQUEST,
                code: Some("endpoint_not_served".into()),
                message: texts::not_served(*operation).into(),
                param: Some("model".into()),
            },
            Self::Limited(limited) => Envelope {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: RATE_LIMIT,
                code: Some(limited.code().into()),
                message: limited.message().into(),
                param: None,
            },
            Self::Inexpressible(what) => Envelope {
                status: StatusCode::BAD_REQUEST,
                kind: INVALID_REQUEST,
                code: Some(inexpressible::code(what).into()),
                message: inexpressible::message(what).into(),
                param: Some(inexpressible::param(what).into()),
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

    /// When to come back; every 429 and 503 says so, in whole seconds of at least one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::UpstreamRateLimited { retry_after }
            | Self::UpstreamOverloaded { retry_after } => Some(*retry_after),
            Self::Limited(limited) => Some(limited.retry_after),
            Self::Overloaded | Self::TooManyAtOnce | Self::NoHealthyUpstream | Self::Stopping => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// Whether upstreams are to blame, so that another try may end otherwise.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let status = self.envelope().status;
        !matches!(self, Self::Stopping)
            && (status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS)
    }

    /// Whether a budget is spent: nobody who tries again within a while is better off.
    #[must_use]
    pub fn is_of_a_budget(&self) -> bool {
        matches!(self, Self::Limited(limited) if limited.kind == Kind::Cost)
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
    /// The envelope as JSON, written as it goes: a crowd that is refused has it made for each.
    #[must_use]
    pub fn json(&self) -> String {
        let envelope = ErrorEnvelope {
            error: ErrorObject {
                message: Cow::Borrowed(&self.message),
                kind: Cow::Borrowed(self.kind),
                param: self.param.as_deref().map(Cow::Borrowed),
                code: self.code.as_deref().map(Cow::Borrowed),
            },
        };
        // Plain fields into memory: there is nothing that could fail.
        serde_json::to_string(&envelope).unwrap_or_default()
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
