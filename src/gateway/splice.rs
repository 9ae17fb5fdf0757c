//! How does the body go out where a pool calls the model by another name?
//!
//! As three slices: what stands before the model's name, the name, what stands
//! after it. Head and tail are the caller's own bytes, shared and not copied, so
//! an upstream reads exactly what the caller wrote but for that one value.

use std::ops::Range;

use bytes::Bytes;

use crate::gateway::inspect::Ask;

/// Where is it asked to count tokens?
mod usage;

/// A body in up to five parts, to be written one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spliced {
    /// The caller's bytes before the replaced value.
    pub head: Bytes,
    /// The new value, quotes included; empty where nothing is replaced.
    pub name: Bytes,
    /// The caller's bytes after the replaced value; empty where nothing is replaced.
    pub tail: Bytes,
    /// What is asked besides, and the caller's bytes after that.
    pub more: [Bytes; 2],
    /// Bytes of all together.
    pub len: usize,
}

/// The body as it came.
#[must_use]
pub fn whole(body: &Bytes) -> Spliced {
    Spliced {
        head: body.clone(),
        name: Bytes::new(),
        tail: Bytes::new(),
        more: Default::default(),
        len: body.len(),
    }
}

/// The body with the value at `span` replaced by `name`, written as a JSON string.
///
/// `span` is what inspection found in this same body.
#[must_use]
pub fn model_name(body: &Bytes, span: &Range<usize>, name: &str) -> Spliced {
    replaced(body, span, json_string(name).into())
}

/// The form with the part at `span`, head included, replaced by one that says `name`.
///
/// `span` is what inspection found in this same body. The head is written anew as well: it may
/// have told a length.
#[must_use]
pub fn form_model_name(body: &Bytes, span: &Range<usize>, name: &str) -> Spliced {
    let part = format!("Content-Disposition: form-data; name=\"model\"\r\n\r\n{name}");
    replaced(body, span, part.into())
}

/// What goes out for this model, asked to count the tokens of its stream; `name`: where that
/// differs from what the caller wrote.
///
/// `ask` is what inspection found in this same body.
#[must_use]
pub fn with_usage(body: &Bytes, ask: &Ask, name: Option<&str>) -> Spliced {
    let Some((span, said)) = usage::asked(body, ask) else {
        return match name {
            Some(name) => model_name(body, &ask.model_span, name),
            None => whole(body),
        };
    };
    let said = Bytes::from_static(said.as_bytes());
    let Some(name) = name else {
        return replaced(body, &span, said);
    };
    let name = Bytes::from(json_string(name));
    let ((first, value), (second, more)) = if span.start < ask.model_span.start {
        ((span, said), (ask.model_span.clone(), name))
    } else {
        ((ask.model_span.clone(), name), (span, said))
    };
    let between = body.slice(first.end.min(second.start)..second.start);
    let mut spliced = replaced(body, &first, value);
    let rest = body.slice(second.end.min(body.len())..);
    spliced.len = spliced.head.len() + spliced.name.len() + between.len() + more.len() + rest.len();
    spliced.tail = between;
    spliced.more = [more, rest];
    spliced
}

fn replaced(body: &Bytes, span: &Range<usize>, value: Bytes) -> Spliced {
    let end = span.end.min(body.len());
    let head = body.slice(..span.start.min(end));
    let tail = body.slice(end..);
    let len = head.len() + value.len() + tail.len();
    Spliced {
        head,
        name: value,
        tail,
        more: Default::default(),
        len,
    }
}

impl Spliced {
    /// The parts in order, empty ones left out.
    pub fn parts(&self) -> impl Iterator<Item = &Bytes> {
        let [asked, rest] = &self.more;
        [&self.head, &self.name, &self.tail, asked, rest]
            .into_iter()
            .filter(|part| !part.is_empty())
    }
}

fn json_string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\0'..='\u{1F}' => {
                let code = u32::from(letter);
                literal.push_str("\\u00");
                literal.extend(char::from_digit(code >> 4, 16));
                literal.extend(char::from_digit(code & 15, 16));
            }
            _ => literal.push(letter),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::inspect::{Bounds, inspect};

    const BOUNDS: Bounds = Bounds {
        depth_max: 64,
        keys_max: 10_000,
    };

    fn joined(spliced: &Spliced) -> Vec<u8> {
        spliced.parts().flatten().copied().collect()
    }

    fn check(body: &str, name: &str, expected: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let ask = inspect(&body, &BOUNDS).unwrap();
        let spliced = model_name(&body, &ask.model_span, name);
        assert_eq!(String::from_utf8(joined(&spliced)).unwrap(), expected);
        assert_eq!(spliced.len, expected.len());
    }

    #[test]
    fn the_name_is_replaced_and_nothing_else() {
        check(
            r#"{ "messages":[], "model" : "a" }"#,
            "openai/a",
            r#"{ "messages":[], "model" : "openai/a" }"#,
        );
        check(
            r#"{"model":"\u0061","messages":["a"],"n":1}"#,
            "b",
            r#"{"model":"b","messages":["a"],"n":1}"#,
        );
        check(
            r#"{"model":"a","messages":[]}"#,
            "q\"b\\n\n\u{1}é",
            r#"{"model":"q\"b\\n\u000a\u0001é","messages":[]}"#,
        );
    }

    #[test]
    fn head_and_tail_are_the_callers_own_bytes() {
        let body = Bytes::from_static(br#"{"model":"a","messages":[]}"#);
        let spliced = model_name(&body, &(9..12), "b");
        assert_eq!(spliced.head.as_ptr(), body.as_ptr());
        assert_eq!(spliced.tail.as_ptr(), body[12..].as_ptr());
        assert_eq!(joined(&whole(&body)), body);
        assert_eq!(whole(&body).len, body.len());
    }

    #[test]
    fn in_a_form_the_part_is_replaced_and_nothing_else() {
        let form = "--b\r\nContent-Length: 1\r\nContent-Disposition: form-data; name=model\r\n\r\na\r\n--b--";
        let body = Bytes::from_static(form.as_bytes());
        let spliced = form_model_name(&body, &(5..form.len() - 7), "openai/é");
        let expected =
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nopenai/é\r\n--b--";
        assert_eq!(String::from_utf8(joined(&spliced)).unwrap(), expected);
        assert_eq!(spliced.len, expected.len());
    }

    #[test]
    fn tokens_are_asked_for_and_nothing_else_changes() {
        let check = |body: &str, name: Option<&str>, expected: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let ask = inspect(&body, &BOUNDS).unwrap();
            let spliced = with_usage(&body, &ask, name);
            assert_eq!(String::from_utf8(joined(&spliced)).unwrap(), expected);
            assert_eq!(spliced.len, expected.len());
            assert!(inspect(expected.as_bytes(), &BOUNDS).unwrap().include_usage);
        };
        let asked = r#""stream_options":{"include_usage":true}"#;
        let start = r#" {"model":"a","messages":[]"#;
        check(
            &format!("{start}}}"),
            None,
            &format!(r#" {{{asked},"model":"a","messages":[]}}"#),
        );
        check(
            &format!("{start}}}"),
            Some("b"),
            &format!(r#" {{{asked},"model":"b","messages":[]}}"#),
        );
        for (said, expected) in [
            ("null", r#"{"include_usage":true}"#),
            ("{}", r#"{"include_usage":true}"#),
            ("{ }", r#"{"include_usage":true }"#),
            (r#"{"x":[1]}"#, r#"{"include_usage":true,"x":[1]}"#),
            (
                r#"{ "include_usage" : false }"#,
                r#"{ "include_usage" : true }"#,
            ),
            (
                r#"{"x":1,"include_usage":null}"#,
                r#"{"x":1,"include_usage":true}"#,
            ),
            (
                r#"{"include_us\u0061ge":false}"#,
                r#"{"include_us\u0061ge":true}"#,
            ),
        ] {
            let before = format!(r#"{{"stream_options":{said},"model":"a","messages":[]}}"#);
            let after = format!(r#"{{"stream_options":{expected},"model":"b","messages":[]}}"#);
            check(&before, Some("b"), &after);
            check(&before, Some("a"), &after.replace("\"b\"", "\"a\""));
            let before = format!(r#"{{"model":"a","messages":[],"stream_options": {said} }}"#);
            let after = format!(r#"{{"model":"b","messages":[],"stream_options": {expected} }}"#);
            check(&before, Some("b"), &after);
            check(&before, None, &after.replace("\"b\"", "\"a\""));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{1,6}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_body_comes_out_as_it_went_in_but_for_the_name(
            model in ".{1,20}",
            name in any::<String>(),
            messages in proptest::collection::vec(any_json(), 0..4),
            first in any_json(),
            last in any_json(),
            pretty in any::<bool>(),
        ) {
            let value = json!({"a": first, "model": model, "messages": messages, "z": last});
            let text = if pretty {
                serde_json::to_string_pretty(&value)
            } else {
                serde_json::to_string(&value)
            };
            let body = Bytes::from(text.unwrap());
            let ask = inspect(&body, &BOUNDS).unwrap();
            prop_assert_eq!(&*ask.model, &model);
            let spliced = model_name(&body, &ask.model_span, &name);
            let out = joined(&spliced);
            prop_assert_eq!(spliced.len, out.len());
            prop_assert_eq!(&out[..ask.model_span.start], &body[..ask.model_span.start]);
            prop_assert!(out.ends_with(&body[ask.model_span.end..]));
            // Read again rather than reused: serde_json rounds some numbers as it reads.
            let mut expected: Value = serde_json::from_slice(&body).unwrap();
            expected["model"] = Value::from(name);
            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
        }
    }
}
