//! Does the SDK of Rust notice which dialect answers?
//!
//! Its types are what is tested: a question is written as JSON and must fit them, and so must
//! every answer, chunk and error.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionMessageToolCallChunk, CreateChatCompletionRequest, FinishReason,
};
use async_openai::types::embeddings::CreateEmbeddingRequest;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{Dialect, PICTURE};
use crate::kit::soon;

type Rust = Client<OpenAIConfig>;

/// What was said and called, joined where it came in chunks.
struct Answer {
    content: String,
    /// The id, name and arguments of each.
    calls: Vec<[String; 3]>,
    finish_reason: Option<FinishReason>,
}

/// The whole scenario.
pub(super) async fn asks(client: &Rust, dialect: &Dialect) {
    let name = dialect.name;
    let listed = soon("the models", client.models().list()).await.unwrap();
    assert!(listed.data.iter().any(|model| model.id == name), "{name}");
    for stream in [false, true] {
        let answer = ask(client, stream, hi(name)).await.unwrap();
        let begin = format!("Hello! I am {name}");
        assert!(answer.content.starts_with(&begin), "{}", answer.content);
        assert_eq!(answer.finish_reason, Some(FinishReason::Stop), "{name}");
        calls(client, name, stream).await;
        fits(client, name, stream).await;
        fails(client, dialect, stream).await;
    }
    // This SDK asks again by itself where the status is 429 or 5xx: that is another test's.
    refused(
        client,
        false,
        hi(&format!("{name}-none")),
        "model_not_found",
    )
    .await;
    let image = json!({"url": format!("data:image/png;base64,{PICTURE}")});
    let parts =
        json!([{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": image}]);
    let messages = json!([{"role": "user", "content": parts}]);
    let seen = ask(
        client,
        false,
        with(hi(name), json!({ "messages": messages })),
    );
    assert!(seen.await.unwrap().content.contains("What is it?"));
    leaves(client, name).await;
    embeds(client, dialect).await;
}

/// A caller whom nobody knows.
pub(super) async fn is_refused_without_a_key(client: &Rust) {
    refused(client, false, hi("openai"), "invalid_api_key").await;
}

fn hi(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
}

fn with(mut body: Value, members: Value) -> Value {
    let Value::Object(members) = members else {
        panic!("{members}")
    };
    body.as_object_mut().unwrap().extend(members);
    body
}

async fn ask(client: &Rust, stream: bool, body: Value) -> Result<Answer, OpenAIError> {
    let request: CreateChatCompletionRequest = serde_json::from_value(body).unwrap();
    let chat = client.chat();
    if stream {
        return streamed(client, request).await;
    }
    let answer = soon("an answer", chat.create(request)).await?;
    assert!(answer.usage.unwrap().completion_tokens > 0);
    let choice = &answer.choices[0];
    let made = serde_json::to_value(&choice.message.tool_calls).unwrap();
    let text = |call: &Value, at: &str| call.pointer(at).unwrap().as_str().unwrap().to_owned();
    let made = made.as_array().into_iter().flatten();
    Ok(Answer {
        content: choice.message.content.clone().unwrap_or_default(),
        calls: made
            .map(|call| ["/id", "/function/name", "/function/arguments"].map(|at| text(call, at)))
            .collect(),
        finish_reason: choice.finish_reason,
    })
}

async fn streamed(
    client: &Rust,
    request: CreateChatCompletionRequest,
) -> Result<Answer, OpenAIError> {
    let chat = client.chat();
    let mut events = soon("a stream", chat.create_stream(request)).await?;
    let mut joined = Answer {
        content: String::new(),
        calls: Vec::new(),
        finish_reason: None,
    };
    while let Some(event) = soon("an event", events.next()).await {
        for choice in event?.choices {
            joined.content += &choice.delta.content.unwrap_or_default();
            joined.finish_reason = choice.finish_reason.or(joined.finish_reason);
            for part in choice.delta.tool_calls.unwrap_or_default() {
                join(&mut joined.calls, part);
            }
        }
    }
    Ok(joined)
}

fn join(calls: &mut Vec<[String; 3]>, part: ChatCompletionMessageToolCallChunk) {
    let place = usize::try_from(part.index).unwrap();
    if place == calls.len() {
        calls.push(Default::default());
    }
    let [id, name, arguments] = &mut calls[place];
    *id += &part.id.unwrap_or_default();
    let function = part.function.unwrap();
    *name += &function.name.unwrap_or_default();
    *arguments += &function.arguments.unwrap_or_default();
}

/// Two rounds with calls side by side.
async fn calls(client: &Rust, model: &str, stream: bool) {
    let tool = |name: &str| {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    };
    let body = with(hi(model), json!({"tools": [tool("weather"), tool("time")]}));
    let first = ask(client, stream, body.clone()).await.unwrap();
    assert_eq!(
        first.finish_reason,
        Some(FinishReason::ToolCalls),
        "{model}"
    );
    let names: Vec<&str> = first.calls.iter().map(|[_, name, _]| &**name).collect();
    assert_eq!(names, ["weather", "time"], "{model}");
    let mut made = Vec::new();
    let mut came = Vec::new();
    for ([id, name, arguments], content) in first.calls.iter().zip(["31 C", "noon"]) {
        let given: Value = serde_json::from_str(arguments).unwrap();
        assert_eq!(given, json!({"city": "simulated"}), "{model}");
        made.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}));
        came.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
    }
    let said = json!({"role": "assistant", "content": first.content, "tool_calls": made});
    let mut messages = vec![json!({"role": "user", "content": "Hi"}), said];
    messages.extend(came);
    let second = ask(client, stream, with(body, json!({ "messages": messages })));
    let content = second.await.unwrap().content;
    let told = "That came of it: 31 C, noon.";
    assert!(content.starts_with(told), "{model}: {content}");
}

/// An answer along a schema.
async fn fits(client: &Rust, model: &str, stream: bool) {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}},
        "required": ["n"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    let body = with(hi(model), json!({ "response_format": format }));
    let answer = ask(client, stream, body).await.unwrap();
    let content: Value = serde_json::from_str(&answer.content).unwrap();
    assert_eq!(content, json!({"n": 7}), "{model}");
}

/// What has no words is named.
async fn fails(client: &Rust, dialect: &Dialect, stream: bool) {
    let (field, value) = dialect.refused;
    let value: Value = serde_json::from_str(value).unwrap();
    let body = with(hi(dialect.name), json!({ field: value }));
    refused(client, stream, body, field).await;
}

/// The error that the SDK makes has these words.
async fn refused(client: &Rust, stream: bool, body: Value, words: &str) {
    let shown = body.to_string();
    let error = ask(client, stream, body).await.err();
    let error = error.unwrap_or_else(|| panic!("answered {shown}"));
    let told = format!("{error:?}");
    assert!(told.contains(words), "{shown}: {told}");
}

/// Somebody who has heard enough.
async fn leaves(client: &Rust, model: &str) {
    let body = hi(&format!("{model}-slow"));
    let request: CreateChatCompletionRequest = serde_json::from_value(body).unwrap();
    let chat = client.chat();
    let mut events = soon("a stream", chat.create_stream(request)).await.unwrap();
    while let Some(event) = soon("an event", events.next()).await {
        let choices = event.unwrap().choices;
        let mut said = choices
            .iter()
            .filter_map(|choice| choice.delta.content.as_deref());
        if said.any(|content| !content.is_empty()) {
            return;
        }
    }
    panic!("{model} said nothing");
}

async fn embeds(client: &Rust, dialect: &Dialect) {
    let body = json!({"model": dialect.name, "input": ["a", "b"], "dimensions": 4});
    let request: CreateEmbeddingRequest = serde_json::from_value(body).unwrap();
    let answer = soon("vectors", client.embeddings().create(request)).await;
    if !dialect.has_embeddings {
        assert!(answer.is_err(), "{}", dialect.name);
        return;
    }
    let vectors = answer.unwrap().data;
    let lengths: Vec<usize> = vectors
        .iter()
        .map(|vector| vector.embedding.len())
        .collect();
    assert_eq!(lengths, [4, 4], "{}", dialect.name);
}
