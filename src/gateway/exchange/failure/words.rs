//! What did an upstream say, and what of it may be passed on?
//!
//! Its own words, without what is ours in them. And what they are about: a request that
//! is too long for one model, or that one vendor's policy refuses, may be answered by
//! another, and no status tells these apart from other refusals.

use http::StatusCode;

use crate::gateway::pools::Pool;
use crate::gateway::refusal::UpstreamRefusal;
use crate::openai::UpstreamError;

/// What of an upstream's message is passed on.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The request is too long for the model.
    Context,
    /// Somebody's policy forbids an answer.
    Policy,
    /// Anything else.
    Other,
}

/// Words of vendors whose models were asked too much at once, in codes and in messages.
const CONTEXT: (&[&str], &[&str]) = (
    &[
        "context_length",
        "context_window",
        "string_above_max_length",
    ],
    &[
        "context length",
        "context window",
        "prompt is too long",
        "input is too long",
        "too many tokens",
        "maximum number of tokens",
        "reduce the length of the messages",
    ],
);
/// Words of vendors whose policy forbids an answer.
const POLICY: (&[&str], &[&str]) = (
    &[
        "content_policy",
        "content_filter",
        "moderation",
        "responsibleai",
    ],
    &[
        "content policy",
        "content management policy",
        "safety system",
        "usage policies",
        "requires moderation",
    ],
);

/// What an error of this status is about, by code, type and message.
pub(super) fn about(status: StatusCode, error: Option<&UpstreamError>) -> About {
    // 403 is what some say of an input that their moderation has flagged.
    let (Some(error), 400 | 403 | 413 | 422) = (error, status.as_u16()) else {
        return About::Other;
    };
    let lower = |text: Option<&String>| text.map(|text| text.to_ascii_lowercase());
    let codes = [lower(error.code.as_ref()), lower(error.kind.as_ref())];
    let message = lower(error.message.as_ref()).unwrap_or_default();
    let says = |(in_codes, in_message): (&[&str], &[&str])| {
        let of_codes = codes.iter().flatten();
        of_codes
            .clone()
            .any(|code| in_codes.iter().any(|word| code.contains(word)))
            || in_message.iter().any(|word| message.contains(word))
    };
    if says(CONTEXT) {
        About::Context
    } else if says(POLICY) {
        About::Policy
    } else {
        About::Other
    }
}

/// What a caller is told of an upstream's refusal.
pub(super) fn refusal(
    status: StatusCode,
    error: Option<&UpstreamError>,
    pool: &Pool,
) -> UpstreamRefusal {
    let word = |text: Option<&str>| {
        text.filter(|text| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .map(|text| cleaned(text, pool))
    };
    let message = error.and_then(|error| error.message.as_deref());
    UpstreamRefusal {
        status,
        message: message.map_or_else(
            || "The upstream of this model refused the request and did not say why. Check the request's fields against the model's documentation.".to_owned(),
            |message| cleaned(message, pool),
        ),
        param: word(error.and_then(|error| error.param.as_deref())),
        code: word(error.and_then(|error| error.code.as_deref())),
    }
}

/// What stands in the place of what is nobody's business.
const REMOVED: &str = "[removed]";
/// What ids of organisations and projects, and keys, begin with.
const IDS: [&str; 3] = ["org-", "proj_", "sk-"];

/// An upstream's words without what is ours: credential, hosts, organisation ids.
fn cleaned(text: &str, pool: &Pool) -> String {
    let mut text = text.to_owned();
    let key = pool.api_key.as_ref().map(crate::names::Secret::expose);
    let hosts = pool.targets.iter().flat_map(|target| {
        let name = target
            .label
            .rsplit_once(':')
            .map_or(&*target.label, |(name, _)| name);
        [&*target.label, name]
    });
    for ours in key.into_iter().chain(hosts).filter(|ours| !ours.is_empty()) {
        if text.contains(ours) {
            text = text.replace(ours, REMOVED);
        }
    }
    let mut clean = without_ids(&text);
    let mut end = clean.len().min(MESSAGE_BYTES_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean.truncate(end);
    clean
}

/// The text without ids, wherever they begin: upstreams put whole JSON into a message, too.
fn without_ids(text: &str) -> String {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ')' | ']' | '}');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_inside = false;
    while let Some(first) = rest.chars().next() {
        let is_id = !is_inside && IDS.iter().any(|begin| rest.starts_with(begin));
        let bytes = if is_id {
            rest.find(ends).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (this, behind) = rest.split_at_checked(bytes).unwrap_or((rest, ""));
        clean.push_str(if is_id { REMOVED } else { this });
        is_inside = goes_on(first);
        rest = behind;
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_removed_wherever_they_stand() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(without_ids(text), expected);
        }
        check("", "");
        check("sk-ab**yz", "[removed]");
        check("of org-1a, or 'proj_2b'.", "of [removed], or '[removed]'.");
        check(
            r#"{"organization":"org-1a","key":"sk-2b"} ü"#,
            r#"{"organization":"[removed]","key":"[removed]"} ü"#,
        );
        check("key=sk-1a\nnext", "key=[removed]\nnext");
        check(
            "a task-force, X-Org-Id, x-org-id",
            "a task-force, X-Org-Id, x-org-id",
        );
    }

    fn check(status: u16, code: &str, message: &str, expected: About) {
        let error = UpstreamError {
            message: Some(message.to_owned()),
            code: Some(code.to_owned()),
            ..UpstreamError::default()
        };
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(about(status, Some(&error)), expected, "{code}: {message}");
    }

    #[test]
    fn what_vendors_say_of_length_and_policy_is_understood() {
        check(400, "context_length_exceeded", "", About::Context);
        check(
            400,
            "",
            "This model's maximum context length is 8192 tokens.",
            About::Context,
        );
        check(
            400,
            "",
            "prompt is too long: 210000 tokens > 200000 maximum",
            About::Context,
        );
        check(413, "", "Input exceeds the context window", About::Context);
        check(400, "content_policy_violation", "", About::Policy);
        check(400, "content_filter", "", About::Policy);
        check(
            400,
            "",
            "The response was filtered due to Azure's content management policy.",
            About::Policy,
        );
        check(
            403,
            "403",
            "openai/gpt-4o requires moderation on OpenRouter.",
            About::Policy,
        );
        check(403, "", "The project does not have access", About::Other);
        check(
            400,
            "invalid_value",
            "temperature must be at most 2",
            About::Other,
        );
        check(500, "context_length_exceeded", "", About::Other);
    }
}
