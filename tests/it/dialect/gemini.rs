//! What do callers get of an upstream that speaks Gemini's protocol?
//!
//! The real program before the simulator, which is as strict as the vendor where a gateway could
//! get it wrong: a request that it takes is one that the vendor takes.

/// Pictures in answers, which are kept and served here.
mod pictures;
/// What goes wrong, and who answers then.
mod wrong;

use serde_json::{Value, json};
use spafe::simulator::Simulator;

use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{Upstream, WIRES};
use crate::kit::upstream::upstream;

const CHAT: &str = "/v1/chat/completions";

/// A gateway whose model `gemini` is Google's.
fn before(upstream: &Simulator) -> Gateway {
    setup(upstream).model("gemini", &["google"]).start()
}

fn setup(upstream: &Simulator) -> Setup {
    Setup::new()
        .tables("[ejection]\nfailures = 1000\nrequests_min = 1000")
        .pool_with(
            "google",
            &[&format!("{}/v1beta", upstream.url())],
            "dialect = \"gemini\"",
        )
}

fn asked(members: Value) -> String {
    let mut body = json!({"model": "gemini", "messages": [{"role": "user", "content": "Hi"}]});
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

/// The message of an answer.
fn message(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["choices"][0]["message"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_answered_over_both_versions_of_http_with_the_model_in_the_path() {
    for wire in WIRES {
        let up = Upstream::start(wire).await;
        let setup = Setup::new().variable("KEY", "AIza-1");
        let keys = "dialect = \"gemini\"\napi_key = { env = \"KEY\" }";
        let gateway = up
            .pool(setup, "google", keys)
            .model("gemini", &["google"])
            .start();
        for stream in [false, true] {
            let usual = json!({"stream": stream, "temperature": 0.5, "presence_penalty": 0, "frequency_penalty": 0, "top_p": 1});
            let answer = post_chat(&gateway, usual).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains("gemini"), "{}", answer.text());
            let request = up.simulator.requests().pop().unwrap();
            let verb = if stream {
                ":streamGenerateContent?alt=sse"
            } else {
                ":generateContent"
            };
            assert_eq!(request.target, format!("/v1/models/gemini{verb}"));
            assert_eq!(request.header("x-goog-api-key"), Some("AIza-1"));
            assert_eq!(request.header("authorization"), None);
            if !stream {
                let body = answer.json();
                assert_eq!(body["choices"][0]["finish_reason"], "stop");
                assert_eq!(body["usage"]["prompt_tokens"], 9);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_chunks_with_their_end_and_counts_tokens_for_who_asked() {
    let up = upstream().await;
    let gateway = before(&up);
    for told in [false, true] {
        let options = json!({"stream": true, "stream_options": {"include_usage": told}, "n": 2});
        let answer = post_chat(&gateway, options).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let chunks = chunks(&answer);
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(said(&chunks).contains("I am gemini"), "{chunks:?}");
        let ends = chunks
            .iter()
            .filter(|chunk| chunk["choices"][0]["finish_reason"] == "stop");
        assert_eq!(ends.count(), 2);
        let counts = chunks.iter().filter(|chunk| !chunk["usage"].is_null());
        assert_eq!(counts.count(), usize::from(told));
        assert!(answer.text().ends_with("data: [DONE]\n\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_two_rounds_in_parallel_and_their_signatures_come_back() {
    let up = upstream().await;
    let gateway = setup(&up)
        .tables(
            "[[models]]\nid = \"gemini\"\nthinking = \"adaptive\"\npools = [{ pool = \"google\", name = \"gemini-3-pro\" }]",
        )
        .start();
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}});
    let tools = json!([tool("weather"), tool("time")]);
    for keeps_signatures in [true, false] {
        let first = post_chat(&gateway, json!({ "tools": tools })).await;
        let mut called = message(&first);
        assert_eq!(first.json()["choices"][0]["finish_reason"], "tool_calls");
        let calls = called["tool_calls"].as_array_mut().unwrap();
        assert_eq!(calls.len(), 2, "{first:?}");
        assert_ne!(calls[0]["id"], calls[1]["id"]);
        assert_eq!(calls[0]["function"]["arguments"], r#"{"city":"simulated"}"#);
        let signature = &calls[0]["extra_content"]["google"]["thought_signature"];
        assert_eq!(signature, "c2ltdWxhdGVk");
        if !keeps_signatures {
            calls[0].as_object_mut().unwrap().remove("extra_content");
        }
        let result = |call: &Value, content: &str| json!({"role": "tool", "tool_call_id": call["id"], "content": content});
        let messages = json!([
            {"role": "user", "content": "Hi"},
            called,
            result(&called["tool_calls"][0], "{\"degrees\": 7}"),
            result(&called["tool_calls"][1], "noon"),
        ]);
        let second = post_chat(&gateway, json!({"tools": tools, "messages": messages})).await;
        let content = message(&second)["content"].as_str().unwrap().to_owned();
        assert!(
            content.starts_with("That came of it: {\"degrees\":7}, noon."),
            "{content}"
        );
        let sent = arrived(&up);
        assert_eq!(sent["contents"][2]["parts"].as_array().unwrap().len(), 2);
        assert_eq!(
            sent["contents"][2]["parts"][1]["functionResponse"]["name"],
            "time"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streamed_calls_have_each_its_place() {
    let up = upstream().await;
    let gateway = before(&up);
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let tools = json!([tool("weather"), tool("time")]);
    let answer = post_chat(&gateway, json!({"tools": tools, "stream": true})).await;
    let chunks = chunks(&answer);
    let calls: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    let places: Vec<Value> = calls.iter().map(|call| call["index"].clone()).collect();
    assert_eq!(places, [0, 1], "{}", answer.text());
    let last = &chunks.last().unwrap()["choices"][0]["finish_reason"];
    assert_eq!(last, "tool_calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_thoughts_and_a_schema_are_understood_on_both_sides() {
    let up = upstream().await;
    let gateway = before(&up);
    let content = json!([
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]);
    let messages = json!([{"role": "user", "content": content}]);
    let answer = post_chat(&gateway, json!({ "messages": messages })).await;
    let text = message(&answer)["content"].as_str().unwrap().to_owned();
    assert!(text.contains("What is this?"), "{text}");
    let picture = &arrived(&up)["contents"][0]["parts"][1]["inlineData"];
    let expected = json!({"mimeType": "image/png", "data": "iVBORw0KGgo="});
    assert_eq!(picture, &expected);

    let answer = post_chat(&gateway, json!({"reasoning_effort": "high"})).await;
    let thought = &message(&answer)["reasoning_content"];
    assert_eq!(thought, "The simulator thinks nothing of it.");

    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "weather", "strict": true, "schema": schema}});
    let answer = post_chat(&gateway, json!({ "response_format": format })).await;
    let content = message(&answer)["content"].as_str().unwrap().to_owned();
    let expected = json!({"city": "simulated", "degrees": 7});
    assert_eq!(serde_json::from_str::<Value>(&content).unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_kept_and_given_whole() {
    let up = upstream().await;
    let gateway = setup(&up)
        .tables("[cache]\nstore_streams = true")
        .model("gemini", &["google"])
        .start();
    let streamed = post_chat(&gateway, json!({"stream": true})).await;
    let whole = post_chat(&gateway, json!({})).await;
    assert_eq!(up.requests().len(), 1, "{}", whole.text());
    assert_eq!(message(&whole)["content"], said(&chunks(&streamed)));
}
