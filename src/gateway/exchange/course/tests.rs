//! Courses over made-up pools: who is next after which failure.

/// Who tries whether a rest is over?
mod probes;

use bytes::Bytes;
use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::config::policy::{Balance, HashBy};
use crate::config::{self, Source};
use crate::gateway::inspect::inspect;
use crate::gateway::pools::registry::Registry;
use crate::gateway::record::id::RequestId;
use crate::gateway::record::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::sys;

/// Three models: `m` at the pools `a` (two targets) and `b` (one), `n` at `c`, `o` at `d`.
const POOLS: &str = r#"
[[pools]]
name = "a"
targets = [{ url = "http://127.0.0.1:1" }, { url = "http://127.0.0.1:2" }]
[[pools]]
name = "b"
targets = [{ url = "http://127.0.0.1:3" }]
[[pools]]
name = "c"
targets = [{ url = "http://127.0.0.1:4" }]
[[pools]]
name = "d"
targets = [{ url = "http://127.0.0.1:5" }]
[[models]]
id = "n"
pools = ["c"]
[[models]]
id = "o"
pools = ["d"]
[[models]]
id = "m"
pools = ["a", "b"]
"#;

fn question(tables: &str, model_keys: &str) -> Question {
    let text = format!("{tables}\n{POOLS}\n{model_keys}");
    let source = Source {
        name: "course.toml",
        text: &text,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let config = config::load(source, &|_| None, &nothing).unwrap();
    let snapshot = Snapshot::new(config, &Registry::default(), &Metrics::new()).unwrap();
    let body = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
    Question {
        original: None,
        beta: None,
        plan: Arc::clone(snapshot.router.route("m").unwrap()),
        ask: inspect(&body, &snapshot.bounds).unwrap(),
        body: body.into(),
        id: RequestId::made(1, 1),
        client: 7,
        key: None,
        attempts: Arc::clone(&snapshot.attempts),
        deadline: sys::instant() + Duration::from_mins(10),
        image: None,
        base_url: None,
        trace: None,
    }
}

fn status(status: u16) -> AttemptError {
    AttemptError::Status {
        status: StatusCode::from_u16(status).unwrap(),
        retry_after: None,
        about: About::Other,
        refusal: None,
    }
}

fn about(about: About) -> AttemptError {
    AttemptError::Status {
        status: StatusCode::BAD_REQUEST,
        retry_after: None,
        about,
        refusal: None,
    }
}

fn broken() -> AttemptError {
    AttemptError::Broken("reset".to_owned())
}

fn slow() -> AttemptError {
    AttemptError::Timeout("no answer")
}

/// Whom a course asks, as model and port, where the attempts fail in these ways in turn.
fn asked(question: &Question, failures: &[AttemptError]) -> Vec<(String, u16)> {
    let now = sys::instant();
    let mut course = Course::new(question);
    let mut asked = Vec::new();
    for failure in failures.iter().cycle() {
        let Some(next) = course.next(now, 1) else {
            break;
        };
        asked.push((next.name.to_owned(), next.endpoint.address.port()));
        if !course.failed(&next, failure.clone()) {
            break;
        }
    }
    asked
}

#[track_caller]
fn check(question: &Question, failures: &[AttemptError], expected: &[(&str, u16)]) {
    let asked = asked(question, failures);
    let asked: Vec<(&str, u16)> = asked.iter().map(|(name, port)| (&**name, *port)).collect();
    assert_eq!(asked, expected);
}

#[test]
fn pools_are_asked_in_order_and_each_target_before_any_twice() {
    let many = "[attempts]\nmax = 9\nper_pool_max = 3";
    check(
        &question("", ""),
        &[broken()],
        &[("m", 1), ("m", 2), ("m", 3)],
    );
    // Then those that failed at once, the last of each pool first.
    check(
        &question(many, ""),
        &[broken()],
        &[("m", 1), ("m", 2), ("m", 3), ("m", 2), ("m", 3), ("m", 3)],
    );
    // What is slow is not asked twice.
    check(
        &question(many, ""),
        &[slow()],
        &[("m", 1), ("m", 2), ("m", 3)],
    );
}

#[test]
fn a_refusal_of_the_request_or_the_credential_is_the_end() {
    for final_status in [400, 404, 409, 413, 415, 422, 401] {
        check(&question("", ""), &[status(final_status)], &[("m", 1)]);
    }
}

#[test]
fn what_an_account_may_not_have_is_asked_of_the_next_pool_and_of_none_twice() {
    for status in [402, 403].map(status) {
        let many = "[attempts]\nmax = 9\nper_pool_max = 3";
        let own = [("m", 1), ("m", 3)];
        check(&question(many, ""), std::slice::from_ref(&status), &own);
        // Another model may be had where the first was not.
        let more = "fallbacks = [\"p\"]\n[[models]]\nid = \"p\"\npools = [\"a\"]";
        let other = [("m", 1), ("m", 3), ("p", 2)];
        check(&question(many, more), std::slice::from_ref(&status), &other);
    }
    let told = "[attempts]\nfinal_statuses = [402, 403]";
    check(&question(told, ""), &[status(402)], &[("m", 1)]);
}

#[test]
fn models_in_its_place_get_the_last_attempt_at_the_latest() {
    let question = question("", "fallbacks = [\"n\", \"o\"]");
    check(&question, &[broken()], &[("m", 1), ("m", 2), ("n", 4)]);
    // One that refuses is passed over for the next.
    let many = self::question("[attempts]\nmax = 9", "fallbacks = [\"n\", \"o\"]");
    let failures = [slow(), slow(), slow(), status(400), slow()];
    check(
        &many,
        &failures,
        &[("m", 1), ("m", 2), ("m", 3), ("n", 4), ("o", 5)],
    );
}

#[test]
fn too_long_and_forbidden_go_their_own_ways_only() {
    // A new one for each, since whose turn it is outlives a request.
    let lists = || {
        question(
            "",
            "fallbacks = [\"n\"]\ncontext_fallbacks = [\"o\"]\npolicy_fallbacks = [\"n\", \"o\"]",
        )
    };
    check(
        &lists(),
        &[about(About::Context), slow()],
        &[("m", 1), ("o", 5)],
    );
    check(
        &lists(),
        &[about(About::Policy), slow()],
        &[("m", 1), ("n", 4), ("o", 5)],
    );
    let none = self::question("", "fallbacks = [\"n\"]");
    check(&none, &[about(About::Context)], &[("m", 1)]);
}

#[test]
fn another_model_is_asked_where_the_first_was_and_may_do_better_there() {
    let with = |failure: AttemptError, expected: &[(&str, u16)]| {
        let more = "fallbacks = [\"p\"]\ncontext_fallbacks = [\"p\"]\n\
                    [[models]]\nid = \"p\"\npools = [\"a\"]";
        let many = question("[attempts]\nmax = 5\nper_pool_max = 5", more);
        check(&many, &[failure, slow()], expected);
    };
    let both = [("m", 1), ("p", 2), ("p", 1)];
    with(about(About::Context), &both);
    let all = [("m", 1), ("m", 2), ("m", 3), ("p", 2), ("p", 1)];
    with(slow(), &all);
    // Who cannot be reached, or does not know us, is that for any model.
    let unreachable = AttemptError::Connect("refused".to_owned());
    let reachable = [("m", 1), ("m", 2), ("m", 3), ("m", 3), ("p", 2)];
    with(unreachable, &reachable);
}

#[test]
fn a_pool_without_budget_is_not_asked_twice_and_others_are() {
    let question = question(
        "[attempts]\nbudget_percent = 0\nbudget_per_second = 0",
        "fallbacks = [\"n\"]",
    );
    check(&question, &[broken()], &[("m", 1), ("m", 3), ("n", 4)]);
}

#[test]
fn the_caller_is_told_how_its_own_model_failed() {
    let now = sys::instant();
    let question = question("", "fallbacks = [\"n\"]");
    let mut course = Course::new(&question);
    for failure in [slow(), slow(), status(400)] {
        let next = course.next(now, 1).unwrap();
        course.failed(&next, failure);
    }
    assert_eq!(
        course.refusal(crate::sys::instant()),
        Refusal::UpstreamTimeout
    );
}

#[test]
fn a_wait_is_bounded_and_only_before_the_same_pool() {
    let tables =
        "[attempts]\nmax = 9\nper_pool_max = 9\nbackoff = \"100ms\"\nbackoff_max = \"150ms\"";
    let question = question(tables, "");
    let mut course = Course::new(&question);
    let waits: Vec<Duration> = std::iter::from_fn(|| {
        let next = course.next(sys::instant(), u64::MAX)?;
        let wait = next.wait;
        course.failed(&next, broken());
        Some(wait)
    })
    .collect();
    let near = |wait: Duration, ms: u64| {
        let most = Duration::from_millis(ms);
        assert!(
            wait <= most && wait + Duration::from_millis(1) >= most,
            "{wait:?} of {most:?}"
        );
    };
    assert_eq!(waits[0], Duration::ZERO);
    near(waits[1], 100);
    assert_eq!(waits[2], Duration::ZERO, "another pool is asked at once");
    near(waits[3], 150);
}

fn any_failure() -> impl Strategy<Value = AttemptError> {
    prop_oneof![
        Just(broken()),
        Just(slow()),
        (400_u16..600).prop_map(status),
        Just(about(About::Context)),
        Just(about(About::Policy)),
        Just(AttemptError::Invalid("nonsense")),
    ]
}

proptest! {
    #[test]
    fn no_course_asks_more_often_than_it_may(
        max in 1_usize..8,
        per_pool in 1_usize..4,
        failures in prop::collection::vec(any_failure(), 1..8),
    ) {
        let per_pool = per_pool.min(max);
        let tables = format!("[attempts]\nmax = {max}\nper_pool_max = {per_pool}");
        let question = question(&tables, "fallbacks = [\"n\"]\npolicy_fallbacks = [\"o\"]");
        let asked = asked(&question, &failures);
        prop_assert!((1..=max).contains(&asked.len()));
        let pool = |port: u16| if port <= 2 { 1 } else { port };
        for of in [1, 3, 4, 5] {
            let here = asked.iter().filter(|(_, port)| pool(*port) == of).count();
            prop_assert!(here <= per_pool, "{asked:?}");
        }
        // A model that refused is not asked again.
        let own = asked.iter().take_while(|(name, _)| name == "m").count();
        prop_assert!(asked.iter().skip(own).all(|(name, _)| name != "m") || max > 1);
    }
}

#[test]
fn hashes_tell_clients_users_and_conversations_apart() {
    let with = |body: &'static str, client: u64| {
        let mut question = question("", "");
        question.body = Bytes::from_static(body.as_bytes()).into();
        let bounds = crate::gateway::inspect::Bounds {
            depth_max: 64,
            keys_max: 100,
        };
        question.ask = inspect(&question.body, &bounds).unwrap();
        question.client = client;
        question
    };
    let of = |question: &Question, by| key(question, Balance::Hash(by));
    let plain = with(r#"{"model":"m","messages":[1]}"#, 1);
    let elsewhere = with(r#"{"messages":[1],"model":"m"}"#, 2);
    let named = with(
        r#"{"model":"m","messages":[2],"user":"u","prompt_cache_key":"k"}"#,
        1,
    );
    assert_eq!(
        of(&plain, HashBy::Conversation),
        of(&elsewhere, HashBy::Conversation)
    );
    assert_ne!(
        of(&plain, HashBy::Conversation),
        of(&named, HashBy::Conversation)
    );
    assert_ne!(of(&plain, HashBy::Client), of(&elsewhere, HashBy::Client));
    assert_eq!(of(&plain, HashBy::User), of(&plain, HashBy::Client));
    assert_ne!(of(&named, HashBy::User), of(&named, HashBy::Client));
    assert_eq!(
        of(&plain, HashBy::PromptCacheKey),
        of(&plain, HashBy::Conversation)
    );
    assert_ne!(
        of(&named, HashBy::PromptCacheKey),
        of(&named, HashBy::Conversation)
    );
}

#[test]
fn a_pool_without_words_for_the_request_is_passed_over_at_no_cost() {
    let now = sys::instant();
    let question = question("[attempts]\nmax = 1", "fallbacks = [\"n\"]");
    let mut course = Course::new(&question);
    let mut passed = Vec::new();
    for field in ["seed", "logit_bias"] {
        let next = course.next(now, 1).unwrap();
        passed.push(next.endpoint.address.port());
        course.unfit(&next, Inexpressible::unknown(field));
    }
    // All of the pool's targets at once, and the only attempt is still to be made.
    assert_eq!(passed, [1, 3]);
    let next = course.next(now, 1).unwrap();
    assert_eq!(next.name, "n");
    assert!(course.failed(&next, broken()));
    assert!(course.next(now, 1).is_none());
    // Of the model that was asked for, and of its first pool.
    let told = Refusal::Inexpressible(Inexpressible::unknown("seed"));
    assert_eq!(course.refusal(now), told);
}

#[test]
fn a_pool_that_failed_is_told_of_rather_than_one_without_words() {
    let now = sys::instant();
    let question = question("[attempts]\nmax = 1", "");
    let mut course = Course::new(&question);
    let next = course.next(now, 1).unwrap();
    course.unfit(&next, Inexpressible::unknown("seed"));
    let next = course.next(now, 1).unwrap();
    assert_eq!(next.endpoint.address.port(), 3);
    course.failed(&next, status(503));
    assert_eq!(course.refusal(now).envelope().status.as_u16(), 503);
}
