//! Which models are listed, and what is counted?

use serde_json::json;
use spafe::simulator::script::Script;

use crate::kit::client::{Answer, Connection, ask};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{Pair, Wire, chunk, completion, stop};
use crate::kit::repository;
use crate::kit::upstream::{base, upstream};

async fn fetch(gateway: &Gateway, path: &str) -> Answer {
    let mut client = Connection::open(gateway.address).await;
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n"))
        .await;
    client.answer().await
}

fn ids(list: &Answer) -> Vec<String> {
    let list = list.json();
    assert_eq!(list["object"], "list");
    let ids = list["data"].as_array().unwrap().iter();
    ids.map(|model| model["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_configuration_lists_every_promised_model() {
    let gateway = Setup::demo().start();
    let mut listed = ids(&fetch(&gateway, "/api/v1/models").await);
    let promised = std::fs::read_to_string(repository("tests/models.txt")).unwrap();
    let mut promised: Vec<String> = promised.split_whitespace().map(str::to_owned).collect();
    listed.sort();
    promised.sort();
    assert_eq!(listed, promised);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_found_by_its_name_with_slashes_and_by_its_alias() {
    let up = upstream().await;
    let gateway = Setup::new()
        .pool("up", &[&base(&up)])
        .model_with(
            "vendor/some/model",
            &["up"],
            "aliases = [\"short\"]\nowned_by = \"vendor\"\ncreated = 2024-05-13",
        )
        .model("other/*", &["up"])
        .start();
    let entry = json!({
        "id": "vendor/some/model", "object": "model", "created": 1_715_558_400,
        "owned_by": "vendor", "modality": "text", "endpoints": ["chat.completions"],
    });
    for prefix in ["/v1/models", "/api/v1/models"] {
        assert_eq!(ids(&fetch(&gateway, prefix).await), ["vendor/some/model"]);
        for name in ["vendor/some/model", "vendor%2Fsome%2Fmodel", "short"] {
            let one = fetch(&gateway, &format!("{prefix}/{name}")).await;
            assert_eq!((one.status, one.json()), (200, entry.clone()), "{name}");
        }
        for name in [
            "vendor",
            "vendor/some",
            "Short",
            "other/x",
            "vendor/some/model/",
        ] {
            let none = fetch(&gateway, &format!("{prefix}/{name}")).await;
            assert_eq!(none.status, 404, "{name}");
            assert_eq!(none.field("content-type"), Some("application/json"));
        }
    }
    assert_eq!(up.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_counted_once_and_under_its_name() {
    let pair = Pair::start(Wire::Http1).await;
    let first = &pair.first.simulator;
    let (begins, ends) = (chunk("a"), stop(0));
    let events = [&*begins, &*ends];
    first.push(completion("good"));
    first.push(Script::sse(&events));
    first.push(Script::sse(&events).without_done());
    first.push(Script::sse(&events[..1]).without_done());
    first.push(Script::json(500, "{}"));
    first.push(Script::json(400, "{}"));
    for (model, stream) in [
        ("alone", false),
        ("alone", true),
        ("alone", true),
        ("alone", true),
        ("backed", false),
        ("alone", false),
        ("nobody-knows", false),
    ] {
        pair.ask(model, stream).await;
    }
    let expected = [
        (
            "spafe_requests_total{class=\"2xx\",endpoint=\"chat.completions\",model=\"alone\",outcome=\"served\",pool=\"first\"}",
            3,
        ),
        (
            "spafe_requests_total{class=\"2xx\",endpoint=\"chat.completions\",model=\"alone\",outcome=\"stream_broken\",pool=\"first\"}",
            1,
        ),
        (
            "spafe_requests_total{class=\"2xx\",endpoint=\"chat.completions\",model=\"backed\",outcome=\"served\",pool=\"second\"}",
            1,
        ),
        (
            "spafe_attempts_total{outcome=\"answered\",pool=\"first\"}",
            4,
        ),
        (
            "spafe_attempts_total{outcome=\"server_error\",pool=\"first\"}",
            1,
        ),
        (
            "spafe_attempts_total{outcome=\"refused\",pool=\"first\"}",
            1,
        ),
        (
            "spafe_attempts_total{outcome=\"answered\",pool=\"second\"}",
            1,
        ),
        ("spafe_stream_breaks_total{kind=\"unterminated\"}", 1),
        ("spafe_stream_terminators_added_total", 1),
        ("spafe_errors_total{code=\"model_not_found\"}", 1),
        (
            "spafe_tokens_total{direction=\"out\",model=\"alone\",source=\"told\"}",
            5,
        ),
        ("spafe_requests_in_flight", 0),
    ];
    for (series, count) in expected {
        pair.gateway.counts(series, count).await;
    }
    // Only names from the configuration are labels.
    let mut client = Connection::open(pair.gateway.address).await;
    client
        .post("/v1/chat/completions", ask("nobody-knows", true))
        .await;
    assert!(!pair.gateway.metrics().await.contains("nobody-knows"));
}
