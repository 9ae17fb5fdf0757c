//! Does an Azure deployment answer as OpenAI does?

use serde_json::json;
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::chat;
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};

const KEYS: &str =
    "dialect = \"azure\"\napi_version = \"2024-10-21\"\napi_key = { env = \"AZURE_KEY\" }";

/// A model with an Azure pool, and one of OpenAI's in its place where a policy forbids it.
fn setup(azure: &Simulator, openai: &Simulator) -> Setup {
    Setup::new()
        .variable("AZURE_KEY", "azure-secret")
        .pool_with("azure", &[&azure.url()], KEYS)
        .pool("openai", &[&base(openai)])
        .tables(
            "[[models]]\nid = \"gpt-4o\"\npools = [{ pool = \"azure\", name = \"my deployment\" }]\npolicy_fallbacks = [\"other\"]",
        )
        .model("other", &["openai"])
        .model("only-azure", &["azure"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_asked_by_its_path_with_version_and_key() {
    let (azure, openai) = (upstream().await, upstream().await);
    let gateway = setup(&azure, &openai).start();
    for stream in [false, true] {
        let answer = chat(gateway.address, "gpt-4o", stream).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains("my deployment"), "{}", answer.text());
        let asked = azure.next_request().await.unwrap();
        assert_eq!(
            asked.target,
            "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21"
        );
        assert_eq!(asked.header("api-key"), Some("azure-secret"));
        assert_eq!(asked.header("authorization"), None);
    }
    assert!(openai.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_filter_adds_to_a_stream_passes_as_it_came() {
    let (azure, openai) = (upstream().await, upstream().await);
    let gateway = setup(&azure, &openai).start();
    // The filter at work beside the model: verdicts in events without a delta.
    let events = [
        r#"{"id":"","object":"","created":0,"model":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],"choices":[]}"#,
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"finish_reason":null,"delta":{"role":"assistant","content":"Hi"}}]}"#,
        r#"{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"content_filter_offsets":{"check_offset":2,"start_offset":0,"end_offset":2}}]}"#,
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop","delta":{}}]}"#,
        r#"{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{"hate":{"filtered":true,"severity":"high"}}}]}"#,
    ];
    azure.push(Script::sse(&events));
    let answer = chat(gateway.address, "gpt-4o", true).await;
    let expected: String = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .chain(["data: [DONE]\n\n".to_owned()])
        .collect();
    assert_eq!(answer.text(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_its_filter_stops_is_answered_by_who_has_another_policy() {
    let (azure, openai) = (upstream().await, upstream().await);
    let gateway = setup(&azure, &openai).start();
    azure.push(Script::azure_filtered_prompt());
    let answer = chat(gateway.address, "gpt-4o", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("x-spafe-upstream"), Some("openai"));
    // Where there is nobody else, the caller is told why.
    azure.push(Script::azure_filtered_prompt());
    let answer = chat(gateway.address, "only-azure", false).await;
    let error = answer.json()["error"].clone();
    assert_eq!(
        (answer.status, &error["code"]),
        (400, &json!("content_filter"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("content management policy"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_gate_and_of_deployments_are_understood() {
    let (azure, openai) = (upstream().await, upstream().await);
    let gateway = setup(&azure, &openai).start();
    let limited = r#"{"error":{"code":"429","message":"Requests have exceeded the call rate limit of your current pricing tier. Please retry after 7 seconds."}}"#;
    let deployment = r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#;
    azure.push(Script::json(404, deployment));
    let answer = chat(gateway.address, "only-azure", false).await;
    let error = answer.json()["error"].clone();
    assert_eq!(
        (answer.status, &error["code"]),
        (404, &json!("DeploymentNotFound"))
    );
    azure.push(Script::json(429, limited).header("Retry-After", "7"));
    let answer = chat(gateway.address, "only-azure", false).await;
    assert_eq!(
        (answer.status, answer.field("retry-after")),
        (429, Some("7"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_the_gate_refuses_is_ours_and_not_the_callers() {
    let azure = upstream().await;
    let gateway = Setup::new()
        .variable("AZURE_KEY", "unknown-key")
        .pool_with("azure", &[&azure.url()], KEYS)
        .model("gpt-4o", &["azure"])
        .start();
    let answer = chat(gateway.address, "gpt-4o", false).await;
    let error = answer.json()["error"].clone();
    assert_eq!(
        (answer.status, &error["code"]),
        (502, &json!("upstream_auth"))
    );
}
