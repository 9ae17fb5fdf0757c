//! Who stands behind the gateway?
//!
//! The simulator, without its delays and recording what arrives. Where a test
//! is about misbehaviour, each kind of it is a model with an upstream of its own,
//! and beside it stands what a client must see: the same table serves the SDKs
//! of three languages and a browser.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde::Serialize;
use spafe::simulator::script::Script;
use spafe::simulator::tls::Tls;
use spafe::simulator::{Options, Simulator};
use tempfile::TempDir;

use super::certificate::Certificate;
use super::gateway::Setup;

/// What a client must see of a misbehaving model.
#[derive(Serialize)]
pub(crate) struct Fault {
    pub(crate) model: &'static str,
    pub(crate) status: u16,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    /// Words that the message contains.
    pub(crate) words: &'static str,
    /// Whether only the first caller sees it, because the target is not asked again.
    pub(crate) once: bool,
}

/// The model whose stream breaks after its first event.
pub(crate) const BREAKING: &str = "breaks-in-the-stream";
/// The model that simply works.
pub(crate) const WORKING: &str = "works";
/// The largest body that a gateway with faults takes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// An upstream that answers at once, at a port of the system's choice.
pub(crate) async fn upstream() -> Simulator {
    Simulator::start(loopback(), Options::test()).await.unwrap()
}

/// An upstream that takes this long from token to token.
pub(crate) async fn slow(token_gap: Duration) -> Simulator {
    let options = Options {
        token_gap,
        ..Options::test()
    };
    Simulator::start(loopback(), options).await.unwrap()
}

/// What a pool's target says for this upstream.
pub(crate) fn base(upstream: &Simulator) -> String {
    format!("{}/v1", upstream.url())
}

/// An upstream that gives this answer to everything.
pub(crate) async fn always(script: Script) -> Simulator {
    let upstream = upstream().await;
    upstream.default(script);
    upstream
}

/// An upstream that speaks TLS, and what a pool needs to trust it.
pub(crate) struct Secure {
    pub(crate) simulator: Simulator,
    folder: TempDir,
}

/// An upstream that speaks TLS and offers HTTP/2, or does not.
pub(crate) async fn secure(http2: bool) -> Secure {
    let certificate = Certificate::new();
    let folder = TempDir::with_prefix("spafe-test-").unwrap();
    certificate.write(folder.path());
    let options = Options {
        tls: Some(Tls {
            certificates_pem: certificate.certificate_pem,
            key_pem: certificate.key_pem,
            http2,
        }),
        ..Options::test()
    };
    let simulator = Simulator::start(loopback(), options).await.unwrap();
    Secure { simulator, folder }
}

impl Secure {
    /// The key of a pool's table that names the certificate to trust.
    pub(crate) fn ca(&self) -> String {
        let path = self.folder.path().join("certificate.pem");
        format!("ca = {{ file = {path:?} }}")
    }
}

/// A gateway's setup with one model for each fault, and the upstreams to keep.
pub(crate) async fn faults() -> (Setup, Vec<Simulator>) {
    let mut setup = Setup::new()
        .tables(&format!("[bounds]\nbody_bytes_max = \"{BODY_BYTES_MAX}B\""))
        .tables("[timeouts]\nconnect = \"200ms\"\nfirst_event = \"300ms\"\nanswer = \"300ms\"\nrequest = \"2s\"");
    let mut upstreams = Vec::new();
    for (model, script) in scripts() {
        let upstream = always(script).await;
        setup = setup
            .pool(model, &[&base(&upstream)])
            .model(model, &[model]);
        upstreams.push(upstream);
    }
    let working = upstream().await;
    setup = setup
        .pool(WORKING, &[&base(&working)])
        .model(WORKING, &[WORKING])
        .pool("nobody", &[&format!("http://{}/v1", unused_address())])
        .model("nobody-listens", &["nobody"])
        .pool_with(
            "keyless",
            &[&base(&working)],
            "api_key = { env = \"SPAFE_TEST_THIS_IS_NOT_SET\" }",
        )
        .model("has-no-key", &["keyless"]);
    upstreams.push(working);
    (setup, upstreams)
}

/// What clients must see of [`faults`], streamed or not.
pub(crate) const FAULTS: [Fault; 12] = [
    fault(
        "no-such-model",
        404,
        "invalid_request_error",
        "model_not_found",
        "no-such-model",
    ),
    fault(
        "refuses",
        400,
        "invalid_request_error",
        "too_short",
        "Please say more.",
    ),
    fault(
        "conflicts",
        409,
        "invalid_request_error",
        "in_use",
        "Somebody else does this.",
    ),
    fault(
        "cannot-process",
        422,
        "invalid_request_error",
        "odd",
        "That is odd.",
    ),
    Fault {
        once: true,
        ..fault(
            "rejects-our-key",
            502,
            "upstream_error",
            "upstream_auth",
            "credential",
        )
    },
    Fault {
        once: true,
        ..fault(
            "is-rate-limited",
            429,
            "rate_limit_error",
            "upstream_rate_limited",
            "rate limited",
        )
    },
    fault(
        "is-overloaded",
        503,
        "overloaded_error",
        "overloaded",
        "overloaded",
    ),
    fault(
        "talks-nonsense",
        502,
        "upstream_error",
        "upstream_invalid_response",
        "valid answer",
    ),
    fault(
        "hangs-up",
        502,
        "upstream_error",
        "upstream_unavailable",
        "broke off",
    ),
    fault(
        "says-nothing",
        504,
        "upstream_error",
        "upstream_timeout",
        "too long",
    ),
    fault(
        "nobody-listens",
        502,
        "upstream_error",
        "upstream_unavailable",
        "reached",
    ),
    fault(
        "has-no-key",
        503,
        "overloaded_error",
        "no_healthy_upstream",
        "another model",
    ),
];

const fn fault(
    model: &'static str,
    status: u16,
    kind: &'static str,
    code: &'static str,
    words: &'static str,
) -> Fault {
    Fault {
        model,
        status,
        kind,
        code: Some(code),
        words,
        once: false,
    }
}

fn scripts() -> Vec<(&'static str, Script)> {
    let first = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1730889622,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}],"usage":null}"#;
    let event_bytes = "data: \n\n".len() + first.len();
    vec![
        ("refuses", refusal(400, "too_short", "Please say more.")),
        (
            "conflicts",
            refusal(409, "in_use", "Somebody else does this."),
        ),
        ("cannot-process", refusal(422, "odd", "That is odd.")),
        (
            "rejects-our-key",
            refusal(401, "invalid_api_key", "Wrong key sk-1234."),
        ),
        (
            "is-rate-limited",
            refusal(429, "slow", "Slow down.").header("Retry-After", "7"),
        ),
        ("is-overloaded", refusal(503, "busy", "Too busy.")),
        (
            "talks-nonsense",
            Script::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n").cut_after(23),
        ),
        ("hangs-up", Script::close()),
        ("says-nothing", Script::stall()),
        (
            BREAKING,
            Script::sse(&[first, first]).cut_after(event_bytes + 20),
        ),
    ]
}

fn refusal(status: u16, code: &str, message: &str) -> Script {
    let error = serde_json::json!({"error": {
        "message": message, "type": "invalid_request_error", "param": null, "code": code,
    }});
    Script::json(status, error.to_string())
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Where nobody listens: a port that was free a moment ago.
pub(crate) fn unused_address() -> SocketAddr {
    TcpListener::bind(loopback()).unwrap().local_addr().unwrap()
}
