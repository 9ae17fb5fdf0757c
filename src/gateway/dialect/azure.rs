//! OpenAI's protocol as Azure speaks it: what is different?
//!
//! Requests, answers and events are OpenAI's and pass as they came, with what Azure adds
//! to them: what its filter found (`content_filter_results`, `prompt_filter_results`), in
//! events that may have no choices, or choices without a `delta`. Where a request goes
//! stands in `pools/wire/manner.rs`. What is left is what an error says: the filter's
//! verdict lies a level deeper, and the gate before a resource has an envelope of its own.
//!
//! Source: Azure OpenAI's REST reference and its pages on content filtering.

use serde::Deserialize;

use crate::openai::UpstreamError;

/// What an error answer says, if it is understood.
///
/// Shape: OpenAI's with `error.innererror.code`, or the gate's `{"statusCode", "message"}`.
#[must_use]
pub fn error(body: &[u8]) -> Option<UpstreamError> {
    let Some(mut said) = UpstreamError::read(body) else {
        return gate(body);
    };
    // `code` may be as good as nothing ("400") where this says what it is about.
    let inner: Option<Outer> = serde_json::from_slice(body).ok();
    if let Some(code) = inner.and_then(|outer| outer.error.innererror.code) {
        said.kind = Some(code);
    }
    Some(said)
}

/// The envelope of the gate before the resource, which judges keys and rates.
fn gate(body: &[u8]) -> Option<UpstreamError> {
    let Gate {
        status_code,
        message,
    } = serde_json::from_slice(body).ok()?;
    Some(UpstreamError {
        message: Some(message),
        code: Some(status_code.to_string()),
        ..UpstreamError::default()
    })
}

#[derive(Deserialize)]
struct Outer {
    error: Middle,
}

#[derive(Deserialize)]
struct Middle {
    innererror: Inner,
}

#[derive(Deserialize)]
struct Inner {
    code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gate {
    status_code: u16,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<[Option<&str>; 3]>) {
        let found = error(body.as_bytes());
        let found = found.map(|error| [error.message, error.kind, error.code]);
        let expected = expected.map(|texts| texts.map(|text| text.map(String::from)));
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn the_filters_verdict_is_found_a_level_deeper() {
        check(
            r#"{"error":{"message":"m","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
            Some([
                Some("m"),
                Some("ResponsibleAIPolicyViolation"),
                Some("content_filter"),
            ]),
        );
        check(
            r#"{"error":{"code":"DeploymentNotFound","message":"m"}}"#,
            Some([Some("m"), None, Some("DeploymentNotFound")]),
        );
        check(
            r#"{"error":{"code":"429","message":"m","innererror":null}}"#,
            Some([Some("m"), None, Some("429")]),
        );
    }

    #[test]
    fn the_gates_own_envelope_is_understood() {
        check(
            r#"{ "statusCode": 401, "message": "Access denied." }"#,
            Some([Some("Access denied."), None, Some("401")]),
        );
        check(r#"{"statusCode":"x"}"#, None);
        check("<html>", None);
    }
}
