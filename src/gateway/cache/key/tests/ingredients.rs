//! What but the body makes another key?

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::config::limits::Allowance;
use crate::names::KeyName;

const BODY: &str = r#"{"model":"m","messages":[],"user":"u","seed":1}"#;

fn shown(name: &str, byte: u8) -> clients::Key {
    clients::Key {
        name: KeyName::new(name),
        sha256: [byte; 32],
        expires: None,
        models: Vec::new(),
        allowance: Allowance::default(),
    }
}

#[test]
fn whoever_is_somebody_else_has_another_key() {
    let snapshot = snapshot(CONFIG);
    let of = |scope| {
        Key::of(&Ingredients {
            scope,
            ..ingredients(&snapshot, "m", BODY)
        })
    };
    let address = |text: &str| Scope::Client(text.parse().unwrap());
    let (one, other) = (shown("one", 1), shown("other", 2));
    let given_anew = shown("one", 3);
    let keys = [
        of(Scope::Shared),
        of(Scope::Anonymous),
        of(Scope::Key(&one)),
        of(Scope::Key(&other)),
        of(Scope::Key(&given_anew)),
        of(address("203.0.113.7")),
        of(address("203.0.113.8")),
        of(address("2001:db8::")),
        of(address("2001:db8:0:1::")),
        // What an IPv4 address would be, were its bytes all there is.
        of(address("cb00:7107::")),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
    let mut other_rules = shown("renamed", 1);
    other_rules.models = vec!["m".to_owned()];
    other_rules.expires = Some(1);
    assert_eq!(of(Scope::Key(&other_rules)), of(Scope::Key(&one)));
}

#[test]
fn a_client_is_in_the_scope_that_it_is_counted_in() {
    let snapshot = snapshot(CONFIG);
    let told = |scope: Scope<'_>| {
        let plain = ingredients(&snapshot, "m", BODY);
        let told = explain(&Ingredients { scope, ..plain });
        told.into_iter()
            .find(|part| part.name == "scope")
            .unwrap()
            .text
    };
    let mut client = Client::new(Some("::ffff:203.0.113.7".parse().unwrap()));
    assert_eq!(told(Scope::own(&client)), "client 203.0.113.7");
    assert_eq!(told(Scope::by_key(&client)), "anonymous");
    client.address = "2001:db8:1:2:3::4".parse::<IpAddr>().unwrap();
    assert_eq!(told(Scope::own(&client)), "client 2001:db8:1:2::");
    client.key = Some(Arc::new(shown("one", 1)));
    assert_eq!(told(Scope::own(&client)), "key one");
    assert_eq!(told(Scope::by_key(&client)), "key one");
}

#[test]
fn each_ingredient_makes_another_key() {
    let snapshot = snapshot(CONFIG);
    let plain = ingredients(&snapshot, "m", BODY);
    let [user, seed]: [Box<str>; 2] = ["user".into(), "seed".into()];
    let ignored = [user, seed];
    let base_url = |url| Ingredients {
        base_url: Some(url),
        ..plain
    };
    let beta = |words| Ingredients {
        beta: Some(words),
        ..plain
    };
    let others = [
        plain,
        Ingredients {
            endpoint: "completions",
            ..plain
        },
        ingredients(&snapshot, "o", BODY),
        ingredients(&snapshot, "n/x", BODY),
        ingredients(&snapshot, "n/y", BODY),
        base_url(""),
        base_url("http://a.test"),
        base_url("https://a.test"),
        beta(b"a-1"),
        beta(b"a-2"),
        Ingredients {
            ignored: &ignored,
            ..plain
        },
        Ingredients {
            ignored: &ignored[..1],
            ..plain
        },
        Ingredients {
            ignored: &ignored[1..],
            ..plain
        },
    ];
    let keys = others.map(|other| Key::of(&other));
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
}

#[test]
fn a_list_of_parts_cannot_be_cut_elsewhere() {
    let snapshot = snapshot(CONFIG);
    let plain = ingredients(&snapshot, "n/x", "{}");
    let names =
        |names: &[&str]| -> Vec<Box<str>> { names.iter().map(|name| (*name).into()).collect() };
    let lists = [
        names(&["ab", "c"]),
        names(&["a", "bc"]),
        names(&["abc"]),
        names(&["abc", ""]),
        // As it would look without lengths.
        names(&["a", "b"]),
        names(&["aib"]),
    ];
    let keys = lists
        .each_ref()
        .map(|ignored| Key::of(&Ingredients { ignored, ..plain }));
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
}

#[test]
fn a_model_has_one_key_by_whatever_name_it_is_asked_for() {
    let snapshot = snapshot(CONFIG);
    let by = |model| key(&snapshot, model, BODY);
    assert_eq!(by("m"), by("a"));
    assert_eq!(by("a"), by("b"));
    assert_ne!(by("m"), by("o"));
    // A pool is told what the caller wrote.
    assert_ne!(by("n/x"), by("n/y"));
}

#[test]
fn what_is_ignored_makes_no_other_key() {
    let snapshot = snapshot(CONFIG);
    let ignored: [Box<str>; 2] = ["user".into(), "seed".into()];
    let of = |body| {
        Key::of(&Ingredients {
            ignored: &ignored,
            ..ingredients(&snapshot, "m", body)
        })
    };
    let none = of(r#"{"messages":[]}"#);
    assert_eq!(of(BODY), none);
    assert_eq!(of(r#"{"messages":[],"\u0075ser":"v"}"#), none);
    assert_ne!(of(r#"{"messages":[],"User":"v"}"#), none);
    assert_ne!(
        of(r#"{"messages":[{"user":"v"}]}"#),
        of(r#"{"messages":[{"user":"w"}]}"#)
    );
}

#[test]
fn an_operator_is_told_what_a_key_is_made_of_and_no_content() {
    let snapshot = snapshot(CONFIG);
    let ignored: [Box<str>; 2] = ["user".into(), "seed".into()];
    let body = r#"{"temperature": 0.5, "stream":true, "user":"u",
        "messages": [ {"role":"user", "content":"secret"} ], "model":"a"}"#;
    let one = shown("one", 1);
    let asked = Ingredients {
        scope: Scope::Key(&one),
        base_url: Some("https://a.test"),
        ignored: &ignored,
        ..ingredients(&snapshot, "a", body)
    };
    let told = explain(&asked);
    let short = |bytes: &str| {
        let context = "spafe 2026-11-29 member of a body, as it is told";
        let domain = blake3::derive_key(context, b"");
        let hash = blake3::keyed_hash(&domain, bytes.as_bytes());
        hash.to_hex().chars().take(12).collect::<String>()
    };
    let messages = short(r#""messages":[{"content":"secret","role":"user"}]"#);
    let temperature = short(r#""temperature":0.5"#);
    let expected = [
        ("endpoint", "chat.completions".to_owned()),
        ("scope", "key one".to_owned()),
        (
            "epoch",
            blake3::Hash::from_bytes(asked.plan.epoch).to_string(),
        ),
        ("base_url", "https://a.test".to_owned()),
        ("pool", "p: m".to_owned()),
        ("pool", "q: vendor/m".to_owned()),
        ("ignored", "user, which was sent".to_owned()),
        ("ignored", "seed, which was not sent".to_owned()),
        ("body.messages", format!("36 bytes, {messages}")),
        ("body.temperature", format!("3 bytes, {temperature}")),
    ];
    let told: Vec<_> = told
        .iter()
        .map(|part| (&*part.name, part.text.clone()))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn a_body_without_a_canonical_form_is_told_as_it_came() {
    let snapshot = snapshot(CONFIG);
    let told = explain(&ingredients(&snapshot, "m", r#"{"messages":[1 2]}"#));
    let last = told.last().unwrap();
    assert_eq!(last.name, "body, as it came");
    assert!(last.text.starts_with("18 bytes, "), "{}", last.text);
    let long = format!("{{\"{}\":1}}", "k".repeat(1000));
    let told = explain(&ingredients(&snapshot, "m", &long));
    assert_eq!(
        told.last().unwrap().name,
        format!("body.{}", "k".repeat(64))
    );
}
