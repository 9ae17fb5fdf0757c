//! What is answered from memory, and who shares an answer?
//!
//! An upstream that records what it is asked is the measure: what is answered without it
//! came from memory, and what many ask at once it is asked once.

/// What is kept, and what a caller is told of it.
mod kept;
/// Who waits for one answer.
mod together;
/// Streams that are shared.
mod streams;
/// Who may not have what another asked for.
mod keys;
/// What is not fresh any more.
mod stale;
/// What an operator sees and does.
mod operators;

use std::net::SocketAddr;

use serde_json::{Value, json};
use spafe::simulator::Simulator;

use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{base, upstream};

const CHAT: &str = "/v1/chat/completions";

/// A gateway that keeps answers, before one upstream.
struct Kept {
    up: Simulator,
    gateway: Gateway,
}

impl Kept {
    async fn start(cache: &str) -> Self {
        Self::with(Setup::new().tables(&format!("[cache]\n{cache}"))).await
    }

    async fn with(setup: Setup) -> Self {
        let up = upstream().await;
        let gateway = setup.pool("p", &[&base(&up)]).model("m", &["p"]).start();
        Self { up, gateway }
    }

    async fn ask(&self, body: &Value, lines: &[&str]) -> Answer {
        ask(self.gateway.address, body, lines).await
    }

    /// How often the upstream was asked.
    fn asked(&self) -> usize {
        self.up.requests().len()
    }
}

async fn ask(address: SocketAddr, body: &Value, lines: &[&str]) -> Answer {
    let mut client = Connection::open(address).await;
    let body = body.to_string();
    client.send(post(CHAT, lines, body.as_bytes())).await;
    client.answer().await
}

/// A question, which this many others differ from.
fn question(number: usize) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": format!("question {number}")}]})
}

/// The same, asked for as a stream.
fn streamed(number: usize) -> Value {
    let mut body = question(number);
    body["stream"] = json!(true);
    body
}

fn status(answer: &Answer) -> &str {
    answer.field("cache-status").unwrap_or("none")
}

/// All that a stream has said as content, and whether it came to `[DONE]`.
fn content(stream: &Answer) -> (String, bool) {
    let text = stream.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut content = String::new();
    let mut done = false;
    for data in data {
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        for choice in chunk["choices"].as_array().unwrap() {
            content.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        }
    }
    (content, done)
}
