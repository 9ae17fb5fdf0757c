//! Each case is a line: what is configured, asked or said, and what that allows.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::gateway::inspect::{Bounds, inspect};

fn config() -> Cache {
    static DEFAULT: LazyLock<Cache> = LazyLock::new(|| crate::config::example("").cache);
    DEFAULT.clone()
}

fn ask(members: &str) -> Ask {
    let bounds = Bounds {
        depth_max: 8,
        keys_max: 100,
    };
    let body = format!(r#"{{"model":"m","messages":[]{members}}}"#);
    inspect(body.as_bytes(), &bounds).unwrap()
}

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(CACHE_CONTROL, value.parse().unwrap());
    }
    headers
}

fn allowed(config: &Cache, members: &str, is_anonymous: bool, said: &[&str]) -> Allowed {
    let facts = Facts {
        config,
        policy: &config.policy,
        ask: &ask(members),
        is_anonymous,
    };
    Allowed::of(&facts, &headers(said))
}

const ALL: Allowed = Allowed {
    read: true,
    write: true,
    join: true,
    age_max: None,
    bypass: None,
};

#[test]
fn a_body_allows_memory_unless_nobody_else_could_be_given_its_answer() {
    #[track_caller]
    fn check(members: &str, bypass: Option<Bypass>) {
        let expected = bypass.map_or(ALL, Allowed::nothing);
        assert_eq!(
            allowed(&config(), members, true, &[]),
            expected,
            "{members}"
        );
    }
    check("", None);
    check(r#","n":1"#, None);
    check(r#","n":2"#, Some(Bypass::Choices));
    check(r#","store":false"#, None);
    check(r#","store":true"#, Some(Bypass::Store));
    check(r#","user":null"#, None);
    check(r#","user":"u""#, Some(Bypass::User));
    check(r#","user":"""#, Some(Bypass::User));
    check(r#","temperature":2"#, None);
    check(r#","tools":[{}],"seed":1,"metadata":{}"#, None);
    check(r#","store":true,"user":"u","n":2"#, Some(Bypass::Store));
}

#[test]
fn only_of_chats_a_stream_is_made_of_an_answer() {
    let mut config = config();
    config.policy.store_streams = true;
    let allowed = |operation: Operation, members: &str| {
        let mut ask = ask(members);
        ask.operation = operation;
        let facts = Facts {
            config: &config,
            policy: &config.policy,
            ask: &ask,
            is_anonymous: true,
        };
        Allowed::of(&facts, &HeaderMap::new())
    };
    let nothing = Allowed::nothing(Bypass::Endpoint);
    for operation in Operation::ALL {
        let expected = if operation.is_kept() { ALL } else { nothing };
        assert_eq!(allowed(operation, ""), expected, "{operation:?}");
        let is_chat = operation == Operation::Chat;
        let expected = if is_chat { ALL } else { nothing };
        assert_eq!(
            allowed(operation, r#","stream":true"#),
            expected,
            "{operation:?}"
        );
    }
}

#[test]
fn each_reason_has_a_word_of_its_own() {
    let words = Bypass::ALL.map(Bypass::as_str);
    let expected = "disabled anonymous no_store store user n temperature endpoint";
    assert_eq!(words.join(" "), expected);
}

#[test]
fn a_temperature_is_held_against_the_bound_and_is_1_where_it_is_not_said() {
    #[track_caller]
    fn check(max: Option<f64>, members: &str, is_kept: bool) {
        let mut config = config();
        config.policy.temperature_max = max;
        let expected = if is_kept {
            ALL
        } else {
            Allowed::nothing(Bypass::Temperature)
        };
        assert_eq!(allowed(&config, members, true, &[]), expected, "{members}");
    }
    check(None, r#","temperature":1.9"#, true);
    check(Some(0.5), r#","temperature":0.5"#, true);
    check(Some(0.5), r#","temperature":5e-1"#, true);
    check(Some(0.5), r#","temperature":0.500001"#, false);
    check(Some(0.0), r#","temperature":0"#, true);
    check(Some(0.0), r#","temperature":-0.0"#, true);
    check(Some(0.5), "", false);
    check(Some(0.5), r#","temperature":null"#, false);
    check(Some(1.0), "", true);
}

#[test]
fn the_configuration_says_whose_answers_are_kept() {
    let mut config = config();
    config.anonymous = false;
    let nothing = Allowed::nothing(Bypass::Anonymous);
    assert_eq!(allowed(&config, "", true, &[]), nothing);
    assert_eq!(allowed(&config, "", false, &[]), ALL);
    config.policy.enabled = false;
    let nothing = Allowed::nothing(Bypass::Disabled);
    assert_eq!(allowed(&config, "", false, &[]), nothing);
    assert_eq!(allowed(&config, "", true, &["no-store"]), nothing);
}

#[test]
fn streams_are_kept_and_shared_as_it_is_configured() {
    #[track_caller]
    fn check(shape: impl Fn(&mut Cache), members: &str, (write, join): (bool, bool)) {
        let mut config = config();
        shape(&mut config);
        let expected = Allowed { write, join, ..ALL };
        assert_eq!(allowed(&config, members, true, &[]), expected);
    }
    let stream = r#","stream":true"#;
    check(|_| (), stream, (false, true));
    check(
        |config| config.policy.store_streams = true,
        stream,
        (true, true),
    );
    check(
        |config| config.collapse_streams = false,
        stream,
        (false, false),
    );
    check(|config| config.collapse_streams = false, "", (true, true));
    check(
        |config| config.policy.collapse = false,
        stream,
        (false, false),
    );
    check(|config| config.policy.collapse = false, "", (true, false));
}

#[test]
fn callers_say_what_they_want_of_memory() {
    const ANOTHER: Allowed = Allowed {
        read: false,
        join: false,
        ..ALL
    };
    let no_older = |seconds| Allowed {
        age_max: Some(Duration::from_secs(seconds)),
        ..ALL
    };
    let nothing = Allowed::nothing(Bypass::NoStore);
    for (said, expected) in [
        (&[][..], ALL),
        (&[""], ALL),
        (&["no-cache"], ANOTHER),
        (&["No-Cache"], ANOTHER),
        (&["no-cache=\"x\""], ANOTHER),
        (&["max-age=0"], ANOTHER),
        (&["no-cache, max-age=60"], ANOTHER),
        (&["no-store"], nothing),
        (&["no-cache", "NO-STORE"], nothing),
        (&["foo, ,no-store;bar, no-store"], nothing),
        (&["x=\"a, no-store, b\""], nothing),
        (&["max-age=60"], no_older(60)),
        (&["Max-Age = \"60\" "], no_older(60)),
        (&["max-age=60", "max-age=5, max-age=7"], no_older(5)),
        (&["max-age=99999999999999999999999"], no_older(u64::MAX)),
        // What is written wrongly is read strictly.
        (&["max-age"], ANOTHER),
        (&["max-age="], ANOTHER),
        (&["max-age=-1"], ANOTHER),
        (&["max-age=1.5"], ANOTHER),
        (&["max-age=\"60"], ANOTHER),
        (&["max-age=1h"], ANOTHER),
        // What is not followed.
        (&["max-stale"], ALL),
        (&["max-stale=60, min-fresh=60"], ALL),
        (&["only-if-cached"], ALL),
        (&["no-transform, stale-if-error=60"], ALL),
        (&["no-cached, xno-store, no_store"], ALL),
    ] {
        assert_eq!(allowed(&config(), "", true, said), expected, "{said:?}");
    }
    let mut pragma = HeaderMap::new();
    pragma.insert(http::header::PRAGMA, "no-cache".parse().unwrap());
    assert_eq!(Wishes::of(&pragma), Wishes::default());
}

proptest! {
    #[test]
    fn whatever_is_said_more_never_allows_more(said in prop::collection::vec("[a-z\",= 0-9-]{0,24}", 0..4)) {
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        for strict in ["no-store", "no-cache"] {
            let with = [&said[..], &[strict]].concat();
            let allowed = allowed(&config(), "", true, &with);
            prop_assert!(!allowed.read && !allowed.join);
            prop_assert!(strict == "no-cache" || !allowed.write);
        }
    }
}
