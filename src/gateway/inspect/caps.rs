//! Does a caller without a key ask for more than it may?
//!
//! One request can ask for as much as a thousand: so many choices, so many tokens, so many
//! tools to be read with every one. Who has a key answers for that with its limits; who has
//! none is held to `[anonymous]`. Looked at are the places that the one pass has found, and
//! only tools are looked into again, to be counted.

use serde::de::IgnoredAny;

use super::field::Field;
use super::scan::{Kind, Value};
use super::values::{integer, said, string};
use super::{Found, INTEGER_MAX, InspectError, invalid};
use crate::config::clients::Anonymous;

/// Holds what was found against the caps.
///
/// # Errors
///
/// The first field that is above its cap, or that is no number and would have to be one.
pub(super) fn check(text: &str, found: &Found, caps: &Anonymous) -> Result<(), InspectError> {
    let Anonymous {
        n_max,
        best_of_max,
        max_tokens_max,
        top_logprobs_max,
        tools_max,
        image_side_max,
        // Looked at key by key.
        unknown_fields_refused: _,
    } = caps;
    for (field, value, max) in [
        (Field::N, &found.n, u64::from(*n_max)),
        (Field::BestOf, &found.best_of, u64::from(*best_of_max)),
        (Field::MaxTokens, &found.max_tokens, *max_tokens_max),
        (
            Field::MaxCompletionTokens,
            &found.max_completion_tokens,
            *max_tokens_max,
        ),
        (
            Field::MaxOutputTokens,
            &found.max_output_tokens,
            *max_tokens_max,
        ),
        (
            Field::TopLogprobs,
            &found.top_logprobs,
            u64::from(*top_logprobs_max),
        ),
    ] {
        number(text, field, value.as_ref(), max)?;
    }
    side(text, found.size.as_ref(), u64::from(*image_side_max))?;
    let tools_max = u64::from(*tools_max);
    count(text, Field::Tools, found.tools.as_ref(), tools_max)?;
    count(text, Field::Functions, found.functions.as_ref(), tools_max)
}

/// A number up to its cap. One that an upstream could read as a number, and that is none here,
/// would walk around it.
fn number(text: &str, field: Field, value: Option<&Value>, max: u64) -> Result<(), InspectError> {
    let Some(value) = said(value) else {
        return Ok(());
    };
    match integer(text, field, Some(value), 0..=INTEGER_MAX)? {
        Some(number) if number > max => Err(above(field, value, max)),
        _ => Ok(()),
    }
}

/// The size of an image: two sides up to the cap, or left to the upstream. Words that an
/// upstream could know for a larger one are none here.
fn side(text: &str, value: Option<&Value>, max: u64) -> Result<(), InspectError> {
    let Some(value) = said(value) else {
        return Ok(());
    };
    let said = string(text, value).ok_or(invalid(Field::Size, value))?;
    if &*said == "auto" {
        return Ok(());
    }
    let largest = said.split_once('x').and_then(|(width, height)| {
        let pixels = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| plain)
        };
        Some(pixels(width)?.max(pixels(height)?))
    });
    match largest {
        None => Err(invalid(Field::Size, value)),
        Some(pixels) if pixels > max => Err(above(Field::Size, value, max)),
        Some(_) => Ok(()),
    }
}

/// An array of so many at most.
fn count(text: &str, field: Field, value: Option<&Value>, max: u64) -> Result<(), InspectError> {
    let Some(value) = said(value) else {
        return Ok(());
    };
    let literal = text.get(value.span.clone());
    // Of nothing, which needs no room.
    let entries: Option<Vec<IgnoredAny>> = literal
        .filter(|_| value.kind == Kind::Array)
        .and_then(|literal| serde_json::from_str(literal).ok());
    match entries {
        Some(entries) if entries.len() as u64 > max => Err(above(field, value, max)),
        Some(_) => Ok(()),
        None => Err(invalid(field, value)),
    }
}

fn above(field: Field, value: &Value, max: u64) -> InspectError {
    InspectError::AboveCap {
        field,
        max,
        offset: value.span.start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::inspect::{Bounds, inspect, inspect_within};

    const BOUNDS: Bounds = Bounds {
        depth_max: 64,
        keys_max: 10_000,
    };
    const CAPS: Anonymous = Anonymous {
        n_max: 8,
        best_of_max: 4,
        max_tokens_max: 65_536,
        top_logprobs_max: 0,
        tools_max: 2,
        image_side_max: 2048,
        unknown_fields_refused: false,
    };

    fn body(member: &str) -> String {
        format!(r#"{{"model":"m","messages":[],{member}}}"#)
    }

    /// What a caller without a key is told of a body with this member; `None`: nothing.
    fn told(
        member: &str,
        caps: &Anonymous,
    ) -> Option<(&'static str, Option<&'static str>, String)> {
        let refused = inspect_within(body(member).as_bytes(), &BOUNDS, Some(caps)).err()?;
        Some((refused.code(), refused.param(), refused.message().into()))
    }

    #[track_caller]
    fn passes(member: &str) {
        assert_eq!(told(member, &CAPS), None, "{member}");
    }

    /// It is refused with these words, and only because its caller has no key.
    #[track_caller]
    fn capped(member: &str, param: &'static str, message: &str) {
        let expected = ("invalid_value", Some(param), message.to_owned());
        assert_eq!(told(member, &CAPS), Some(expected), "{member}");
        let with_key = inspect(body(member).as_bytes(), &BOUNDS);
        assert!(with_key.is_ok(), "{member}: {with_key:?}");
    }

    #[test]
    fn what_is_within_its_cap_passes() {
        for member in [
            r#""n":8"#,
            r#""n":null"#,
            r#""best_of":4"#,
            r#""best_of":null"#,
            r#""max_tokens":65536"#,
            r#""max_completion_tokens":0"#,
            r#""top_logprobs":0"#,
            r#""tools":[]"#,
            r#""tools":null"#,
            r#""tools":[{"a":[1,2,3]},{"b":[{},{},{}]}]"#,
            r#""functions":[1,2]"#,
            r#""size":"2048x2048""#,
            r#""size":"auto""#,
            r#""size":null"#,
            // Deeper down it is no parameter.
            r#""x":{"n":9,"max_tokens":65537,"tools":[1,2,3],"api_key":"k"}"#,
            r#""anything":["at all"]"#,
        ] {
            passes(member);
        }
    }

    #[test]
    fn what_is_above_its_cap_is_refused_and_the_cap_is_told() {
        let number = |param, max| format!("`{param}` may be at most {max} here. Ask for less.");
        for (param, max, asked) in [
            ("n", 8, "9"),
            ("best_of", 4, "5"),
            ("max_tokens", 65_536, "65537"),
            ("max_completion_tokens", 65_536, "9007199254740991"),
            ("top_logprobs", 0, "1"),
        ] {
            let member = format!(r#""{param}":{asked}"#);
            capped(&member, param, &number(param, max));
            let (first, rest) = param.split_at(1);
            let escaped = format!(r#""\u00{:x}{rest}":{asked}"#, first.as_bytes()[0]);
            capped(&escaped, param, &number(param, max));
        }
        let size = "`size` may be at most 2048x2048 here, or \"auto\". Ask for less.";
        capped(r#""size":"1024x2049""#, "size", size);
        capped(r#""size":"99999999999999999x1""#, "size", size);
        for param in ["tools", "functions"] {
            let member = format!(r#""{param}":[1, {{"a":[]}} ,[]]"#);
            let message = format!("`{param}` may hold at most 2 of them here. Send fewer.");
            capped(&member, param, &message);
        }
    }

    #[test]
    fn what_an_upstream_could_read_as_more_is_refused() {
        for (param, value) in [
            ("best_of", r#""9""#),
            ("best_of", "9.0"),
            ("best_of", "1e3"),
            ("best_of", "-1"),
            ("top_logprobs", "[20]"),
            ("top_logprobs", "true"),
            ("tools", r#"{"0":1}"#),
            ("tools", r#""[]""#),
            ("functions", "7"),
            ("size", r#""4K""#),
            ("size", "4096"),
            ("size", r#""+4096x1""#),
            ("size", r#""1024x1024x1024""#),
        ] {
            let member = format!(r#""{param}":{value}"#);
            let refused = told(&member, &CAPS).unwrap();
            assert_eq!((refused.0, refused.1), ("invalid_value", Some(param)));
            assert!(refused.2.contains(" must be "), "{member}: {}", refused.2);
        }
    }

    #[test]
    fn nobody_tells_a_gateway_where_to_ask() {
        for (key, code) in [
            ("api_base", "invalid_value"),
            ("base_url", "invalid_value"),
            ("api_key", "invalid_value"),
            ("API_KEY", "duplicate_key"),
            ("Base_Url", "duplicate_key"),
        ] {
            let body = body(&format!(r#""{key}":"http://127.0.0.1/""#));
            let refused = inspect(body.as_bytes(), &BOUNDS).unwrap_err();
            let param = key.to_ascii_lowercase();
            assert_eq!((refused.code(), refused.param()), (code, Some(&*param)));
        }
    }

    #[test]
    fn unknown_fields_are_refused_where_that_is_wanted() {
        let strict = Anonymous {
            unknown_fields_refused: true,
            ..CAPS
        };
        // What OpenAI documents, and what an image model takes.
        for known in [
            "audio",
            "frequency_penalty",
            "function_call",
            "logit_bias",
            "logprobs",
            "metadata",
            "modalities",
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_retention",
            "quality",
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "seed",
            "service_tier",
            "size",
            "stop",
            "store",
            "style",
            "temperature",
            "tool_choice",
            "top_p",
            "verbosity",
            "web_search_options",
        ] {
            assert_eq!(
                told(&format!(r#""{known}":null"#), &strict),
                None,
                "{known}"
            );
        }
        for unknown in ["models", "provider", "top_k", "prompt", "x", ""] {
            let member = format!(r#""{unknown}":null"#);
            let refused = told(&member, &strict).unwrap();
            assert_eq!(
                (refused.0, refused.1),
                ("unknown_parameter", None),
                "{unknown}"
            );
            passes(&member);
            // Keys of what lies deeper are not judged.
            assert_eq!(told(&format!(r#""metadata":{{{member}}}"#), &strict), None);
        }
    }
}
