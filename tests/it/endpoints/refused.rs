//! Is every refusal one that a caller can act upon?

use serde_json::json;

use super::{JSON, Two, code};
use crate::kit::client::Connection;

const PATHS: [&str; 9] = [
    "chat/completions",
    "completions",
    "embeddings",
    "images/generations",
    "responses",
    "audio/speech",
    "audio/transcriptions",
    "moderations",
    "rerank",
];

/// An endpoint, a body, and the code and param that it is refused with.
const FAULTS: [(&str, &str, &str, &str); 20] = [
    ("embeddings", r#"{"model":"any"}"#, "missing_field", "input"),
    ("embeddings", r#"{"input":"a"}"#, "missing_field", "model"),
    (
        "embeddings",
        r#"{"model":"any","input":null}"#,
        "missing_field",
        "input",
    ),
    (
        "embeddings",
        r#"{"model":"any","input":[]}"#,
        "invalid_value",
        "input",
    ),
    (
        "embeddings",
        r#"{"model":"any","input":{}}"#,
        "invalid_value",
        "input",
    ),
    (
        "embeddings",
        r#"{"model":"any","input":"a","Input":"b"}"#,
        "duplicate_key",
        "input",
    ),
    (
        "embeddings",
        r#"{"model":"any","input":"a","input":"b"}"#,
        "duplicate_key",
        "input",
    ),
    (
        "completions",
        r#"{"model":"any"}"#,
        "missing_field",
        "prompt",
    ),
    (
        "completions",
        r#"{"model":"any","prompt":7}"#,
        "invalid_value",
        "prompt",
    ),
    (
        "images/generations",
        r#"{"model":"any","prompt":["a"]}"#,
        "invalid_value",
        "prompt",
    ),
    (
        "images/generations",
        r#"{"model":"any","prompt":"a","n":9}"#,
        "invalid_value",
        "n",
    ),
    (
        "images/generations",
        r#"{"model":"any","prompt":"a","size":"4096x4096"}"#,
        "invalid_value",
        "size",
    ),
    ("responses", r#"{"model":"any"}"#, "missing_field", "input"),
    (
        "responses",
        r#"{"model":"any","input":"a","background":true}"#,
        "invalid_value",
        "background",
    ),
    (
        "responses",
        r#"{"model":"any","input":"a","max_output_tokens":65537}"#,
        "invalid_value",
        "max_output_tokens",
    ),
    (
        "audio/speech",
        r#"{"model":"any","input":["a"]}"#,
        "invalid_value",
        "input",
    ),
    (
        "moderations",
        r#"{"model":"any"}"#,
        "missing_field",
        "input",
    ),
    (
        "rerank",
        r#"{"model":"any","documents":["a"]}"#,
        "missing_field",
        "query",
    ),
    (
        "rerank",
        r#"{"model":"any","query":"a","documents":[]}"#,
        "invalid_value",
        "documents",
    ),
    (
        "rerank",
        r#"{"model":"any","query":"a"}"#,
        "missing_field",
        "documents",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_path_takes_post_only_and_answers_preflights() {
    let two = Two::start("").await;
    let mut client = Connection::open(two.gateway.address).await;
    for path in PATHS {
        for prefix in ["/v1", "/api/v1"] {
            let request = |method: &str| {
                format!(
                    "{method} {prefix}/{path} HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
                )
            };
            for method in ["GET", "DELETE", "PUT"] {
                client.send(request(method)).await;
                let answer = client.answer().await;
                assert_eq!(
                    code(&answer),
                    (405, "method_not_allowed".to_owned()),
                    "{path}"
                );
                assert_eq!(answer.field("allow"), Some("POST, OPTIONS"));
            }
            client.send(request("OPTIONS")).await;
            let answer = client.head().await;
            assert_eq!(answer.status, 204, "{path}");
            assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
            assert_eq!(
                answer.field("access-control-allow-headers"),
                Some("content-type")
            );
        }
    }
    for (method, path) in [
        ("GET", "responses/resp_1"),
        ("DELETE", "responses/resp_1"),
        ("POST", "responses/resp_1/cancel"),
        ("POST", "audio"),
        ("POST", "embeddings/"),
    ] {
        client
            .send(format!(
                "{method} /v1/{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(code(&answer), (404, "not_found".to_owned()), "{path}");
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            message.contains("not kept here"),
            path.starts_with("responses"),
            "{message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_asked_only_for_what_it_is_there_for() {
    let two = Two::start("[[models]]\nid = \"talks\"\npools = [\"first\"]\n").await;
    for (path, body, _) in JSON {
        let answer = two.ask(path, &body.replace("\"any\"", "\"talks\"")).await;
        assert_eq!(
            code(&answer),
            (404, "endpoint_not_served".to_owned()),
            "{path}"
        );
        assert_eq!(answer.json()["error"]["param"], "model");
    }
    assert!(two.first.requests().is_empty());
    let mut client = Connection::open(two.gateway.address).await;
    client
        .send("GET /v1/models/talks HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(
        client.answer().await.json()["endpoints"],
        json!(["chat.completions"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_needed_is_named_where_it_lacks() {
    let two = Two::start("").await;
    for (path, body, expected, param) in FAULTS {
        let answer = two.ask(path, body).await;
        assert_eq!(code(&answer), (400, expected.to_owned()), "{path} {body}");
        assert_eq!(answer.json()["error"]["param"], param, "{path} {body}");
    }
    let many = json!({"model": "any", "input": vec!["a"; 2049]}).to_string();
    let answer = two.ask("embeddings", &many).await;
    assert_eq!(code(&answer), (400, "invalid_value".to_owned()));
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("2048"), "{message}");
    assert!(two.first.requests().is_empty());
    // One text, however many tokens it is.
    let tokens = json!({"model": "any", "input": vec![1; 2049]}).to_string();
    assert_eq!(two.ask("embeddings", &tokens).await.status, 200);
}
