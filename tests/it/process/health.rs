//! What is an orchestrator told, and how soon?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::upstream::{base, unused_address, upstream};

#[tokio::test(flavor = "multi_thread")]
async fn however_busy_it_is_it_is_alive_within_a_second() {
    let upstream = upstream().await;
    let gateway = super::before(&base(&upstream))
        .argument("--threads=1")
        .start();
    // A body that takes long to look through, and many of them.
    let text = "\\u00e9".repeat(9 * 1024 * 1024 / 6);
    let body = ask("gpt-4o", false).replace("Hi", &text);
    let request: Arc<[u8]> = post("/v1/chat/completions", &[], body.as_bytes()).into();
    let clients: Vec<_> = (0..6)
        .map(|_| tokio::spawn(ask_over_and_over(gateway.address, Arc::clone(&request))))
        .collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = now();
        let (status, _) = read(&gateway, "/livez").await;
        assert_eq!(status, 200);
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for client in clients {
        client.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_that_are_down_are_told_and_decide_only_where_that_is_wanted() {
    for (needs_pool, expected) in [(false, 200), (true, 503)] {
        let gateway = keyless(&format!("ready_needs_pool = {needs_pool}")).start();
        let (status, ready) = read(&gateway, "/readyz").await;
        assert_eq!(status, expected, "{ready}");
        assert_eq!(ready["ready"], expected == 200);
        assert_eq!(ready["draining"], false);
        assert_eq!(ready["pools"]["main"]["usable"], false);
        let reason = ready["pools"]["main"]["reason"].as_str().unwrap();
        assert!(reason.contains("NO_SUCH_KEY"), "{reason}");
        assert_eq!(read(&gateway, "/livez").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_hangs_is_told_of_and_so_is_its_going_on() {
    let upstream = upstream().await;
    let gateway = super::before(&base(&upstream))
        .argument("--threads=1")
        .variable("SPAFE_PANIC_AT", "door")
        .start();
    let mut client = Connection::open(gateway.address).await;
    let stall = post(
        "/v1/chat/completions",
        &["X-Request-Id: stall-1"],
        ask("gpt-4o", false).as_bytes(),
    );
    client.send(stall).await;
    gateway.says("the runtime that serves does not turn").await;
    let (status, told) = read(&gateway, "/livez").await;
    assert_eq!(status, 503);
    assert_eq!(told["alive"], false);
    assert!(gateway.metric("spafe_runtime_lag_seconds").await >= 4.0);
    // It was only this long: all is served, and remembered for a while.
    assert_eq!(client.answer().await.status, 200);
    gateway.says("the runtime turns again").await;
    assert_eq!(read(&gateway, "/livez").await.0, 200);
    assert!(gateway.metric("spafe_runtime_lag_seconds").await >= 5.0);
}

async fn ask_over_and_over(address: SocketAddr, request: Arc<[u8]>) {
    loop {
        let mut connection = Connection::open(address).await;
        if connection.offer(&request).await {
            connection.answer().await;
        }
    }
}

fn keyless(line: &str) -> Setup {
    let target = format!("http://{}/v1", unused_address());
    Setup::new()
        .server(line)
        .pool_with("main", &[&target], "api_key = { env = \"NO_SUCH_KEY\" }")
        .model("m", &["main"])
}

async fn read(gateway: &Gateway, path: &str) -> (u16, Value) {
    let mut connection = Connection::open(gateway.admin).await;
    connection
        .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .await;
    let answer = connection.answer().await;
    (answer.status, answer.json())
}
