//! Tables of bodies and what becomes of them.
//!
//! `check` takes a whole body. `value` puts a value under an unknown key of an
//! otherwise good body, `member` puts whole members there.

#![expect(
    clippy::string_slice,
    reason = "the tests cut text of their own, all ASCII"
)]

use proptest::prelude::*;
use serde_json::Value;

use super::image::{ImageAsk, image_ask, last_user_text};
use super::*;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 10_000,
};

/// What a refusal is compared by: its code and its parameter.
type Outcome = Result<(), (&'static str, Option<&'static str>)>;

const OK: Outcome = Ok(());
const JSON: Outcome = Err(("invalid_json", None));
const TWICE: Outcome = Err(("duplicate_key", None));

fn twice(param: &'static str) -> Outcome {
    Err(("duplicate_key", Some(param)))
}

fn unusable(param: &'static str) -> Outcome {
    Err(("invalid_value", Some(param)))
}

fn missing(param: &'static str) -> Outcome {
    Err(("missing_field", Some(param)))
}

fn check(body: impl AsRef<[u8]>, expected: Outcome) {
    let body = body.as_ref();
    let found = inspect(body, &BOUNDS);
    let outcome = found
        .as_ref()
        .map(|_| ())
        .map_err(|error| (error.code(), error.param()));
    let start = &body[..body.len().min(200)];
    assert_eq!(
        outcome,
        expected,
        "{} gave {found:?}",
        String::from_utf8_lossy(start)
    );
    if let Err(error) = found {
        assert!(error.message().ends_with('.'), "{}", error.message());
        assert!(error.offset().is_none_or(|offset| offset <= body.len()));
    }
}

fn member(members: &str, expected: Outcome) {
    check(
        format!(r#"{{"model":"a","messages":[],{members}}}"#),
        expected,
    );
    check(
        format!(r#"{{ {members} , "messages" : [ ] , "model" : "a" }}"#),
        expected,
    );
}

fn value(value: &str, expected: Outcome) {
    member(&format!(r#""x":{value}"#), expected);
    member(&format!(r#""x":[1,{{"y": {value} }}]"#), expected);
}

fn fault(body: impl AsRef<[u8]>, expected: Fault, expected_offset: usize) {
    match inspect(body.as_ref(), &BOUNDS) {
        Err(InspectError::Json { fault, offset }) => {
            assert_eq!((fault, offset), (expected, expected_offset));
        }
        other => panic!("{other:?}"),
    }
}

fn ask(body: &str) -> Ask {
    inspect(body.as_bytes(), &BOUNDS).unwrap()
}

#[test]
fn every_routed_field_is_read() {
    let body = r#" {"messages":[{"role":"user","content":"Hi"}], "stream":true,"model":"gpt-4o",
        "n":2,"max_tokens":16,"max_completion_tokens":17,"user":"u","temperature":0.5,
        "prompt_cache_key":"k","stream_options":{"include_usage":true,"other":[1]}} "#;
    let found = ask(body);
    assert_eq!(&body[found.model_span.clone()], r#""gpt-4o""#);
    assert_eq!(
        &body[found.messages_span.clone()],
        r#"[{"role":"user","content":"Hi"}]"#
    );
    let expected = Ask {
        model: "gpt-4o".into(),
        stream: true,
        n: Some(2),
        max_tokens: Some(16),
        max_completion_tokens: Some(17),
        user: Some("u".into()),
        prompt_cache_key: Some("k".into()),
        include_usage: true,
        model_span: found.model_span.clone(),
        messages_span: found.messages_span.clone(),
    };
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_said_or_null_is_the_default() {
    let short = ask(r#"{"model":"a","messages":[]}"#);
    let nulls = ask(
        r#"{"model":"a","messages":[],"stream":null,"n":null,"max_tokens":null,
        "max_completion_tokens":null,"user":null,"stream_options":null}"#,
    );
    assert_eq!(short, nulls);
    assert!(!short.stream && !short.include_usage);
    assert_eq!((short.n, short.max_tokens, short.user), (None, None, None));
}

#[test]
fn an_answer_may_have_the_larger_of_both_maxima_for_each_choice() {
    for (members, expected) in [
        ("", 1000),
        (r#","n":3"#, 3000),
        (r#","max_tokens":7"#, 7),
        (r#","max_tokens":7,"max_completion_tokens":5,"n":2"#, 14),
        (r#","max_tokens":5,"max_completion_tokens":7,"n":2"#, 14),
        (r#","max_tokens":9007199254740991,"n":4294967295"#, u64::MAX),
    ] {
        let ask = ask(&format!(r#"{{"model":"m","messages":[]{members}}}"#));
        assert_eq!(ask.answer_tokens_max(1000), expected, "{members}");
    }
}

#[test]
fn names_are_decoded() {
    let decoded = |literal: &str| ask(&format!(r#"{{"model":{literal},"messages":[]}}"#)).model;
    assert_eq!(&*decoded(r#""\u0067pt\/4o""#), "gpt/4o");
    assert_eq!(&*decoded(r#""é😀""#), "é😀");
    assert_eq!(&*decoded(r#""\ud83d\ude00""#), "😀");
    assert_eq!(&*decoded(r#""../x\u0000\r\n*""#), "../x\0\r\n*");
    assert_eq!(
        decoded(&format!("\"{}\"", "m".repeat(10_240))).len(),
        10_240
    );
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in [
        "",
        " ",
        "\n\t\r ",
        "null",
        "true",
        "false",
        "0",
        "\"model\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{]",
        "[}",
        "//",
        "undefined",
        "model=a",
        "<a/>",
        "\0",
        "{}x",
        "'",
        "{'model':'a'}",
    ] {
        check(body, JSON);
    }
    check("{}", missing("model"));
    check(" { } ", missing("model"));
}

#[test]
fn nothing_may_stand_around_the_object() {
    let good = r#"{"model":"a","messages":[]}"#;
    check(good, OK);
    check(format!("\r\n\t {good} \r\n\t"), OK);
    for extra in [
        "x",
        "{}",
        ",",
        "}",
        "]",
        "\0",
        "\u{a0}",
        "\u{feff}",
        "\u{2028}",
        "\u{c}",
        "//",
        "/**/",
        "#",
        "\n{\"model\":\"b\",\"messages\":[]}",
        "null",
        "0",
        "\"",
        "\\",
    ] {
        check(format!("{good}{extra}"), JSON);
        check(format!("{extra}{good}"), JSON);
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let good = r#"{"model":"a","messages":[]}"#;
    check([b"\xEF\xBB\xBF", good.as_bytes()].concat(), JSON);
    let utf16 = |order: fn(u16) -> [u8; 2]| good.encode_utf16().flat_map(order).collect::<Vec<_>>();
    check(utf16(u16::to_le_bytes), JSON);
    check(utf16(u16::to_be_bytes), JSON);
    check([&b"\xFF\xFE"[..], &utf16(u16::to_le_bytes)].concat(), JSON);
    let utf32: Vec<u8> = good
        .chars()
        .flat_map(|c| u32::from(c).to_le_bytes())
        .collect();
    check(utf32, JSON);
    for bytes in [
        &b"\xFF"[..],
        b"\x80",
        b"\xC0\x80",
        b"\xC1\xBF",
        b"\xC3",
        b"\xE0\x80\xAF",
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xF0\x80\x80\xAF",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xE2\x82",
    ] {
        let text = [br#"{"model":"a","messages":[],"x":""#, bytes, b"\"}"].concat();
        check(text, JSON);
        let key = [br#"{"model":"a","messages":[],""#, bytes, b"\":1}"].concat();
        check(key, JSON);
    }
}

#[test]
fn json_is_accepted_as_a_value() {
    for good in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "7",
        "-7",
        "1.5",
        "-0.0",
        "1e5",
        "1E+5",
        "1e-5",
        "0e0",
        "1e400",
        "-1e-400",
        "18446744073709551617",
        "123456789012345678901234567890",
        "\"\"",
        "\"a\"",
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000""#,
        r#""\uABCD\uabcd""#,
        r#""\ud83d\ude00""#,
        "\"\u{7f}\"",
        "\"é😀\"",
        "\"\u{2028}\"",
        "\"\u{feff}\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        "[ 1 , 2 ]",
        "[[],[[]]]",
        "{}",
        "{ }",
        r#"{"":1}"#,
        r#"{"a":{}}"#,
        r#"{"a":[],"b":{"a":1}}"#,
        r#"[{"a":1},{"a":2}]"#,
        "\t[\r\n]\t",
        r#""//""#,
        r#"{"Model":"a","model":"b"}"#,
        r#"{"a":1,"A":2}"#,
        "\"01234567\"",
        "\"0123456701234567012345670123456\"",
        "\"01234567012345670123456701234567\"",
    ] {
        value(good, OK);
    }
}

/// What no reader should take for a value.
const NOT_JSON: &[&str] = &[
    "",
    "nul",
    "nulll",
    "NULL",
    "None",
    "True",
    "tru",
    "truefalse",
    "undefined",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "inf",
    "+1",
    "01",
    "-01",
    "00",
    "1.",
    ".5",
    "-.5",
    "1e",
    "1e+",
    "1.e5",
    "1.2.3",
    "0x10",
    "1_000",
    "1,",
    "--1",
    "-",
    "1e5.5",
    "1e5e5",
    "1 2",
    "１",
    "1f",
    "\"",
    "\"a",
    "'a'",
    "a",
    r#""\x""#,
    r#""\u12""#,
    r#""\u12G4""#,
    r#""\U0041""#,
    r#""\""#,
    r#""\'""#,
    r#""\ ""#,
    r#""\u+123""#,
    "\"\t\"",
    "\"\n\"",
    "\"\0\"",
    "\"\u{1f}\"",
    "\"0123456\u{1f}\"",
    "\"0123456701234567012345670123456\n\"",
    "\"a\" \"b\"",
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1;2]",
    "[1}",
    "[\"a\":1]",
    "{1:2}",
    "{a:1}",
    "{'a':1}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{,\"a\":1}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{\"a\":1,,\"b\":2}",
    "{null:1}",
    "{[]:1}",
    "/* c */ 1",
    "1 // c",
    "1 # c",
    "\\u0031",
    "\u{a0}1",
    "\u{feff}1",
    "@",
    "...",
    "-\"1\"",
    "]",
    "}",
];

#[test]
fn what_is_not_json_is_refused_as_a_value() {
    for bad in NOT_JSON {
        value(bad, JSON);
    }
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    let body =
        r#"{"model":"a\n\u0041","messages":[{"role":"user","content":[null,true,-1.5e+3]}]}"#;
    check(body, OK);
    for end in 0..body.len() {
        let expected = if body[..end].trim().is_empty() {
            Fault::Empty
        } else {
            Fault::Truncated
        };
        match inspect(&body.as_bytes()[..end], &BOUNDS) {
            Err(InspectError::Json { fault, .. }) => {
                assert_eq!(fault, expected, "{}", &body[..end]);
            }
            other => panic!("{}: {other:?}", &body[..end]),
        }
    }
}

#[test]
fn faults_are_named_with_their_place() {
    fault("", Fault::Empty, 0);
    fault("\u{feff}{}", Fault::ByteOrderMark, 0);
    fault(b"{\"a\":\"\xFF\"}", Fault::Encoding, 6);
    fault(" [1]", Fault::NotAnObject, 1);
    fault(r#"{"a":1 2}"#, Fault::Syntax, 7);
    fault(r#"{"a":"#, Fault::Truncated, 5);
    fault("{} {", Fault::Trailing, 3);
    fault("{\"a\":\"\n\"}", Fault::ControlCharacter, 6);
    fault(r#"{"a":"b\x"}"#, Fault::Escape, 7);
    fault(r#"{"\ud800":1}"#, Fault::SurrogateInKey, 9);
    fault(r#"{"a":01}"#, Fault::Number, 6);
}

#[test]
fn a_key_stands_once_at_the_top() {
    for known in ["model", "messages"] {
        member(&format!(r#""{known}":null"#), twice(known));
    }
    member(r#""mod\u0065l":"b""#, twice("model"));
    member(r#""\u006d\u006F\u0064\u0065\u006c":"b""#, twice("model"));
    member(r#""stream":true,"stream":false"#, twice("stream"));
    member(r#""stream":true,"str\u0065am":true"#, twice("stream"));
    member(r#""temperature":1,"temperature":1"#, twice("temperature"));
    member(r#""x":1,"x":1"#, TWICE);
    member(r#""x":1,"y":2,"\u0078":1"#, TWICE);
    member(r#""":1,"":2"#, TWICE);
    member(r#""é":1,"\u00e9":2"#, TWICE);
    member(r#""😀":1,"\ud83d\uDE00":2"#, TWICE);
    member(r#""x":1,"X":2"#, OK);
    member(r#""é":1,"e\u0301":2"#, OK);
}

#[test]
fn a_key_stands_once_in_nested_objects() {
    value(r#"{"a":1,"a":2}"#, TWICE);
    value(r#"{"a":1,"b":2,"\u0061":3}"#, TWICE);
    value(r#"[[{"a":{},"a":[]}]]"#, TWICE);
    value(r#"{"a":{"b":1},"c":{"b":2,"b":3}}"#, TWICE);
    value(r#"{"a":{"a":{"a":1}}}"#, OK);
    member(
        r#""stream_options":{"include_usage":true,"include_usage":false}"#,
        TWICE,
    );
    for count in [2, 15, 16, 17, 18, 100, 9_999] {
        let keys: Vec<String> = (0..count).map(|key| format!("\"k{key}\":0")).collect();
        let keys = keys.join(",");
        value(&format!("{{{keys}}}"), OK);
        value(&format!("{{{keys},\"k0\":0}}"), TWICE);
        value(&format!("{{{keys},\"\\u006b{}\":0}}", count - 1), TWICE);
    }
}

#[test]
fn another_spelling_of_a_known_key_is_refused() {
    for (key, known) in [
        ("Model", "model"),
        ("MODEL", "model"),
        ("mODel", "model"),
        ("model ", "model"),
        (" model", "model"),
        ("model\\u0000", "model"),
        ("model\\u0000x", "model"),
        ("\\u004dodel", "model"),
        ("mo\u{200b}del", "model"),
        ("model\u{feff}", "model"),
        ("\\u200dmodel", "model"),
        ("mo\u{ad}del", "model"),
        ("model\u{a0}", "model"),
        ("\\tmodel", "model"),
        ("model\\n", "model"),
        ("\u{202e}model", "model"),
        ("\u{17f}tream", "stream"),
        ("\\u017ftream", "stream"),
        ("Stream", "stream"),
        ("STREAM", "stream"),
        ("meſſages", "messages"),
        ("Messages", "messages"),
        ("N", "n"),
        ("n ", "n"),
        ("max_to\u{212a}ens", "max_tokens"),
        ("max_to\\u212aens", "max_tokens"),
        ("MAX_TOKENS", "max_tokens"),
        ("Max_Completion_Tokens", "max_completion_tokens"),
        ("uſer", "user"),
        ("User", "user"),
        ("Stream_Options", "stream_options"),
        ("Temperature", "temperature"),
        ("TOP_P", "top_p"),
        ("Tools", "tools"),
        ("ſtop", "stop"),
        ("Prompt", "prompt"),
        ("model\u{e0001}", "model"),
        ("mode\u{fe0f}l", "model"),
    ] {
        member(&format!("\"{key}\":null"), twice(known));
    }
    for other in [
        "models_",
        "modelx",
        "m",
        "streams",
        "Foo",
        "X-Title",
        "max-tokens",
        "maxTokens",
        "modèle",
        "モデル",
        "nn",
        "a b",
        "x\\u0000",
        "_model",
        "nö",
        "user.name",
    ] {
        member(&format!("\"{other}\":null"), OK);
    }
    // Deeper keys are the upstream's to judge.
    value(r#"{"Model":"b","STREAM":true}"#, OK);
}

#[test]
fn half_a_surrogate_pair_may_stand_only_in_a_value() {
    for half in [
        r"\ud800",
        r"\udc00",
        r"\udc00\ud800",
        r"\ud800\u0041",
        r"\ud800\ud800",
        r"a\udfff",
    ] {
        value(&format!("\"{half}\""), OK);
        value(&format!("{{\"{half}\":1}}"), JSON);
        member(&format!("\"{half}\":1"), JSON);
        member(&format!("\"user\":\"{half}\""), unusable("user"));
        check(
            format!(r#"{{"messages":[],"model":"{half}"}}"#),
            unusable("model"),
        );
    }
}

#[test]
fn model_and_messages_are_required_and_of_their_type() {
    check(r#"{"messages":[]}"#, missing("model"));
    check(r#"{"model":"a"}"#, missing("messages"));
    check(r#"{"prompt":"a"}"#, missing("model"));
    for bad in ["null", "1", "true", "[]", "{}", r#""""#, r#"["a"]"#] {
        check(
            format!(r#"{{"messages":[],"model":{bad}}}"#),
            unusable("model"),
        );
    }
    for bad in ["null", "1", "true", "{}", r#""""#, r#""[]""#] {
        check(
            format!(r#"{{"model":"a","messages":{bad}}}"#),
            unusable("messages"),
        );
    }
    for good in ["[]", "[ ]", "[null]", r#"[{"role":"user","content":"Hi"}]"#] {
        check(format!(r#"{{"model":"a","messages":{good}}}"#), OK);
    }
}

#[test]
fn other_routed_fields_are_of_their_type() {
    for bad in ["1", "0", r#""true""#, r#""""#, "[]", "[true]", "{}"] {
        member(&format!(r#""stream":{bad}"#), unusable("stream"));
    }
    for bad in ["1", "true", "[]", "{}"] {
        member(&format!(r#""user":{bad}"#), unusable("user"));
    }
    member(r#""user":"""#, OK);
    for bad in [
        "true",
        "1",
        r#""a""#,
        "[]",
        "[true]",
        r#"{"include_usage":1}"#,
        r#"{"include_usage":"true"}"#,
    ] {
        member(
            &format!(r#""stream_options":{bad}"#),
            unusable("stream_options"),
        );
    }
    for good in [
        "{}",
        r#"{"include_usage":null}"#,
        r#"{"include_usage":false,"x":[{}]}"#,
    ] {
        member(&format!(r#""stream_options":{good}"#), OK);
    }
}

#[test]
fn routed_numbers_are_plain_integers_in_range() {
    for bad in [
        "1.0",
        "1E2",
        "1e0",
        "-1",
        "-0",
        "18446744073709551617",
        "18446744073709551616",
        "99999999999999999999999999",
        "true",
        r#""1""#,
        "[1]",
        "{}",
        "0.5",
        "1e400",
    ] {
        for field in ["n", "max_tokens", "max_completion_tokens"] {
            member(&format!(r#""{field}":{bad}"#), unusable(field));
        }
    }
    member(r#""n":0"#, unusable("n"));
    member(r#""n":1"#, OK);
    member(r#""n":4294967295"#, OK);
    member(r#""n":4294967296"#, unusable("n"));
    member(r#""max_tokens":0"#, OK);
    member(r#""max_tokens":9007199254740991"#, OK);
    member(r#""max_tokens":9007199254740992"#, unusable("max_tokens"));
    let digits = "7".repeat(1_000_000);
    member(&format!(r#""max_tokens":{digits}"#), unusable("max_tokens"));
    member(&format!(r#""seed":{digits}"#), OK);
}

#[test]
fn depth_is_bounded_without_recursion() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    // The outermost object is the first level.
    member(&format!("\"x\":{}", nested(63)), OK);
    member(&format!("\"x\":{}", nested(64)), JSON);
    check(format!(r#"{{"messages":{},"model":"a"}}"#, nested(63)), OK);
    fault(format!("{{\"x\":{}", nested(1_000)), Fault::TooDeep, 68);
    fault(
        format!("{{\"x\":{}", "[".repeat(1_000_000)),
        Fault::TooDeep,
        68,
    );
    fault(r#"{"a":"#.repeat(1_000_000), Fault::TooDeep, 320);
    fault("[".repeat(1_000_000), Fault::NotAnObject, 0);

    // With room for it, neither the reading nor the end of it needs the thread's stack.
    let deep = Bounds {
        depth_max: 2_000_000,
        keys_max: 10,
    };
    let body = format!(r#"{{"model":"a","messages":{}}}"#, nested(1_000_000));
    assert!(inspect(body.as_bytes(), &deep).is_ok());
}

#[test]
fn keys_of_an_object_are_bounded() {
    let bounds = Bounds {
        depth_max: 64,
        keys_max: 3,
    };
    let too_many = |body: &str| {
        matches!(
            inspect(body.as_bytes(), &bounds),
            Err(InspectError::Json {
                fault: Fault::TooManyKeys,
                ..
            })
        )
    };
    assert!(!too_many(
        r#"{"model":"a","messages":[],"x":{"a":1,"b":2,"c":{"d":{}}}}"#
    ));
    assert!(too_many(r#"{"model":"a","messages":[],"x":1,"y":2}"#));
    assert!(too_many(
        r#"{"model":"a","messages":[],"x":{"a":1,"b":2,"c":3,"d":4}}"#
    ));
    assert!(!too_many(
        r#"{"model":"a","messages":[{"a":1,"b":2,"c":3},{"d":1,"e":2,"f":3}]}"#
    ));
    let keys: Vec<String> = (0..500_000).map(|key| format!("\"{key}\":0")).collect();
    value(&format!("{{{}}}", keys.join(",")), JSON);
}

fn prompt(messages: &str, expected: Option<&str>) {
    let body = format!(r#"{{"messages":{messages},"model":"flux"}}"#);
    assert_eq!(
        last_user_text(body.as_bytes(), &ask(&body)).as_deref(),
        expected,
        "{messages}"
    );
}

#[test]
fn the_prompt_is_the_text_of_the_last_user_message() {
    prompt(r#"[{"role":"user","content":"a cat"}]"#, Some("a cat"));
    prompt(
        r#"[{"role":"user","content":"a"},{"content":"b","role":"user"}]"#,
        Some("b"),
    );
    prompt(
        r#"[{"role":"system","content":"s"},{"role":"user","content":"a\n\u00e9"},{"role":"assistant","content":"c"}]"#,
        Some("a\né"),
    );
    prompt(
        r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"b"}]}]"#,
        Some("a\nb"),
    );
    prompt("[]", None);
    prompt(r#"[{"role":"assistant","content":"a"}]"#, None);
    prompt(r#"[{"role":"user"}]"#, None);
    prompt(r#"[{"role":"user","content":null}]"#, None);
    prompt(r#"[{"role":"user","content":" "}]"#, None);
    prompt(
        r#"[{"role":"user","content":[{"type":"image_url"}]}]"#,
        None,
    );
    prompt(r#"[{"role":"user","content":7}]"#, None);
    prompt("[1]", None);
}

#[test]
fn an_image_ask_reads_what_is_given_and_refuses_other_types() {
    let image = |members: &str| {
        let body = format!(
            r#"{{"model":"flux","messages":[{{"role":"user","content":"a cat"}}]{members}}}"#
        );
        image_ask(body.as_bytes(), &ask(&body)).map_err(|error| (error.code(), error.param()))
    };
    let plain = ImageAsk {
        prompt: "a cat".into(),
        n: None,
        size: None,
        quality: None,
        style: None,
        seed: None,
    };
    assert_eq!(image(""), Ok(plain.clone()));
    assert_eq!(
        image(r#","size":null,"seed":null,"response_format":{"type":"text"}"#),
        Ok(plain)
    );
    assert_eq!(
        image(r#","n":2,"size":"512x512","quality":"hd","style":"vivid","seed":-7"#),
        Ok(ImageAsk {
            prompt: "a cat".into(),
            n: Some(2),
            size: Some("512x512".into()),
            quality: Some("hd".into()),
            style: Some("vivid".into()),
            seed: Some(-7),
        })
    );
    for field in ["size", "quality", "style"] {
        assert_eq!(
            image(&format!(",\"{field}\":1")),
            Err(("invalid_value", Some(field)))
        );
    }
    assert_eq!(
        image(r#","seed":1.5"#),
        Err(("invalid_value", Some("seed")))
    );
    assert_eq!(
        image(r#","seed":"1""#),
        Err(("invalid_value", Some("seed")))
    );
    let body = r#"{"model":"flux","messages":[]}"#;
    assert_eq!(
        image_ask(body.as_bytes(), &ask(body)).map_err(|error| error.param()),
        Err(Some("messages"))
    );
}

/// Whether serde's reader, which is not ours, takes a body for JSON.
fn serde_reads(body: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

fn agrees_with_serde(body: &str) {
    match inspect(body.as_bytes(), &BOUNDS) {
        Ok(found) => {
            assert!(serde_reads(body), "{body}");
            // serde refuses half surrogate pairs and numbers beyond f64, which we pass on.
            let Ok(read) = serde_json::from_str::<Value>(body) else {
                return;
            };
            assert_eq!(read["model"].as_str(), Some(&*found.model), "{body}");
            assert_eq!(
                read["stream"].as_bool().unwrap_or(false),
                found.stream,
                "{body}"
            );
            assert_eq!(read["n"].as_u64(), found.n.map(u64::from), "{body}");
            assert_eq!(read["max_tokens"].as_u64(), found.max_tokens, "{body}");
            assert_eq!(read["user"].as_str(), found.user.as_deref(), "{body}");
        }
        Err(InspectError::Json { fault, .. }) => {
            let ours_alone = matches!(
                fault,
                Fault::NotAnObject | Fault::TooDeep | Fault::TooManyKeys | Fault::SurrogateInKey
            );
            assert!(ours_alone || !serde_reads(body), "{fault:?} {body}");
        }
        Err(_) => {}
    }
}

fn any_body() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "\n",
        "\"model\":\"a\",",
        "\"messages\":[],",
        "\"stream\":true",
        "\"n\":1",
        "\"user\":\"u\"",
        "\"max_tokens\":5",
        "null",
        "1",
        "-",
        "0",
        "1e5",
        ".5",
        "\\u0041",
        "\\ud800",
        "é",
        "\u{1}",
        "{\"model\":\"b\",\"messages\":[]",
        "\"k\"",
        "01234567012345670123456701234567",
        "\"x\":[{\"y\":\"z\"}]",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = inspect(&bytes, &BOUNDS);
    }

    #[test]
    fn serde_agrees(body in any_body()) {
        agrees_with_serde(&body);
        agrees_with_serde(&format!("{{\"model\":\"a\",\"messages\":[],{body}}}"));
        agrees_with_serde(&format!("{{\"model\":\"a\",\"messages\":[],\"x\":{body}}}"));
    }

    #[test]
    fn a_changed_byte_makes_no_difference_of_opinion(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let mut body = br#"{"model":"gpt\n","messages":[{"role":"user","content":[1.5e3,true]}],"n":2,"stream":false}"#.to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        agrees_with_serde(std::str::from_utf8(&body).unwrap());
    }

    #[test]
    fn a_special_byte_is_found_wherever_it_stands(plain in 0_usize..100, byte in any::<u8>(), after in any::<[u8; 8]>()) {
        let mut bytes = vec![b'a'; plain];
        bytes.push(byte);
        bytes.extend(after);
        let expected = bytes.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
        prop_assert_eq!(plain::plain_len(&bytes), expected.unwrap_or(bytes.len()));
    }
}
