//! Which keys may stand in a body, how often, and with which values?

use super::*;

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
    for bad in ["1", r#""true""#, "[]", "{}"] {
        member(&format!(r#""store":{bad}"#), unusable("store"));
    }
    for bad in ["true", r#""0.5""#, "[0.5]", "{}", "1e400", "-1e309"] {
        member(&format!(r#""temperature":{bad}"#), unusable("temperature"));
    }
    for good in ["0", "-0.5", "1E-400", "2e0", "0.30000000000000004"] {
        member(&format!(r#""temperature":{good}"#), OK);
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

/// Some of it is read in blocks, the rest singly.
#[test]
fn a_long_text_with_an_escape_is_read_whole_wherever_the_body_ends() {
    for length in 0..200 {
        for escape in ["\\n", "\\u00e9", "\\\\"] {
            let text = format!("{escape}{}{escape}", "a".repeat(length));
            let body = format!(r#"{{"model":"m","messages":[],"user":"{text}"}}"#);
            let expected: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(ask(&body).user.as_deref(), Some(&*expected), "{length}");
        }
    }
}
