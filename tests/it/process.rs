//! Is the process a good citizen of the machine it runs on?
//!
//! Orchestrators ask whether it is ready, collect its numbers and its lines, and
//! end it; none of that may cost a caller an answer.

/// The end, announced and then kept.
mod drain;
/// What is left of a crash.
mod dumps;
/// One process in the place of another.
mod upgrade;
/// What an orchestrator asks.
mod health;
/// The beginning, and what can be in its way.
mod start;
/// What it goes on without.
mod lacking;
/// What stands in `deploy/`.
mod deploy;
/// What a service manager gives and hears.
mod supervisor;

use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::load::MANY;
use crate::kit::soon;
use crate::kit::upstream::{always, base, upstream};

const PATH: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_its_health_and_its_numbers() {
    let upstream = upstream().await;
    let gateway = before(&base(&upstream)).start();
    assert_eq!(admin(&gateway, "/livez").await.0, 200);
    assert_eq!(admin(&gateway, "/readyz").await.0, 200);
    let mut connection = Connection::open(gateway.address).await;
    let answer = connection.post(PATH, ask("gpt-4o", false)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    soon("the request to be counted", async {
        loop {
            let (_, metrics) = admin(&gateway, "/metrics").await;
            let mut lines = metrics.lines();
            if lines.any(|line| {
                line.starts_with("spafe_requests_total{") && line.contains("\"gpt-4o\"")
            }) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_admin_listener_is_public() {
    let upstream = upstream().await;
    let gateway = before(&base(&upstream)).start();
    for path in ["/metrics", "/readyz", "/config"] {
        let mut connection = Connection::open(gateway.address).await;
        connection
            .send(format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n"))
            .await;
        assert_eq!(connection.answer().await.status, 404, "{path}");
    }
    assert_ne!(gateway.admin, gateway.address);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_leaves_a_line_with_its_id() {
    let upstream = upstream().await;
    let gateway = before(&base(&upstream)).start();
    let mut connection = Connection::open(gateway.address).await;
    let body = ask("gpt-4o", false).replace("Hi", "only-for-the-model");
    connection
        .send(post(
            PATH,
            &["x-request-id: find-me-in-the-log"],
            body.as_bytes(),
        ))
        .await;
    let answer = connection.answer().await;
    assert_eq!(answer.field("x-request-id"), Some("find-me-in-the-log"));
    soon("the line", async {
        while !gateway.output().contains("find-me-in-the-log") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(
        !gateway.output().contains("only-for-the-model"),
        "a prompt was logged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_served_is_misdirected() {
    let upstream = upstream().await;
    let gateway = before(&base(&upstream))
        .server("allowed_hosts = [\"api.example\"]")
        .start();
    for (host, status) in [("api.example", 200), ("evil.example", 421)] {
        let mut connection = Connection::open(gateway.address).await;
        let body = ask("gpt-4o", false);
        let request = String::from_utf8(post(PATH, &[], body.as_bytes())).unwrap();
        connection.send(request.replace("gateway.test", host)).await;
        assert_eq!(connection.answer().await.status, status, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_and_hung_up() {
    let upstream = upstream().await;
    let gateway = before(&base(&upstream)).start();
    let mut connection = Connection::open(gateway.address).await;
    connection.send("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert_eq!(connection.closed().await, b"");
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_it_answers_first_and_ends_well() {
    let gate = Gate::new();
    let upstream = always(Script::json(200, "{\"id\":\"x\"}").hold_head(&gate)).await;
    let gateway = before(&base(&upstream)).start();
    let readyz = gateway.admin_url("/readyz");
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(post(PATH, &[], ask("gpt-4o", false).as_bytes()))
        .await;
    upstream.next_request().await.unwrap();

    let answered = async {
        soon("the end of readiness", async {
            // Once the listener is gone too, nobody takes it for ready.
            while reqwest::get(&readyz)
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {}
        })
        .await;
        gate.open();
        connection.answer().await
    };
    let (status, answer) = tokio::join!(gateway.terminate(), answered);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(status.success(), "{status}");
}

fn before(upstream: &str) -> Setup {
    Setup::new()
        .tables(MANY)
        .pool("main", &[upstream])
        .model("gpt-4o", &["main"])
}

async fn admin(gateway: &Gateway, path: &str) -> (u16, String) {
    let answer = soon("the admin listener", reqwest::get(gateway.admin_url(path)))
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
