//! What do answers cost, and is that what is told, remembered and held against budgets?
//!
//! Prices here are so high that sums can be read: a token of a question is a tenth of a cent, one
//! that was kept half of that, and one of an answer two tenths.

#![expect(
    clippy::float_cmp,
    reason = "what is counted here is whole, or the same sum"
)]

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::load::EVENT;
use crate::kit::pair::{completion, stop};
use crate::kit::redis::Redis;
use crate::kit::upstream::{base, upstream};

const PATH: &str = "/v1/chat/completions";
const PRICE: &str = "price = { input = 1000, cached_input = 500, output = 2000 }";
/// What `completion` costs: 3 tokens of a question and 5 of an answer.
const COST: f64 = 0.013;
const NO_CACHE: &str = "[cache]\nenabled = false";

/// A table of `[[keys]]` for `team-a`, whose key is `canary-a`.
fn key(more: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(b"canary-a") {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!(
        "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"team-a\"\nsha256 = \"{digits}\"\n{more}\n"
    )
}

fn question(model: &str, more: &str) -> String {
    format!(
        r#"{{"model":{model:?},"max_tokens":5,"messages":[{{"role":"user","content":"Hi"}}]{more}}}"#
    )
}

/// Asks with the key.
async fn asked(gateway: &Gateway, id: &str, body: &str) -> Answer {
    let id = format!("X-Request-Id: {id}");
    let lines = [&*id, "Authorization: Bearer canary-a"];
    let mut client = Connection::open(gateway.address).await;
    client.send(post(PATH, &lines, body.as_bytes())).await;
    client.answer().await
}

async fn usage(gateway: &Gateway, query: &str) -> Value {
    gateway.told(&format!("/usage?{query}")).await
}

/// The row of this name.
fn row(told: &Value, by: &str, name: &Value) -> Value {
    let mut rows = told["usage"].as_array().unwrap().iter();
    let row = rows.find(|row| &row[by] == name);
    row.unwrap_or_else(|| panic!("no {name} in {told}")).clone()
}

async fn one(setup: Setup) -> (Gateway, Simulator) {
    let upstream = upstream().await;
    upstream.default(completion("Hello"));
    let setup = setup.pool("p", &[&base(&upstream)]);
    (setup.model_with("m", &["p"], PRICE).start(), upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_costs_what_its_upstream_counted() {
    let (gateway, upstream) = one(Setup::new().tables(NO_CACHE).tables(&key(""))).await;
    let told = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":6}}}"#;
    upstream.default(Script::sse(&[EVENT, &stop(0), told]));
    let body = question(
        "m",
        r#","stream":true,"stream_options":{"include_usage":true}"#,
    );
    assert_eq!(asked(&gateway, "a", &body).await.status, 200);
    // 4 fresh, 6 kept, 4 written: 0.004 + 0.003 + 0.008.
    let line = gateway.logged("a").await;
    assert_eq!(line["cost_usd"], 0.015, "{line}");
    let of_model = gateway
        .metric("spafe_cost_usd_total{model=\"m\",pool=\"p\"}")
        .await;
    let of_key = gateway
        .metric("spafe_key_cost_usd_total{key=\"team-a\"}")
        .await;
    assert_eq!([of_model, of_key], [0.015, 0.015]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_is_paid_and_memory_is_not() {
    let (bad, good) = (upstream().await, upstream().await);
    bad.default(Script::json(500, "{}"));
    good.default(completion("Hello"));
    let dear = r#"price = { input = 9000, output = 9000 }
fallbacks = ["b"]"#;
    let gateway = Setup::new()
        .tables("[cache]")
        .tables(&key(""))
        .pool("bad", &[&base(&bad)])
        .pool("good", &[&base(&good)])
        .model_with("a", &["bad"], dear)
        .model_with("b", &["good"], PRICE)
        .start();
    assert_eq!(
        asked(&gateway, "fallback", &question("a", "")).await.status,
        200
    );
    assert_eq!(gateway.logged("fallback").await["cost_usd"], COST);
    // The same twice: the second comes from memory.
    for id in ["miss", "hit"] {
        assert_eq!(asked(&gateway, id, &question("b", "")).await.status, 200);
    }
    assert_eq!(gateway.logged("miss").await["cost_usd"], COST);
    let hit = gateway.logged("hit").await;
    assert_eq!(
        [&hit["cache"], &hit["cost_usd"]],
        [&json!("hit"), &Value::Null]
    );
    // What came to nothing is not counted.
    good.default(Script::json(500, "{}"));
    assert_eq!(
        asked(&gateway, "failed", &question("b", r#","n":1"#))
            .await
            .status,
        502
    );
    assert_eq!(gateway.logged("failed").await["cost_usd"], Value::Null);
    let good = gateway
        .metric("spafe_cost_usd_total{model=\"b\",pool=\"good\"}")
        .await;
    assert_eq!(good, 2.0 * COST);
    let bad = gateway
        .metric("spafe_cost_usd_total{model=\"a\",pool=\"bad\"}")
        .await;
    assert_eq!(bad, 0.0);

    let by_model = usage(&gateway, "by=model&since=1h").await;
    let b = row(&by_model, "model", &json!("b"));
    assert_eq!(
        (&b["cost_usd"], &b["requests"]),
        (&json!(0.026), &json!(4)),
        "{by_model}"
    );
    assert_eq!((&b["tokens_in"], &b["tokens_out"]), (&json!(6), &json!(10)));
    assert_eq!(by_model["total"]["cost_usd"], 0.026);
    let by_pool = usage(&gateway, "by=pool").await;
    assert_eq!(row(&by_pool, "pool", &json!("good"))["requests"], 2);
    assert_eq!(
        row(&by_pool, "pool", &Value::Null)["requests"],
        2,
        "{by_pool}"
    );
    let by_key = usage(&gateway, "by=key").await;
    assert_eq!(row(&by_key, "key", &json!("team-a"))["cost_usd"], 0.026);
    assert!(by_key["process_since"].is_string() && by_key["since"].is_string());
    let nothing = usage(&gateway, "until=48h&since=72h").await;
    assert_eq!(nothing["total"]["requests"], 0, "{nothing}");
    let refused = usage(&gateway, "by=caller").await;
    assert!(refused["error"].is_string(), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_in_the_middle_has_cost_what_passed_by() {
    let (gateway, upstream) = one(Setup::new().tables(NO_CACHE)).await;
    let gate = Gate::new();
    let first_bytes = "data: \n\n".len() + EVENT.len();
    upstream.default(Script::sse(&[EVENT, &stop(0)]).hold_after(first_bytes, &gate));
    let mut client = Connection::open(gateway.address).await;
    let body = question("m", r#","stream":true"#);
    client
        .send(post(PATH, &["X-Request-Id: left"], body.as_bytes()))
        .await;
    let head = client.head().await;
    client.piece(&head).await.unwrap();
    drop(client);
    let line = gateway.logged("left").await;
    assert_eq!(line["outcome"], "client_gone", "{line}");
    // A token for four bytes of the question, and one for the event.
    let expected = u32::try_from(body.len().div_ceil(4)).unwrap() * 1_000_000 + 2_000_000;
    let nanos = (line["cost_usd"].as_f64().unwrap() * 1e9).round();
    assert_eq!(nanos, f64::from(expected), "{line}");
    let told = usage(&gateway, "by=model").await;
    assert_eq!(told["total"]["requests_estimated"], 1, "{told}");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_has_its_price_and_what_has_none_is_told_to_have_none() {
    let upstream = upstream().await;
    let image =
        json!({"created": 1, "data": [{"b64_json": "iVBORw0KGgo="}, {"b64_json": "iVBORw0KGgo="}]});
    upstream.default(Script::json(200, image.to_string()));
    let endpoints = "endpoints = [\"images.generations\"]";
    let gateway = Setup::new()
        .tables(NO_CACHE)
        .pool("p", &[&base(&upstream)])
        .model_with(
            "flux",
            &["p"],
            &format!("{endpoints}\nprice = {{ image = 0.04 }}"),
        )
        .model_with("free", &["p"], endpoints)
        .start();
    for model in ["flux", "free"] {
        let mut client = Connection::open(gateway.address).await;
        let body = json!({"model": model, "prompt": "a cat", "n": 2}).to_string();
        let id = format!("X-Request-Id: {model}");
        client
            .send(post("/v1/images/generations", &[&*id], body.as_bytes()))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(gateway.logged("flux").await["cost_usd"], 0.08);
    assert_eq!(gateway.logged("free").await["cost_usd"], Value::Null);
    let told = usage(&gateway, "by=model").await;
    assert_eq!(row(&told, "model", &json!("free"))["requests_unpriced"], 1);
    assert_eq!(row(&told, "model", &json!("flux"))["requests_unpriced"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_spent_says_which_and_until_when() {
    let budget = key("cost = { usd = 0.1, per = \"31d\" }");
    let (gateway, _upstream) = one(Setup::new().tables(NO_CACHE).tables(&budget)).await;
    let mut left = 0.1;
    let refused = loop {
        let answer = asked(&gateway, "b", &question("m", "")).await;
        if answer.status != 200 {
            break answer;
        }
        left -= COST;
        let told: f64 = answer
            .field("x-ratelimit-remaining-cost")
            .unwrap()
            .parse()
            .unwrap();
        assert!((told - left).abs() < 1e-9, "{told} of {left}");
        assert_eq!(answer.field("x-ratelimit-limit-cost"), Some("0.10"));
    };
    // What is left would not have paid for the estimate: 20 tokens and 5.
    assert!((0.0..0.04).contains(&left), "{left}");
    assert_eq!(refused.status, 429, "{refused:?}");
    let error = &refused.json()["error"];
    assert_eq!(error["type"], "rate_limit_error");
    assert_eq!(error["code"], "budget_exceeded");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("The budget 'key:team-a' of 0.10 USD each 31d does not cover"),
        "{message}"
    );
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    let unix = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs()
        - 4 * 86_400;
    let span = 31 * 86_400;
    assert!(wait.abs_diff(span - unix % span) <= 5, "{wait}");
    // No SDK waits for that, and none is to try it again at once.
    assert_eq!(refused.field("x-should-retry"), Some("false"));
    let line = "spafe_limit_refused_total{kind=\"cost\",limit=\"key\"}";
    assert_eq!(gateway.metric(line).await, 1.0);
    // Whoever has no budget is not asked for one.
    let mut other = Connection::open(gateway.address).await;
    assert_eq!(other.post(PATH, question("m", "")).await.status, 200);
    let stands = gateway.told("/limits?key=team-a").await;
    assert_eq!(stands["limits"][0]["kind"], "cost", "{stands}");
    assert_eq!(stands["limits"][0]["allowed"], 0.1, "{stands}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_price_counts_from_the_next_request() {
    let (gateway, _upstream) = one(Setup::new().tables(NO_CACHE)).await;
    assert_eq!(
        asked(&gateway, "before", &question("m", "")).await.status,
        200
    );
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let dearer = "price = { input = 2000, output = 4000 }";
    std::fs::write(&gateway.config, text.replace(PRICE, dearer)).unwrap();
    let answer = gateway.reload().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        asked(&gateway, "after", &question("m", "")).await.status,
        200
    );
    assert_eq!(gateway.logged("before").await["cost_usd"], COST);
    assert_eq!(gateway.logged("after").await["cost_usd"], 2.0 * COST);
    let all = gateway
        .metric("spafe_cost_usd_total{model=\"m\",pool=\"p\"}")
        .await;
    assert_eq!(all, 0.039);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_spend_one_budget() {
    let redis = Redis::start().await;
    let upstream = upstream().await;
    upstream.default(completion("Hello"));
    let setup = || {
        Setup::new()
            .variable("SECRET", "the-same-everywhere")
            .tables(&format!(
                "{NO_CACHE}\n[shared]\nredis = {:?}\nsecret = {{ env = \"SECRET\" }}\ntimeout = \"500ms\"",
                redis.url()
            ))
            .tables("[[limits]]\nname = \"all\"\nby = \"global\"\nscope = \"shared\"\ncost = { usd = 0.2, per = \"31d\" }")
            .pool("p", &[&base(&upstream)])
            .model_with("m", &["p"], PRICE)
    };
    let gateways = [setup().start(), setup().start()];
    for gateway in &gateways {
        gateway.counts("spafe_shared_up", 1).await;
    }
    let mut served = 0_u32;
    let mut refused = 0;
    for turn in 0..60 {
        let gateway = &gateways[turn % 2];
        let answer = asked(gateway, "s", &question("m", "")).await;
        match answer.status {
            200 => served += 1,
            429 => {
                assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
                assert_eq!(answer.field("x-ratelimit-limit-cost"), None);
                refused += 1;
            }
            status => panic!("{status}: {}", answer.text()),
        }
        // Settlements go out behind the answers' backs.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let spent = f64::from(served) * COST;
    assert!(spent <= 0.2 && spent > 0.2 - 0.05, "{served} served");
    assert!(refused > 40, "{refused}");
}
