//! What does a trace tell of a conversation?
//!
//! How its answer ended; and, where an operator wants that, what was asked and what was answered,
//! of each the first so many bytes. It is made for requests whose spans are sent, and for no others.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Before the reason of a choice. In a text that is quoted, there are other quotes.
static REASON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));
/// The reasons there are; another is somebody's own word.
const REASONS: [&str; 5] = [
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "function_call",
];
/// Reasons of one answer that are told.
const REASONS_MAX: usize = 16;

/// What was heard of a conversation.
#[derive(Debug)]
pub struct Transcript {
    /// Bytes that are kept of question and answer each; `None`: nothing of them is.
    bytes_max: Option<usize>,
    question: Vec<u8>,
    answer: Vec<u8>,
    reasons: Vec<&'static str>,
}

impl Transcript {
    /// Nothing heard yet.
    #[must_use]
    pub fn new(bytes_max: Option<usize>) -> Self {
        Self {
            bytes_max,
            question: Vec::new(),
            answer: Vec::new(),
            reasons: Vec::new(),
        }
    }

    /// Hears the whole question.
    pub fn question(&mut self, body: &[u8]) {
        if let Some(bytes_max) = self.bytes_max {
            keep(&mut self.question, body, bytes_max);
        }
    }

    /// Hears a part of the answer, in which events are whole.
    pub fn answer(&mut self, part: &[u8]) {
        if let Some(bytes_max) = self.bytes_max {
            keep(&mut self.answer, part, bytes_max);
        }
        for at in REASON.find_iter(part) {
            let behind = part.get(at + REASON.needle().len()..).unwrap_or_default();
            if self.reasons.len() < REASONS_MAX
                && let Some(reason) = reason(behind)
            {
                self.reasons.push(reason);
            }
        }
    }

    /// How the choices of the answer ended.
    #[must_use]
    pub fn reasons(&self) -> &[&'static str] {
        &self.reasons
    }

    /// What was asked and answered; `None`: that is not told.
    #[must_use]
    pub fn said(&self) -> Option<[String; 2]> {
        self.bytes_max?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some([text(&self.question), text(&self.answer)])
    }
}

fn keep(kept: &mut Vec<u8>, part: &[u8], bytes_max: usize) {
    let room = bytes_max.saturating_sub(kept.len());
    kept.extend_from_slice(part.get(..room).unwrap_or(part));
}

/// The reason behind its name; `None` where there is none yet.
fn reason(behind: &[u8]) -> Option<&'static str> {
    let behind = behind.trim_ascii_start().strip_prefix(b":")?;
    let behind = behind.trim_ascii_start().strip_prefix(b"\"")?;
    let word = behind.split(|byte| *byte == b'"').next()?;
    let known = REASONS.into_iter().find(|known| known.as_bytes() == word);
    Some(known.unwrap_or("other"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_heard_and_quoted_ones_are_not() {
        #[track_caller]
        fn check(parts: &[&str], expected: &[&str]) {
            let mut heard = Transcript::new(None);
            for part in parts {
                heard.answer(part.as_bytes());
            }
            assert_eq!(heard.reasons(), expected, "{parts:?}");
            assert_eq!(heard.said(), None);
        }
        check(&[r#"{"finish_reason":"stop"}"#], &["stop"]);
        check(&[r#"{"finish_reason" : "length"}"#], &["length"]);
        check(
            &[r#"{"finish_reason":null}"#, r#"{"finish_reason":"stop"}"#],
            &["stop"],
        );
        check(&[r#"{"content":"\"finish_reason\":\"stop\""}"#], &[]);
        check(&[r#"{"finish_reason":"canary-5"}"#], &["other"]);
        check(&[r#"{"finish_reason""#], &[]);
        check(
            &[&r#"{"finish_reason":"stop"}"#.repeat(40)],
            &["stop"; REASONS_MAX],
        );
    }

    #[test]
    fn what_is_said_is_kept_where_that_is_wanted_and_no_more_than_that() {
        let mut heard = Transcript::new(Some(4));
        heard.question("aäöü".as_bytes());
        heard.answer(b"ab");
        heard.answer(b"cdef");
        assert_eq!(
            heard.said(),
            Some(["aä\u{fffd}".to_owned(), "abcd".to_owned()])
        );
    }
}
