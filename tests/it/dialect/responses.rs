//! What do callers get of a model that is served over OpenAI's Responses alone?

use serde_json::{Value, json};
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, chat};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};

/// A whole answer that says this.
fn answer(status: &str, output: &Value) -> Value {
    json!({
        "id": "resp_1",
        "object": "response",
        "status": status,
        "error": null,
        "incomplete_details": null,
        "model": "o1-pro-2025",
        "output": output,
        "usage": {"input_tokens": 8, "output_tokens": 3, "total_tokens": 11},
    })
}

fn message(text: &str) -> Value {
    json!([{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}])
}

fn events(events: &[Value]) -> Script {
    let events: Vec<String> = events
        .iter()
        .map(|event| {
            format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap()
            )
        })
        .collect();
    let pieces: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
    Script::sse_bytes(&pieces)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_with_items_and_answers_as_a_chat() {
    let up = upstream().await;
    let gateway = Setup::new()
        .variable("KEY", "sk-1")
        .pool_with(
            "openai-responses",
            &[&base(&up)],
            "dialect = \"responses\"\napi_key = { env = \"KEY\" }",
        )
        .model("o1-pro", &["openai-responses"])
        .start();
    up.push(Script::json(
        200,
        answer("completed", &message("Hello!")).to_string(),
    ));
    let whole = chat(gateway.address, "o1-pro", false).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let body = whole.json();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello!");
    assert_eq!(body["usage"]["prompt_tokens"], 8);
    let asked = up.next_request().await.unwrap();
    assert_eq!(asked.target, "/v1/responses");
    assert_eq!(asked.header("authorization"), Some("Bearer sk-1"));
    let sent: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(sent["input"], json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(
        (&sent["store"], &sent["stream"]),
        (&json!(false), &json!(false))
    );

    up.push(events(&[
        json!({"type": "response.created", "response": answer("in_progress", &json!([]))}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "Hel"}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "lo!"}),
        json!({"type": "response.completed", "response": answer("completed", &message("Hello!"))}),
    ]));
    let stream = chat(gateway.address, "o1-pro", true).await;
    let text = stream.text();
    assert!(text.contains(r#""delta":{"content":"lo!"}"#), "{text}");
    assert!(text.contains(r#""finish_reason":"stop""#), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_inside_and_breaks_are_what_they_are_elsewhere() {
    let (up, other) = (upstream().await, upstream().await);
    let gateway = Setup::new()
        .pool_with("responses", &[&base(&up)], "dialect = \"responses\"")
        .pool("openai", &[&base(&other)])
        .model("o1-pro", &["responses", "openai"])
        .model("alone", &["responses"])
        .start();
    let mut failed = answer("failed", &json!([]));
    failed["error"] = json!({"code": "server_error", "message": "It broke."});
    up.push(Script::json(200, failed.to_string()));
    let answered = chat(gateway.address, "o1-pro", false).await;
    assert_eq!(answered.field("x-spafe-upstream"), Some("openai"));
    // One that has begun and said nothing has not answered.
    up.push(events(&[
        json!({"type": "response.created", "response": answer("in_progress", &json!([]))}),
        json!({"type": "response.in_progress", "response": answer("in_progress", &json!([]))}),
        json!({"type": "response.failed", "response": failed}),
    ]));
    let answered = chat(gateway.address, "o1-pro", true).await;
    assert_eq!(answered.field("x-spafe-upstream"), Some("openai"));
    assert!(
        answered.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answered.text()
    );
    up.push(events(&[
        json!({"type": "response.created", "response": answer("in_progress", &json!([]))}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "Hel"}),
    ]));
    let broken = chat(gateway.address, "o1-pro", true).await;
    assert!(broken.text().contains("\"error\""), "{}", broken.text());
    assert!(!broken.text().contains("[DONE]"), "{}", broken.text());
    let mut client = Connection::open(gateway.address).await;
    let stopped =
        json!({"model": "alone", "messages": [{"role": "user", "content": "Hi"}], "stop": "x"});
    let refused = client
        .post("/v1/chat/completions", stopped.to_string())
        .await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["param"]),
        (400, &json!("stop"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_less_than_it_ever_says_is_answered_by_another_or_told_so() {
    let (up, other) = (upstream().await, upstream().await);
    let keys = "dialect = \"responses\"";
    let gateway = Setup::new()
        .pool_with("responses", &[&base(&up)], keys)
        .pool_with(
            "drops",
            &[&base(&up)],
            &format!("{keys}\nunsupported = \"drop\""),
        )
        .pool("openai", &[&base(&other)])
        .model("o1-pro", &["responses", "openai"])
        .model("alone", &["responses"])
        .model("less", &["drops"])
        .start();
    let mut client = Connection::open(gateway.address).await;
    let mut ask = async |model: &str, most: u64| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": most});
        client.post("/v1/chat/completions", body.to_string()).await
    };
    let answered = ask("o1-pro", 15).await;
    assert_eq!(answered.status, 200, "{}", answered.text());
    assert_eq!(answered.field("x-spafe-upstream"), Some("openai"));
    // A bound that is left out is none, and so it is not left out either.
    for model in ["alone", "less"] {
        let refused = ask(model, 15).await;
        let error = &refused.json()["error"];
        assert_eq!(
            (refused.status, &error["code"], &error["param"]),
            (400, &json!("unsupported_value"), &json!("max_tokens")),
            "{error}"
        );
        let words = error["message"].as_str().unwrap();
        assert!(words.contains("at least 16"), "{words}");
    }
    assert!(up.requests().is_empty());
    let least = ask("alone", 16).await;
    assert_eq!(least.json()["choices"][0]["finish_reason"], "length");
}
