//! Tables of streams and what is found in them, and that no cut makes a difference.

/// Streams that are cut anywhere.
mod cuts;
/// Events that are long, or come in many slices.
mod bounds;
/// Who reads what the scanner let through.
mod after;

use proptest::prelude::*;

use super::*;

const EVENT_BYTES_MAX: usize = 1 << 20;

/// What became of a stream: what went out, what waits, and what was found.
#[derive(Debug, PartialEq)]
struct Run {
    out: Vec<u8>,
    held: Vec<u8>,
    facts: Facts,
}

fn run<'a>(max: usize, slices: impl IntoIterator<Item = &'a [u8]>) -> Run {
    let mut scanner = Scanner::new(max);
    let mut out = Vec::new();
    for slice in slices {
        scanner.feed(Bytes::copy_from_slice(slice), &mut out);
        assert!(scanner.held_bytes() <= max, "more waits than may");
    }
    assert!(out.iter().all(|slice| !slice.is_empty()));
    Run {
        out: out.concat(),
        held: scanner.held.joined(&[]),
        facts: scanner.facts,
    }
}

/// The facts of a stream, which are the same whole and byte by byte.
fn facts(stream: &str) -> Facts {
    let whole = run(EVENT_BYTES_MAX, [stream.as_bytes()]);
    let bytewise = run(EVENT_BYTES_MAX, stream.as_bytes().chunks(1));
    assert_eq!(whole, bytewise);
    whole.facts
}

fn check_first(stream: &str, expected: impl Into<Option<First>>) {
    assert_eq!(facts(stream).first_event, expected.into(), "{stream:?}");
}

fn check_split(stream: &str, expected_out: &str) {
    for size in [usize::MAX, 1, 2, 3, 5] {
        let run = run(EVENT_BYTES_MAX, stream.as_bytes().chunks(size));
        assert_eq!(String::from_utf8(run.out).unwrap(), expected_out);
        assert_eq!(run.held, stream.as_bytes()[expected_out.len()..]);
    }
}

/// Choices finished, events, and whether `[DONE]` and an error were seen.
fn check(stream: &str, expected: (u32, u64, bool, bool)) {
    let facts = facts(stream);
    let found = (
        facts.finished.count(),
        facts.events,
        facts.done,
        facts.error,
    );
    assert_eq!(found, expected, "{stream:?}");
}

const CHUNK: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}

"#;

#[test]
fn only_whole_events_go_out() {
    check_split("", "");
    check_split("data", "");
    check_split("data: a\n", "");
    check_split("data: a\n\n", "data: a\n\n");
    check_split("data: a\n\ndata: b", "data: a\n\n");
    check_split("data: a\n\ndata: b\n", "data: a\n\n");
    check_split("data: a\r\n\r\ndata: b\r\n", "data: a\r\n\r\n");
    check_split("data: a\r\rdata: b\r", "data: a\r\r");
    check_split("data: a\n\r\ndata: b", "data: a\n\r\n");
    check_split("data: a\r\n\ndata: b", "data: a\r\n\n");
    check_split("data: a\r\n\rdata: b", "data: a\r\n\r");
    check_split("data: a\n\rdata: b", "data: a\n\r");
    check_split("data: a\r\ndata: b\r\n\r\nid", "data: a\r\ndata: b\r\n\r\n");
    check_split(": ping\n\n", ": ping\n\n");
    check_split("\n\n\n", "\n\n\n");
    check_split("\u{feff}data: a\n\nid: 1\n", "\u{feff}data: a\n\n");
    check_split(
        "event: x\nid: 1\nretry: 5\ndata: a\ndata: b\n\n",
        "event: x\nid: 1\nretry: 5\ndata: a\ndata: b\n\n",
    );
}

#[test]
fn the_end_of_a_crlf_follows_at_once() {
    let mut scanner = Scanner::new(EVENT_BYTES_MAX);
    let mut out = Vec::new();
    scanner.feed(Bytes::from_static(b"data: a\r\n\r"), &mut out);
    assert_eq!(out.concat(), b"data: a\r\n\r");
    scanner.feed(Bytes::from_static(b"\n"), &mut out);
    assert_eq!(scanner.held_bytes(), 0);
    assert_eq!(out.concat(), b"data: a\r\n\r\n");
}

#[test]
fn behind_the_last_event_only_the_end_of_its_crlf_goes_out() {
    let last = "data: [DONE]\r\n\r";
    let sent = |behind: &[&'static str]| {
        let slices = [&[last], behind].concat();
        run(EVENT_BYTES_MAX, slices.iter().map(|slice| slice.as_bytes())).out
    };
    let ended = [last, "\n"].concat();
    assert_eq!(sent(&["", "\n", "\n"]), ended.as_bytes());
    assert_eq!(sent(&["\n\n"]), ended.as_bytes());
    assert_eq!(sent(&["x", "\n"]), last.as_bytes());
}

#[test]
fn whole_events_of_one_read_go_out_as_one_slice_uncopied() {
    let read = Bytes::from(format!("{CHUNK}{CHUNK}{CHUNK}data: {{"));
    let mut scanner = Scanner::new(EVENT_BYTES_MAX);
    let mut out = Vec::new();
    scanner.feed(read.clone(), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].as_ptr(), read.as_ptr());
    assert_eq!(scanner.held_bytes(), "data: {".len());
    out.clear();
    scanner.feed(Bytes::from_static(b"}\n\n"), &mut out);
    assert_eq!(out[0].as_ptr(), read[CHUNK.len() * 3..].as_ptr());
    assert_eq!(scanner.facts().events, 4);
}

#[test]
fn a_stream_as_the_contract_shows_it() {
    let stream = concat!(
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Hello!","role":"assistant"},"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":null}"#,
        "\n\n",
        r#"data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#,
        "\n\ndata: [DONE]\n\n",
    );
    let facts = facts(stream);
    let usage = Usage {
        prompt_tokens: 9,
        completion_tokens: 12,
        total_tokens: 21,
        cached_tokens: 0,
    };
    let expected = Facts {
        events: 4,
        first_event: Some(First::Chunk),
        done: true,
        error: false,
        oversized: false,
        usage: Some(usage),
        finished: Choices(1),
        ended: 0,
    };
    assert_eq!(facts, expected);
    assert!(facts.every_choice_finished(1) && facts.every_choice_finished(0));
    assert!(!facts.every_choice_finished(2));
}

/// Some end as if all were well, in the same breath.
#[test]
fn nothing_goes_out_behind_an_error() {
    let error = format!("{CHUNK}data: {{\"error\":{{\"message\":\"No.\"}}}}\n\n");
    let stream = format!("{error}{CHUNK}data: [DONE]\n\n");
    for size in [usize::MAX, 1, 7] {
        let run = run(EVENT_BYTES_MAX, stream.as_bytes().chunks(size));
        assert_eq!(String::from_utf8(run.out).unwrap(), error);
        assert!(run.facts.done && run.facts.error);
    }
}

#[test]
fn an_empty_reason_is_none() {
    let says = |reason: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"finish_reason\":{reason}}}]}}\n\n")
    };
    check(&says("\"\""), (0, 1, false, false));
    check(&says("\"stop\""), (1, 1, false, false));
}

#[test]
fn counts_of_tokens_do_not_go_down() {
    let facts = facts(concat!(
        r#"data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#,
        "\n\n",
        r#"data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":5,"total_tokens":14}}"#,
        "\n\n",
        r#"data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#,
        "\n\n",
    ));
    let usage = Usage {
        prompt_tokens: 9,
        completion_tokens: 5,
        total_tokens: 14,
        cached_tokens: 0,
    };
    assert_eq!(facts.usage, Some(usage));
}

#[test]
fn the_first_event_is_told_for_what_it_is() {
    let error = |json: &'static str| First::Error(Bytes::from_static(json.as_bytes()));
    check_first("", None);
    check_first(": ping\n\nid: 1\n\nretry: 3\n\n\n", None);
    check_first("data: {}\n", None);
    check_first("data: {}\n\n", First::Chunk);
    check_first("data:{}\r\r", First::Chunk);
    check_first("\u{feff}data: {}\n\n", First::Chunk);
    check_first(": ping\ndata: {\ndata: }\n\n", First::Chunk);
    check_first(
        "event: message\ndata: {\"error\":null}\n\n",
        Some(First::Chunk),
    );
    check_first("data: {\"x\":{\"error\":{}}}\n\n", First::Chunk);
    check_first("data: [DONE]\n\n", First::Done);
    check_first("data: [DONE]  \r\n\r\n", First::Done);
    check_first("data\n\n", First::NotJson);
    check_first("data: \n\n", First::NotJson);
    check_first("data: {\"a\":\n\n", First::NotJson);
    check_first("data: {} {}\n\n", First::NotJson);
    check_first("data: []\n\n", First::NotJson);
    check_first("data: [null,null,null,null]\n\n", First::NotJson);
    check_first("data: <html>\n\n", First::NotJson);
    check_first(
        "data: {\"error\":{\"code\":529}}\n\n",
        error(r#"{"error":{"code":529}}"#),
    );
    check_first(
        "event: error\ndata: {\"error\":\"no\"}\n\n",
        error(r#"{"error":"no"}"#),
    );
    check_first(
        "data: {\"object\":\"error\",\"message\":\"no\"}\n\n",
        error(r#"{"object":"error","message":"no"}"#),
    );
    check_first("data: {\ndata: \"error\":1}\n\n", error("{\n\"error\":1}"));
}

#[test]
fn later_events_are_read_where_they_tell_something() {
    let after = |event: &str| format!("{CHUNK}{event}\n\n");
    check(CHUNK, (0, 1, false, false));
    check(&after(": ping"), (0, 1, false, false));
    check(&after("data: [DONE]"), (0, 2, true, false));
    check(&after("data:[DONE]"), (0, 2, true, false));
    check(&after("data: [done]"), (0, 2, false, false));
    check(&after("id: 7\ndata: [DONE]"), (0, 2, true, false));
    check(
        &after(r#"data: {"error":{"message":"no"}}"#),
        (0, 2, true, true),
    );
    check(
        &after(r#"data: { "error" : { "message":"no"}}"#),
        (0, 2, true, true),
    );
    check(
        &after(r#"data: {"error":null,"choices":[]}"#),
        (0, 2, false, false),
    );
    check(
        &after(r#"data: {"object":"error","message":"no"}"#),
        (0, 2, true, true),
    );
    check(
        &after(r#"data: {"choices":[{"finish_reason":"stop"}]}"#),
        (1, 2, false, false),
    );
    check(
        &after(r#"data: {"choices":[{"finish_reason" : "length"}]}"#),
        (1, 2, false, false),
    );
    check(
        &after(r#"data: {"choices":[{"finish_reason": null}]}"#),
        (0, 2, false, false),
    );
    check(
        &after(
            r#"data: {"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":"stop"}]}"#,
        ),
        (2, 2, false, false),
    );
    check(
        &after(
            r#"data: {"choices":[{"index":0,"finish_reason":null},{"index":3,"finish_reason":"stop"}]}"#,
        ),
        (1, 2, false, false),
    );
    check(
        &after(
            r#"data: {"choices":[{"index":127,"finish_reason":"a"},{"index":128,"finish_reason":"a"}]}"#,
        ),
        (1, 2, false, false),
    );
    check(&after("data: not json"), (0, 2, false, false));
    // A member of an unexpected type does not hide the others.
    check(
        &after(r#"data: {"usage":"none","choices":[{"finish_reason":"stop"}]}"#),
        (1, 2, false, false),
    );
    check(
        &after(r#"data: {"choices":{"finish_reason":"stop"}}"#),
        (0, 2, false, false),
    );
}

/// It would be right as well, and slow.
#[test]
fn text_that_only_goes_on_is_not_parsed() {
    for text in [
        r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
        r#"{"choices":[{"delta":{"content":"the usage"},"finish_reason" : null}]}"#,
        "{}",
    ] {
        assert!(!event::may_tell(text.as_bytes()), "{text}");
    }
    for text in [
        r#"{"choices":[{"finish_reason":"stop"}]}"#,
        r#"{"usage":null,"x":{"usage":{}}}"#,
        r#"{"error":"no"}"#,
    ] {
        assert!(event::may_tell(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_chat_about_the_protocol_fools_nobody() {
    for content in [
        r#"\"finish_reason\":\"stop\""#,
        r#"\"error\":{}"#,
        r#"{\"error\":1}\n\n"#,
        "finish_reason",
        "error",
        "usage",
        r"[DONE]",
        r"data: [DONE]\n\n",
        r#"\"usage\":{\"prompt_tokens\":1}"#,
        r#"\""#,
    ] {
        let event = format!(
            r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":null}}]}}"#
        );
        let facts = facts(&format!("{CHUNK}{event}\n\n"));
        let expected = facts.events == 2
            && !facts.done
            && !facts.error
            && facts.usage.is_none()
            && facts.finished.count() == 0;
        assert!(expected, "{content}: {facts:?}");
    }
    check(
        &format!(
            "{CHUNK}data: {{\"choices\":[{{\"delta\":{{\"error\":1,\"finish_reason\":\"x\"}}}}]}}\n\n"
        ),
        (0, 2, false, false),
    );
}

#[test]
fn a_terminator_without_its_empty_line_is_recognised() {
    let done = |rest: &str| {
        let mut scanner = Scanner::new(EVENT_BYTES_MAX);
        scanner.feed(Bytes::from(format!("{CHUNK}{rest}")), &mut Vec::new());
        scanner.held_is_done()
    };
    assert!(done("data: [DONE]"));
    assert!(done("data: [DONE]\n"));
    assert!(done("data:[DONE]\r\n"));
    assert!(!done(""));
    assert!(!done("data: [DONE"));
    assert!(!done("data: [DONE]\n\n"));
    assert!(!done(": [DONE]\n"));
}
