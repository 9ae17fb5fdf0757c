//! Which bodies were made to cost more than their bytes?
//!
//! All of them are JSON, and questions to a chat; some are refused for how many keys they have.

use std::fmt::Write as _;

/// The shapes.
pub(crate) const SHAPES: [&str; 14] = [
    "escapes",
    "unicode escapes",
    "halves of pairs",
    "not ascii",
    "messages",
    "parts of a message",
    "calls and results",
    "keys of one object",
    "keys of objects of 9999",
    "keys that collide",
    "escaped keys",
    "one key",
    "empty objects",
    "numbers",
];

/// A question whose one message is nearly all of it.
pub(crate) fn plain(bytes: usize) -> String {
    let words = "the quick brown fox jumps over the lazy dog ";
    said(&words.repeat(bytes / words.len()))
}

/// A question of this shape and about so many bytes.
pub(crate) fn costly(shape: &str, bytes: usize) -> String {
    match shape {
        "escapes" => said(&r"\n".repeat(bytes / 2)),
        "unicode escapes" => said(&r"\u00e9".repeat(bytes / 6)),
        "halves of pairs" => said(&r"\ud83d\ude00".repeat(bytes / 12)),
        "not ascii" => said(&"é😀".repeat(bytes / 6)),
        "messages" => messages(bytes, r#"{"role":"user","content":"x"}"#),
        "parts of a message" => messages(
            bytes,
            r#"{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}"#,
        ),
        "calls and results" => calls(bytes),
        "keys of one object" => beside(&objects(bytes, usize::MAX, |key| format!("{key}"))),
        "keys of objects of 9999" => beside(&objects(bytes, 9_999, |key| format!("{key}"))),
        "keys that collide" => beside(&objects(bytes, 9_999, alike)),
        "escaped keys" => beside(&objects(bytes, 16, |key| format!(r"\n{key}"))),
        "one key" => beside(&format!("[{{\"{}\":0}}]", "k".repeat(bytes))),
        "empty objects" => beside(&list(bytes, "{}")),
        "numbers" => beside(&list(bytes, "1e5")),
        other => panic!("nobody knows {other}"),
    }
}

fn said(text: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

fn messages(bytes: usize, one: &str) -> String {
    format!(r#"{{"model":"m","messages":{}}}"#, list(bytes, one))
}

/// Calls, and as many results of the first of them.
fn calls(bytes: usize) -> String {
    let call = |number: usize| {
        format!(
            r#"{{"role":"assistant","tool_calls":[{{"id":"c{number:05}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}}"#
        )
    };
    let result = r#"{"role":"tool","tool_call_id":"c00000","content":"x"}"#;
    let count = bytes / (call(0).len() + result.len() + 2);
    let messages: Vec<String> = (0..count)
        .map(call)
        .chain(vec![result.to_owned(); count])
        .collect();
    format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","))
}

fn beside(value: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],"x":{value}}}"#)
}

/// A list of as many as there is room for.
fn list(bytes: usize, one: &str) -> String {
    format!("[{}]", vec![one; bytes / (one.len() + 1)].join(","))
}

/// Objects with so many keys each, as many as there is room for.
fn objects(bytes: usize, keys: usize, name: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        text.push_str(if text.is_empty() { "[{" } else { "},{" });
        for key in 0..keys {
            if text.len() >= bytes {
                break;
            }
            let comma = if key == 0 { "" } else { "," };
            write!(text, "{comma}\"{}\":0", name(key)).unwrap();
        }
    }
    text + "}]"
}

/// Names that a hash of 31 times the last and the next letter takes for one.
fn alike(number: usize) -> String {
    let pair = |bit: usize| {
        if (number >> bit) & 1 == 0_usize {
            "Aa"
        } else {
            "BB"
        }
    };
    (0..14).map(pair).collect()
}
