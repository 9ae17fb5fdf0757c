//! What is called by a path?
//!
//! It is compared exactly, after decoding once. Which protocol it is asked in is found in the same
//! way, or one body would be read in two.

use super::Endpoint;
use crate::gateway::idiom::Idiom;
use crate::gateway::pages::Page;
use crate::gateway::refusal::Refusal;
use crate::operation::Operation;

/// The protocol of whoever asks there, whether there is anything or not.
pub(super) fn idiom(uri: &http::Uri) -> Idiom {
    let written = uri.path();
    let decoded = written.contains('%').then(|| percent_decoded(written));
    let path = decoded.flatten();
    let path = path.as_deref().unwrap_or(written);
    let path = path.strip_suffix("/count_tokens").unwrap_or(path);
    if path.ends_with("/v1/messages") {
        Idiom::Anthropic
    } else {
        Idiom::OpenAi
    }
}

pub(super) fn endpoint(uri: &http::Uri) -> Result<Endpoint, Refusal> {
    let path = uri.path();
    // The one path that is asked for all day needs no decoding.
    if path == "/api/v1/chat/completions" || path == "/v1/chat/completions" {
        return Ok(Endpoint::Operation(Operation::Chat));
    }
    let decoded = percent_decoded(path).ok_or(Refusal::UnknownPath)?;
    if let Some(id) = decoded.strip_prefix("/images/") {
        return Ok(Endpoint::Image(id.to_owned()));
    }
    if let Some(page) = Page::at(&decoded) {
        return Ok(Endpoint::Page(page));
    }
    let below = decoded.strip_prefix("/api").unwrap_or(&decoded);
    let below = below.strip_prefix("/v1").ok_or(Refusal::UnknownPath)?;
    if let Some(operation) = Operation::at(below) {
        return Ok(Endpoint::Operation(operation));
    }
    if below == "/messages" {
        return Ok(Endpoint::Messages);
    }
    if below == "/models" {
        return Ok(Endpoint::Models);
    }
    match below.strip_prefix("/models/") {
        Some(id) if !id.is_empty() => Ok(Endpoint::Model(id.to_owned())),
        _ if below.starts_with("/responses/") => Err(Refusal::ResponsesNotKept),
        _ => Err(Refusal::UnknownPath),
    }
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    let text = String::from_utf8(decoded).ok()?;
    (!text.contains(char::is_control)).then_some(text)
}
