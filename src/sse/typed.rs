//! And one that has a type?
//!
//! Events of OpenAI's newer protocols say what they are: `response.output_text.delta`,
//! `response.completed`. As with chunks, nearly all add a few letters, and only those are read
//! in which a type stands that ends an answer or tells of an error. Such a type stands with both
//! of its quotes, which a text's own cannot have.
//!
//! Source: OpenAI's API reference, "Streaming events".

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::{Data, Event, News, data, is_done};
use crate::openai::glance::counted;

/// What is looked at.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

/// The answer, as far as it has come.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Reads an event, and tells whether it ends an answer; where `only_last`, no further than that
/// may be so.
pub(super) fn read<'a>(event: &'a [u8], last: &[&str], only_last: bool) -> (Event<'a>, bool) {
    let text = match data(event) {
        Data::Blank | Data::Comment => return (Event::Blank, false),
        Data::Text(text) if is_done(&text) => return (Event::Done, false),
        Data::Text(text) => text,
    };
    if only_last && !may_be_last(&text, last) {
        return (Event::Chunk(News::default()), false);
    }
    // serde would also read an array as a struct.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return (Event::NotJson, false);
    }
    let Ok(told) = serde_json::from_slice::<Told<'_>>(&text) else {
        return (Event::NotJson, false);
    };
    let kind = told.kind.map_or("", |kind| kind.get().trim_matches('"'));
    let (failed, inside) = told
        .response
        .map_or((None, None), |response| (response.error, response.usage));
    let is_last = last.contains(&kind);
    let is_error = kind == "error";
    let usage = told.usage.or(inside).and_then(|raw| counted(raw.get()));
    if let Some(error) = failed {
        let error = format!(r#"{{"error":{}}}"#, error.get());
        return (Event::Error(Cow::Owned(error.into_bytes())), is_last);
    }
    if told.error.is_some() {
        return (Event::Error(text), is_last);
    }
    if is_error {
        // Its members stand beside its type.
        let error = [br#"{"error":"#, &*text, b"}"].concat();
        return (Event::Error(Cow::Owned(error)), is_last);
    }
    let news = News {
        usage,
        ..News::default()
    };
    (Event::Chunk(news), is_last)
}

/// Whether a type that ends an answer may stand in a text, or one that tells of an error.
fn may_be_last(text: &[u8], last: &[&str]) -> bool {
    let stands = |word: &str| {
        memmem::find_iter(text, word).any(|at| {
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            before == Some(&b'"') && text.get(at + word.len()) == Some(&b'"')
        })
    };
    last.iter().any(|kind| stands(kind)) || stands("error")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use crate::sse::{First, Scanner};

    const LAST: &[&str] = &["response.completed", "response.failed"];

    fn scanned(stream: &str, cut: usize) -> (Scanner, Vec<u8>) {
        let mut scanner = Scanner::new(1 << 20).typed(LAST, 1);
        let mut out = Vec::new();
        let (first, second) = stream.as_bytes().split_at(cut.min(stream.len()));
        for slice in [first, second] {
            scanner.feed(Bytes::copy_from_slice(slice), &mut out);
        }
        (scanner, out.concat())
    }

    const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"error\":null,\"usage\":null}}\n\n";
    const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"say \\\"response.completed\\\" and \\\"error\\\"\"}\n\n";
    const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"error\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n";
    const FAILED: &str = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n";
    const ERROR: &str =
        "data: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}\n\n";

    proptest! {
        #[test]
        fn an_answer_ends_with_its_last_event_however_it_is_cut(cut in 0_usize..700) {
            let whole = [CREATED, DELTA, COMPLETED].concat();
            let (scanner, out) = scanned(&format!("{whole}data: [DONE]\n\n"), cut);
            prop_assert_eq!(out, whole.into_bytes());
            let facts = scanner.facts();
            prop_assert!(facts.done && !facts.error);
            prop_assert_eq!((facts.events, facts.ended), (3, 1));
            let usage = facts.usage.unwrap();
            prop_assert_eq!((usage.prompt_tokens, usage.completion_tokens), (3, 4));
        }
    }

    #[test]
    fn without_its_last_event_it_is_not_over() {
        let (scanner, _) = scanned(&[CREATED, DELTA].concat(), 0);
        assert!(!scanner.facts().done);
        assert_eq!(scanner.facts().first_event, Some(First::Chunk));
        assert!(!scanner.facts().every_choice_finished(1));
    }

    #[test]
    fn as_many_answers_as_there_are_to_be_end_it() {
        let mut scanner = Scanner::new(1 << 20).typed(LAST, 2);
        for is_over in [false, true] {
            let answer = Bytes::from([CREATED, COMPLETED].concat());
            scanner.feed(answer, &mut Vec::new());
            assert_eq!(scanner.facts().done, is_over);
        }
    }

    #[test]
    fn a_terminator_ends_it_as_well() {
        let (scanner, out) = scanned(&[CREATED, "data: [DONE]\n\n", DELTA].concat(), 0);
        assert!(scanner.facts().done);
        assert_eq!(scanner.facts().ended, 0);
        assert_eq!(out, [CREATED, "data: [DONE]\n\n"].concat().as_bytes());
    }

    /// It would be right as well, and slow.
    #[test]
    fn text_that_only_goes_on_is_not_parsed() {
        let may_be = |event: &str| super::may_be_last(event.as_bytes(), LAST);
        assert!(!may_be(CREATED.replace("\"error\":null,", "").as_str()));
        assert!(!may_be(DELTA));
        assert!(!may_be("{\"type\":\"response.completed_part\"}"));
        assert!(may_be(COMPLETED) && may_be(FAILED) && may_be(ERROR));
    }

    #[test]
    fn an_error_is_one_wherever_it_stands() {
        for (error, message) in [(FAILED, "m"), (ERROR, "m")] {
            let (scanner, _) = scanned(&[CREATED, error].concat(), 9);
            assert!(scanner.facts().error, "{error}");
            let (scanner, _) = scanned(error, 0);
            let Some(First::Error(object)) = &scanner.facts().first_event else {
                panic!("{error}");
            };
            let read = crate::openai::UpstreamError::read(object).unwrap();
            assert_eq!(read.message.as_deref(), Some(message));
        }
    }
}
