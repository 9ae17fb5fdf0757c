//! Do the SDKs that people have work as they are?
//!
//! Everybody's client is a real SDK with its own idea of HTTP, events and
//! errors. So the real ones of Python, JavaScript and Rust are asked for every
//! model of the shipped configuration, and for every kind of failure.

use std::collections::BTreeSet;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequest,
    CreateChatCompletionRequestArgs,
};
use futures_util::StreamExt as _;

use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{BODY_BYTES_MAX, BREAKING, FAULTS, WORKING, base, faults, upstream};
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

#[tokio::test(flavor = "multi_thread")]
async fn python_asks_over_tls_and_http2() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tls()
        .tables("[limits]\nin_flight_per_client_max = 40")
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
