//! What do people see who come with a browser?
//!
//! What is sent is checked byte by byte here, and what a person sees and does in a real
//! Chromium: every example runs as the page shows it, and the playground is talked to.

use std::time::Duration;

use spafe::simulator::script::Script;
use spafe::simulator::{Options, Simulator};

use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{chunk, stop};
use crate::kit::upstream::{always, base, upstream};
use crate::kit::{repository, script};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn every_example_of_the_page_runs_as_it_stands() {
    let gateway = Setup::demo().start();
    let python = repository("target/test-env/python/bin/python");
    script::node(
        "examples.mjs",
        &[
            ("SPAFE_URL", &gateway.url("")),
            ("SPAFE_PYTHON", python.to_str().unwrap()),
        ],
    );
}

#[test]
fn every_answer_is_as_the_description_says() {
    let gateway = Setup::demo().start();
    script::python("openapi.py", &[("SPAFE_URL", &gateway.url(""))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_the_description_takes() {
    let upstream = upstream().await;
    let endpoints = "endpoints = [\"chat.completions\", \"completions\", \"embeddings\", \"images.generations\", \"responses\", \"audio.speech\", \"moderations\", \"rerank\"]";
    let gateway = Setup::new()
        .pool("main", &[&base(&upstream)])
        .model_with("any", &["main"], endpoints)
        .start();
    script::python("described.py", &[("SPAFE_URL", &gateway.url(""))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_talks_to_models_in_the_playground() {
    let (gateway, _upstreams) = playground().await;
    script::node("playground.mjs", &[("SPAFE_URL", &gateway.url(""))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_read_and_used_by_everybody() {
    let (gateway, _upstreams) = playground().await;
    let unknown = gateway.url("/nothing/here");
    let environment = [("SPAFE_URL", &*gateway.url("/")), ("SPAFE_OTHER", &unknown)];
    script::node("readable.mjs", &environment);
}

/// One model for each thing that can happen to a person.
async fn playground() -> (Gateway, Vec<Simulator>) {
    let events = || Script::sse(&[&chunk("One "), &chunk("two "), &chunk("three."), &stop(0)]);
    let evil = "<img src=x onerror=\\\"document.title='run'\\\"><script>document.title='run'</script> ![a](https://elsewhere.example/images/x.png) ![b](javascript:alert(1))";
    let scripts = [
        ("slow", events().gap(Duration::from_millis(400))),
        ("evil", Script::sse(&[&chunk(evil), &stop(0)])),
        ("breaks", events().cut_after(chunk("One ").len() + 10)),
        ("fails", Script::json(500, "{}")),
        (
            "declines",
            Script::sse(&[&delta("refusal", "I cannot do that."), &stop(0)]),
        ),
        (
            "thinks",
            Script::sse(&[&delta("reasoning_content", "Hm."), &stop(0)]),
        ),
        ("empty", Script::sse(&[&delta("content", ""), &stop(0)])),
        ("silent", Script::stall()),
    ];
    let working = upstream().await;
    let painter = Simulator::start(
        ([127, 0, 0, 1], 0).into(),
        Options {
            image_inline: true,
            ..Options::test()
        },
    );
    let painter = painter.await.unwrap();
    let mut setup = Setup::new()
        .tables("[auth]\nkeys = \"optional\"")
        .tables("[[limits]]\nname = \"plenty\"\nby = \"client\"\nrequests = { count = 1000, per = \"1h\" }")
        .tables("[[limits]]\nname = \"one\"\nby = \"client\"\nmodels = [\"limited\"]\nrequests = { count = 1, per = \"3s\" }")
        .pool("works", &[&base(&working)])
        .model_with("works", &["works"], "owned_by = \"<b>somebody</b>\"\ncache = { enabled = true }")
        .model("limited", &["works"])
        .pool_with("keyless", &[&base(&working)], "api_key = { env = \"SPAFE_TEST_THIS_IS_NOT_SET\" }")
        .model("has-no-key", &["keyless"])
        .pool_with("painter", &[&base(&painter)], "dialect = \"images\"")
        .model_with("flux", &["painter"], "modality = \"image\"");
    let mut upstreams = vec![working, painter];
    for (model, script) in scripts {
        let upstream = always(script).await;
        setup = setup
            .pool(model, &[&base(&upstream)])
            .model(model, &[model]);
        upstreams.push(upstream);
    }
    (setup.start(), upstreams)
}

/// An event with a piece of one member.
fn delta(member: &str, piece: &str) -> String {
    serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {member: piece}, "finish_reason": null}],
    })
    .to_string()
}

async fn get(gateway: &Gateway, what: &str, lines: &[&str]) -> Answer {
    let mut connection = Connection::open(gateway.address).await;
    let lines: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
    connection
        .send(format!(
            "{what} HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n"
        ))
        .await;
    if what.starts_with("HEAD") {
        return connection.head().await;
    }
    connection.answer().await
}

async fn small() -> (Gateway, Simulator) {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables(
            "[[limits]]\nname = \"one\"\nby = \"client\"\nrequests = { count = 1, per = \"1h\" }",
        )
        .pool("main", &[&base(&upstream)])
        .model("gpt-4o", &["main"])
        .start();
    (gateway, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_page_already_is_told_just_that() {
    let (gateway, upstream) = small().await;
    for path in [
        "/",
        "/openapi.json",
        "/robots.txt",
        "/favicon.ico",
        "/favicon.svg",
        "/pages/base.css",
        "/pages/page.js",
    ] {
        for coding in ["Accept-Encoding: gzip, br", "Accept-Encoding: identity"] {
            let whole = get(&gateway, &format!("GET {path}"), &[coding]).await;
            assert_eq!(whole.status, 200, "{path}: {whole:?}");
            let etag = whole.field("etag").unwrap().to_owned();
            let head = get(&gateway, &format!("HEAD {path}"), &[coding]).await;
            assert_eq!(head.status, 200, "{path}");
            assert_eq!(head.length(), Some(whole.body.len()), "{path}");
            assert_eq!(head.field("etag"), Some(&*etag), "{path}");
            let known = format!("If-None-Match: \"other\", W/{etag}");
            let again = get(&gateway, &format!("GET {path}"), &[coding, &known]).await;
            assert_eq!(again.status, 304, "{path}: {again:?}");
            assert!(again.body.is_empty(), "{path}: {again:?}");
            assert_eq!(again.field("etag"), Some(&*etag), "{path}");
            let varies = whole
                .field("vary")
                .is_some_and(|vary| vary.contains("Accept-Encoding"));
            if whole.field("content-encoding") == Some("gzip") {
                assert!(varies, "{path}: {whole:?}");
            }
            if path == "/" {
                assert!(varies);
                let is_gzip = whole.field("content-encoding") == Some("gzip");
                assert_eq!(is_gzip, coding.contains("gzip"), "{whole:?}");
                let policy = whole.field("content-security-policy").unwrap();
                assert!(policy.starts_with("default-src 'none'"), "{policy}");
                assert!(!policy.contains("unsafe"), "{policy}");
            }
        }
        let posted = get(&gateway, &format!("POST {path}"), &["Content-Length: 0"]).await;
        assert_eq!(posted.status, 405, "{path}: {posted:?}");
        assert_eq!(posted.field("allow"), Some("GET, HEAD, OPTIONS"));
    }
    // None of it asked an upstream or used what a caller may ask for.
    assert!(upstream.requests().is_empty());
    let answer = crate::kit::client::chat(gateway.address, "gpt-4o", false).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_here_is_told_to_people_and_to_programs_in_their_ways() {
    let (gateway, _upstream) = small().await;
    for path in ["/nothing", "/pages/", "/admin"] {
        let page = get(&gateway, &format!("GET {path}"), &[BROWSER]).await;
        assert_eq!(page.status, 404, "{path}: {page:?}");
        assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.text().contains("<h1>There is nothing here</h1>"));
        let head = get(&gateway, &format!("HEAD {path}"), &[BROWSER]).await;
        assert_eq!((head.status, head.length()), (404, Some(page.body.len())));
        let told = get(&gateway, &format!("GET {path}"), &["Accept: */*"]).await;
        assert_eq!(told.json()["error"]["code"], "not_found", "{path}");
    }
    for path in [
        "/v1/nothing",
        "/api/v1/nothing",
        "/images",
        "/images/nothing",
    ] {
        let told = get(&gateway, &format!("GET {path}"), &[BROWSER]).await;
        assert_eq!(told.status, 404);
        assert_eq!(told.json()["error"]["code"], "not_found", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_keys_are_required_the_page_is_open_and_its_models_are_not() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables("[auth]\nkeys = \"required\"\n[[keys]]\nname = \"k\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"")
        .pool("main", &[&base(&upstream)])
        .model("a-model", &["main"])
        .start();
    let page = get(&gateway, "GET /", &[BROWSER]).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text().contains("Bearer $API_KEY"));
    let models = get(&gateway, "GET /pages/models.json", &[]).await;
    assert_eq!(models.status, 401, "{models:?}");
    assert_eq!(get(&gateway, "GET /v1/models", &[]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_are_told_as_they_stand() {
    let (gateway, _upstreams) = playground().await;
    let told = get(&gateway, "GET /pages/models.json", &[]).await.json();
    let states: Vec<(&str, &str)> = told["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| {
            (
                model["id"].as_str().unwrap(),
                model["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(states.contains(&("works", "ready")), "{states:?}");
    assert!(
        states.contains(&("has-no-key", "unavailable")),
        "{states:?}"
    );
}
