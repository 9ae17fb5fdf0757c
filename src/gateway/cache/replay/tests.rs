//! Does an SDK make the same message of the events as of the answer?

/// Whatever an upstream says.
mod properties;

use serde_json::Value;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/cache");

/// The data of each event.
fn replayed(completion: &str, include_usage: bool) -> Vec<String> {
    let events = events(completion.as_bytes(), include_usage).unwrap();
    let data = events.iter().map(|event| {
        let event = std::str::from_utf8(event).unwrap();
        let data = event.strip_prefix("data: ").unwrap();
        data.strip_suffix("\n\n").unwrap().to_owned()
    });
    data.collect()
}

/// A completion with this message.
fn saying(message: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#
    )
}

/// The deltas of a completion with this message.
fn check(message: &str, expected: &[&str]) {
    let mut data = replayed(&saying(message), false);
    assert_eq!(data.pop().unwrap(), "[DONE]");
    let head = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":"#;
    let deltas = data.iter().map(|data| {
        let rest = data.strip_prefix(head).unwrap_or_else(|| panic!("{data}"));
        rest.rsplit_once(r#","finish_reason":"#).unwrap().0
    });
    let deltas: Vec<&str> = deltas.collect();
    let mut expected = expected.to_vec();
    expected.push("{}");
    assert_eq!(deltas, expected, "{message}");
}

fn check_golden(completion: &str, include_usage: bool, stream: &str) {
    let read = |name| std::fs::read_to_string(format!("{GOLDEN}/{name}")).unwrap();
    let events = events(read(completion).as_bytes(), include_usage).unwrap();
    let found = String::from_utf8(events.concat()).unwrap();
    assert!(found == read(stream), "{stream} says otherwise:\n{found}");
}

#[test]
fn an_answer_as_a_stream() {
    check_golden("answer.json", true, "answer.sse");
    check_golden("answer.json", false, "answer-without-usage.sse");
}

#[test]
fn calls_thoughts_sources_and_two_choices_as_a_stream() {
    check_golden("calls.json", true, "calls.sse");
}

#[test]
fn what_is_empty_null_or_absent_stays_so() {
    check(r#"{"role":"assistant"}"#, &[r#"{"role":"assistant"}"#]);
    check(
        r#"{"role":"assistant","content":null}"#,
        &[r#"{"role":"assistant","content":null}"#],
    );
    check(
        r#"{"role":"assistant","content":""}"#,
        &[r#"{"role":"assistant","content":""}"#],
    );
    check(
        r#"{"role":"assistant","content":"a"}"#,
        &[r#"{"role":"assistant","content":""}"#, r#"{"content":"a"}"#],
    );
    check(
        r#"{"refusal":"No.","content":null,"role":"assistant"}"#,
        &[
            r#"{"role":"assistant","content":null,"refusal":""}"#,
            r#"{"refusal":"No."}"#,
        ],
    );
    check(
        r#"{"content":"a","tool_calls":[],"function_call":null,"audio":{ },"annotations":[ ]}"#,
        &[
            r#"{"role":"assistant","content":"","function_call":null,"tool_calls":[],"audio":{ },"annotations":[ ]}"#,
            r#"{"content":"a"}"#,
        ],
    );
}

#[test]
fn what_is_not_known_goes_in_one_piece() {
    let long = "word ".repeat(40);
    check(
        &format!(
            r#"{{"role":"assistant","thinking":"{long}","reasoning":"{long}","content":"a","x":{{"y":[1.0]}}}}"#
        ),
        &[
            &format!(r#"{{"role":"assistant","content":"","reasoning":"{long}"}}"#),
            r#"{"content":"a"}"#,
            &format!(r#"{{"thinking":"{long}","x":{{"y":[1.0]}}}}"#),
        ],
    );
    check(
        r#"{"content":[{"type":"text","text":"a"}],"tool_calls":{"a":1},"function_call":"f"}"#,
        &[
            r#"{"role":"assistant"}"#,
            r#"{"content":[{"type":"text","text":"a"}],"function_call":"f","tool_calls":{"a":1}}"#,
        ],
    );
}

#[test]
fn a_call_of_a_function_comes_in_pieces() {
    check(
        r#"{"function_call":{"arguments":"{}","name":"f"}}"#,
        &[
            r#"{"role":"assistant"}"#,
            r#"{"function_call":{"name":"f","arguments":""}}"#,
            r#"{"function_call":{"arguments":"{}"}}"#,
        ],
    );
    check(
        r#"{"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},{"function":null}]}"#,
        &[
            r#"{"role":"assistant"}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":{"a":1}}}]}"#,
            r#"{"tool_calls":[{"index":1,"function":null}]}"#,
        ],
    );
}

#[test]
fn half_a_surrogate_pair_survives() {
    check(
        r#"{"content":"\ud83d","reasoning":"\ude42"}"#,
        &[
            r#"{"role":"assistant","content":"","reasoning":"\ude42"}"#,
            r#"{"content":"\ud83d"}"#,
        ],
    );
}

#[test]
fn what_is_no_completion_is_not_replayed() {
    let whole = saying(r#"{"role":"assistant","content":"a"}"#);
    for end in 0..whole.len() {
        let cut = events(&whole.as_bytes()[..end], true);
        assert_eq!(cut, Err(ReplayError::Shape), "{end} bytes of {whole}");
    }
    let shape = |completion: &str| {
        let found = events(completion.as_bytes(), true);
        assert_eq!(found, Err(ReplayError::Shape), "{completion}");
    };
    shape("[]");
    shape("{}");
    shape(r#"{"choices":null}"#);
    shape(r#"{"choices":[]}"#);
    shape(r#"{"choices":[{}]}"#);
    shape(r#"{"choices":[{"message":null}]}"#);
    shape(r#"{"choices":[{"message":[]}]}"#);
    shape(r#"{"choices":[[0,{},"stop"]]}"#);
    shape(r#"{"choices":[{"index":-1,"message":{}}]}"#);
    shape(r#"{"choices":[{"index":1,"message":{}},{"index":1,"message":{}}]}"#);
    shape(r#"{"choices":[{"index":1,"message":{}},{"message":{}}]}"#);
    shape(r#"{"choices":[{"message":{"content":"a","content":"b"}}]}"#);
    shape(&whole.replace('a', "\u{1}"));
    let mut bytes = whole
        .replace(r#""content":"a""#, r#""content":"x""#)
        .into_bytes();
    *bytes.iter_mut().find(|byte| **byte == b'x').unwrap() = 0xFF;
    assert_eq!(events(&bytes, true), Err(ReplayError::Shape));
}

#[test]
fn a_replay_is_bounded_by_its_answer() {
    let words = "word ".repeat(50_000);
    let long = saying(&format!(r#"{{"content":"{words}"}}"#));
    let many = events(long.as_bytes(), false).unwrap();
    assert!(
        (100..=PIECES_MAX + 4).contains(&many.len()),
        "{}",
        many.len()
    );

    // Sources beside the choices are repeated, so there are fewer events.
    let sources = format!(r#"{{"sources":"{}","#, "s".repeat(10_000));
    let with_sources = long.replacen('{', &sources, 1);
    let fewer = events(with_sources.as_bytes(), false).unwrap();
    let bytes: usize = fewer.iter().map(Bytes::len).sum();
    assert!(
        bytes < with_sources.len() + 2 * REPEATED_BYTES_MAX,
        "{bytes}"
    );

    let calls = vec!["{}"; 20_000].join(",");
    let crafted = saying(&format!(r#"{{"tool_calls":[{calls}]}}"#));
    assert_eq!(events(crafted.as_bytes(), false), Err(ReplayError::TooLong));
}

#[test]
fn all_events_share_one_buffer() {
    let events = events(saying(r#"{"content":"a b"}"#).as_bytes(), false).unwrap();
    for pair in events.windows(2) {
        assert_eq!(pair[0].as_ptr_range().end, pair[1].as_ptr());
    }
    let first: Value = serde_json::from_slice(&events[0][6..]).unwrap();
    assert_eq!(first["object"], ChatChunk::OBJECT);
}
