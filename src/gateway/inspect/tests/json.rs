//! What is JSON, and what only looks like it?

use super::*;

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
