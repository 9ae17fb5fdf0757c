//! Which refusals are there, and where?
//!
//! One of each code, for those who describe the API: what they say of errors is what the
//! gateway says, word for word.

use std::time::Duration;

use http::StatusCode;

use crate::gateway::client::ClientError;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::inspect::field::Field;
use crate::gateway::inspect::form::FormFault;
use crate::gateway::inspect::{Fault, InspectError};
use crate::gateway::limit::{Kind, Limited};
use crate::gateway::refusal::{Envelope, Refusal};
use crate::names::LimitName;
use crate::operation::Operation;

/// What has to be asked for to be refused like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Anything: it is decided by the head of the request.
    Anything,
    /// What keys are asked for at.
    Keyed,
    /// One model, by its name.
    Model,
    /// What is not here.
    Path,
    /// An image.
    Image,
    /// Anything that comes with a body: it is decided by that.
    Body,
    /// Any answer of a model.
    Answer,
}

/// A refusal, as an example.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What it is a refusal of.
    pub of: Of,
    /// What is told.
    pub envelope: Envelope,
    /// Whether it says when to come back.
    pub tells_when: bool,
    /// Whether it says which methods there are.
    pub tells_methods: bool,
}

/// One of each code there is, by falling distance from the upstreams.
#[must_use]
pub fn listed() -> Vec<Listed> {
    let of = |(of, refusal): (Of, Refusal)| Listed {
        of,
        tells_when: refusal.retry_after().is_some(),
        tells_methods: matches!(refusal, Refusal::MethodNotAllowed { .. }),
        envelope: refusal.envelope(),
    };
    let all = head().into_iter().chain(caller()).chain(body());
    all.chain(limits()).chain(upstreams()).map(of).collect()
}

fn head() -> Vec<(Of, Refusal)> {
    let allow = "";
    vec![
        (Of::Anything, Refusal::MalformedHead),
        (Of::Path, Refusal::UnknownPath),
        (Of::Image, Refusal::UnknownImage),
        (Of::Anything, Refusal::MethodNotAllowed { allow }),
        (Of::Anything, Refusal::HeadTimeout),
        (Of::Anything, Refusal::UriTooLong),
        (Of::Body, Refusal::ExpectationFailed),
        (Of::Anything, Refusal::UnknownHost),
        (Of::Anything, Refusal::HeadersTooLarge),
    ]
}

fn caller() -> Vec<(Of, Refusal)> {
    vec![
        (Of::Keyed, Refusal::Client(ClientError::InvalidKey)),
        (Of::Anything, Refusal::Client(ClientError::Denied)),
        (Of::Body, Refusal::Client(ClientError::ModelNotAllowed)),
    ]
}

fn body() -> Vec<(Of, Refusal)> {
    let fault = |error: InspectError| (Of::Body, Refusal::Body(error));
    vec![
        fault(InspectError::Json {
            fault: Fault::Empty,
            offset: 0,
        }),
        fault(InspectError::DuplicateKey {
            param: Some(Field::Model.name()),
            offset: 0,
        }),
        fault(InspectError::Form {
            fault: FormFault::Start,
            offset: 0,
        }),
        fault(InspectError::MissingField {
            field: Field::Messages,
        }),
        fault(InspectError::InvalidValue {
            field: Field::Model,
            offset: 0,
        }),
        fault(InspectError::UnknownField { offset: 0 }),
        (Of::Body, Refusal::BodyTimeout),
        (Of::Body, Refusal::BodyTooLarge),
        (Of::Body, Refusal::UnsupportedMediaType),
        (Of::Model, Refusal::unknown_model("gpt-0")),
        (Of::Body, Refusal::NotServed(Operation::Embeddings)),
        (
            Of::Answer,
            Refusal::Inexpressible(Inexpressible::unknown("logit_bias")),
        ),
        (
            Of::Answer,
            Refusal::Inexpressible(Inexpressible::value("temperature", "must be at most 1")),
        ),
    ]
}

fn limits() -> Vec<(Of, Refusal)> {
    let limited = |kind: Kind, per: Option<Duration>, count: u64| {
        let limited = Limited {
            name: LimitName::new("per-client"),
            kind,
            count,
            per,
            retry_after: Duration::from_secs(12),
            quota: Box::default(),
        };
        (Of::Answer, Refusal::Limited(limited))
    };
    let minute = Some(Duration::from_mins(1));
    vec![
        limited(Kind::Requests, minute, 60),
        limited(Kind::Tokens, minute, 100_000),
        limited(Kind::Cost, Some(Duration::from_hours(24)), 5_000_000_000),
        (Of::Answer, Refusal::TooManyAtOnce),
        (Of::Answer, Refusal::Overloaded),
    ]
}

fn upstreams() -> Vec<(Of, Refusal)> {
    let retry_after = Duration::from_secs(2);
    vec![
        (Of::Answer, Refusal::UpstreamRateLimited { retry_after }),
        (Of::Answer, Refusal::NoHealthyUpstream),
        (Of::Answer, Refusal::UpstreamUnavailable),
        (Of::Answer, Refusal::UpstreamInvalidResponse),
        (Of::Answer, Refusal::UpstreamAuth),
        (Of::Answer, Refusal::UpstreamTimeout),
        (Of::Anything, Refusal::Internal),
    ]
}

impl Listed {
    /// `404`
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.envelope.status
    }

    /// `error.code`
    #[must_use]
    pub fn code(&self) -> &str {
        self.envelope.code.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What operators read of errors names the same statuses with the same codes.
    #[test]
    fn every_documented_code_is_listed_and_no_other() {
        let documented = include_str!("../../../docs/errors.md");
        let mut told = BTreeSet::new();
        let mut code_at = 0;
        for line in documented.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let Some(at) = cells.iter().position(|cell| *cell == "code") {
                code_at = at;
            }
            if let Ok(status) = cells[1].parse::<u16>() {
                let codes = cells[code_at].split(", ");
                told.extend(codes.map(|code| (status, code.trim_matches('`').to_owned())));
            }
        }
        let listed: BTreeSet<(u16, String)> = listed()
            .iter()
            .map(|listed| (listed.status().as_u16(), listed.code().to_owned()))
            .collect();
        assert_eq!(listed, told);
    }
}
