//! What do callers get of an upstream that speaks Anthropic's messages?
//!
//! The real program before the simulator, which is as strict as the vendor where a gateway could
//! get it wrong: a request that it takes is one that the vendor takes.

/// Errors, breaks, departures, bounds, and who stands in for whom.
mod faults;

use serde_json::{Value, json};
use spafe::simulator::Simulator;

use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{Upstream, WIRES};
use crate::kit::upstream::{base, upstream};

const CHAT: &str = "/v1/chat/completions";

/// A gateway whose model `claude` is Anthropic's, with these keys in its pool.
fn before(upstream: &Simulator, keys: &str) -> Gateway {
    setup(upstream, keys)
        .model("claude", &["anthropic"])
        .start()
}

fn setup(upstream: &Simulator, keys: &str) -> Setup {
    let keys = format!("dialect = \"anthropic\"\n{keys}");
    Setup::new()
        .tables("[ejection]\nfailures = 1000\nrequests_min = 1000")
        .pool_with("anthropic", &[&base(upstream)], &keys)
}

fn asked(members: Value) -> String {
    let mut body = json!({"model": "claude", "messages": [{"role": "user", "content": "Hi"}]});
    let Value::Object(members) = members else {
        panic!("{members}")
    };
    body.as_object_mut().unwrap().extend(members);
    body.to_string()
}

async fn post_chat(gateway: &Gateway, members: Value) -> Answer {
    let mut client = Connection::open(gateway.address).await;
    client.post(CHAT, asked(members)).await
}

/// The last body that arrived.
fn arrived(upstream: &Simulator) -> Value {
    serde_json::from_slice(&upstream.requests().pop().unwrap().body).unwrap()
}

/// The chunks of a stream.
fn chunks(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// The texts of a stream's deltas, laid end to end.
fn said(chunks: &[Value]) -> String {
    let texts = chunks.iter();
    texts
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_answered_over_both_versions_of_http_with_the_vendors_own_head() {
    for wire in WIRES {
        let up = Upstream::start(wire).await;
        let setup = Setup::new().variable("KEY", "sk-ant-1");
        let keys = "dialect = \"anthropic\"\napi_key = { env = \"KEY\" }";
        let gateway = up
            .pool(setup, "anthropic", keys)
            .model_with("claude", &["anthropic"], "max_tokens_default = 4000")
            .start();
        let usual = json!({"stream": false, "temperature": 0.5, "presence_penalty": 0, "frequency_penalty": 0, "top_p": 1});
        let answer = post_chat(&gateway, usual).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body["object"], "chat.completion");
        let message = &body["choices"][0]["message"];
        assert!(
            message["content"].as_str().unwrap().contains("Hi"),
            "{body}"
        );
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["usage"]["prompt_tokens"], 12);
        let request = up.simulator.requests().pop().unwrap();
        assert_eq!(request.target, "/v1/messages");
        assert_eq!(request.header("x-api-key"), Some("sk-ant-1"));
        assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(request.header("authorization"), None);
        let sent = arrived(&up.simulator);
        assert_eq!(
            (&sent["max_tokens"], &sent["temperature"]),
            (&json!(4000), &json!(0.5))
        );
        assert_eq!(sent["top_p"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_counts_tokens_for_the_log_and_tells_them_only_who_asked() {
    let up = upstream().await;
    let gateway = before(&up, "");
    for told in [false, true] {
        let id = format!("stream-{told}");
        let line = format!("X-Request-Id: {id}");
        let options = json!({"stream": true, "stream_options": {"include_usage": told}});
        let mut client = Connection::open(gateway.address).await;
        let request = post(
            CHAT,
            &[&line, "Cache-Control: no-store"],
            asked(options).as_bytes(),
        );
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let chunks = chunks(&answer);
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(
            said(&chunks).starts_with("Hello! I am claude"),
            "{chunks:?}"
        );
        let counts = chunks
            .iter()
            .filter(|chunk| !chunk["usage"].is_null())
            .count();
        assert_eq!(counts, usize::from(told));
        assert!(answer.text().ends_with("data: [DONE]\n\n"));
        let line = gateway.logged(&id).await;
        assert_eq!(line["tokens_in"], 12, "{line}");
        assert!(line["tokens_out"].as_u64().unwrap() > 5, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_kept_and_given_whole() {
    let up = upstream().await;
    let gateway = setup(&up, "")
        .tables("[cache]\nstore_streams = true")
        .model("claude", &["anthropic"])
        .start();
    let streamed = post_chat(&gateway, json!({"stream": true})).await;
    let whole = post_chat(&gateway, json!({})).await;
    assert_eq!(up.requests().len(), 1, "{}", whole.text());
    let content = &whole.json()["choices"][0]["message"]["content"];
    assert_eq!(content, &said(&chunks(&streamed)));
    assert_eq!(whole.json()["usage"]["prompt_tokens"], 12);
}

fn tools() -> Value {
    let tool = |name: &str| {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    };
    json!([tool("weather"), tool("time")])
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_calls_go_two_rounds() {
    let up = upstream().await;
    let gateway = before(&up, "");
    for stream in [false, true] {
        let first = post_chat(&gateway, json!({"tools": tools(), "stream": stream})).await;
        assert_eq!(first.status, 200, "{}", first.text());
        let message = if stream {
            joined(&chunks(&first))
        } else {
            assert_eq!(first.json()["choices"][0]["finish_reason"], "tool_calls");
            first.json()["choices"][0]["message"].clone()
        };
        let calls = message["tool_calls"].as_array().unwrap().clone();
        assert_eq!(calls.len(), 2, "{message}");
        for call in &calls {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            assert_eq!(arguments, json!({"city": "simulated"}));
        }
        let result = |place: usize, content: &str| json!({"role": "tool", "tool_call_id": calls[place]["id"], "content": content});
        let user = json!({"role": "user", "content": "Hi"});
        let messages = json!([user, message, result(0, "31 C"), result(1, "noon")]);
        let second = json!({"tools": tools(), "messages": messages, "stream": stream});
        let second = post_chat(&gateway, second).await;
        assert_eq!(second.status, 200, "{}", second.text());
        let content = if stream {
            said(&chunks(&second))
        } else {
            let content = &second.json()["choices"][0]["message"]["content"];
            content.as_str().unwrap().to_owned()
        };
        assert!(
            content.starts_with("That came of it: 31 C, noon."),
            "{content}"
        );
    }
}

/// The message of a stream, its calls joined as SDKs join them.
fn joined(chunks: &[Value]) -> Value {
    let mut calls: Vec<Value> = Vec::new();
    for delta in chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]) {
        for part in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(part["index"].as_u64().unwrap()).unwrap();
            if index == calls.len() {
                calls.push(json!({"id": part["id"], "type": "function", "function": {"name": part["function"]["name"], "arguments": ""}}));
            }
            let arguments = &mut calls[index]["function"]["arguments"];
            let more = part["function"]["arguments"].as_str().unwrap();
            *arguments = json!(arguments.as_str().unwrap().to_owned() + more);
        }
    }
    json!({"role": "assistant", "content": said(chunks), "tool_calls": calls})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_a_schema_and_thoughts_go_through() {
    let up = upstream().await;
    let gateway = before(&up, "");
    let picture =
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let text = json!({"type": "text", "text": "What is it?"});
    let messages = json!([{"role": "user", "content": [text, picture]}]);
    let answer = post_chat(&gateway, json!({"messages": messages})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let source = &arrived(&up)["messages"][0]["content"][1]["source"];
    assert_eq!(source["media_type"], "image/png");

    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let answer = post_chat(&gateway, json!({"response_format": format})).await;
    let content = answer.json()["choices"][0]["message"]["content"].clone();
    let content: Value = serde_json::from_str(content.as_str().unwrap()).unwrap();
    assert_eq!(content, json!({"n": 7}));

    let answer = post_chat(&gateway, json!({"reasoning_effort": "low"})).await;
    let message = answer.json()["choices"][0]["message"].clone();
    assert_eq!(
        message["reasoning_content"],
        "The simulator thinks nothing of it."
    );
}
