//! May an answer be kept?
//!
//! Only one that is whole and that an upstream meant to give. What is kept is given to
//! others, so what is in doubt is asked for again: a miss costs one request, a wrong hit
//! costs everybody who asks. `function_call` counts as complete, for it is what
//! `tool_calls` was called before: what was asked is in the key, with all its functions.
//!
//! Source: RFC 9111, sections 3, 4.2.1 and 5.2.2; the gateway is a shared cache.

use std::time::Duration;

use crate::openai::glance::{Ending, Glance};

/// Why an answer is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum Unfit {
    /// It is no JSON object, or only the beginning of one.
    NotJson,
    /// It tells of an error.
    Error,
    /// Its `object` is not `chat.completion`.
    Object,
    /// It has no choices.
    NoChoices,
    /// Its choices are not what choices are.
    Shape,
    /// A choice has no `finish_reason`.
    Unfinished,
    /// A `finish_reason` that is not known.
    UnknownFinish,
    /// A choice was cut off at the number of tokens.
    Length,
    /// A choice was cut off by a filter.
    ContentFilter,
    /// The upstream's status is not 200.
    Status,
    /// The upstream says `no-store`.
    NoStore,
    /// The upstream says `private`.
    Private,
    /// The upstream says that it is old already.
    MaxAge,
}

impl Unfit {
    /// The word for `cache-status` and for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::Error => "error",
            Self::Object => "object",
            Self::NoChoices => "no_choices",
            Self::Shape => "shape",
            Self::Unfinished => "unfinished",
            Self::UnknownFinish => "unknown_finish",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Status => "status",
            Self::NoStore => "no_store",
            Self::Private => "private",
            Self::MaxAge => "max_age",
        }
    }
}

/// Whether this whole answer may be kept.
///
/// # Errors
/// The first reason why not.
pub fn admit(completion: &[u8]) -> Result<(), Unfit> {
    judge(&Glance::read(completion).ok_or(Unfit::NotJson)?)
}

/// As [`admit`], of an answer that was glanced at already.
///
/// # Errors
/// The first reason why not.
pub fn judge(glance: &Glance) -> Result<(), Unfit> {
    // Taken apart in full: what is seen of an answer says something about keeping it.
    let Glance {
        error,
        is_completion,
        ending,
        usage: _,
    } = *glance;
    if error {
        return Err(Unfit::Error);
    }
    if !is_completion {
        return Err(Unfit::Object);
    }
    match ending {
        Ending::Complete => Ok(()),
        Ending::Length => Err(Unfit::Length),
        Ending::ContentFilter => Err(Unfit::ContentFilter),
        Ending::Unknown => Err(Unfit::UnknownFinish),
        Ending::Unfinished => Err(Unfit::Unfinished),
        Ending::NoChoices => Err(Unfit::NoChoices),
        Ending::Odd => Err(Unfit::Shape),
    }
}

/// How long an upstream lets its answer be kept, by the values of all its `cache-control`
/// headers; `None` where it says nothing about that.
///
/// `no-cache` is no reason against: streams of events carry it by habit, and it says what
/// to do with what was kept, not that nothing may be. What cannot be read is taken for the
/// strictest that it may mean; quotes are not looked into, so a directive that stands
/// between two commas inside of some counts as well.
///
/// # Errors
/// Where it does not let it be kept at all.
pub fn lifetime<'a>(
    cache_control: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Duration>, Unfit> {
    let mut own = None;
    let mut shared = None;
    let directives = cache_control
        .into_iter()
        .flat_map(|value| value.split(|byte| *byte == b','));
    for directive in directives {
        let mut parts = directive.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let value = parts.next();
        if name.eq_ignore_ascii_case(b"no-store") {
            return Err(Unfit::NoStore);
        } else if name.eq_ignore_ascii_case(b"private") {
            return Err(Unfit::Private);
        } else if name.eq_ignore_ascii_case(b"max-age") {
            own = Some(seconds(value).min(own.unwrap_or(u64::MAX)));
        } else if name.eq_ignore_ascii_case(b"s-maxage") {
            shared = Some(seconds(value).min(shared.unwrap_or(u64::MAX)));
        }
    }
    // What is said to shared caches is said to us.
    match shared.or(own) {
        Some(0) => Err(Unfit::MaxAge),
        told => Ok(told.map(Duration::from_secs)),
    }
}

/// Zero where it is no number, and no more than 2³¹ (RFC 9111, section 1.2.2).
fn seconds(value: Option<&[u8]>) -> u64 {
    let value = value.unwrap_or_default().trim_ascii();
    let quoted = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let digits = quoted.unwrap_or(value);
    if !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    digits.iter().fold(0_u64, |seconds, digit| {
        let seconds = seconds * 10 + u64::from(digit - b'0');
        seconds.min(1 << 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(completion: &str, expected: Result<(), Unfit>) {
        assert_eq!(admit(completion.as_bytes()), expected, "{completion}");
    }

    fn answer(reasons: &[&str]) -> String {
        let choices: Vec<String> = (0..)
            .zip(reasons)
            .map(|(index, reason): (u32, _)| {
                format!(r#"{{"index":{index},"message":{{"role":"assistant","content":"a"}},"finish_reason":{reason}}}"#)
            })
            .collect();
        format!(
            r#"{{"id":"c","object":"chat.completion","choices":[{}],"usage":null}}"#,
            choices.join(",")
        )
    }

    #[test]
    fn an_answer_is_kept_where_every_choice_is_complete() {
        check(&answer(&[r#""stop""#]), Ok(()));
        check(&answer(&[r#""tool_calls""#]), Ok(()));
        check(&answer(&[r#""function_call""#]), Ok(()));
        check(&answer(&[r#""stop""#, r#""tool_calls""#]), Ok(()));
        check(&answer(&[r#""length""#]), Err(Unfit::Length));
        check(&answer(&[r#""stop""#, r#""length""#]), Err(Unfit::Length));
        check(&answer(&[r#""length""#, r#""stop""#]), Err(Unfit::Length));
        check(&answer(&[r#""content_filter""#]), Err(Unfit::ContentFilter));
        check(&answer(&["null"]), Err(Unfit::Unfinished));
        check(&answer(&[r#""stop""#, "null"]), Err(Unfit::Unfinished));
        check(&answer(&[r#""STOP""#]), Err(Unfit::UnknownFinish));
        check(&answer(&[r#""end_turn""#]), Err(Unfit::UnknownFinish));
        check(&answer(&["true"]), Err(Unfit::UnknownFinish));
        check(&answer(&[]), Err(Unfit::NoChoices));
    }

    #[test]
    fn what_is_no_answer_is_not_kept() {
        let whole = answer(&[r#""stop""#]);
        for end in 0..whole.len() {
            assert_eq!(admit(&whole.as_bytes()[..end]), Err(Unfit::NotJson));
        }
        check("<html>", Err(Unfit::NotJson));
        check("[]", Err(Unfit::NotJson));
        check(&format!("{whole} x"), Err(Unfit::NotJson));
        check("{}", Err(Unfit::Object));
        let other = |object| whole.replace(r#""chat.completion""#, object);
        check(&other(r#""chat.completion.chunk""#), Err(Unfit::Object));
        check(&other(r#""text_completion""#), Err(Unfit::Object));
        check(&other(r#""list""#), Err(Unfit::Object));
        check(&other("null"), Err(Unfit::Object));
        check(&other(r#""error""#), Err(Unfit::Object));
        let with = |member| whole.replacen('{', &format!("{{{member},"), 1);
        check(&with(r#""error":{"message":"no"}"#), Err(Unfit::Error));
        check(&with(r#""error":"no""#), Err(Unfit::Error));
        check(&with(r#""err\u006fr":false"#), Err(Unfit::Error));
        check(&with(r#""error":null"#), Ok(()));
        check(&whole.replace("message", "text"), Err(Unfit::Shape));
        check(&whole.replace('0', "\"x\""), Err(Unfit::Shape));
    }

    fn check_lifetime(values: &[&str], expected: Result<Option<u64>, Unfit>) {
        let found = lifetime(values.iter().map(|value| value.as_bytes()));
        let expected = expected.map(|seconds| seconds.map(Duration::from_secs));
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn an_upstream_may_forbid_it() {
        check_lifetime(&[], Ok(None));
        check_lifetime(&[""], Ok(None));
        check_lifetime(&["public"], Ok(None));
        check_lifetime(&["no-cache"], Ok(None));
        check_lifetime(&["no-cache, must-revalidate"], Ok(None));
        check_lifetime(&["no-store"], Err(Unfit::NoStore));
        check_lifetime(&["NO-Store"], Err(Unfit::NoStore));
        check_lifetime(&["public ,\tno-store "], Err(Unfit::NoStore));
        check_lifetime(&["no-storey"], Ok(None));
        check_lifetime(&["no-cache", "no-store"], Err(Unfit::NoStore));
        check_lifetime(&["private"], Err(Unfit::Private));
        check_lifetime(&["private=\"set-cookie\""], Err(Unfit::Private));
        check_lifetime(&["Private, max-age=60"], Err(Unfit::Private));
        check_lifetime(&["x=\"a, no-store\""], Ok(None));
        check_lifetime(&["x=\"a, no-store, b\""], Err(Unfit::NoStore));
    }

    #[test]
    fn an_upstream_may_say_for_how_long() {
        check_lifetime(&["max-age=60"], Ok(Some(60)));
        check_lifetime(&["max-age=0"], Err(Unfit::MaxAge));
        check_lifetime(&["max-age=000"], Err(Unfit::MaxAge));
        check_lifetime(&["Max-Age = 0"], Err(Unfit::MaxAge));
        check_lifetime(&["max-age"], Err(Unfit::MaxAge));
        check_lifetime(&["max-age="], Err(Unfit::MaxAge));
        check_lifetime(&["max-age=-1"], Err(Unfit::MaxAge));
        check_lifetime(&["max-age=1.5"], Err(Unfit::MaxAge));
        check_lifetime(&["max-age=soon"], Err(Unfit::MaxAge));
        check_lifetime(&["max-age=\"60\""], Ok(Some(60)));
        check_lifetime(&["max-age=60, max-age=5"], Ok(Some(5)));
        check_lifetime(&["max-age=60", "max-age=0"], Err(Unfit::MaxAge));
        check_lifetime(&["max-age=99999999999999999999999"], Ok(Some(1 << 31)));
        check_lifetime(&["s-maxage=10, max-age=0"], Ok(Some(10)));
        check_lifetime(&["max-age=10, s-maxage=0"], Err(Unfit::MaxAge));
    }
}
