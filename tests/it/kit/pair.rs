//! What does the same upstream look like over HTTP/1.1 and over HTTP/2?
//!
//! A fault means the same over both, so tests of faults are written once and run
//! over each. HTTP/2 goes over TLS, with a certificate that the pool is told to trust.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use spafe::simulator::script::Script;
use spafe::simulator::tls::Tls;
use spafe::simulator::{Options, Simulator};
use tempfile::TempDir;

use super::client::{Answer, chat};
use super::gateway::{Gateway, Setup};
use super::upstream::{base, upstream};

/// How the gateway speaks to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Plaintext.
    Http1,
    /// TLS, agreed on by ALPN.
    Http2,
}

/// Both.
pub(crate) const WIRES: [Wire; 2] = [Wire::Http1, Wire::Http2];

/// An upstream and what a pool must be told to reach it.
pub(crate) struct Upstream {
    /// The upstream.
    pub(crate) simulator: Simulator,
    authority: Option<PathBuf>,
    _folder: Option<TempDir>,
}

/// A gateway over two pools with one upstream each: the model `alone` is served by the
/// pool `first` only, the model `backed` by `second` after it.
pub(crate) struct Pair {
    pub(crate) gateway: Gateway,
    pub(crate) first: Upstream,
    pub(crate) second: Upstream,
}

impl Upstream {
    /// An upstream that is reached in this way.
    pub(crate) async fn start(wire: Wire) -> Self {
        match wire {
            Wire::Http1 => Self {
                simulator: upstream().await,
                authority: None,
                _folder: None,
            },
            Wire::Http2 => Self::secure("127.0.0.1", true).await,
        }
    }

    /// An upstream with TLS whose certificate is for `name`.
    pub(crate) async fn secure(name: &str, http2: bool) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let folder = TempDir::with_prefix("spafe-test-").unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, made.cert.pem()).unwrap();
        let options = Options {
            tls: Some(Tls {
                certificates_pem: made.cert.pem(),
                key_pem: made.signing_key.serialize_pem(),
                http2,
            }),
            ..Options::test()
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            simulator: Simulator::start(listen, options).await.unwrap(),
            authority: Some(authority),
            _folder: Some(folder),
        }
    }

    /// Adds a pool of this name for this upstream, with more keys of its table.
    pub(crate) fn pool(&self, setup: Setup, name: &str, keys: &str) -> Setup {
        let authority = self.authority.as_ref();
        let authority = authority.map(|path| format!("ca = {{ file = {path:?} }}\n"));
        let keys = format!("{}{keys}", authority.unwrap_or_default());
        setup.pool_with(name, &[&base(&self.simulator)], &keys)
    }
}

impl Pair {
    /// Starts all three.
    pub(crate) async fn start(wire: Wire) -> Self {
        Self::with(wire, Setup::new()).await
    }

    /// Starts all three, the gateway with more configuration.
    pub(crate) async fn with(wire: Wire, setup: Setup) -> Self {
        let first = Upstream::start(wire).await;
        let second = Upstream::start(wire).await;
        let setup = first.pool(setup, "first", "");
        let setup = second
            .pool(setup, "second", "")
            .model("alone", &["first"])
            .model("backed", &["first", "second"]);
        Self {
            gateway: setup.start(),
            first,
            second,
        }
    }

    /// Asks for a chat completion and reads the answer.
    pub(crate) async fn ask(&self, model: &str, stream: bool) -> Answer {
        chat(self.gateway.address, model, stream).await
    }
}

/// A whole answer that says this.
pub(crate) fn completion(text: &str) -> Script {
    let answer = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_730_888_458, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    });
    Script::json(200, answer.to_string())
}

/// The data of one event that says this.
pub(crate) fn chunk(text: &str) -> String {
    event(0, text, None)
}

/// The data of the event that ends a choice.
pub(crate) fn stop(index: u32) -> String {
    event(index, "", Some("stop"))
}

fn event(index: u32, text: &str, finish_reason: Option<&str>) -> String {
    serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_730_889_622, "model": "m",
        "choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish_reason}],
        "usage": null,
    })
    .to_string()
}
