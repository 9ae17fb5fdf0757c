//! What may a page of somebody else's make a browser do?
//!
//! Send what a form can send, under any name that resolves here. Neither may reach
//! an upstream, and nothing that comes back may be taken for a page.

use std::time::{Duration, Instant};

use super::{CHAT, MODEL, assert_is_refusal, marked, recorded};
use crate::kit::client::{Answer, Connection, ask, post};

#[tokio::test(flavor = "multi_thread")]
async fn every_preflight_is_answered_at_once_and_by_nobody_else() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let mut connection = Connection::open(gateway.address).await;
    let mut waits = Vec::new();
    for lines in [
        "Origin: https://app.example\r\nAccess-Control-Request-Method: POST",
        "Origin: https://app.example\r\nAccess-Control-Request-Method: BREW",
        "Origin: null\r\nAccess-Control-Request-Method: POST",
        "Access-Control-Request-Method: POST",
        "Origin: https://app.example\r\nAccess-Control-Request-Headers: x-nobody-knows",
        "Origin: https://app.example\r\nAccess-Control-Request-Headers: a\u{e9}",
        "Origin: https://app.example\r\nAccess-Control-Request-Private-Network: true",
        "Origin: a\r\nOrigin: b",
        "X: y",
    ] {
        let asked = Instant::now();
        connection
            .send(format!(
                "OPTIONS {CHAT} HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n"
            ))
            .await;
        let answer = connection.answer().await;
        waits.push(asked.elapsed());
        assert_eq!(answer.status, 204, "{lines}: {answer:?}");
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
        let age = answer.field("access-control-max-age").unwrap();
        assert!(age.parse::<u32>().unwrap() <= 7200);
        let allowed = answer
            .field("access-control-allow-headers")
            .unwrap_or_default();
        assert!(!allowed.contains('\u{e9}') && !allowed.contains('*'));
        for never in [
            "access-control-allow-credentials",
            "access-control-allow-private-network",
        ] {
            assert!(answer.field(never).is_none(), "{lines}: {answer:?}");
        }
    }
    // The middle one: a test shares its processor.
    waits.sort();
    assert!(
        waits[waits.len() / 2] < Duration::from_millis(5),
        "{waits:?}"
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_form_can_send_is_refused() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    for kind in [
        "Content-Type: text/plain",
        "Content-Type: text/plain;charset=UTF-8",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: multipart/form-data; boundary=x",
        "Content-Type: text/plain; application/json",
        "Content-Type: application/jsonp",
        "Content-Type: application/json, text/plain",
        "Content-Type: application/json\r\nContent-Type: text/plain",
        "Content-Type: application/json; charset=utf-16",
        "Content-Type:",
        "X: y",
    ] {
        let json = marked("from a form");
        let mut connection = Connection::open(gateway.address).await;
        connection
            .send(format!(
                "POST {CHAT} HTTP/1.1\r\nHost: h\r\nOrigin: https://app.example\r\n{kind}\r\nContent-Length: {}\r\n\r\n{json}",
                json.len()
            ))
            .await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 415, "{kind}: {answer:?}");
        assert_is_refusal(&answer, kind);
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_ours_is_misdirected() {
    let (setup, upstream) = recorded().await;
    let gateway = setup
        .server("allowed_hosts = [\"api.example\", \"localhost\", \"127.0.0.1\"]")
        .start();
    for (host, served) in [
        ("api.example", true),
        ("API.Example:8443", true),
        ("localhost:1", true),
        ("127.0.0.1", true),
        ("evil.example", false),
        ("api.example.evil.example", false),
        ("xapi.example", false),
        ("127.0.0.1.evil.example", false),
        ("[::1]", false),
        ("169.254.169.254", false),
    ] {
        let json = ask(MODEL, false);
        for origin in ["", "Origin: http://evil.example\r\n"] {
            let mut connection = Connection::open(gateway.address).await;
            connection
                .send(format!(
                    "POST {CHAT} HTTP/1.1\r\nHost: {host}\r\n{origin}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
                    json.len()
                ))
                .await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, if served { 200 } else { 421 }, "{host}");
            if !served {
                assert_is_refusal(&answer, host);
            }
        }
    }
    assert_eq!(upstream.requests().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_comes_back_can_be_taken_for_a_page() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.start();
    let script = "<script>alert(1)</script>";
    let html = "Accept: text/html";
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n{html}\r\n\r\n").into_bytes();
    let unknown = format!(r#"{{"model":"{script}","messages":[]}}"#);
    for request in [
        post(CHAT, &[html], unknown.as_bytes()),
        post(
            CHAT,
            &[html],
            format!("{{\"model\":\"{MODEL}\",\"messages\":[],\"{script}\":1,\"{script}\":2}}")
                .as_bytes(),
        ),
        post(CHAT, &[html], ask(MODEL, false).as_bytes()),
        post(CHAT, &[html], ask(MODEL, true).as_bytes()),
        get("/v1/models"),
        get("/api/v1/models/%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        get("/v1/%3Cscript%3E"),
        get("/images/%3Cscript%3E"),
        get("/images/nothing"),
        get("/api/v1/<script>"),
    ] {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(&request).await;
        let answer: Answer = connection.answer().await;
        let kind = answer.field("content-type").unwrap();
        assert!(
            matches!(kind, "application/json" | "text/event-stream"),
            "{answer:?}"
        );
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    }
}
