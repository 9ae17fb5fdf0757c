//! Which bodies are the same question?

use super::*;

/// Whether two bodies have one key.
fn alike(one: &str, other: &str) -> bool {
    let snapshot = snapshot(CONFIG);
    key(&snapshot, "m", one) == key(&snapshot, "m", other)
}

#[track_caller]
fn check_same(one: &str, other: &str) {
    assert!(alike(one, other), "{one} and {other} differ");
}

#[track_caller]
fn check_differ(one: &str, other: &str) {
    assert!(!alike(one, other), "{one} and {other} do not differ");
}

#[test]
fn white_space_makes_no_difference() {
    check_same(
        r#"{"messages":[{"role":"user","content":"a b"}],"n":1,"stop":[]}"#,
        " {\r\n\t\"messages\" : [ { \"role\" : \"user\" , \"content\" : \"a b\" } ] ,\n \"n\" : 1 , \"stop\" : [ ] } \n",
    );
    check_same(
        r#"{"a":{},"b":[1,null]}"#,
        r#"{"a": { } ,"b":[ 1 ,null ] }"#,
    );
    // In a string it does.
    check_differ(r#"{"a":"x y"}"#, r#"{"a":"x  y"}"#);
    check_differ(r#"{"a":"xy"}"#, r#"{"a":" xy"}"#);
}

#[test]
fn the_order_of_keys_makes_no_difference_at_any_level() {
    check_same(r#"{"a":1,"b":2,"c":3}"#, r#"{"c":3,"a":1,"b":2}"#);
    check_same(
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"t"}]}]}"#,
        r#"{"messages":[{"content":[{"text":"t","type":"text"}],"role":"user"}]}"#,
    );
    check_same(
        r#"{"x":{"b":{"d":{"f":1,"e":[{"h":1,"g":2}]},"c":2},"a":3}}"#,
        r#"{"x":{"a":3,"b":{"c":2,"d":{"e":[{"g":2,"h":1}],"f":1}}}}"#,
    );
    // One key begins with another, or is none.
    check_same(
        r#"{"":0,"a":1,"aa":2,"é":3}"#,
        r#"{"é":3,"aa":2,"":0,"a":1}"#,
    );
    // A value does not move from its key.
    check_differ(r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#);
    check_differ(r#"{"x":{"a":1},"y":{}}"#, r#"{"x":{},"y":{"a":1}}"#);
}

#[test]
fn keys_are_ordered_by_what_they_say() {
    check_same(
        r#"{"x":{"\u0062":1,"a":2,"c":3}}"#,
        r#"{"x":{"c":3,"\u0062":1,"a":2}}"#,
    );
    check_same(
        r#"{"x":{"\"":1,"\\":2,"\u0000":3}}"#,
        r#"{"x":{"\\":2,"\u0000":3,"\"":1}}"#,
    );
    // Spelled otherwise they are asked twice, and nobody is harmed.
    check_differ(r#"{"x":{"\u0061":1}}"#, r#"{"x":{"a":1}}"#);
}

#[test]
fn the_order_of_elements_makes_a_difference() {
    check_differ(r#"{"stop":["a","b"]}"#, r#"{"stop":["b","a"]}"#);
    check_differ(r#"{"x":[[1],[]]}"#, r#"{"x":[[],[1]]}"#);
    check_differ(
        r#"{"messages":[{"role":"user"},{"role":"system"}]}"#,
        r#"{"messages":[{"role":"system"},{"role":"user"}]}"#,
    );
}

#[test]
fn numbers_and_strings_count_as_they_are_written() {
    for (one, other) in [
        ("1", "1.0"),
        ("1", "1e0"),
        ("1e1", "1E1"),
        ("0", "-0"),
        ("1", "\"1\""),
        ("null", "\"null\""),
        ("null", "0"),
        ("true", "false"),
        ("\"a\"", r#""\u0061""#),
        (r#""\u00e9""#, r#""\u00E9""#),
        (r#""\/""#, r#""/""#),
        ("[]", "{}"),
        ("[]", "[[]]"),
        ("[1,2]", "[12]"),
        ("[\"a\",\"b\"]", "[\"a,b\"]"),
        ("{\"a\":1}", "[\"a\",1]"),
        ("0.70", "0.7"),
        ("9007199254740993", "9007199254740992"),
    ] {
        check_differ(&format!("{{\"x\":{one}}}"), &format!("{{\"x\":{other}}}"));
        check_differ(
            &format!("{{\"x\":[{{\"y\":{one}}}]}}"),
            &format!("{{\"x\":[{{\"y\":{other}}}]}}"),
        );
    }
    check_differ(r#"{"x":null}"#, "{}");
}

#[test]
fn how_it_is_delivered_makes_no_difference() {
    let plain = r#"{"n":1}"#;
    for same in [
        r#"{"n":1,"stream":true}"#,
        r#"{"stream":false,"n":1}"#,
        r#"{"n":1,"stream_options":{"include_usage":true},"stream":true}"#,
        r#"{"model":"m","n":1}"#,
        r#"{"model":"something else","n":1}"#,
        r#"{"\u0073tream":true,"n":1}"#,
    ] {
        check_same(plain, same);
    }
    // Deeper it is another thing of the same name.
    check_differ(r#"{"x":{"stream":true}}"#, r#"{"x":{"stream":false}}"#);
    check_differ(r#"{"x":{"model":"a"}}"#, r#"{"x":{"model":"b"}}"#);
    check_differ(r#"{"Stream":true}"#, "{}");
}

#[test]
fn what_inspection_refuses_is_told_apart_by_its_bytes() {
    let whole = r#"{"x":[1,{"y":"z\n"}],"n":1}"#;
    let mut bodies: Vec<String> = (0..whole.len())
        .map(|end| whole.get(..end).unwrap().to_owned())
        .collect();
    for broken in [
        r#"{"x":[1{"y":"z\n"}],"n":1}"#,
        r#"{"x":[1,{"y":"z\n"}],"n":1}}"#,
        r#"{"x":[1,{"y":"z\n"}],"n":1,}"#,
        r#"{"x":[1,{"y":"z\n"}] "n":1}"#,
        r#"{"x":[1,{"y" "z\n"}],"n":1}"#,
        r#"{"x":[1,{"y":"z\n"]},"n":1}"#,
        r#"{"x":[1,{"y":"z\n"},],"n":1}"#,
        r#"{"x":[1,{"y":"z\n"}],"n":}"#,
        r#"{"x":[1,{"y":"z\n"}],"n":1}1"#,
        r#"[{"x":[1,{"y":"z\n"}],"n":1}]"#,
        r#"={"x":[1,{"y":"z\n"}],"n":1}"#,
        r#"{"x":[1,{"\ud800":"z\n"}],"n":1}"#,
        "{\"x\":[1,{\"y\":\"z\n\"}],\"n\":1}",
        whole,
    ] {
        bodies.push(broken.to_owned());
    }
    let snapshot = snapshot(CONFIG);
    let key_of = |body: &String| key(&snapshot, "m", body);
    let keys: Vec<Key> = bodies.iter().map(key_of).collect();
    for (body, own) in bodies.iter().zip(&keys) {
        assert_eq!(key_of(body), *own, "{body}");
        let so_many = keys.iter().filter(|key| *key == own).count();
        assert_eq!(so_many, 1, "{body}");
    }
}

#[test]
fn nesting_costs_no_stack_and_is_followed_to_a_bound() {
    for (open, close) in [(r#"{"b":1,"a":["#, "]}"), (r#"{"b":"#, "}"), ("[", "]")] {
        let nested = |depth: usize, space: &str| {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            format!("{space}{{\"x\":{open}0{close}}}")
        };
        check_same(&nested(500, ""), &nested(500, " "));
        check_same(&nested(4000, ""), &nested(4000, " "));
        check_same(&nested(100_000, ""), &nested(100_000, ""));
        check_differ(&nested(100_000, ""), &nested(100_000, " "));
    }
    let unclosed = format!("{{\"x\":{}", "[".repeat(1 << 20));
    check_same(&unclosed, &unclosed);
}
