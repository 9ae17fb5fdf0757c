//! Who is asked, and how often?

use std::time::{Duration, Instant};

use serde_json::json;
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, chat};
use crate::kit::gateway::Setup;
use crate::kit::pair::{Upstream, WIRES, Wire, completion};
use crate::kit::upstream::{always, base, upstream};

const CHAT: &str = "/v1/chat/completions";

fn model_of(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    body["model"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_finds_its_exact_model_then_its_alias_then_the_longest_pattern() {
    let seen = upstream().await;
    let mut setup = Setup::new();
    for pool in ["exact", "short", "long"] {
        setup = setup.pool(pool, &[&base(&seen)]);
    }
    let gateway = setup
        .model_with("meta/llama-3", &["exact"], "aliases = [\"llama\"]")
        .model("meta/*", &["short"])
        .model("meta/llama-*", &["long"])
        .start();
    // What is asked for; who answers, as which model; what the upstream is told.
    for (asked, pool, model, told) in [
        ("meta/llama-3", "exact", "meta/llama-3", "meta/llama-3"),
        ("llama", "exact", "meta/llama-3", "meta/llama-3"),
        ("meta/llama-4", "long", "meta/llama-*", "meta/llama-4"),
        ("meta/other", "short", "meta/*", "meta/other"),
    ] {
        let answer = chat(gateway.address, asked, false).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some(pool), "{asked}");
        assert_eq!(answer.field("x-spafe-model"), Some(model), "{asked}");
        let request = seen.next_request().await.unwrap();
        assert_eq!(model_of(&request.body), told, "{asked}");
    }
    for unknown in ["Llama", "meta", "other/llama-3", "meta/llama-3 "] {
        let answer = chat(gateway.address, unknown, false).await;
        let known_by_pattern = unknown.starts_with("meta/");
        let expected = if known_by_pattern { 200 } else { 404 };
        assert_eq!(answer.status, expected, "{unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pools_own_name_replaces_the_models_bytes_and_no_others() {
    for wire in WIRES {
        let seen = Upstream::start(wire).await;
        let gateway = seen
            .pool(Setup::new(), "up", "")
            .tables("[[models]]\nid = \"gpt\"\npools = [{ pool = \"up\", name = \"vendor/gpt \\\"x\\\"\" }]")
            .start();
        // Odd but valid JSON around the name: none of it may change.
        let ask = "{ \"messages\" : [{\"role\":\"user\",\"content\":\"model gpt \\u00e9\"}],\r\n\t\"model\" :  \"gpt\" , \"temperature\":1.50e0,\"x\":{\"model\":\"gpt\"} }";
        let expected = ask.replace(
            "\"model\" :  \"gpt\"",
            "\"model\" :  \"vendor/gpt \\\"x\\\"\"",
        );
        let mut client = Connection::open(gateway.address).await;
        let answer = client.post(CHAT, ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let request = seen.simulator.next_request().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&request.body), expected, "{wire:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_take_turns_by_weight_and_exactly_so_over_a_round() {
    let (heavy, light) = (upstream().await, upstream().await);
    let gateway = Setup::new()
        .tables(&format!(
            "[[pools]]\nname = \"two\"\ntargets = [{{ url = {:?}, weight = 3 }}, {{ url = {:?}, weight = 2 }}]",
            base(&heavy),
            base(&light)
        ))
        .model("m", &["two"])
        .start();
    for round in 1..=4 {
        for _ in 0..5 {
            assert_eq!(chat(gateway.address, "m", false).await.status, 200);
        }
        assert_eq!(heavy.requests().len(), 3 * round);
        assert_eq!(light.requests().len(), 2 * round);
    }
}

fn counts(upstreams: &[Simulator]) -> Vec<usize> {
    upstreams.iter().map(|up| up.requests().len()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_two_of_a_pool_are_asked_and_three_in_all() {
    for stream in [false, true] {
        let mut ups = Vec::new();
        for _ in 0..5 {
            ups.push(always(Script::json(500, r#"{"error":{"message":"no"}}"#)).await);
        }
        let urls: Vec<String> = ups.iter().map(base).collect();
        let gateway = Setup::new()
            .pool("a", &[&urls[0], &urls[1], &urls[2]])
            .pool("b", &[&urls[3]])
            .pool("c", &[&urls[4]])
            .model("m", &["a", "b", "c"])
            .start();
        let answer = chat(gateway.address, "m", stream).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-attempts"), Some("3"));
        assert_eq!(answer.field("x-should-retry"), Some("false"));
        assert_eq!(counts(&ups), [1, 1, 0, 1, 0], "stream: {stream}");
        gateway
            .counts(
                "spafe_attempts_total{outcome=\"server_error\",pool=\"a\"}",
                2,
            )
            .await;
        gateway
            .counts(
                "spafe_attempts_total{outcome=\"server_error\",pool=\"b\"}",
                1,
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_deadline_holds_for_all_attempts_together() {
    for stream in [false, true] {
        let ups = [
            always(Script::stall()).await,
            always(Script::stall()).await,
            always(Script::stall()).await,
        ];
        let gateway = Setup::new()
            .tables("[timeouts]\nconnect = \"400ms\"\nfirst_event = \"400ms\"\nanswer = \"400ms\"\nrequest = \"600ms\"")
            .pool("a", &[&base(&ups[0])])
            .pool("b", &[&base(&ups[1])])
            .pool("c", &[&base(&ups[2])])
            .model("m", &["a", "b", "c"])
            .start();
        let began = Instant::now();
        let answer = chat(gateway.address, "m", stream).await;
        let took = began.elapsed();
        assert_eq!(answer.status, 504, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], json!("upstream_timeout"));
        // Three attempts of 400 ms would take 1,200.
        assert!(took >= Duration::from_millis(600), "{took:?}");
        assert!(took < Duration::from_millis(1_150), "{took:?}");
        assert_eq!(counts(&ups), [1, 1, 0], "stream: {stream}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_costs_next_to_nothing_and_ejects_after_three() {
    for stream in [false, true] {
        let nobody = upstream().await;
        let (gone, working) = (base(&nobody), always(completion("here")).await);
        drop(nobody);
        let works_too = upstream().await;
        let gateway = Setup::new()
            .pool("gone", &[&gone])
            .pool(
                "works",
                &[&base(if stream { &works_too } else { &working })],
            )
            .model("alone", &["gone"])
            .model("backed", &["gone", "works"])
            .start();
        for number in 1..=5 {
            let began = Instant::now();
            let answer = chat(gateway.address, "backed", stream).await;
            let took = began.elapsed();
            assert_eq!(answer.status, 200, "{}", answer.text());
            // The third failure in a row ejects it: from then on it is not asked first.
            let attempts = if number <= 3 { "2" } else { "1" };
            assert_eq!(answer.field("x-spafe-attempts"), Some(attempts), "{number}");
            assert!(took < Duration::from_millis(500), "{took:?}");
        }
        gateway
            .counts_in_all("spafe_target_ejections_total", &["pool=\"gone\""], 1)
            .await;
        gateway
            .counts(
                "spafe_attempts_total{outcome=\"connect_failed\",pool=\"gone\"}",
                3,
            )
            .await;
        // Where nobody else is left, an ejected target is better than no answer.
        let answer = chat(gateway.address, "alone", stream).await;
        assert_eq!(answer.status, 502);
        assert_eq!(
            answer.json()["error"]["code"],
            json!("upstream_unavailable")
        );
        assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_that_takes_over_is_told_its_own_name_for_the_model() {
    for (wire, stream) in [
        (Wire::Http1, false),
        (Wire::Http1, true),
        (Wire::Http2, false),
        (Wire::Http2, true),
    ] {
        let (first, second) = (Upstream::start(wire).await, Upstream::start(wire).await);
        first.simulator.default(Script::json(503, "{}"));
        let setup = first.pool(Setup::new(), "first", "");
        let gateway = second
            .pool(setup, "second", "")
            .tables("[[models]]\nid = \"m\"\npools = [{ pool = \"first\", name = \"one\" }, { pool = \"second\", name = \"another/two\" }]")
            .start();
        let answer = chat(gateway.address, "m", stream).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-model"), Some("m"));
        assert_eq!(answer.field("x-spafe-upstream"), Some("second"));
        assert_eq!(answer.field("x-spafe-attempts"), Some("2"));
        let told = |up: &Upstream| model_of(&up.simulator.requests()[0].body);
        assert_eq!(
            (told(&first), told(&second)),
            ("one".to_owned(), "another/two".to_owned())
        );
    }
}
