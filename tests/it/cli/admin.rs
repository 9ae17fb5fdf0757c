//! What do operators see, and nobody else?

use crate::kit::client::{Answer, Connection, ask};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{base, upstream};

const SECRET: &str = "sk-nobody-may-read-this";

async fn read(address: std::net::SocketAddr, path: &str) -> Answer {
    let mut client = Connection::open(address).await;
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .await;
    client.answer().await
}

fn gateway(target: &str) -> Gateway {
    Setup::new()
        .variable("MAIN_KEY", SECRET)
        .pool_with("main", &[target], "api_key = { env = \"MAIN_KEY\" }")
        .pool_with("spare", &[target], "api_key = { env = \"SPARE_KEY\" }")
        .model("m", &["main", "spare"])
        .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_and_configuration_are_told() {
    let upstream = upstream().await;
    let gateway = gateway(&base(&upstream));
    let mut client = Connection::open(gateway.address).await;
    assert_eq!(
        client
            .post("/v1/chat/completions", ask("m", false))
            .await
            .status,
        200
    );

    let alive = read(gateway.admin, "/livez").await;
    assert_eq!(
        (alive.status, alive.text().as_str()),
        (200, r#"{"alive":true}"#)
    );

    let ready = read(gateway.admin, "/readyz").await;
    assert_eq!(ready.status, 200);
    let ready = ready.json();
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["draining"], false);
    assert_eq!(ready["pools"]["main"]["usable"], true);
    assert_eq!(ready["pools"]["spare"]["usable"], false);
    let reason = ready["pools"]["spare"]["reason"].as_str().unwrap();
    assert!(reason.contains("SPARE_KEY"), "{reason}");

    gateway.idle().await;
    let target = upstream.addr();
    let metrics = read(gateway.admin, "/metrics").await;
    let kind = metrics.field("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let metrics = metrics.text();
    for line in [
        "spafe_requests_total{class=\"2xx\",endpoint=\"chat.completions\",model=\"m\",outcome=\"served\",pool=\"main\"} 1",
        "spafe_requests_in_flight 0",
        "spafe_limit{name=\"body_bytes\"} 10485760",
        // A rate is made of two values: what did not happen yet is told as well.
        "spafe_stream_breaks_total{kind=\"cut\"} 0",
        &format!(
            "spafe_target_ejections_total{{pool=\"main\",reason=\"in_a_row\",target=\"{target}\"}} 0"
        ),
    ] {
        assert!(
            metrics.lines().any(|told| told == line),
            "{line} is not in\n{metrics}"
        );
    }
    assert!(metrics.contains("spafe_build_info{"), "{metrics}");

    let config = read(gateway.admin, "/config").await;
    assert_eq!(config.status, 200);
    let config = config.json();
    assert_eq!(config["version"], ready["config"]);
    assert_eq!(config["config"]["pools"][0]["name"], "main");
    assert_eq!(config["config"]["server"]["admin_public"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_told_nowhere() {
    let upstream = upstream().await;
    let gateway = gateway(&base(&upstream));
    let mut client = Connection::open(gateway.address).await;
    let answer = client.post("/v1/chat/completions", ask("m", false)).await;
    let sent = upstream.next_request().await.unwrap();
    assert_eq!(
        sent.header("authorization"),
        Some(&*format!("Bearer {SECRET}"))
    );

    gateway.request_log(1).await;
    let mut told = vec![format!("{answer:?}"), answer.text(), gateway.output()];
    for path in ["/config", "/metrics", "/readyz", "/livez", "/nothing"] {
        told.push(read(gateway.admin, path).await.text());
    }
    for text in told {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_stands_on_the_public_listener() {
    let upstream = upstream().await;
    let gateway = gateway(&base(&upstream));
    let all = [
        "/metrics",
        "/livez",
        "/readyz",
        "/config",
        "/reload",
        "/log",
        "/failures",
        "/requests",
        "/requests/{id}",
        "/limits",
        "/usage",
        "/cache",
        "/cache/key",
    ];
    let others = [
        "/debug",
        "/debug/pprof/",
        "/page/operator.js",
        "/requests/1",
        "/METRICS",
        "/./metrics",
        "//metrics",
    ];
    for path in all.into_iter().chain(others) {
        let answer = read(gateway.address, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"]["code"], "not_found", "{path}");
    }
    let nothing = read(gateway.admin, "/v1/models").await;
    assert_eq!(nothing.status, 404);
    assert_eq!(nothing.json()["paths"], serde_json::json!(all));
}
