//! Does a stream make the answer that an SDK would make of it, or none?

/// Whatever an upstream says, however it is cut.
mod properties;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/cache");

/// The events with this data, as one slice.
fn stream(data: &[&str]) -> Bytes {
    let events = data.iter().map(|data| format!("data: {data}\n\n"));
    Bytes::from(events.collect::<String>())
}

/// The answer of chunks behind which `[DONE]` is said.
fn assembled(chunks: &[&str]) -> Result<String, AssemblyError> {
    let mut data = chunks.to_vec();
    data.push("[DONE]");
    let assembled = completion(&[stream(&data)], false)?;
    Ok(String::from_utf8(assembled.bytes.to_vec()).unwrap())
}

/// The message of a choice of which these were the deltas.
fn check(deltas: &[&str], expected: Result<&str, AssemblyError>) {
    let mut chunks: Vec<String> = deltas
        .iter()
        .map(|delta| format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#))
        .collect();
    chunks.push(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#.to_owned());
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let expected = expected.map(|message| {
        format!(
            r#"{{"object":"chat.completion","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}],"usage":null}}"#
        )
    });
    assert_eq!(assembled(&chunks), expected, "{deltas:?}");
}

/// The answer but for its choices, of chunks with these members.
fn check_beside(chunks: &[&str], expected: Result<&str, AssemblyError>) {
    let stop = r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#;
    let mut chunks = chunks.to_vec();
    let last = format!("{{{stop}}}");
    chunks.push(&last);
    let choice = r#""choices":[{"index":0,"message":{"role":"assistant"},"finish_reason":"stop"}]"#;
    let expected = expected.map(|beside| beside.replace("CHOICES", choice));
    assert_eq!(assembled(&chunks), expected, "{chunks:?}");
}

#[test]
fn a_stream_as_an_answer() {
    let check_golden = |sse: &str, json: &str| {
        let read = |name| std::fs::read_to_string(format!("{GOLDEN}/{name}")).unwrap();
        let found = completion(&[Bytes::from(read(sse))], false).unwrap();
        let found = String::from_utf8(found.bytes.to_vec()).unwrap();
        assert!(
            found == read(json).trim_end(),
            "{json} says otherwise:\n{found}"
        );
    };
    check_golden("live.sse", "live.json");
    check_golden("live-calls.sse", "live-calls.json");
    check_golden("live-choices.sse", "live-choices.json");
}

#[test]
fn strings_and_lists_are_laid_end_to_end() {
    check(&[], Ok(r#"{"role":"assistant"}"#));
    check(
        &[
            r#"{"role":"assistant","content":""}"#,
            r#"{"content":"a\n"}"#,
            r#"{"content":"é\ud83d"}"#,
            r#"{"content":"\ude42"}"#,
        ],
        Ok(r#"{"role":"assistant","content":"a\né\ud83d\ude42"}"#),
    );
    check(
        &[
            r#"{"reasoning":"a","content":null}"#,
            r#"{"reasoning":null,"content":"b"}"#,
            r#"{"reasoning":"c"}"#,
        ],
        Ok(r#"{"role":"assistant","reasoning":"ac","content":"b"}"#),
    );
    check(
        &[
            r#"{"content":null,"annotations":[]}"#,
            r#"{"annotations":[{"a":1}]}"#,
            r#"{"annotations":[ {"b":2} , 3 ]}"#,
        ],
        Ok(r#"{"role":"assistant","content":null,"annotations":[{"a":1},{"b":2} , 3]}"#),
    );
    check(
        &[r#"{"content":""}"#],
        Ok(r#"{"role":"assistant","content":""}"#),
    );
    check(
        &[r#"{"content":null}"#],
        Ok(r#"{"role":"assistant","content":null}"#),
    );
    check(
        &[r#"{"content":"","x":[]}"#, r#"{"x":null}"#],
        Ok(r#"{"role":"assistant","content":"","x":[]}"#),
    );
}

#[test]
fn what_cannot_be_joined_is_no_answer() {
    let apart = Err(AssemblyError::Apart);
    check(
        &[r#"{"x":1}"#, r#"{"x":1}"#, r#"{"x":null}"#],
        Ok(r#"{"role":"assistant","x":1}"#),
    );
    check(&[r#"{"x":1}"#, r#"{"x":2}"#], apart);
    check(
        &[r#"{"audio":{"id":"a"}}"#, r#"{"audio":{"data":"b"}}"#],
        apart,
    );
    check(&[r#"{"content":"a"}"#, r#"{"content":["b"]}"#], apart);
    check(&[r#"{"content":["a"]}"#, r#"{"content":"b"}"#], apart);
    check(
        &[r#"{"role":"assistant"}"#, r#"{"role":"assistant"}"#],
        Ok(r#"{"role":"assistant"}"#),
    );
    check(
        &[r#"{"role":""}"#, r#"{"role":"assistant"}"#],
        Ok(r#"{"role":"assistant"}"#),
    );
    check(&[r#"{"role":"assistant"}"#, r#"{"role":"tool"}"#], apart);
}

#[test]
fn calls_are_known_by_their_index() {
    let call = |fragment: &str| format!(r#"{{"tool_calls":[{fragment}]}}"#);
    let first =
        call(r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#);
    let second =
        call(r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{"}}"#);
    check(
        &[
            &first,
            &call(r#"{"index":0,"function":{"arguments":"{\"a\""}}"#),
            &second,
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"}"}},{"index":0,"function":{"arguments":":1}"}}]}"#,
        ],
        Ok(
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}"#,
        ),
    );
    // Some say everything again, or nothing where they said it before.
    check(
        &[
            &first,
            &first,
            &call(r#"{"index":0,"id":"","type":null,"function":{"name":"","arguments":"x"}}"#),
        ],
        Ok(
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"x"}}]}"#,
        ),
    );
    // Two calls in one place, as of those who count from zero each time.
    check(
        &[&first, &call(r#"{"index":0,"id":"b"}"#)],
        Err(AssemblyError::Apart),
    );
    check(
        &[&first, &call(r#"{"index":0,"function":{"name":"g"}}"#)],
        Err(AssemblyError::Apart),
    );
    check(&[&call(r#"{"id":"a"}"#)], Err(AssemblyError::Chunk));
    check(&[&call(r#"{"index":"0"}"#)], Err(AssemblyError::Chunk));
    check(
        &[r#"{"tool_calls":{"index":0}}"#],
        Err(AssemblyError::Chunk),
    );
    check(
        &[r#"{"tool_calls":null}"#],
        Ok(r#"{"role":"assistant","tool_calls":null}"#),
    );
    check(
        &[r#"{"tool_calls":[]}"#],
        Ok(r#"{"role":"assistant","tool_calls":[]}"#),
    );
    check(
        &[r#"{"tool_calls":null}"#, &call(r#"{"index":7,"id":"a"}"#)],
        Ok(r#"{"role":"assistant","tool_calls":[{"id":"a"}]}"#),
    );
    check(
        &[
            &call(r#"{"index":0,"id":"a","extra_content":{"b":1}}"#),
            &call(r#"{"index":0,"function":null}"#),
        ],
        Ok(r#"{"role":"assistant","tool_calls":[{"id":"a","extra_content":{"b":1}}]}"#),
    );
}

#[test]
fn a_call_of_a_function_is_joined() {
    check(
        &[
            r#"{"function_call":null}"#,
            r#"{"function_call":{"name":"f","arguments":""}}"#,
            r#"{"function_call":{"arguments":"{}"}}"#,
        ],
        Ok(r#"{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}"#),
    );
    check(
        &[r#"{"function_call":null}"#],
        Ok(r#"{"role":"assistant","function_call":null}"#),
    );
    check(&[r#"{"function_call":"f"}"#], Err(AssemblyError::Chunk));
}

#[test]
fn what_stands_beside_choices_is_told_once() {
    check_beside(
        &[
            r#"{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[1]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":7,"model":"m","obfuscation":"aaa","x":1}"#,
            r#"{"id":"d","created":8,"model":"n","x":2,"system_fingerprint":null,"choices":null}"#,
        ],
        Ok(
            r#"{"id":"c","object":"chat.completion","created":7,"model":"m","prompt_filter_results":[1],"x":2,"system_fingerprint":null,CHOICES,"usage":null}"#,
        ),
    );
    let told = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"x":1}}"#;
    let as_told = r#"{"object":"chat.completion",CHOICES,"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"x":1}}"#;
    let less = r#"{"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#;
    let zeros = r#"{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    check_beside(&[r#"{"usage":null}"#, less, told], Ok(as_told));
    check_beside(&[told, zeros, r#"{"usage":null}"#], Ok(as_told));
    check_beside(&[r#"{"usage":"many"}"#, told], Ok(as_told));
}

#[test]
fn what_stands_beside_a_message_is_kept() {
    let choices = |choices: &str| format!(r#"{{"choices":[{choices}]}}"#);
    let found = assembled(&[
        &choices(r#"{"index":1,"delta":{"content":"b"},"logprobs":null,"finish_reason":""}"#),
        &choices(
            r#"{"index":0,"delta":{"content":"a"},"logprobs":{"content":[1],"refusal":null},"filter":{"a":1}},{"index":1,"finish_reason":"stop"}"#,
        ),
        &choices(
            r#"{"index":0,"delta":null,"logprobs":{"content":[2,3],"refusal":[]},"finish_reason":"length","filter":{"a":2}}"#,
        ),
        &choices(r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":null}"#),
    ]);
    let expected = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"logprobs":{"content":[1,2,3],"refusal":[]},"finish_reason":"length","filter":{"a":2}},{"index":1,"message":{"role":"assistant","content":"b"},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#;
    assert_eq!(found.as_deref(), Ok(expected));
}

const STOP: &str = r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#;

#[test]
fn a_stream_that_is_not_complete_is_no_answer() {
    let found = |data: &[&str]| completion(&[stream(data)], false).err();
    assert_eq!(found(&[STOP, "[DONE]"]), None);
    assert_eq!(found(&[]), Some(AssemblyError::Cut));
    assert_eq!(found(&[STOP]), Some(AssemblyError::Cut));
    assert_eq!(found(&["[DONE]"]), Some(AssemblyError::Unfinished));
    let unfinished = r#"{"choices":[{"index":1,"delta":{"content":"a"},"finish_reason":null}]}"#;
    assert_eq!(
        found(&[STOP, unfinished, "[DONE]"]),
        Some(AssemblyError::Unfinished)
    );
    let not_yet = r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#;
    assert_eq!(found(&[not_yet, "[DONE]"]), Some(AssemblyError::Unfinished));
    assert_eq!(found(&[STOP, not_yet, "[DONE]"]), None);
    let chunk = Some(AssemblyError::Chunk);
    let error = Some(AssemblyError::Error);
    for (event, expected) in [
        (r#"{"error":{"message":"no"}}"#, error),
        (r#"{"error":"no","choices":[]}"#, error),
        (r#"{"object":"error","message":"no"}"#, error),
        (r#"{"error":null}"#, None),
        ("{}", None),
        ("", chunk),
        ("ping", chunk),
        ("[]", chunk),
        ("null", chunk),
        ("{", chunk),
        ("{} {}", chunk),
        (r#"{"choices":{}}"#, chunk),
        (r#"{"choices":[1]}"#, chunk),
        (r#"{"choices":[{"delta":[]}]}"#, chunk),
        (r#"{"choices":[{"delta":"a"}]}"#, chunk),
        (r#"{"choices":[{"index":128}]}"#, chunk),
        (r#"{"choices":[{"index":-1}]}"#, chunk),
        (r#"{"choices":[{"logprobs":[]}]}"#, chunk),
        (r#"{"choices":[{"message":{"content":"a"}}]}"#, chunk),
        (
            r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#,
            chunk,
        ),
        (r#"{"object":"text_completion"}"#, chunk),
        (r#"{"object":7}"#, chunk),
    ] {
        assert_eq!(found(&[event, STOP, "[DONE]"]), expected, "{event}");
        assert_eq!(found(&[STOP, event, "[DONE]"]), expected, "{event}");
    }
    let invalid = Bytes::from_static(b"data: {\"x\":\"\xff\"}\n\n");
    let done = stream(&[STOP, "[DONE]"]);
    assert_eq!(completion(&[invalid, done], false).err(), chunk);
}

#[test]
fn a_stream_may_end_without_done_where_one_was_added() {
    let found = |bytes: &str, added| completion(&[Bytes::from(bytes.to_owned())], added).err();
    let stop = format!("data: {STOP}\n\n");
    assert_eq!(found(&stop, true), None);
    assert_eq!(found(&format!("{stop}data: [DONE]\n\n"), true), None);
    assert_eq!(found(&format!("{stop}data: [DONE]\n"), true), None);
    assert_eq!(
        found(&format!("{stop}data: [DONE]\n"), false),
        Some(AssemblyError::Cut)
    );
    assert_eq!(found(&format!("{stop}: ping"), true), None);
    assert_eq!(
        found(&format!("{stop}data: {{"), true),
        Some(AssemblyError::Cut)
    );
    assert_eq!(
        found(&format!("{stop}data: {STOP}\n"), true),
        Some(AssemblyError::Cut)
    );
    // What stands behind the end is nobody's.
    assert_eq!(
        found(&format!("{stop}data: [DONE]\n\ndata: {{"), false),
        None
    );
}

#[test]
fn nothing_grows_without_a_bound() {
    let members = |range: std::ops::Range<usize>| {
        let members: Vec<String> = range.map(|n| format!("\"x{n}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(assembled(&[&members(0..60), STOP]).is_ok());
    assert_eq!(
        assembled(&[&members(0..65), STOP]),
        Err(AssemblyError::Chunk)
    );
    let (first, second) = (members(0..40), members(40..80));
    assert_eq!(
        assembled(&[&first, &second, STOP]),
        Err(AssemblyError::TooMany)
    );
}
