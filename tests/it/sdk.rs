//! Do the SDKs that people have work as they are?
//!
//! Everybody's client is a real SDK with its own idea of HTTP, events and
//! errors. So the real ones of Python, JavaScript and Rust are asked for every
//! model of the shipped configuration, and for every kind of failure.

/// Whole and streamed, from an upstream and from memory.
mod same;
/// Whatever protocol its model's upstream speaks.
mod dialects;
/// What is asked for beside chats.
mod endpoints;

use std::collections::BTreeSet;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequest,
    CreateChatCompletionRequestArgs,
};
use futures_util::StreamExt as _;
use serde_json::json;
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{chunk, stop};
use crate::kit::upstream::{
    BODY_BYTES_MAX, BREAKING, FAULTS, WORKING, always, base, faults, upstream,
};
use crate::kit::{repository, script, soon};

#[test]
fn python_asks_every_model_of_the_demo() {
    let gateway = Setup::demo().start();
    let models = repository("tests/models.txt");
    script::python(
        "demo.py",
        &[
            ("SPAFE_URL", &gateway.url("")),
            ("SPAFE_MODELS", models.to_str().unwrap()),
        ],
    );
}

#[test]
fn javascript_asks_every_model_of_the_demo() {
    let gateway = Setup::demo().start();
    let models = repository("tests/models.txt");
    script::node(
        "demo.mjs",
        &[
            ("SPAFE_URL", &gateway.url("")),
            ("SPAFE_MODELS", models.to_str().unwrap()),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn python_raises_the_class_of_every_error() {
    let (setup, _upstreams) = faults().await;
    let gateway = setup.start();
    script::python("errors.py", &error_environment(&gateway).as_pairs());
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_throws_the_class_of_every_error() {
    let (setup, _upstreams) = faults().await;
    let gateway = setup.start();
    script::node("errors.mjs", &error_environment(&gateway).as_pairs());
}

/// A gateway that answers one request every two seconds.
async fn slow_down() -> (Gateway, Simulator) {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables("[[limits]]\nname = \"one-each-two-seconds\"\nby = \"client\"\nrequests = { count = 1, per = \"2s\" }")
        .pool("main", &[&base(&upstream)])
        .model("gpt-4o", &["main"])
        .start();
    (gateway, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn python_refused_once_comes_back_in_time() {
    let (gateway, upstream) = slow_down().await;
    let environment = [("SPAFE_URL", &*gateway.url("")), ("SPAFE_MODEL", "gpt-4o")];
    script::python("patience.py", &environment);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_refused_once_comes_back_in_time() {
    let (gateway, upstream) = slow_down().await;
    let environment = [("SPAFE_URL", &*gateway.url("")), ("SPAFE_MODEL", "gpt-4o")];
    script::node("patience.mjs", &environment);
    assert_eq!(upstream.requests().len(), 2);
}

/// Streams that break or only end unusually: what came, and the code of what is raised.
fn streams() -> [(&'static str, Script, Option<&'static str>, &'static str); 8] {
    let events = || Script::sse(&[&chunk("One "), &chunk("two."), &stop(0)]);
    let first = "data: \n\n".len() + chunk("One ").len();
    let error = r#"{"error":{"message":"Out of memory","type":"server_error","code":"oom"}}"#;
    let told = Script::sse(&[&chunk("One "), error]).without_done();
    let unfinished = Script::sse(&[&chunk("One ")]).without_done();
    let cut = Some("upstream_unavailable");
    let stalled = Some("upstream_timeout");
    let malformed = Some("upstream_invalid_response");
    [
        ("cut", events().cut_after(first), cut, "One "),
        ("cut-in-event", events().cut_after(first + 30), cut, "One "),
        ("stalls", events().stall_after(first), stalled, "One "),
        (
            "stalls-in-event",
            events().stall_after(first + 30),
            stalled,
            "One ",
        ),
        (
            "malformed",
            events().malformed_chunk_after(first),
            malformed,
            "One ",
        ),
        ("unfinished", unfinished, cut, "One "),
        ("told", told, Some("oom"), "One "),
        ("no-done", events().without_done(), None, "One two."),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn python_takes_no_broken_stream_for_an_answer() {
    let mut setup = Setup::new().tables("[timeouts]\nevent_gap = \"500ms\"");
    let mut upstreams = Vec::new();
    let mut told = Vec::new();
    for (model, script, code, content) in streams() {
        let upstream = always(script).await;
        setup = setup
            .pool(model, &[&base(&upstream)])
            .model(model, &[model]);
        upstreams.push(upstream);
        told.push(json!({"model": model, "code": code, "content": content}));
    }
    let large = format!(
        "{{\"choices\":[],\"filler\":\"{}\"}}",
        "x".repeat(9 * 1024 * 1024)
    );
    let severed = always(Script::json(200, large).cut_after(9 * 1024 * 1024)).await;
    let gateway = setup
        .pool("severed", &[&base(&severed)])
        .model("severed", &["severed"])
        .start();
    script::python(
        "streams.py",
        &[
            ("SPAFE_URL", &gateway.url("")),
            ("SPAFE_STREAMS", &json!(told).to_string()),
            ("SPAFE_SEVERED", "severed"),
        ],
    );
    for upstream in &upstreams {
        assert_eq!(
            upstream.requests().len(),
            1,
            "a stream that had begun was asked for again"
        );
    }
}

/// What one failed call costs upstreams, with the retries of the SDK and of the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn python_retrying_asks_a_pool_that_is_down_hardly_more_than_it_calls() {
    const CALLERS: u32 = 4;
    const CALLS: u32 = 75;
    let busy = || Script::json(503, r#"{"error":{"message":"Too busy."}}"#);
    for down in [[busy(), busy()], [Script::reset(), Script::close()]] {
        let [first, second] = down;
        let (first, second) = (always(first).await, always(second).await);
        let gateway = Setup::new()
            .pool("p", &[&base(&first), &base(&second)])
            .model("m", &["p"])
            .start();
        script::python(
            "outage.py",
            &[
                ("SPAFE_URL", &gateway.url("")),
                ("SPAFE_MODEL", "m"),
                ("SPAFE_CALLERS", &CALLERS.to_string()),
                ("SPAFE_CALLS", &CALLS.to_string()),
            ],
        );
        let mut arrived = Vec::new();
        for upstream in [&first, &second] {
            arrived.extend(upstream.requests().iter().map(|request| request.arrived));
        }
        let (begin, end) = (arrived.iter().min().unwrap(), arrived.iter().max().unwrap());
        let seconds = (*end - *begin).as_secs_f64();
        let allowed = 1.2 * f64::from(CALLERS * CALLS) + 3.0 * (seconds + 1.0);
        let asked = u32::try_from(arrived.len()).unwrap();
        assert!(
            f64::from(asked) <= allowed,
            "{asked} upstream attempts of {allowed} in {seconds} s"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_asks_over_tls_and_http2() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tls()
        .tables("[bounds]\nin_flight_per_client_max = 40")
        .pool("main", &[&base(&upstream)])
        .model("gpt-4o", &["main"])
        .start();
    script::python(
        "http2.py",
        &[
            ("SPAFE_URL", &gateway.tls_url("")),
            (
                "SPAFE_CERTIFICATE",
                gateway.certificate.as_ref().unwrap().to_str().unwrap(),
            ),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_lists_the_models_of_the_demo() {
    let gateway = Setup::demo().start();
    let listed = soon("the models", rust_client(&gateway).models().list())
        .await
        .unwrap();
    let listed: Vec<String> = listed.data.into_iter().map(|model| model.id).collect();
    let expected = std::fs::read_to_string(repository("tests/models.txt")).unwrap();
    let expected: BTreeSet<&str> = expected.lines().collect();
    assert_eq!(listed.len(), 47);
    assert_eq!(
        listed.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        expected
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_asks_at_once_and_streamed() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .pool("main", &[&base(&upstream)])
        .model("gpt-4o", &["main"])
        .start();
    let client = rust_client(&gateway);

    let answer = soon("an answer", client.chat().create(rust_ask("gpt-4o")))
        .await
        .unwrap();
    let content = answer.choices[0].message.content.as_deref();
    assert!(
        content.is_some_and(|content| !content.is_empty()),
        "{answer:?}"
    );

    let mut events = soon("a stream", client.chat().create_stream(rust_ask("gpt-4o")))
        .await
        .unwrap();
    let mut content = String::new();
    while let Some(event) = soon("an event", events.next()).await {
        for choice in event.unwrap().choices {
            content.push_str(&choice.delta.content.unwrap_or_default());
        }
    }
    assert!(!content.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_is_told_what_failed() {
    let (setup, _upstreams) = faults().await;
    let gateway = setup.start();
    // One try: the client's own patience with a 429 is not what is tested.
    for fault in FAULTS
        .iter()
        .filter(|fault| (400..429).contains(&fault.status))
    {
        let asked = rust_client(&gateway);
        let error = soon("an error", asked.chat().create(rust_ask(fault.model)))
            .await
            .unwrap_err();
        let OpenAIError::ApiError(error) = error else {
            panic!("{}: {error:?}", fault.model)
        };
        let shown = format!("{error:?}");
        assert!(shown.contains(fault.words), "{}: {shown}", fault.model);
        assert!(
            shown.contains(fault.code.unwrap()),
            "{}: {shown}",
            fault.model
        );
    }
}

fn rust_client(gateway: &Gateway) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new()
        .with_api_base(gateway.url("/v1"))
        .with_api_key("not-needed");
    Client::with_config(config)
}

fn rust_ask(model: &str) -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessageArgs::default()
        .content("Hi")
        .build()
        .unwrap();
    CreateChatCompletionRequestArgs::default()
        .model(model)
        .messages([message.into()])
        .build()
        .unwrap()
}

/// What the scripts about errors are told.
pub(crate) struct ErrorEnvironment {
    url: String,
    faults: String,
    body_bytes_max: String,
}

pub(crate) fn error_environment(gateway: &Gateway) -> ErrorEnvironment {
    ErrorEnvironment {
        url: gateway.url(""),
        faults: serde_json::to_string(&FAULTS).unwrap(),
        body_bytes_max: BODY_BYTES_MAX.to_string(),
    }
}

impl ErrorEnvironment {
    pub(crate) fn as_pairs(&self) -> [(&str, &str); 5] {
        [
            ("SPAFE_URL", &self.url),
            ("SPAFE_FAULTS", &self.faults),
            ("SPAFE_BODY_BYTES_MAX", &self.body_bytes_max),
            ("SPAFE_WORKING", WORKING),
            ("SPAFE_BREAKING", BREAKING),
        ]
    }
}
