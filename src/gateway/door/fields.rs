//! Do the fields of a head leave any doubt?
//!
//! Whether a body is framed once, whether it is plain JSON, what `Connection` and
//! `Expect` may say: each a question to the fields alone.

use std::time::Duration;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::gateway::door::boundary::Boundary;
use crate::gateway::refusal::Refusal;

/// Hops a `Connection` header may name.
const NOMINATIONS_MAX: usize = 10;
/// How much of a request's wished-for headers a preflight reflects.
const REFLECTED_BYTES_MAX: usize = 4096;

/// A `Connection` header may name hop-by-hop headers, a few, and none that matters here.
pub(super) fn connection_is_harmless(headers: &HeaderMap) -> Result<(), Refusal> {
    const PROTECTED: [HeaderName; 8] = [
        header::HOST,
        header::AUTHORIZATION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::ORIGIN,
        header::CACHE_CONTROL,
    ];
    let mut named = 0;
    for value in headers.get_all(header::CONNECTION) {
        for token in value.as_bytes().split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            named += 1;
            let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
            let protected = PROTECTED.iter().any(|name| is(name.as_str()))
                || is("x-request-id")
                || is("x-api-key")
                || is("x-forwarded-for");
            if protected || named > NOMINATIONS_MAX {
                return Err(Refusal::BadConnectionHeader);
            }
        }
    }
    Ok(())
}

/// Whether no value has white space around it: HTTP/1 takes it away, and HTTP/2 calls such a
/// request malformed (RFC 9113, 8.2.1).
pub(super) fn are_bare(headers: &HeaderMap) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    headers.values().all(|value| {
        let value = value.as_bytes();
        !is_space(value.first()) && !is_space(value.last())
    })
}

/// Whether a field's name begins so.
fn begins_with(headers: &HeaderMap, prefix: &str) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(prefix))
}

/// How long the caller waits, as SDKs of OpenAI's say it, in seconds: for the next bytes
/// where they tell that apart, else for everything. A twentieth of it, at most half a
/// second, is kept for the way back.
pub(super) fn patience(headers: &HeaderMap) -> Option<Duration> {
    static NAMES: [HeaderName; 2] = [
        HeaderName::from_static("x-stainless-read-timeout"),
        HeaderName::from_static("x-stainless-timeout"),
    ];
    const SPARE_MAX: Duration = Duration::from_millis(500);
    // Most callers say nothing of the kind, and looking along a few names is less than hashing.
    if !begins_with(headers, "x-stainless-") {
        return None;
    }
    let said = NAMES.iter().find_map(|name| headers.get(name))?;
    let seconds: f64 = said.to_str().ok()?.trim().parse().ok()?;
    let waits = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|waits| !waits.is_zero())?;
    Some(waits.saturating_sub((waits / 20).min(SPARE_MAX)))
}

/// One framing, of which no reader could see another.
pub(super) fn unambiguous(headers: &HeaderMap, raw: Option<&[u8]>) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    // pingora drops the length when both are there, so the bytes themselves are asked.
    let has_length = headers.contains_key(header::CONTENT_LENGTH)
        || raw.is_some_and(|raw| names_field(raw, b"content-length"));
    let unambiguous = chunked && !has_length;
    unambiguous.then_some(()).ok_or(Refusal::AmbiguousFraming)
}

/// How many bytes of a body are announced.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    let said = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    // `1, 1` is one length said twice; pingora has checked that they agree.
    said.split(',').next()?.trim().parse().ok()
}

/// Whether a body of so few bytes comes without a further word, and has one end only, whoever
/// reads it.
pub(super) fn is_soon_over(headers: &HeaderMap, bytes_max: u64) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let is_plain = |value: &http::HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    // What is written in another way, or twice, is refused later, and ends the connection.
    lengths.next().is_some_and(is_plain)
        && lengths.next().is_none()
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && !headers.contains_key(header::EXPECT)
        && length(headers).is_some_and(|length| length <= bytes_max)
}

/// Whether a raw head has a field of this name.
fn names_field(raw: &[u8], name: &[u8]) -> bool {
    raw.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(name) && rest.trim_ascii_start().first() == Some(&b':')
            })
    })
}

pub(super) fn expectation(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut expected = headers.get_all(header::EXPECT).iter().peekable();
    let awaits = expected.peek().is_some();
    if expected.all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        Ok(awaits)
    } else {
        Err(Refusal::ExpectationFailed)
    }
}

pub(super) fn is_plain_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return Err(Refusal::UnsupportedMediaType);
    };
    let encoded = headers.contains_key(header::CONTENT_ENCODING);
    if is_json(only.as_bytes()) && !encoded {
        Ok(())
    } else {
        Err(Refusal::UnsupportedMediaType)
    }
}

/// What stands between the parts of a plain form.
pub(super) fn form_boundary(headers: &HeaderMap) -> Result<Boundary, Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return Err(Refusal::NoForm);
    };
    let encoded = headers.contains_key(header::CONTENT_ENCODING);
    Boundary::of(only.as_bytes())
        .filter(|_| !encoded)
        .ok_or(Refusal::NoForm)
}

/// `application/json`, alone or with `charset=utf-8`.
fn is_json(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/json"));
    json && parts.all(|parameter| {
        let (name, charset) = parameter.split_at(parameter.len().min(8));
        let charset = charset.trim_ascii().trim_ascii_start();
        parameter.is_empty()
            || name.eq_ignore_ascii_case(b"charset=")
                && (charset.eq_ignore_ascii_case(b"utf-8")
                    || charset.eq_ignore_ascii_case(b"\"utf-8\""))
    })
}

/// The headers a browser asks to send, if they are names and not too many.
pub(super) fn wished_headers(headers: &HeaderMap) -> Option<HeaderValue> {
    let wished = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte);
    let bytes = wished.as_bytes();
    (bytes.len() <= REFLECTED_BYTES_MAX && bytes.iter().all(is_name)).then(|| wished.clone())
}
