//! What do callers get who ask in Anthropic's words?
//!
//! The real program before the simulator, once behind OpenAI's protocol and once behind
//! Anthropic's own, and the real SDK.

/// What is made of requests, answers and streams?
mod golden;
/// What is refused, and what breaks?
mod refused;
/// What is said to an upstream that speaks the same?
mod own;
/// How many tokens does a question have?
mod counted;

use serde_json::{Value, json};
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::completion;
use crate::kit::script;
use crate::kit::upstream::{base, upstream};

const MESSAGES: &str = "/v1/messages";

/// A gateway with model `gpt` over OpenAI's protocol and `claude` over Anthropic's.
struct Both {
    gateway: Gateway,
    openai: Simulator,
    anthropic: Simulator,
}

impl Both {
    async fn start() -> Self {
        Self::with("", "").await
    }

    /// With these tables, and these keys in OpenAI's pool.
    async fn with(tables: &str, keys: &str) -> Self {
        let (openai, anthropic) = (upstream().await, upstream().await);
        let gateway = Setup::new()
            .tables("[ejection]\nfailures = 1000\nrequests_min = 1000\n[attempts]\nmax = 1")
            .tables(tables)
            .pool_with("openai", &[&base(&openai)], keys)
            .pool_with("anthropic", &[&base(&anthropic)], "dialect = \"anthropic\"")
            .model("gpt", &["openai"])
            .model("claude", &["anthropic"])
            .start();
        Self {
            gateway,
            openai,
            anthropic,
        }
    }

    fn of(&self, model: &str) -> &Simulator {
        if model == "gpt" {
            &self.openai
        } else {
            &self.anthropic
        }
    }

    /// The last body that arrived for this model.
    fn arrived(&self, model: &str) -> Value {
        let request = self.of(model).requests().pop().unwrap();
        serde_json::from_slice(&request.body).unwrap()
    }

    async fn ask(&self, model: &str, members: Value) -> Answer {
        self.ask_with(model, &[], members).await
    }

    async fn ask_with(&self, model: &str, lines: &[&str], members: Value) -> Answer {
        let mut client = Connection::open(self.gateway.address).await;
        let body = asked(model, members);
        client.send(post(MESSAGES, lines, body.as_bytes())).await;
        client.answer().await
    }
}

fn asked(model: &str, members: Value) -> String {
    let mut body = json!({"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi"}]});
    let Value::Object(members) = members else {
        panic!("{members}")
    };
    body.as_object_mut().unwrap().extend(members);
    body.to_string()
}

/// The events of a stream: each name with its data, which has the same type.
fn events(answer: &Answer) -> Vec<(String, Value)> {
    let text = answer.text();
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    let events = events.map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name);
        (name, data)
    });
    events.collect()
}

/// The texts of a stream, end to end.
fn said(events: &[(String, Value)]) -> String {
    let texts = events.iter();
    texts
        .filter_map(|(_, data)| data["delta"]["text"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_model_answers_with_a_message() {
    let both = Both::start().await;
    for model in ["gpt", "claude"] {
        for path in [MESSAGES, "/api/v1/messages"] {
            let mut client = Connection::open(both.gateway.address).await;
            let answer = client.post(path, asked(model, json!({}))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let body = answer.json();
            assert_eq!(
                (&body["type"], &body["role"]),
                (&"message".into(), &"assistant".into())
            );
            assert!(body["id"].as_str().unwrap().starts_with("msg_"), "{body}");
            let text = &body["content"][0];
            assert_eq!(text["type"], "text");
            assert!(text["text"].as_str().unwrap().contains("Hi"), "{body}");
            assert_eq!(body["stop_reason"], "end_turn");
            assert_eq!(body["stop_sequence"], Value::Null);
            assert!(
                body["usage"]["output_tokens"].as_u64().unwrap() > 3,
                "{body}"
            );
            assert_eq!(answer.field("request-id"), answer.field("x-request-id"));
            assert_eq!(body.get("choices"), None);
        }
    }
    assert_eq!(both.arrived("gpt")["max_tokens"], 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_model_answers_with_events() {
    let both = Both::start().await;
    for model in ["gpt", "claude"] {
        let answer = both.ask(model, json!({"stream": true})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("content-type"), Some("text/event-stream"));
        let events = events(&answer);
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| *name != "ping").collect();
        assert_eq!(names[..2], ["message_start", "content_block_start"]);
        assert_eq!(
            names[names.len() - 3..],
            ["content_block_stop", "message_delta", "message_stop"]
        );
        assert!(said(&events).contains("Hi"), "{}", answer.text());
        let (_, last) = &events[events.len() - 2];
        assert_eq!(last["delta"]["stop_reason"], "end_turn");
        assert!(
            last["usage"]["output_tokens"].as_u64().unwrap() > 3,
            "{last}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_what_is_said_before_all_arrive() {
    let both = Both::start().await;
    let source = json!({"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="});
    let members = json!({
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What?"}]}],
    });
    let answer = both.ask("gpt", members.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = both.arrived("gpt");
    assert_eq!(
        sent["messages"][0],
        json!({"role": "system", "content": "Be brief."})
    );
    let url = &sent["messages"][1]["content"][0]["image_url"]["url"];
    assert_eq!(url, "data:image/png;base64,iVBORw0KGgo=");
    let answer = both.ask("claude", members.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = both.arrived("claude");
    assert_eq!(sent["system"], members["system"]);
    assert_eq!(sent["messages"], members["messages"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_comes_from_memory_whole_and_streamed() {
    let both = Both::with("[cache]\nstore_streams = true", "").await;
    for model in ["gpt", "claude"] {
        for first in [false, true] {
            let members = |stream: bool| json!({"stream": stream, "temperature": 0.0, "system": format!("{first}")});
            let fresh = both.ask(model, members(first)).await;
            assert_eq!(fresh.status, 200, "{}", fresh.text());
            let asked = both.of(model).requests().len();
            let whole = both.ask(model, members(false)).await;
            let streamed = both.ask(model, members(true)).await;
            assert_eq!(both.of(model).requests().len(), asked, "{model}");
            assert!(whole.field("cache-status").unwrap().contains("hit"));
            let text = whole.json()["content"][0]["text"].clone();
            assert_eq!(said(&events(&streamed)), text, "{}", streamed.text());
            assert_eq!(whole.json()["stop_reason"], "end_turn");
        }
    }
    // A chat is another question, however alike.
    let mut client = Connection::open(both.gateway.address).await;
    let chat = json!({"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]});
    let chat = client.post("/v1/chat/completions", chat.to_string()).await;
    assert_eq!(chat.json()["object"], "chat.completion");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_model_answers_with_where_its_image_is() {
    let gateway = Setup::demo().start();
    let mut client = Connection::open(gateway.address).await;
    let answer = client.post(MESSAGES, asked("flux", json!({}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.json()["content"][0]["text"].to_string();
    assert!(text.contains("![Generated Image]("), "{text}");
}

/// A chat's answer that calls two tools at once.
fn calls() -> Script {
    let call = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{\"at\": \"Oslo\"}"}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call("call_a", "weather"), call("call_b", "time")]});
    let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": null});
    Script::json(200, body.to_string())
}

/// The same in pieces.
fn streamed_calls() -> Script {
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}).to_string()
    };
    let begun = |index: u32, id: &str, name: &str| {
        let function = json!({"name": name, "arguments": ""});
        let call = json!({"index": index, "id": id, "type": "function", "function": function});
        chunk(json!({"tool_calls": [call]}), Value::Null)
    };
    let piece = |index: u32, arguments: &str| {
        let call = json!({"index": index, "function": {"arguments": arguments}});
        chunk(json!({"tool_calls": [call]}), Value::Null)
    };
    Script::sse(&[
        &begun(0, "call_a", "weather"),
        &piece(0, "{\"at\":"),
        &piece(0, " \"Oslo\"}"),
        &begun(1, "call_b", "time"),
        &piece(1, "{\"at\": \"Oslo\"}"),
        &chunk(json!({}), "tool_calls".into()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_at_once_and_what_came_of_them() {
    let both = Both::start().await;
    let tools = json!([{"name": "weather", "input_schema": {"type": "object"}}, {"name": "time", "input_schema": {"type": "object"}}]);
    both.openai.push(calls());
    let whole = both.ask("gpt", json!({"tools": tools})).await.json();
    both.openai.push(streamed_calls());
    let answer = both
        .ask("gpt", json!({"tools": tools, "stream": true}))
        .await;
    let calls = json!([
        {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"at": "Oslo"}},
        {"type": "tool_use", "id": "call_b", "name": "time", "input": {"at": "Oslo"}},
    ]);
    assert_eq!(whole["content"], calls);
    assert_eq!(whole["stop_reason"], "tool_use");
    let events = events(&answer);
    let begun = events
        .iter()
        .filter(|(name, _)| name == "content_block_start");
    let ids: Vec<&Value> = begun
        .map(|(_, data)| &data["content_block"]["id"])
        .collect();
    assert_eq!(ids, ["call_a", "call_b"]);
    let results = json!([
        {"type": "tool_result", "tool_use_id": "call_a", "content": "rain"},
        {"type": "tool_result", "tool_use_id": "call_b", "content": [{"type": "text", "text": "noon"}]},
    ]);
    let messages = json!([
        {"role": "user", "content": "Weather and time?"},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
    ]);
    let second = both
        .ask("gpt", json!({"tools": tools, "messages": messages}))
        .await;
    assert_eq!(second.status, 200, "{}", second.text());
    let sent = both.arrived("gpt");
    let roles = sent["messages"].as_array().unwrap().iter();
    let roles: Vec<&str> = roles
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool"]);
    assert_eq!(sent["messages"][1]["tool_calls"][1]["id"], "call_b");
    assert_eq!(sent["messages"][3]["content"], "noon");
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropics_own_sdk_works_against_every_protocol() {
    let caller = upstream().await;
    let pool = format!(
        "[[pools]]\nname = \"caller\"\ntargets = [{{ url = {:?} }}]\n[[models]]\nid = \"caller\"\npools = [\"caller\"]",
        base(&caller)
    );
    let text = || completion("It rains at noon.");
    for script in [calls(), text(), streamed_calls(), text()] {
        caller.push(script);
    }
    let both = Both::with(&pool, "").await;
    let environment = [("SPAFE_URL", both.gateway.url(""))];
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    script::python("anthropic_sdk.py", &environment);
}
