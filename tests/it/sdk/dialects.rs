//! Do the SDKs notice which dialect answers?
//!
//! They must not. So each goes through the same scenario (chats, streams, tools in two rounds,
//! pictures, schemas, errors, departures, lists, embeddings) before models that the simulator
//! serves in every dialect, and what differs is in one table: the field that has no words
//! there, and whether the dialect has embeddings.

/// The same with the SDK of Rust.
mod rust;

use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::gateway::{Gateway, Setup};
use crate::kit::script;
use crate::kit::upstream::{always, slow, upstream};

/// What a caller shows.
const KEY: &str = "canary-dialects";
/// A picture, as far as anybody looks.
const PICTURE: &str = "iVBORw0KGgo=";

/// What is particular about a dialect.
struct Dialect {
    name: &'static str,
    /// Where a chat arrives.
    path: &'static str,
    /// What a pool's table says.
    keys: &'static str,
    /// A member that is refused, and by whom so ever: it must be named.
    refused: (&'static str, &'static str),
    has_embeddings: bool,
    /// Whether it has words for one call at a time.
    is_serial: bool,
}

const DIALECTS: [Dialect; 5] = [
    Dialect {
        name: "openai",
        path: "/v1/chat/completions",
        keys: "",
        refused: ("n", "99"),
        has_embeddings: true,
        is_serial: true,
    },
    Dialect {
        name: "anthropic",
        path: "/v1/messages",
        keys: "",
        refused: ("logit_bias", r#"{"50256": -100}"#),
        has_embeddings: false,
        is_serial: true,
    },
    Dialect {
        name: "gemini",
        path: "/v1/models/gemini:",
        keys: "",
        refused: ("logit_bias", r#"{"50256": -100}"#),
        has_embeddings: false,
        is_serial: false,
    },
    Dialect {
        name: "azure",
        path: "/v1/openai/deployments/azure/chat/completions",
        keys: "api_version = \"2024-10-21\"",
        refused: ("n", "99"),
        has_embeddings: true,
        is_serial: true,
    },
    Dialect {
        name: "responses",
        path: "/v1/responses",
        keys: "",
        refused: ("stop", r#"["x"]"#),
        has_embeddings: false,
        is_serial: true,
    },
];

impl Dialect {
    /// What a script is told.
    fn told(&self) -> Value {
        let (field, value) = self.refused;
        let value: Value = serde_json::from_str(value).unwrap();
        json!({
            "name": self.name,
            "refused": {"field": field, "value": value},
            "embeddings": self.has_embeddings,
            "serial": self.is_serial,
        })
    }

    /// How the vendor says this.
    fn failure(&self, status: u16) -> Script {
        match (self.name, status) {
            ("anthropic", 401) => {
                Script::anthropic_error(401, "authentication_error", "invalid x-api-key")
            }
            ("anthropic", _) => Script::anthropic_error(429, "rate_limit_error", "Too fast."),
            ("gemini", 401) => Script::gemini_key_invalid(),
            ("gemini", _) => Script::gemini_exhausted("7s"),
            ("azure", 401) => Script::azure_unauthorized(),
            (_, 401) => said(401, "invalid_api_key"),
            _ => said(429, "rate_limit_exceeded"),
        }
    }
}

fn said(status: u16, code: &str) -> Script {
    let error =
        json!({"message": "No.", "type": "invalid_request_error", "param": null, "code": code});
    Script::json(status, json!({ "error": error }).to_string())
}

/// A gateway with these models of each dialect, and who serves them.
struct Matrix {
    gateway: Gateway,
    served: Vec<(&'static Dialect, Simulator)>,
    slow: Vec<Simulator>,
    _failing: Vec<Simulator>,
}

impl Matrix {
    /// `NAME` answers, `NAME-slow` at its leisure, `NAME-401` and `NAME-429` refuse.
    async fn start() -> Self {
        let hash = sha256(KEY);
        let mut setup = Setup::new()
            .tables("[auth]\nkeys = \"required\"")
            .tables(&format!("[[keys]]\nname = \"sdk\"\nsha256 = \"{hash}\""));
        let (mut served, mut slowly, mut failing) = (Vec::new(), Vec::new(), Vec::new());
        for dialect in &DIALECTS {
            let name = dialect.name;
            let keys = format!("dialect = {name:?}\n{}", dialect.keys);
            let usual = upstream().await;
            let leisurely = slow(Duration::from_millis(100)).await;
            let no = always(dialect.failure(401)).await;
            let busy = always(dialect.failure(429)).await;
            let endpoints = if dialect.has_embeddings {
                "endpoints = [\"chat.completions\", \"embeddings\"]"
            } else {
                ""
            };
            for (id, upstream) in [
                (name.to_owned(), &usual),
                (format!("{name}-slow"), &leisurely),
                (format!("{name}-401"), &no),
                (format!("{name}-429"), &busy),
            ] {
                let base = format!("{}/v1", upstream.url());
                setup = setup
                    .pool_with(&id, &[&base], &keys)
                    .model_with(&id, &[&id], endpoints);
            }
            served.push((dialect, usual));
            slowly.push(leisurely);
            failing.extend([no, busy]);
        }
        Self {
            gateway: setup.start(),
            served,
            slow: slowly,
            _failing: failing,
        }
    }

    /// Runs a script with all it must know.
    fn tell(&self, run: fn(&str, &[(&str, &str)]), name: &str) {
        let told: Vec<Value> = DIALECTS.iter().map(Dialect::told).collect();
        run(
            name,
            &[
                ("SPAFE_URL", &self.gateway.url("")),
                ("SPAFE_KEY", KEY),
                ("SPAFE_PICTURE", PICTURE),
                ("SPAFE_DIALECTS", &json!(told).to_string()),
            ],
        );
    }

    /// What no client can see: who was asked, and how, and that nobody works for who has left.
    async fn arrived(&self) {
        for (dialect, upstream) in &self.served {
            let requests = upstream.requests();
            let chats = requests.iter().filter(|request| {
                !request.target.ends_with("/embeddings") && !request.target.contains("/embeddings?")
            });
            let mut pictures = 0;
            for request in chats {
                let target = &request.target;
                assert!(
                    target.starts_with(dialect.path),
                    "{}: {target}",
                    dialect.name
                );
                pictures += usize::from(String::from_utf8_lossy(&request.body).contains(PICTURE));
            }
            assert!(pictures > 0, "{}: no picture arrived", dialect.name);
        }
        for upstream in &self.slow {
            let requests = upstream.requests();
            assert!(!requests.is_empty(), "nobody left");
            for request in requests {
                upstream.aborted(request.number).await.unwrap();
            }
        }
    }

    fn rust(&self, key: &str) -> Client<OpenAIConfig> {
        let config = OpenAIConfig::new()
            .with_api_base(self.gateway.url("/v1"))
            .with_api_key(key);
        Client::with_config(config)
    }
}

fn sha256(key: &str) -> String {
    let digest = Sha256::digest(key);
    digest
        .iter()
        .fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn python_does_not_notice_the_dialect() {
    let matrix = Matrix::start().await;
    matrix.tell(script::python, "dialects.py");
    matrix.arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_does_not_notice_the_dialect() {
    let matrix = Matrix::start().await;
    matrix.tell(script::node, "dialects.mjs");
    matrix.arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn langchain_does_not_notice_the_dialect() {
    let matrix = Matrix::start().await;
    matrix.tell(script::python, "chains.py");
    matrix.arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ai_sdk_does_not_notice_the_dialect() {
    let matrix = Matrix::start().await;
    matrix.tell(script::node, "ai.mjs");
    matrix.arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_does_not_notice_the_dialect() {
    let matrix = Matrix::start().await;
    for dialect in &DIALECTS {
        rust::asks(&matrix.rust(KEY), dialect).await;
    }
    rust::is_refused_without_a_key(&matrix.rust("canary-none")).await;
    matrix.arrived().await;
}
