//! What does a caller see of its limits?
//!
//! How much is left, in every answer; where nothing is, which limit that is and when to
//! come back, which is then true. What callers without a key may not ask for at all. And
//! what an operator sees of all that.

/// What an operator is told of callers, and how one is forgiven.
mod admin;

use std::time::Duration;

use serde_json::{Value, json};
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Answer, Connection, ask, chat, post};
use crate::kit::gateway::Setup;
use crate::kit::load::held_stream;
use crate::kit::pair::completion;
use crate::kit::upstream::{base, upstream};

const MODEL: &str = "m";
const PATH: &str = "/v1/chat/completions";

/// A gateway with one limit by client, of this name.
async fn limited(allowance: &str) -> (Setup, Simulator) {
    let upstream = upstream().await;
    let setup = Setup::new()
        .tables(&format!(
            "[[limits]]\nname = \"per-client\"\nby = \"client\"\n{allowance}"
        ))
        .pool("main", &[&base(&upstream)])
        .model(MODEL, &["main"]);
    (setup, upstream)
}

/// What an answer tells of requests, or of tokens: limit, remaining, reset.
fn told(answer: &Answer, kind: &str) -> Option<(u64, u64, String)> {
    let field = |what: &str| answer.field(&format!("x-ratelimit-{what}-{kind}"));
    let number = |what: &str| field(what).map(|text| text.parse().unwrap());
    let reset = field("reset").map(str::to_owned);
    match (number("limit"), number("remaining"), reset) {
        (Some(limit), Some(remaining), Some(reset)) => Some((limit, remaining, reset)),
        (None, None, None) => None,
        some => panic!("only a part is told: {some:?} in {answer:?}"),
    }
}

/// What whoever is over a limit is told; how long it has to wait.
#[track_caller]
fn assert_limited(answer: &Answer, code: &str, message: &str) -> Duration {
    assert_eq!(answer.status, 429, "{answer:?}");
    let error = &answer.json()["error"];
    assert_eq!(error["type"], "rate_limit_error", "{answer:?}");
    assert_eq!(error["code"], code, "{answer:?}");
    assert_eq!(error["param"], Value::Null, "{answer:?}");
    let said = error["message"].as_str().unwrap();
    assert!(said.starts_with(message), "{said}");
    let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
    let ms: u64 = answer.field("retry-after-ms").unwrap().parse().unwrap();
    assert_eq!(seconds, ms.div_ceil(1_000).max(1), "{answer:?}");
    // An SDK is to wait and come back.
    assert_eq!(answer.field("x-should-retry"), None, "{answer:?}");
    Duration::from_millis(ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_how_much_is_left() {
    let (setup, upstream) = limited(
        "requests = { count = 3600, per = \"1h\", burst = 100 }\ntokens = { count = 36000, per = \"1h\", burst = 9000 }",
    )
    .await;
    let gateway = setup.start();
    upstream.default(completion("Hello"));
    let answer = chat(gateway.address, MODEL, false).await;
    assert_eq!(answer.status, 200);
    assert_eq!(told(&answer, "requests"), Some((100, 99, "1s".to_owned())));
    let (limit, remaining, _) = told(&answer, "tokens").unwrap();
    assert!(limit == 9000 && remaining < 9000, "{answer:?}");

    // A stream, and what an upstream's fault came to.
    upstream.default(Script::sse(&[crate::kit::load::EVENT]).without_done());
    let answer = chat(gateway.address, MODEL, true).await;
    assert_eq!(told(&answer, "requests").map(|told| told.0), Some(100));
    upstream.default(Script::json(500, "{}"));
    let answer = chat(gateway.address, MODEL, false).await;
    assert_eq!(answer.status, 502);
    assert!(
        told(&answer, "requests").is_some_and(|told| told.1 < 99),
        "{answer:?}"
    );
    assert!(told(&answer, "tokens").is_some(), "{answer:?}");

    // Who is refused for what was asked is told as well, and loses nothing by it.
    let mut left = Vec::new();
    for _ in 0..2 {
        let answer = chat(gateway.address, "nobody", false).await;
        assert_eq!(answer.status, 404);
        assert!(told(&answer, "tokens").is_some(), "{answer:?}");
        left.push(told(&answer, "requests").unwrap().1);
    }
    assert!(left[1] >= left[0], "{left:?}");
    // Where no limit is asked there is nothing to tell.
    let mut list = Connection::open(gateway.address).await;
    list.send("GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    assert_eq!(told(&list.answer().await, "requests"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_head_left_early_says_what_was_known_then() {
    let (setup, upstream) = limited("requests = { count = 60, per = \"1m\" }").await;
    let gateway = setup.tables("[attempts]\ncomment_after = \"50ms\"").start();
    let gate = Gate::new();
    upstream.default(Script::sse(&[crate::kit::load::EVENT]).hold_after(0, &gate));
    let mut client = Connection::open(gateway.address).await;
    client
        .send(post(PATH, &[], ask(MODEL, true).as_bytes()))
        .await;
    let head = client.head().await;
    assert_eq!(told(&head, "requests"), Some((60, 59, "1s".to_owned())));
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back_and_served_then() {
    let (setup, _upstream) = limited("requests = { count = 2, per = \"1s\", burst = 2 }").await;
    let gateway = setup.start();
    for turn in 0..2 {
        assert_eq!(chat(gateway.address, MODEL, turn == 0).await.status, 200);
    }
    let refused = chat(gateway.address, MODEL, true).await;
    let words = "The limit 'per-client' of 2 requests each 1s is reached. Try again in 1 s.";
    let wait = assert_limited(&refused, "rate_limit_exceeded", words);
    assert!(wait <= Duration::from_millis(500), "{wait:?}");
    assert_eq!(
        told(&refused, "requests").map(|told| (told.0, told.1)),
        Some((2, 0))
    );
    let id = refused.field("x-request-id").unwrap();
    let line = gateway.logged(id).await;
    assert_eq!(
        (&line["limit"], &line["limit_kind"]),
        (&json!("per-client"), &json!("requests"))
    );
    // Who is refused has taken nothing.
    for _ in 0..5 {
        assert_eq!(chat(gateway.address, MODEL, false).await.status, 429);
    }
    tokio::time::sleep(wait).await;
    assert_eq!(chat(gateway.address, MODEL, false).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_too_much_is_told_so() {
    let (setup, upstream) = limited("tokens = { count = 6000, per = \"1h\" }").await;
    let gateway = setup.start();
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":5900,"total_tokens":5903}"#;
    upstream.default(Script::json(
        200,
        format!(r#"{{"object":"chat.completion","choices":[],{usage}}}"#),
    ));
    assert_eq!(chat(gateway.address, MODEL, false).await.status, 200);
    gateway.idle().await;
    let refused = chat(gateway.address, MODEL, false).await;
    let words = "The limit 'per-client' of 6000 tokens each 1h is reached. Try again in ";
    let wait = assert_limited(&refused, "token_limit_exceeded", words);
    // What it may need is refilled at 100 a minute.
    assert!(wait > Duration::from_mins(1), "{wait:?}");
    let (limit, remaining, reset) = told(&refused, "tokens").unwrap();
    assert!(
        limit == 6000 && remaining < 200 && reset.contains('m'),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_too_many_in_progress_waits_for_one_to_end() {
    for (allowance, words) in [
        ("concurrent = 2", "of 2 requests in progress"),
        ("streams = 2", "of 2 streams in progress"),
    ] {
        let (setup, upstream) = limited(allowance).await;
        let gateway = setup.start();
        let gate = Gate::new();
        upstream.default(held_stream(&gate));
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut client = Connection::open(gateway.address).await;
            client
                .send(post(PATH, &[], ask(MODEL, true).as_bytes()))
                .await;
            let head = client.head().await;
            assert_eq!(head.status, 200);
            streams.push((client, head));
        }
        let refused = chat(gateway.address, MODEL, true).await;
        let words = format!("The limit 'per-client' {words} is reached.");
        assert_limited(&refused, "concurrency_limit_exceeded", &words);
        gate.open();
        for (client, head) in &mut streams {
            while client.piece(head).await.is_some() {}
        }
        // At once: the places were free before the last byte came.
        assert_eq!(chat(gateway.address, MODEL, true).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_asks_for_no_more_than_the_caps() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables("[anonymous]\nn_max = 2\nmax_tokens_max = 100\ntools_max = 1\nunknown_fields = \"refuse\"")
        .pool("main", &[&base(&upstream)])
        .model(MODEL, &["main"])
        .start();
    let mut client = Connection::open(gateway.address).await;
    for (member, code, param) in [
        (json!({"n": 3}), "invalid_value", json!("n")),
        (
            json!({"max_tokens": 101}),
            "invalid_value",
            json!("max_tokens"),
        ),
        (json!({"tools": [{}, {}]}), "invalid_value", json!("tools")),
        (
            json!({"api_base": "http://127.0.0.1/"}),
            "invalid_value",
            json!("api_base"),
        ),
        (json!({"provider": {}}), "unknown_parameter", Value::Null),
    ] {
        let mut body: Value = serde_json::from_str(&ask(MODEL, false)).unwrap();
        for (key, value) in member.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = client.post(PATH, body.to_string()).await;
        assert_eq!(answer.status, 400, "{member}: {answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!(code), &param),
            "{member}"
        );
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(client.post(PATH, ask(MODEL, false)).await.status, 200);
}

/// In force as they are shipped, and no hindrance to whoever tries every model out.
#[tokio::test(flavor = "multi_thread")]
async fn the_limits_that_are_shipped_hold() {
    let gateway = Setup::demo().start();
    let mut client = Connection::open(gateway.address).await;
    let answer = client.post(PATH, ask("llama-3.1-8b", false)).await;
    assert_eq!(answer.status, 200);
    let (limit, remaining, _) = told(&answer, "requests").unwrap();
    assert_eq!(limit - remaining, 1);
    // As much of what lasts longest as it takes to be refused: tokens, by what may be asked for.
    let mut body: Value = serde_json::from_str(&ask("o1-preview", false)).unwrap();
    body["max_tokens"] = json!(16_384);
    let mut asked = 0;
    let refused = loop {
        // Another question each time: what is answered from memory costs no tokens.
        body["seed"] = json!(asked);
        let answer = client.post(PATH, body.to_string()).await;
        asked += 1;
        if answer.status == 429 {
            break answer;
        }
        assert!(answer.status == 200 && asked < 1_000, "{answer:?}");
    };
    let words = "The limit 'anonymous-";
    let code = refused.json()["error"]["code"].as_str().unwrap().to_owned();
    assert_limited(&refused, &code, words);
    body["max_tokens"] = json!(16_385);
    assert_eq!(client.post(PATH, body.to_string()).await.status, 400);
}
