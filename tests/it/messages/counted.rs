//! How many tokens does a question in Anthropic's words have?
//!
//! Whoever speaks that protocol upstream is asked, in the caller's own bytes; it costs no
//! tokens, no other model may answer, and a model that nobody of them answers for has no count.

use serde_json::{Value, json};
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use super::refused::told;
use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{base, upstream};

const COUNT: &str = "/v1/messages/count_tokens";

async fn count(gateway: &Gateway, path: &str, body: impl AsRef<str>) -> Answer {
    let mut client = Connection::open(gateway.address).await;
    client.post(path, body.as_ref()).await
}

fn question(model: &str) -> String {
    json!({"model": model, "system": "Be brief.", "messages": [{"role": "user", "content": "One two three"}]}).to_string()
}

/// A gateway whose `claude` may be answered by OpenAI's pool, two of Anthropic's, and `gpt`.
struct Counting {
    gateway: Gateway,
    openai: Simulator,
    first: Simulator,
    second: Simulator,
}

impl Counting {
    async fn start(tables: &str) -> Self {
        let (openai, first, second) = (upstream().await, upstream().await, upstream().await);
        let model = "[[models]]\nid = \"claude\"\npools = [\"openai\", { pool = \"first\", name = \"claude-9\" }, \"second\"]\nfallbacks = [\"other\"]";
        let gateway = Setup::new()
            .tables(tables)
            .tables(model)
            .pool("openai", &[&base(&openai)])
            .pool_with("first", &[&base(&first)], "dialect = \"anthropic\"")
            .pool_with("second", &[&base(&second)], "dialect = \"anthropic\"")
            .model("gpt", &["openai"])
            .model("other", &["second"])
            .start();
        Self {
            gateway,
            openai,
            first,
            second,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_anthropics_protocol_counts() {
    let counting = Counting::start("").await;
    for path in [COUNT, "/api/v1/messages/count_tokens"] {
        let body = question("claude").replace(':', " : ");
        let answer = count(&counting.gateway, path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!({"input_tokens": 5}));
        assert_eq!(answer.field("x-spafe-upstream"), Some("first"));
        assert_eq!(answer.field("request-id"), answer.field("x-request-id"));
        let sent = counting.first.requests().pop().unwrap();
        assert_eq!(sent.target, COUNT);
        assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
        // The caller's own bytes, but for the name.
        let sent = String::from_utf8_lossy(&sent.body).into_owned();
        assert_eq!(sent, body.replace("\"claude\"", "\"claude-9\""));
    }
    assert!(counting.openai.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_nobody_counts_for_says_so() {
    let counting = Counting::start("").await;
    let answer = count(&counting.gateway, COUNT, question("gpt")).await;
    let (status, kind, message) = told(&answer);
    assert_eq!((status, &*kind), (404, "not_found_error"));
    assert!(message.contains("/messages"), "{message}");
    assert!(counting.openai.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pool_counts_and_never_another_model() {
    let counting = Counting::start("[attempts]\nmax = 4").await;
    counting.first.push(Script::anthropic_error(
        529,
        "overloaded_error",
        "Overloaded",
    ));
    let answer = count(&counting.gateway, COUNT, question("claude")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("x-spafe-upstream"), Some("second"));

    for upstream in [&counting.first, &counting.second] {
        for _ in 0..4 {
            upstream.push(Script::anthropic_error(500, "api_error", "No"));
        }
    }
    let answer = count(&counting.gateway, COUNT, question("claude")).await;
    assert_eq!(told(&answer).1, "api_error", "{}", answer.text());
    let asked = counting.second.requests();
    let is_other = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["model"] == "other"
    };
    assert!(!asked.iter().any(|request| is_other(&request.body)));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_as_strictly_as_all_else() {
    let counting = Counting::start("").await;
    for (body, word) in [
        ("", "JSON"),
        ("{\"model\":\"claude\"}", "messages"),
        ("{\"messages\":[]}", "model"),
        ("{\"model\":\"claude\",\"messages\":\"Hi\"}", "messages"),
        (
            "{\"model\":\"claude\",\"model\":\"gpt\",\"messages\":[]}",
            "twice",
        ),
        ("{\"Model\":\"claude\",\"messages\":[]}", "spell"),
        (
            "{\"model\":\"claude\",\"messages\":[],\"System\":\"x\"}",
            "spell",
        ),
        (
            "{\"model\":\"claude\",\"messages\":[],\"api_base\":\"http://x\"}",
            "credential",
        ),
    ] {
        let (status, kind, message) = told(&count(&counting.gateway, COUNT, body).await);
        assert_eq!((status, &*kind), (400, "invalid_request_error"), "{body}");
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(counting.first.requests().is_empty());
    // What only the upstream knows it says in its own words.
    let body = question("claude").replace("\"system\"", "\"max_tokens\":5,\"system\"");
    let (status, _, message) = told(&count(&counting.gateway, COUNT, body).await);
    assert_eq!(status, 400);
    assert!(message.contains("max_tokens: Extra inputs"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_counts_as_a_request_without_tokens() {
    let limits = |what: &str| {
        format!(
            "[[limits]]\nname = \"one\"\nby = \"client\"\n{what} = {{ count = 1, per = \"1m\" }}"
        )
    };
    let counting = Counting::start(&limits("tokens")).await;
    for _ in 0..2 {
        let answer = count(&counting.gateway, COUNT, question("claude")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let counting = Counting::start(&limits("requests")).await;
    let first = count(&counting.gateway, COUNT, question("claude")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let second = count(&counting.gateway, COUNT, question("claude")).await;
    assert_eq!(told(&second).1, "rate_limit_error");
    assert!(second.field("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_kept_as_other_answers_are() {
    let counting = Counting::start("[cache]\nenabled = true").await;
    for status in ["fwd=miss", "hit"] {
        let answer = count(&counting.gateway, COUNT, question("claude")).await;
        assert_eq!(answer.json(), json!({"input_tokens": 5}));
        let cache = answer.field("cache-status").unwrap();
        assert!(cache.contains(status), "{cache}");
    }
    assert_eq!(counting.first.requests().len(), 1);
    // What is no count is nobody else's.
    counting.first.push(Script::json(200, "{}"));
    let body = question("claude").replace("One", "Two");
    count(&counting.gateway, COUNT, &body).await;
    let answer = count(&counting.gateway, COUNT, &body).await;
    assert_eq!(answer.json(), json!({"input_tokens": 5}));
}
