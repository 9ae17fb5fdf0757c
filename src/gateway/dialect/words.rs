//! What does an error answer say?
//!
//! In its dialect's words, or in nobody's: servers of open models have frameworks that answer for
//! them. A caller who is told that can mend the request; who is told that nobody said why can only
//! guess.

use serde_json::Value;

use super::{azure, gemini};
use crate::config::dialect::Dialect;
use crate::openai::UpstreamError;

/// More of a text is not taken for a sentence to a caller.
const TEXT_BYTES_MAX: usize = 512;

/// The members under which frameworks say what is wrong, the likeliest first.
const MEMBERS: [&str; 3] = ["detail", "message", "msg"];

/// What an error answer says, if it is understood.
#[must_use]
pub fn error(dialect: Dialect, body: &[u8]) -> Option<UpstreamError> {
    let understood = match dialect {
        // Anthropic's error object has the same members in the same place.
        Dialect::OpenAi | Dialect::Images | Dialect::Anthropic | Dialect::Responses => {
            UpstreamError::read(body)
        }
        Dialect::Azure => azure::error(body),
        Dialect::Gemini => gemini::failure::error(body),
    };
    let is_told = |error: &UpstreamError| error.message.is_some();
    if understood.as_ref().is_some_and(is_told) {
        return understood;
    }
    match (understood, read(body)) {
        (Some(error), Some(said)) => Some(UpstreamError {
            message: said.message,
            param: error.param.or(said.param),
            ..error
        }),
        (error, said) => error.or(said),
    }
}

/// What it says; `None` where that is not for people.
///
/// Shape: `{"detail": …}` or `{"message": …}` with a text, with another such object, or with a list
/// of `{"loc": ["body", "field"], "msg": "text"}` (`FastAPI`); or a text, as JSON or alone.
fn read(body: &[u8]) -> Option<UpstreamError> {
    let (message, param) = match serde_json::from_slice(body) {
        Ok(value) => said(&value)?,
        Err(_) => (alone(body)?.to_owned(), None),
    };
    Some(UpstreamError {
        message: Some(message),
        param,
        ..UpstreamError::default()
    })
}

/// What is wrong, and the field that it is wrong with.
fn said(value: &Value) -> Option<(String, Option<String>)> {
    match value {
        Value::String(text) => Some((text.clone(), None)).filter(|(text, _)| !text.is_empty()),
        Value::Array(list) => list.iter().find_map(said),
        Value::Object(members) => {
            let mut inside = MEMBERS.iter().filter_map(|name| members.get(*name));
            let (message, inner) = inside.find_map(said)?;
            let field = members.get("loc").and_then(field);
            Some((message, field.or(inner)))
        }
        _ => None,
    }
}

/// The path of a field in a body, as a caller writes it.
fn field(path: &Value) -> Option<String> {
    let mut name = String::new();
    for part in path.as_array()? {
        match part {
            Value::String(part) if name.is_empty() && part == "body" => {}
            Value::String(part) if name.is_empty() => name.push_str(part),
            Value::String(part) => name.extend([".", part]),
            Value::Number(place) => name.extend(["[", &place.to_string(), "]"]),
            _ => return None,
        }
    }
    Some(name).filter(|name| !name.is_empty())
}

/// A text that came by itself, and is no page.
fn alone(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_short = !text.is_empty() && text.len() <= TEXT_BYTES_MAX;
    let is_prose = !text.starts_with(['<', '{', '[']) && !text.contains(char::is_control);
    (is_short && is_prose).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frameworks_say_is_found() {
        #[track_caller]
        fn check(body: &str, message: &str, param: Option<&str>) {
            let error = read(body.as_bytes()).unwrap();
            let found = (error.message.as_deref(), error.param.as_deref());
            assert_eq!(found, (Some(message), param), "{body}");
        }
        check(r#"{"detail":"Unsupported"}"#, "Unsupported", None);
        check(r#"{"message":"invalid request"}"#, "invalid request", None);
        check(
            r#"{"detail":[{"type":"extra","loc":["body","messages",0,"name"],"msg":"Not permitted"}]}"#,
            "Not permitted",
            Some("messages[0].name"),
        );
        check(
            r#"{"object":"error","message":{"detail":[{"loc":["body","temperature"],"msg":"At most 1.5"}]}}"#,
            "At most 1.5",
            Some("temperature"),
        );
        check("\"no\"", "no", None);
        check(" Bad thing\n", "Bad thing", None);
    }

    #[test]
    fn what_a_protocol_says_stays_and_what_it_leaves_open_is_found_elsewhere() {
        let told = |body: &str| error(Dialect::OpenAi, body.as_bytes()).unwrap();
        let own = told(r#"{"error":{"message":"own","code":"c"},"detail":"other"}"#);
        assert_eq!(own.message.as_deref(), Some("own"));
        let both = told(
            r#"{"object":"error","code":422,"message":{"detail":[{"loc":["body","n"],"msg":"At most 1"}]}}"#,
        );
        assert_eq!(both.code.as_deref(), Some("422"));
        assert_eq!(both.message.as_deref(), Some("At most 1"));
        assert_eq!(both.param.as_deref(), Some("n"));
        let unsaid = told(r#"{"error":{"code":"c"}}"#);
        assert_eq!((unsaid.message, unsaid.code.as_deref()), (None, Some("c")));
        assert_eq!(error(Dialect::OpenAi, b"{}"), None);
    }

    #[test]
    fn what_is_not_for_people_is_left() {
        for body in [
            "",
            "<html><body>502</body></html>",
            "{\"detail\":",
            r#"{"detail":[]}"#,
            r#"{"detail":[{"loc":["body"]}]}"#,
            r#"{"choices":[]}"#,
            "17",
            "one\u{1b}[31m",
            &"x".repeat(513),
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        assert_eq!(read(b"\xff"), None);
    }
}
