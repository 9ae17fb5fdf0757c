//! What if the collector is away?

use super::{asked, question};
use crate::kit::collector::Collector;
use crate::kit::gateway::Setup;
use crate::kit::now;
use crate::kit::upstream::{base, unused_address, upstream};

const SENT: &str = "spafe_exports_total{result=\"sent\",signal=\"traces\"}";
const FAILED: &str = "spafe_exports_total{result=\"failed\",signal=\"traces\"}";
const TAKES_NOTHING: &str = "the collector takes nothing";

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_comes_late_gets_what_waited_and_the_log_has_two_lines_of_it() {
    for protocol in ["http", "grpc"] {
        let up = upstream().await;
        let address = unused_address();
        let port = address.port().to_string();
        let mut collector = Collector::ready(protocol, &[("PORT", &port)]).await;
        let table = format!(
            "[otlp]\nendpoint = \"http://{address}\"\nprotocol = {protocol:?}\ntraces = 1\nmetrics = false"
        );
        let gateway = Setup::new()
            .tables(&table)
            .pool("p", &[&base(&up)])
            .model("m", &["p"])
            .start();
        asked(&gateway, &[], &question("Hi", false)).await;
        gateway.says(TAKES_NOTHING).await;
        for _ in 0..20 {
            asked(&gateway, &[], &question("Hi", false)).await;
        }
        collector.open().await;
        gateway.says("the collector takes exports again").await;
        collector.has_spans(42).await;
        gateway.counts(SENT, 42).await;
        gateway.counts(FAILED, 0).await;
        assert_eq!(gateway.output().matches(TAKES_NOTHING).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_off_asks_again_and_what_is_not_taken_is_counted() {
    for protocol in ["http", "grpc"] {
        let environment = [("REFUSE", "1"), ("REJECT", "1")];
        let collector = Collector::with(protocol, &environment).await;
        let up = upstream().await;
        let gateway = Setup::new()
            .tables(&collector.table("traces = 1"))
            .pool("p", &[&base(&up)])
            .model("m", &["p"])
            .start();
        asked(&gateway, &[], &question("Hi", false)).await;
        gateway.counts(SENT, 1).await;
        gateway.counts(FAILED, 1).await;
        assert_eq!(collector.spans().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_does_not_wait_for_who_never_answers() {
    let up = upstream().await;
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let table = format!("[otlp]\nendpoint = \"http://{address}\"\ntraces = 1\nmetrics = true");
    let gateway = Setup::new()
        .tables(&table)
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .start();
    asked(&gateway, &[], &question("Hi", false)).await;
    let began = now();
    assert!(gateway.terminate().await.success());
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
}
