//! What is said to an upstream that speaks the same?
//!
//! Everything, to the byte, but for the model's name; and what it answers comes back so.

use serde_json::{Value, json};
use spafe::simulator::script::Script;

use super::{Both, events};
use crate::kit::client::{Connection, post};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_own_bytes_arrive_but_for_the_models_name() {
    let up = upstream().await;
    let gateway = Setup::new()
        .pool_with("anthropic", &[&base(&up)], "dialect = \"anthropic\"")
        .tables(
            "[[models]]\nid = \"claude\"\npools = [{ pool = \"anthropic\", name = \"claude-9\" }]",
        )
        .start();
    let body = |model: &str| {
        format!(
            "{{ \"max_tokens\":1.0e3,\n \"model\" : \"{model}\", \"messages\":[{{\"role\":\"user\",\"content\":\"\\u00e4\"}}], \"top_k\":5, \"thinking\":{{\"type\":\"disabled\"}}, \"stop_sequences\":[] }}"
        )
        .replace("1.0e3", "1000")
    };
    let mut client = Connection::open(gateway.address).await;
    client
        .send(post("/v1/messages", &[], body("claude").as_bytes()))
        .await;
    let answer = client.answer().await;
    let sent = up.requests().pop().unwrap();
    assert_eq!(String::from_utf8_lossy(&sent.body), body("claude-9"));
    assert_eq!(sent.target, "/v1/messages");
    assert_ne!(answer.status, 502, "{}", answer.text());
}

/// Members of a body may mean nothing without them.
#[tokio::test(flavor = "multi_thread")]
async fn betas_arrive_with_the_callers_own_bytes_and_make_another_question() {
    const BETA: &str = "Anthropic-Beta: context-1m-2025-08-07, files-api-2025-04-14";
    let both = Both::with("[cache]\nstore_streams = true", "").await;
    let beta = |model: &str| {
        let request = both.of(model).requests().pop().unwrap();
        request.header("anthropic-beta").map(str::to_owned)
    };
    let members = || json!({"temperature": 0.0});
    for model in ["claude", "gpt"] {
        let answer = both.ask(model, members()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(beta(model), None);
        let answer = both.ask_with(model, &[BETA], members()).await;
        assert!(!answer.field("cache-status").unwrap().contains("hit"));
        assert_eq!(both.of(model).requests().len(), 2, "{model}");
        let expected = BETA.split_once(": ").unwrap().1;
        let expected = (model == "claude").then_some(expected);
        assert_eq!(beta(model).as_deref(), expected);
        let answer = both.ask_with(model, &[BETA], members()).await;
        assert!(answer.field("cache-status").unwrap().contains("hit"));
    }
    // What is no list of plain words stays here.
    let other = json!({"temperature": 0.0, "system": "x"});
    let line = "anthropic-beta: <a href=b>";
    both.ask_with("claude", &[line], other).await;
    assert_eq!(beta("claude"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_says_comes_back_as_it_was_said() {
    let both = Both::start().await;
    let members =
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000});
    let answer = both.ask("claude", members.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let thought = &answer.json()["content"][0];
    assert_eq!(thought["type"], "thinking");
    assert_eq!(thought["signature"], "c2ltdWxhdGVk", "{thought}");

    let mut streamed = members;
    streamed["stream"] = true.into();
    let answer = both.ask("claude", streamed).await;
    let events = events(&answer);
    let sealed = events
        .iter()
        .any(|(_, data)| data["delta"]["signature"] == "c2ltdWxhdGVk");
    assert!(sealed, "{}", answer.text());
    let begun = events.iter().filter(|(name, _)| name == "message_start");
    assert_eq!(begun.count(), 1, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_nobody_knows_come_back_too() {
    let both = Both::with("[cache]\nstore_streams = true", "").await;
    let message = json!({
        "id": "msg_7", "type": "message", "role": "assistant", "model": "claude",
        "content": [{"type": "new_kind", "what": [1, 2]}, {"type": "text", "text": "Hi", "citations": [{"type": "page"}]}],
        "stop_reason": "stop_sequence", "stop_sequence": "END", "container": {"id": "c"},
        "usage": {"input_tokens": 3, "output_tokens": 4, "service_tier": "standard"},
    });
    both.anthropic.push(Script::json(200, message.to_string()));
    let answer = both
        .ask("claude", json!({"system": "1", "temperature": 0}))
        .await;
    assert_eq!(answer.json(), message);

    // And from memory as a stream.
    let answer = both
        .ask(
            "claude",
            json!({"system": "1", "temperature": 0, "stream": true}),
        )
        .await;
    assert_eq!(both.anthropic.requests().len(), 1, "{}", answer.text());
    let events = events(&answer);
    assert_eq!(events[0].1["message"]["container"]["id"], "c");
    assert_eq!(events[1].1["content_block"], message["content"][0]);
    let (_, last) = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_sequence"], "END");
    assert_eq!(last["usage"], message["usage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_chat_cannot_say_it_only_who_speaks_the_same_is_asked() {
    let (openai, anthropic) = (upstream().await, upstream().await);
    let gateway = Setup::new()
        .pool("openai", &[&base(&openai)])
        .pool_with("anthropic", &[&base(&anthropic)], "dialect = \"anthropic\"")
        .model("both", &["openai", "anthropic"])
        .start();
    let plain: Value = serde_json::from_str(&super::asked("both", json!({}))).unwrap();
    // It answers with nothing where none is wanted.
    let said = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "both", "content": [],
        "stop_reason": "max_tokens", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 0},
    });
    anthropic.default(Script::json(200, said.to_string()));
    for (name, value, pool) in [
        ("stream", json!(false), "openai"),
        ("top_k", json!(5), "anthropic"),
        ("max_tokens", json!(0), "anthropic"),
    ] {
        let mut body = plain.clone();
        body[name] = value;
        let mut client = Connection::open(gateway.address).await;
        let answer = client.post("/v1/messages", body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some(pool));
    }
    let sent = anthropic.requests().pop().unwrap();
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent["max_tokens"], 0);
}
