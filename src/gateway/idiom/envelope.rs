//! How is a caller refused that asks in Anthropic's words?
//!
//! With the same status and message as any other, in the envelope of that protocol: the class
//! follows from the status, and the request's id stands in it.
//!
//! Source: Anthropic's API reference, Errors.

use std::borrow::Cow;

use serde::Serialize;

use super::written;
use crate::gateway::record::id::RequestId;
use crate::gateway::refusal::Envelope;
use crate::openai::UpstreamError;

#[derive(Serialize)]
struct Refused<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Told<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

impl<'a> Refused<'a> {
    fn new(kind: &'a str, message: &'a str, id: &'a RequestId) -> Self {
        Self {
            kind: "error",
            error: Told { kind, message },
            request_id: id.as_str(),
        }
    }
}

/// A refusal as a body.
pub(super) fn json(envelope: &Envelope, id: &RequestId) -> String {
    let refused = Refused::new(class(envelope.status.as_u16()), &envelope.message, id);
    // Plain fields into memory: there is nothing that could fail.
    serde_json::to_string(&refused).unwrap_or_default()
}

/// A refusal as an event.
pub(super) fn event(envelope: &Envelope, id: &RequestId) -> Vec<u8> {
    let mut out = Vec::new();
    let refused = Refused::new(class(envelope.status.as_u16()), &envelope.message, id);
    written::event("error", &refused, &mut out);
    out
}

/// Appends an error of the upstream's in a stream.
pub(super) fn passed_on(data: &[u8], id: &RequestId, out: &mut Vec<u8>) {
    let error = UpstreamError::read(data).unwrap_or_default();
    let kind = error.kind.as_deref().unwrap_or_default();
    let kind: Cow<'_, str> = match kind {
        "rate_limit_error"
        | "overloaded_error"
        | "invalid_request_error"
        | "timeout_error"
        | "permission_error"
        | "not_found_error" => kind.into(),
        _ => "api_error".into(),
    };
    let message = error.message.unwrap_or_default();
    written::event("error", &Refused::new(&kind, &message, id), out);
}

/// The class of a status.
fn class(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        408 | 504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
