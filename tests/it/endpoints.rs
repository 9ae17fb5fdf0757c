//! Does everything else that a model is asked for go the way of a chat?
//!
//! Embeddings, completions, responses, sound and the rest: routed by model, renamed, failed
//! over, bounded, and otherwise passed through byte for byte.

use spafe::simulator::Simulator;

use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{base, upstream};

/// JSON at once.
mod whole;
/// Events with types, and those of completions.
mod streams;
/// Forms with a file, and sound.
mod audio;
/// What is refused, and in which words.
mod refused;
/// What of a stream is counted, and who is told.
mod usage;
/// What is kept, and what is not.
mod kept;

/// Every endpoint of JSON, with a body for model `any` and what a simulated answer has in it.
const JSON: [(&str, &str, &str); 6] = [
    (
        "completions",
        r#"{"prompt":"Hi","model":"any"}"#,
        "text_completion",
    ),
    (
        "embeddings",
        r#"{"input":["a","b"],"model":"any"}"#,
        "embedding",
    ),
    (
        "images/generations",
        r#"{"prompt":"a fox","model":"any","n":1}"#,
        "created",
    ),
    (
        "responses",
        r#"{"input":"Hi","model":"any"}"#,
        "output_text",
    ),
    ("moderations", r#"{"input":"Hi","model":"any"}"#, "flagged"),
    (
        "rerank",
        r#"{"query":"a","documents":["a","b"],"model":"any"}"#,
        "relevance_score",
    ),
];

/// What model `any` is asked for: everything.
const ALL: &str = r#"endpoints = ["chat.completions", "completions", "embeddings", "images.generations", "responses", "audio.speech", "audio.transcriptions", "moderations", "rerank"]"#;

/// A gateway before two upstreams, the second for where the first fails, which calls the model
/// otherwise.
struct Two {
    gateway: Gateway,
    first: Simulator,
    second: Simulator,
}

impl Two {
    async fn start(tables: &str) -> Self {
        let (first, second) = (upstream().await, upstream().await);
        let gateway = Setup::new()
            .pool("first", &[&base(&first)])
            .pool("second", &[&base(&second)])
            .tables(&format!(
                "[[models]]\nid = \"any\"\npools = [\"first\", {{ pool = \"second\", name = \"vendor/any\" }}]\n{ALL}\n{tables}"
            ))
            .start();
        Self {
            gateway,
            first,
            second,
        }
    }

    async fn ask(&self, path: &str, body: &str) -> Answer {
        let mut client = Connection::open(self.gateway.address).await;
        client.post(&format!("/v1/{path}"), body).await
    }

    /// Sends a form with these parts between its boundaries, which are `b`.
    async fn form(&self, parts: &[u8]) -> Answer {
        let mut client = Connection::open(self.gateway.address).await;
        client.send(form(parts)).await;
        client.answer().await
    }
}

/// A request with a form.
fn form(parts: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        parts.len()
    );
    [head.as_bytes(), parts].concat()
}

/// A form's part.
fn part(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

/// The part with the recording.
fn file(bytes: &[u8]) -> Vec<u8> {
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n";
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

/// A whole form: the recording, then this.
fn recording(bytes: &[u8], parts: &[String]) -> Vec<u8> {
    [&*file(bytes), parts.concat().as_bytes(), b"--b--\r\n"].concat()
}

/// What `error.code` of a refusal is, with its status.
fn code(answer: &Answer) -> (u16, String) {
    let code = answer.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status, code)
}

/// A request of JSON with more lines of its head.
fn asked(path: &str, lines: &[&str], body: &str) -> Vec<u8> {
    post(&format!("/v1/{path}"), lines, body.as_bytes())
}
