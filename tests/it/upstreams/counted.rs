//! What is counted of streams, attempts, connections and the process?

#![expect(
    clippy::float_cmp,
    reason = "what is counted here is whole, or the same sum"
)]

use std::time::Duration;

use serde_json::{Value, json};
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::http2::secure;
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::upstream::{base, upstream};

/// The value of a series, where `/metrics` tells it.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.map(|value| value.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_remembered_is_counted_in_every_dialect() {
    let up = upstream().await;
    let (base, root) = (base(&up), up.url());
    let gateway = Setup::new()
        .pool("openai", &[&base])
        .pool_with("anthropic", &[&base], "dialect = \"anthropic\"")
        .pool_with(
            "gemini",
            &[&format!("{root}/v1beta")],
            "dialect = \"gemini\"",
        )
        .pool_with("responses", &[&base], "dialect = \"responses\"")
        .model("o", &["openai"])
        .model("x", &["openai"])
        .model_with("a", &["anthropic"], "max_tokens_default = 9")
        .model("g", &["gemini"])
        .model("r", &["responses"])
        .start();
    let openai = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11,
            "prompt_tokens_details": {"cached_tokens": 7}},
    });
    // What was thought stands beside the answer, and in the sum.
    let beside = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 11,
            "prompt_tokens_details": {"cached_tokens": 7}, "completion_tokens_details": {"reasoning_tokens": 1}},
    });
    let anthropic = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 2, "cache_read_input_tokens": 7, "output_tokens": 2},
    });
    let gemini = json!({
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 11},
    });
    let responses = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "error": null,
        "incomplete_details": null,
        "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": []}]}],
        "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 7}, "output_tokens": 2, "total_tokens": 11},
    });
    for (model, answer) in [
        ("o", openai),
        ("x", beside),
        ("a", anthropic),
        ("g", gemini),
        ("r", responses),
    ] {
        up.push(Script::json(200, answer.to_string()));
        let answer = chat(gateway.address, model, false).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        for (direction, tokens) in [("in", 9), ("cached", 7), ("out", 2)] {
            let series = format!(
                "spafe_tokens_total{{direction=\"{direction}\",model=\"{model}\",source=\"told\"}}"
            );
            gateway.counts(&series, tokens).await;
        }
    }
}

/// A stream of four events and its count, with this time between them.
fn stream(gap: Duration) -> Script {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 30, "total_tokens": 33}});
    let usage: Value = usage;
    let events = [chunk("a"), chunk("b"), stop(0), usage.to_string()];
    Script::sse(&events.each_ref().map(String::as_str)).gap(gap)
}

async fn one(setup: Setup) -> (Gateway, spafe::simulator::Simulator) {
    let up = upstream().await;
    let gateway = setup.pool("p", &[&base(&up)]).model("m", &["p"]).start();
    (gateway, up)
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_stream_comes_is_told_and_its_time_is_its_upstreams() {
    let (gateway, up) = one(Setup::new()).await;
    up.push(stream(Duration::from_millis(300)));
    let answer = chat(gateway.address, "m", true).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway
        .counts("spafe_time_between_events_seconds_count{model=\"m\"}", 1)
        .await;
    let metrics = gateway.metrics().await;
    let of = |series: &str| value(&metrics, series).unwrap_or_else(|| panic!("no {series}"));
    assert_eq!(
        of("spafe_time_to_first_event_seconds_count{model=\"m\"}"),
        1.0
    );
    let between = of("spafe_time_between_events_seconds_sum{model=\"m\"}");
    assert!((0.15..2.0).contains(&between), "{between}");
    let rate = of("spafe_tokens_per_second_sum{model=\"m\"}");
    assert!((1.0..60.0).contains(&rate), "{rate}");
    assert_eq!(of("spafe_gateway_overhead_seconds_count "), 1.0);
    let overhead = of("spafe_gateway_overhead_seconds_sum ");
    let whole = of("spafe_request_duration_seconds_sum{model=\"m\"}");
    assert!(
        whole > 0.85 && overhead < whole / 2.0,
        "{overhead} of {whole}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stream_has_no_events_and_a_speed() {
    let (gateway, up) = one(Setup::new()).await;
    up.push(completion("a").delay_head(Duration::from_millis(200)));
    assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    gateway
        .counts("spafe_tokens_per_second_count{model=\"m\"}", 1)
        .await;
    let metrics = gateway.metrics().await;
    let rate = value(&metrics, "spafe_tokens_per_second_sum{model=\"m\"}").unwrap();
    assert!(rate < 25.1, "five tokens took a fifth of a second: {rate}");
    let events = "spafe_time_to_first_event_seconds_count";
    assert!(!metrics.contains(events), "{metrics}");
    let overhead = value(&metrics, "spafe_gateway_overhead_seconds_sum ").unwrap();
    assert!(overhead < 0.2, "{overhead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_told_by_target_with_what_is_left_of_them() {
    let (gateway, up) = one(Setup::new().tables(
        "[attempts]\nbudget_per_second = 4\nbudget_percent = 0\nbackoff = \"1ms\"\nbackoff_max = \"1ms\"",
    ))
    .await;
    let metrics = gateway.metrics().await;
    assert_eq!(
        value(&metrics, "spafe_retry_budget_left{pool=\"p\"}"),
        Some(4.0)
    );
    up.default(completion("a"));
    up.push(Script::json(500, "{}"));
    assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    gateway.counts("spafe_retries_total{pool=\"p\"}", 1).await;
    let took = ["pool=\"p\"", "target=\"127.0.0.1:"];
    gateway
        .counts_in_all("spafe_attempt_duration_seconds_count", &took, 1)
        .await;
    gateway.counts("spafe_upstream_connections_idle", 1).await;
    let metrics = gateway.metrics().await;
    let connected = value(&metrics, "spafe_upstream_connect_seconds_count{pool=\"p\"}");
    assert!(connected >= Some(1.0), "{metrics}");
    let made = value(
        &metrics,
        "spafe_upstream_connections_total{pool=\"p\",reused=\"false\"}",
    );
    assert_eq!(connected, made);
    // What was asked first is no retry.
    assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    gateway.counts("spafe_retries_total{pool=\"p\"}", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_tell_what_they_decided() {
    let limits = "[[limits]]\nname = \"few\"\nby = \"global\"\nrequests = { count = 2, per = \"1h\" }\n\
                  [[limits]]\nname = \"fewer\"\nby = \"global\"\nrequests = { count = 1, per = \"1h\" }\nshadow = true";
    let (gateway, up) = one(Setup::new().tables(limits)).await;
    up.default(completion("a"));
    for status in [200, 200, 429] {
        assert_eq!(chat(gateway.address, "m", false).await.status, status);
    }
    for result in ["admitted", "shadow_refused", "refused"] {
        let series = format!("spafe_limit_decisions_total{{result=\"{result}\"}}");
        gateway.counts(&series, 1).await;
    }
    let labels = ["outcome=\"limited\"", "class=\"4xx\"", "pool=\"none\""];
    gateway
        .counts_in_all("spafe_requests_total", &labels, 1)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_handshakes_and_versions_are_told() {
    let (gateway, up) = one(Setup::new().tls()).await;
    up.default(completion("a"));
    let mut old = Connection::open(gateway.address).await;
    old.send("GET /v1/models HTTP/1.0\r\nHost: h\r\n\r\n").await;
    assert_eq!(old.answer().await.status, 200);
    let mut client = Connection::open(gateway.address).await;
    for _ in 0..2 {
        let answer = client.post("/v1/chat/completions", ask("m", false)).await;
        assert_eq!(answer.status, 200);
    }
    let _done = secure(&gateway, "h2").await;
    let mut failed = Connection::open(gateway.tls_address.unwrap()).await;
    failed.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    failed.closed().await;
    for (series, count) in [
        ("spafe_connections_accepted_total{listener=\"plain\"}", 2),
        ("spafe_connections_accepted_total{listener=\"tls\"}", 2),
        ("spafe_tls_handshakes_total{result=\"done\"}", 1),
        ("spafe_tls_handshakes_total{result=\"failed\"}", 1),
        ("spafe_http_requests_total{version=\"1.0\"}", 1),
        ("spafe_http_requests_total{version=\"1.1\"}", 2),
        ("spafe_http_requests_total{version=\"2\"}", 0),
    ] {
        gateway.counts(series, count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_tells_of_itself() {
    let up = upstream().await;
    let named = base(&up).replace("127.0.0.1", "localhost");
    let gateway = Setup::new()
        .tables("[metrics]\nseries_max = 700")
        .pool("p", &[&named])
        .pool("gone", &["http://no-such-host.invalid:1/v1"])
        .model("m", &["p", "gone"])
        .start();
    assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    let metrics = gateway.metrics().await;
    let of = |series: &str| value(&metrics, series).unwrap_or_else(|| panic!("no {series}"));
    assert!(of("spafe_runtime_workers ") >= 1.0);
    assert!(of("spafe_runtime_busy_seconds_total ") > 0.0);
    assert!(of("spafe_runtime_lag_seconds ") < 60.0);
    assert!(of("spafe_runtime_queue ") < 1e6);
    assert!(of("spafe_dns_lookups_total{result=\"found\"}") >= 1.0);
    let series = of("spafe_metric_series ");
    assert_eq!(of("spafe_limit{name=\"metric_series\"}"), 700.0);
    assert!((100.0..=700.0).contains(&series), "{series}");
}
