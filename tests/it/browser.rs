//! What may a page do that stands on somebody else's site?
//!
//! A browser decides by headers what a page sees of an answer, and asks before
//! it sends what a form could not. Both are checked twice: by hand, byte for
//! byte, and with a real Chromium, which is the only judge that counts.

use spafe::simulator::script::Script;

use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::chunk;
use crate::kit::script;
use crate::kit::upstream::{BODY_BYTES_MAX, FAULTS, WORKING, always, base, faults, upstream};
use crate::sdk::error_environment;

/// A page of some other site.
const ORIGIN: &str = "Origin: https://app.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_chromium_uses_everything_and_reads_every_error() {
    let (setup, _upstreams) = faults().await;
    let painter = upstream().await;
    let gateway = setup
        .pool_with("painter", &[&base(&painter)], "dialect = \"images\"")
        .model_with("flux", &["painter"], "modality = \"image\"")
        .tables("[[limits]]\nname = \"plenty\"\nby = \"client\"\nrequests = { count = 1000, per = \"1h\" }\ntokens = { count = 1000000, per = \"1h\" }")
        .start();
    let told = error_environment(&gateway);
    let mut environment = told.as_pairs().to_vec();
    environment.push(("SPAFE_PAINTING", "flux"));
    script::node("browser.mjs", &environment);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_is_closed_takes_its_stream_along() {
    let event = format!("data: {}\n\n", chunk("Hello"));
    let script = Script::sse_bytes(&[event.as_bytes()]).stall_after(event.len());
    let upstream = always(script).await;
    let gateway = Setup::new()
        .tls()
        .pool("main", &[&base(&upstream)])
        .model("m", &["main"])
        .start();
    let (page, metrics) = (gateway.tls_url("/"), gateway.admin_url("/metrics"));
    script::node(
        "tab.mjs",
        &[("SPAFE_URL", &page), ("SPAFE_METRICS", &metrics)],
    );
    let request = upstream.next_request().await.unwrap();
    upstream.aborted(request.number).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_without_asking_anybody() {
    let upstream = upstream().await;
    let gateway = any_origin(&base(&upstream)).start();
    let wanted = "content-type, x-stainless-lang, x-of-my-own";
    for path in ["/api/v1/chat/completions", "/v1/chat/completions"] {
        let answer = preflight(&gateway, path, ORIGIN, wanted).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        assert!(answer.body.is_empty(), "{answer:?}");
        assert!(is_open_to(&answer, "https://app.example"), "{answer:?}");
        let methods = answer.field("access-control-allow-methods").unwrap();
        assert!(methods.contains("POST"), "{answer:?}");
        let headers = answer.field("access-control-allow-headers").unwrap();
        for header in wanted.split(", ") {
            assert!(headers.contains(header), "{header}: {answer:?}");
        }
        let age = answer.field("access-control-max-age").unwrap();
        assert!(
            (1..=7200).contains(&age.parse::<u32>().unwrap()),
            "{answer:?}"
        );
        assert!(
            answer
                .field("access-control-allow-private-network")
                .is_none()
        );
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_an_origin_of_its_own_may_ask_too() {
    let upstream = upstream().await;
    let gateway = any_origin(&base(&upstream)).start();
    let answer = preflight(
        &gateway,
        "/v1/chat/completions",
        "Origin: null",
        "content-type",
    )
    .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(is_open_to(&answer, "null"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_origins_are_listed_others_are_told_nothing() {
    let upstream = upstream().await;
    let gateway = any_origin(&base(&upstream))
        .tables("[cors]\norigins = [\"https://app.example\"]")
        .start();
    for (origin, is_ours) in [
        ("https://app.example", true),
        ("https://app.example.evil.example", false),
        ("https://notapp.example", false),
        ("http://app.example", false),
        ("null", false),
    ] {
        let line = format!("Origin: {origin}");
        let asked = preflight(&gateway, "/v1/chat/completions", &line, "content-type").await;
        let mut connection = Connection::open(gateway.address).await;
        connection
            .send(post(
                "/v1/chat/completions",
                &[&line],
                ask("gpt-4o", false).as_bytes(),
            ))
            .await;
        for answer in [asked, connection.answer().await] {
            assert_eq!(is_open_to(&answer, origin), is_ours, "{origin}: {answer:?}");
            // A cache must not give one origin what another was told.
            let vary = answer
                .field("vary")
                .unwrap_or_default()
                .to_ascii_lowercase();
            assert!(vary.contains("origin"), "{origin}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_larger_than_a_head_is_refused() {
    let upstream = upstream().await;
    let gateway = any_origin(&base(&upstream)).start();
    let origin = format!("Origin: https://{}", "a".repeat(100 * 1024));
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(format!("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\n{origin}\r\nAccess-Control-Request-Method: POST\r\n\r\n"))
        .await;
    assert_eq!(connection.head().await.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_carries_what_a_page_needs_to_read_it() {
    let (setup, _upstreams) = faults().await;
    let gateway = setup.start();
    let mut cases: Vec<(u16, Vec<u8>)> = Vec::new();
    let chat = "/v1/chat/completions";
    for fault in &FAULTS {
        let streams: &[bool] = if fault.once { &[false] } else { &[false, true] };
        for &stream in streams {
            cases.push((
                fault.status,
                post(chat, &[ORIGIN], ask(fault.model, stream).as_bytes()),
            ));
        }
    }
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    let json = ask(WORKING, false);
    let plain = format!(
        "POST {chat} HTTP/1.1\r\nHost: gateway.test\r\n{ORIGIN}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    cases.extend([
        (400, post(chat, &[ORIGIN], b"{")),
        (404, post("/v1/nothing", &[ORIGIN], b"{}")),
        (405, post("/v1/models", &[ORIGIN], b"{}")),
        (413, post(chat, &[ORIGIN], &large)),
        (415, plain.into_bytes()),
        (417, post(chat, &[ORIGIN, "Expect: 200-ok"], b"{}")),
        (200, post(chat, &[ORIGIN], ask(WORKING, false).as_bytes())),
        (200, post(chat, &[ORIGIN], ask(WORKING, true).as_bytes())),
    ]);
    for (status, bytes) in cases {
        let mut connection = Connection::open(gateway.address).await;
        connection
            .send(&bytes[..bytes.len().min(BODY_BYTES_MAX)])
            .await;
        let answer = connection.head().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(is_open_to(&answer, "https://app.example"), "{answer:?}");
        let exposed = answer
            .field("access-control-expose-headers")
            .unwrap_or_default()
            .to_ascii_lowercase();
        for header in ["x-request-id", "retry-after", "x-ratelimit-limit-requests"] {
            assert!(exposed.contains(header), "{header}: {answer:?}");
        }
    }
}

fn any_origin(upstream: &str) -> Setup {
    Setup::new()
        .pool("main", &[upstream])
        .model("gpt-4o", &["main"])
}

async fn preflight(gateway: &Gateway, path: &str, origin: &str, headers: &str) -> Answer {
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: gateway.test\r\n{origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: {headers}\r\nAccess-Control-Request-Private-Network: true\r\n\r\n"
        ))
        .await;
    connection.answer().await
}

/// Whether a page of this origin may read the answer; credentials are never part of it.
fn is_open_to(answer: &Answer, origin: &str) -> bool {
    assert!(
        answer.field("access-control-allow-credentials").is_none(),
        "{answer:?}"
    );
    answer
        .field("access-control-allow-origin")
        .is_some_and(|allowed| allowed == "*" || allowed == origin)
}
