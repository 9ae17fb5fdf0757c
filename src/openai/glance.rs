//! What must be known of a whole chat answer?
//!
//! Whether it is JSON, whether it tells of an error, what it counts, how it ended. It is
//! read once, when it has come: the exchange asks whether it is an answer at all, the
//! cache whether it may be kept. Nothing but these few members is looked at, and
//! nothing is copied, so that megabytes of pictures cost no more than being skipped.

/// And of an answer that is no chat?
mod passed;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::openai::{ChatCompletion, Usage};
use crate::operation::Operation;
pub use passed::counted;

/// What a whole answer says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// It tells of an error.
    pub error: bool,
    /// It is of the kind that was asked for: of chats, its `object` is
    /// [`ChatCompletion::OBJECT`].
    pub is_completion: bool,
    /// How its choices ended.
    pub ending: Ending,
    /// The tokens it counts.
    pub usage: Option<Usage>,
}

/// How the choices of an answer ended: that of the worst, so these stand from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// `stop`, `tool_calls`, or `function_call`, which `tool_calls` was called before.
    Complete,
    /// `length`: cut off.
    Length,
    /// `content_filter`: cut off, too.
    ContentFilter,
    /// A `finish_reason` that is not known.
    Unknown,
    /// No `finish_reason`.
    Unfinished,
    /// There are no choices.
    NoChoices,
    /// `choices` is no list of objects with a `message` and an index of their own each.
    Odd,
}

impl Glance {
    /// Of an answer that was made here.
    #[must_use]
    pub fn of_ours() -> Self {
        Self {
            error: false,
            is_completion: true,
            ending: Ending::Complete,
            usage: None,
        }
    }

    /// Reads an answer to what was asked for; `None` where it is no whole JSON object.
    #[must_use]
    pub fn of(operation: Operation, body: &[u8]) -> Option<Self> {
        match operation {
            Operation::Chat => Self::read(body),
            other => passed::read(other, body),
        }
    }

    /// Reads an answer; `None` where it is no whole JSON object. Like all JSON it is UTF-8.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let text = simdutf8::basic::from_utf8(body).ok()?;
        // serde would also read an array as a struct.
        if text.trim_ascii_start().as_bytes().first() != Some(&b'{') {
            return None;
        }
        if let Ok(answer) = serde_json::from_str::<Answer<Choices>>(text) {
            let ending = answer.choices.as_ref().map_or(Ending::NoChoices, |it| it.0);
            return Some(answer.glance(ending));
        }
        // Choices of an unexpected shape do not hide the rest.
        let answer: Answer<IgnoredAny> = serde_json::from_str(text).ok()?;
        Some(answer.glance(Ending::Odd))
    }
}

/// What is looked at; the rest is only checked to be JSON.
#[derive(Deserialize)]
struct Answer<'a, C> {
    error: Option<IgnoredAny>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    choices: Option<C>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

impl<C> Answer<'_, C> {
    fn glance(&self, ending: Ending) -> Glance {
        let object = self.object.and_then(|raw| raw.get().strip_prefix('"'));
        let usage = self.usage.map(RawValue::get);
        Glance {
            error: self.error.is_some(),
            is_completion: object.and_then(|raw| raw.strip_suffix('"'))
                == Some(ChatCompletion::OBJECT),
            ending,
            usage: usage.and_then(|raw| serde_json::from_str(raw).ok()),
        }
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(rename = "message")]
    _message: Message,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

/// Any object.
#[derive(Deserialize)]
struct Message {}

impl Choice<'_> {
    fn ending(&self) -> Ending {
        match self.finish_reason.map(RawValue::get) {
            Some(r#""stop""# | r#""tool_calls""# | r#""function_call""#) => Ending::Complete,
            Some(r#""length""#) => Ending::Length,
            Some(r#""content_filter""#) => Ending::ContentFilter,
            Some(_) => Ending::Unknown,
            None => Ending::Unfinished,
        }
    }
}

/// A list of choices as the ending of the worst, so that none of them is kept.
struct Choices(Ending);

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Worst)
    }
}

struct Worst;

impl<'de> Visitor<'de> for Worst {
    type Value = Choices;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of choices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut choices: A) -> Result<Choices, A::Error> {
        let mut worst: Option<Ending> = None;
        let mut indexes = 0_u128;
        let mut place = 0;
        while let Some(choice) = choices.next_element::<Choice>()? {
            // Like everywhere, a choice without an index is the one of its place.
            let index = 1_u128.checked_shl(choice.index.unwrap_or(place));
            if index.is_none_or(|index| indexes & index != 0) {
                return Err(A::Error::custom("an index that is too large or another's"));
            }
            indexes |= index.unwrap_or_default();
            place += 1;
            worst = worst.max(Some(choice.ending()));
        }
        Ok(Choices(worst.unwrap_or(Ending::NoChoices)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<Glance>) {
        assert_eq!(Glance::read(body.as_bytes()), expected, "{body}");
    }

    fn check_ending(choices: &str, expected: Ending) {
        let body = format!(r#"{{"object":"chat.completion","choices":{choices}}}"#);
        let glance = Glance {
            error: false,
            is_completion: true,
            ending: expected,
            usage: None,
        };
        check(&body, Some(glance));
    }

    const NOTHING: Glance = Glance {
        error: false,
        is_completion: false,
        ending: Ending::NoChoices,
        usage: None,
    };

    #[test]
    fn what_is_no_object_is_nothing() {
        check("", None);
        check("{", None);
        check("[]", None);
        check("[null,null,null,null]", None);
        check("null", None);
        check("<html>", None);
        check("{}{}", None);
        check(r#"{"choices":["#, None);
        check(r#"{"id":"a"#, None);
        check(r#"{"usage":null,"usage":null}"#, None);
        assert_eq!(Glance::read(b"{\"id\":\"\xff\"}"), None);
        check("{}", Some(NOTHING));
        check(" \n{ }\n", Some(NOTHING));
    }

    #[test]
    fn one_member_of_an_unexpected_type_hides_no_other() {
        let usage = Some(Usage {
            prompt_tokens: 1,
            completion_tokens: 2,
            total_tokens: 3,
            cached_tokens: 0,
        });
        let told = r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#;
        check(&format!("{{{told}}}"), Some(Glance { usage, ..NOTHING }));
        let odd = Glance {
            ending: Ending::Odd,
            usage,
            ..NOTHING
        };
        check(&format!(r#"{{"choices":7,{told}}}"#), Some(odd));
        let error = Glance { error: true, ..odd };
        check(
            &format!(r#"{{"choices":[7],{told},"error":1}}"#),
            Some(error),
        );
        check(r#"{"usage":"many","object":7}"#, Some(NOTHING));
        check(r#"{"error":null,"object":null}"#, Some(NOTHING));
    }

    #[test]
    fn an_answer_ends_as_its_worst_choice_does() {
        let choice = |index: u32, reason: &str| {
            format!(r#"{{"index":{index},"message":{{"content":"a"}},"finish_reason":{reason}}}"#)
        };
        let one = |reason: &str| format!("[{}]", choice(0, reason));
        check_ending(&one(r#""stop""#), Ending::Complete);
        check_ending(&one(r#""tool_calls""#), Ending::Complete);
        check_ending(&one(r#""function_call""#), Ending::Complete);
        check_ending(&one(r#""length""#), Ending::Length);
        check_ending(&one(r#""content_filter""#), Ending::ContentFilter);
        check_ending(&one(r#""eos""#), Ending::Unknown);
        check_ending(&one(r#""""#), Ending::Unknown);
        check_ending(&one("7"), Ending::Unknown);
        check_ending(&one("null"), Ending::Unfinished);
        check_ending(r#"[{"message":{}}]"#, Ending::Unfinished);
        check_ending("[]", Ending::NoChoices);
        check_ending("null", Ending::NoChoices);
        let both = |first: &str, second: &str| format!("[{first},{second}]");
        let stop = choice(0, r#""stop""#);
        check_ending(&both(&stop, &choice(1, r#""stop""#)), Ending::Complete);
        check_ending(&both(&stop, &choice(1, r#""length""#)), Ending::Length);
        check_ending(&both(&choice(1, "null"), &stop), Ending::Unfinished);
    }

    #[test]
    fn choices_that_are_none_are_odd() {
        check_ending("{}", Ending::Odd);
        check_ending("7", Ending::Odd);
        check_ending("[7]", Ending::Odd);
        check_ending("[null]", Ending::Odd);
        check_ending(r#"["stop"]"#, Ending::Odd);
        check_ending(r#"[{"text":"a","finish_reason":"stop"}]"#, Ending::Odd);
        check_ending(r#"[{"message":null,"finish_reason":"stop"}]"#, Ending::Odd);
        check_ending(r#"[{"message":"a","finish_reason":"stop"}]"#, Ending::Odd);
        let with =
            |index: &str| format!(r#"{{"index":{index},"message":{{}},"finish_reason":"stop"}}"#);
        check_ending(&format!("[{}]", with("127")), Ending::Complete);
        check_ending(&format!("[{}]", with("128")), Ending::Odd);
        check_ending(&format!("[{}]", with("-1")), Ending::Odd);
        check_ending(&format!("[{}]", with("\"0\"")), Ending::Odd);
        check_ending(&format!("[{},{}]", with("1"), with("1")), Ending::Odd);
        check_ending(
            &format!("[{},{}]", with("null"), with("1")),
            Ending::Complete,
        );
        check_ending(&format!("[{},{}]", with("1"), with("null")), Ending::Odd);
    }
}
