//! Whole gateways over one Redis, and what their callers see.

use std::fmt::Write as _;

use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::pair::chunk;
use crate::kit::redis::Redis;
use crate::kit::reload::replace;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

const PATH: &str = "/v1/chat/completions";

/// At once ten, and then nearly none.
const TEN: &str = "[[limits]]\nname = \"ten\"\nby = \"global\"\nscope = \"shared\"\n\
                   requests = { count = 1, per = \"1h\", burst = 10 }";

/// A gateway before this upstream with this limit, counted in this Redis.
fn setup(upstream: &Simulator, redis: &str, limit: &str, keys: &str) -> Setup {
    let mut shared = format!("[shared]\nredis = {redis:?}\nsecret = {{ env = \"SECRET\" }}\n");
    writeln!(shared, "timeout = \"500ms\"\n{keys}").unwrap();
    Setup::new()
        .variable("SECRET", "the-same-everywhere")
        .tables(&shared)
        .tables(limit)
        .pool("p", &[&base(upstream)])
        .model("m", &["p"])
}

/// A gateway that has found its Redis.
async fn found(setup: Setup) -> Gateway {
    let gateway = setup.start();
    gateway.counts("spafe_shared_up", 1).await;
    gateway
}

/// How many of so many requests are served; the others are told why not.
async fn served(gateway: &Gateway, requests: usize) -> usize {
    let mut served = 0;
    for _ in 0..requests {
        let answer = chat(gateway.address, "m", false).await;
        match answer.status {
            200 => served += 1,
            429 => {
                let code = answer.json()["error"]["code"].to_string();
                assert!(code.ends_with("_limit_exceeded\""), "{code}");
                assert!(answer.field("retry-after").is_some());
            }
            status => panic!("{status}: {}", answer.text()),
        }
    }
    served
}

/// How often the log says this.
fn said(gateway: &Gateway, words: &str) -> usize {
    gateway.output().matches(words).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_has_let_in_the_other_knows() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let first = found(setup(&upstream, &redis.url(), TEN, "")).await;
    let second = found(setup(&upstream, &redis.url(), TEN, "")).await;
    assert_eq!(served(&first, 6).await, 6);
    assert_eq!(served(&second, 6).await, 4);
    assert_eq!(served(&first, 3).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_was_given_back_refuses_nobody_here() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    // The first estimate takes all of it; what is used is little.
    let day = "[[limits]]\nname = \"day\"\nby = \"client\"\nscope = \"shared\"\n\
               tokens = { count = 900, per = \"1d\" }";
    let gateway = found(setup(&upstream, &redis.url(), day, "")).await;
    assert_eq!(served(&gateway, 1).await, 1);
    let small = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":1}"#;
    soon("what was not used", async {
        loop {
            let mut client = Connection::open(gateway.address).await;
            if client.post(PATH, small).await.status == 200 {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgiven_is_forgiven_by_redis_too() {
    let (mut redis, upstream) = (Redis::start().await, upstream().await);
    let two = "[[limits]]\nname = \"two\"\nby = \"client\"\nscope = \"shared\"\n\
               requests = { count = 2, per = \"1h\" }";
    let gateway = found(setup(&upstream, &redis.url(), two, "")).await;
    let forgive = async || gateway.change("DELETE /limits?client=127.0.0.1").await;
    assert_eq!(served(&gateway, 3).await, 2);
    let forgiven = forgive().await;
    assert_eq!(forgiven.status, 200, "{forgiven:?}");
    assert_eq!(forgiven.json()["forgiven"]["shared"], 1);
    assert_eq!(served(&gateway, 3).await, 2);
    // Nobody can be forgiven by a Redis that is away, and the operator hears so.
    redis.kill();
    gateway.counts("spafe_shared_up", 0).await;
    let forgiven = forgive().await;
    assert_eq!(forgiven.status, 503, "{forgiven:?}");
    assert_eq!(forgiven.json()["forgiven"]["shared"], 0);
    let words = forgiven.json()["error"].to_string();
    assert!(
        words.contains("Redis is away; nothing was forgiven"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_here_has_taken_nothing_there() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let limits = "[[limits]]\nname = \"two\"\nby = \"client\"\nscope = \"shared\"\n\
                  requests = { count = 2, per = \"1h\" }\n\
                  [[limits]]\nname = \"one\"\nby = \"client\"\nstreams = 1";
    let gateway = found(setup(&upstream, &redis.url(), limits, "")).await;
    let gate = Gate::new();
    let word = chunk("word");
    let bytes = "data: \n\n".len() + word.len();
    upstream.push(Script::sse(&[&word]).hold_after(bytes, &gate));
    let mut streaming = Connection::open(gateway.address).await;
    streaming
        .send(post(PATH, &[], ask("m", true).as_bytes()))
        .await;
    assert_eq!(streaming.head().await.status, 200);
    // This process has no place for it, so it takes nothing of what is shared.
    let refused = chat(gateway.address, "m", true).await;
    assert_eq!(
        refused.json()["error"]["code"],
        "concurrency_limit_exceeded"
    );
    soon("the second of two", async {
        while served(&gateway, 1).await == 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_each_keeps_its_part_and_nobody_is_lost() {
    let (mut redis, upstream) = (Redis::start().await, upstream().await);
    let keys = "replicas = 2";
    let first = found(setup(&upstream, &redis.url(), TEN, keys)).await;
    let second = found(setup(&upstream, &redis.url(), TEN, keys)).await;
    redis.kill();
    assert_eq!(served(&first, 8).await, 5);
    assert_eq!(served(&second, 8).await, 5);
    for gateway in [&first, &second] {
        gateway.counts("spafe_shared_up", 0).await;
        gateway.says("until Redis is back").await;
        assert_eq!(said(gateway, "until Redis is back"), 1);
        assert_eq!(
            said(gateway, "\"kind\":\"lost\"") + said(gateway, "kind=\"lost\""),
            1
        );
    }
    redis.again().await;
    for gateway in [&first, &second] {
        gateway.counts("spafe_shared_up", 1).await;
        assert_eq!(said(gateway, "all replicas count together"), 2);
        assert_eq!(said(gateway, "until Redis is back"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_flushed_gives_one_more_bucket_at_most() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let mut gateways = Vec::new();
    for _ in 0..2 {
        gateways.push(found(setup(&upstream, &redis.url(), TEN, "")).await);
    }
    let mut all = 0;
    for round in 0..3 {
        for gateway in &gateways {
            all += served(gateway, 6).await;
        }
        if round == 0 {
            let () = redis.ask(&["FLUSHALL"]);
        }
    }
    assert!((10..=20).contains(&all), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_and_serves_without_its_redis() {
    let (mut redis, upstream) = (Redis::start().await, upstream().await);
    redis.kill();
    let gateway = setup(&upstream, &redis.url(), TEN, "replicas = 5").start();
    assert_eq!(served(&gateway, 4).await, 2);
    gateway.says("Redis cannot be reached").await;
    redis.again().await;
    gateway.counts("spafe_shared_up", 1).await;
    assert!(served(&gateway, 4).await <= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_connection_or_makes_another() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let setup = setup(&upstream, &redis.url(), TEN, "");
    let text = setup.text();
    let gateway = found(setup).await;
    assert_eq!(served(&gateway, 4).await, 4);
    // Another bound is nothing to Redis.
    replace(
        &gateway.config,
        &text.replace("[bounds]", "[bounds]\nin_flight_max = 99"),
    );
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(said(&gateway, "all replicas count together"), 1);
    // Another tag is another place there, where nobody has had anything; what this process
    // knows of its callers it knows still.
    let other = text.replace(
        "timeout = \"500ms\"",
        "timeout = \"400ms\"\nhash_tag = \"other\"",
    );
    replace(&gateway.config, &other);
    assert_eq!(gateway.reload().await.status, 200);
    gateway.says("all replicas count together").await;
    gateway.counts("spafe_shared_up", 1).await;
    assert!(served(&gateway, 12).await >= 6);
    let keys: Vec<String> = redis.ask(&["KEYS", "{other}:*"]);
    assert!(!keys.is_empty());
    // Nothing shared is nothing to be called about.
    let local = text.replace("scope = \"shared\"", "scope = \"local\"");
    let local = local.replace(&format!("redis = {:?}", redis.url()), "");
    replace(&gateway.config, &local);
    assert_eq!(gateway.reload().await.status, 200);
    assert!(!gateway.metrics().await.contains("spafe_shared_up "));
    // Authorities that are none leave everything as it is.
    std::fs::write(gateway.folder().join("ca.pem"), "nothing").unwrap();
    let bad = text.replace("timeout", "ca = { file = \"ca.pem\" }\ntimeout");
    replace(&gateway.config, &bad);
    assert_eq!(gateway.reload().await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_is_shortened_begins_anew_for_all_and_a_count_that_is_raised_does_not() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let setup = setup(&upstream, &redis.url(), TEN, "");
    let text = setup.text();
    let gateway = found(setup).await;
    assert_eq!(served(&gateway, 12).await, 10);
    replace(&gateway.config, &text.replace("\"1h\"", "\"20m\""));
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(served(&gateway, 12).await, 10);
    let raised = text.replace("count = 1, per = \"1h\"", "count = 2, per = \"20m\"");
    replace(&gateway.config, &raised);
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(served(&gateway, 2).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_says_so() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let keys = "";
    let gateway =
        found(setup(&upstream, &redis.url(), TEN, keys).server("drain_delay = \"1ms\"")).await;
    let there = |redis: &Redis| redis.ask::<u32>(&["ZCARD", "{spafe}:replicas"]);
    assert_eq!(there(&redis), 1);
    assert!(gateway.terminate().await.success());
    assert_eq!(there(&redis), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_settled_with_all_replicas() {
    let (redis, upstream) = (Redis::start().await, upstream().await);
    let limit = "[[limits]]\nname = \"tokens\"\nby = \"client\"\nscope = \"shared\"\n\
                 tokens = { count = 1, per = \"1h\", burst = 1500 }\n\
                 [limiter]\noutput_tokens = 1000";
    let first = found(setup(&upstream, &redis.url(), limit, "")).await;
    let second = found(setup(&upstream, &redis.url(), limit, "")).await;
    // Each reserves a thousand and uses a few: without settlement the second would be refused.
    for gateway in [&first, &second, &first, &second] {
        soon("room for a thousand", async {
            while served(gateway, 1).await == 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }
}
