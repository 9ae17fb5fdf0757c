//! What does each side never see of the other?

use serde_json::json;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::Setup;
use crate::kit::pair::{Upstream, WIRES, Wire, chunk, completion, stop};
use crate::kit::upstream::{base, upstream};

const CHAT: &str = "/v1/chat/completions";

/// What a client may send and no upstream may see.
const CANARIES: [&str; 18] = [
    "Authorization: Bearer canary-1",
    "X-Api-Key: canary-2",
    "Api-Key: canary-3",
    "X-Goog-Api-Key: canary-4",
    "Cookie: session=canary-5",
    "Proxy-Authorization: Basic canary-6",
    "Proxy-Connection: canary-7",
    "Forwarded: for=canary-8",
    "OpenAI-Organization: canary-9",
    "OpenAI-Project: canary-10",
    "X-Forwarded-For: 192.0.2.11",
    "X-Real-Ip: 192.0.2.12",
    "User-Agent: canary-13",
    "X-Stainless-Lang: canary-14",
    "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Tracestate: canary=15",
    "Baggage: canary=16",
    // It goes to pools that speak Anthropic's protocol, of callers who do: `messages/own.rs`.
    "Anthropic-Beta: canary-17",
];

/// Everything that an upstream sees of a request but its body.
fn golden(wire: Wire, upstream: &Upstream, key: &str, stream: bool, body_bytes: usize) -> String {
    let authority = upstream.simulator.addr();
    let accept = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let agent = concat!("spafe/", env!("CARGO_PKG_VERSION"));
    let fields = format!(
        "user-agent: {agent}\r\ncontent-type: application/json\r\naccept-encoding: identity\r\n\
         authorization: Bearer {key}\r\naccept: {accept}\r\nx-request-id: of-the-client\r\n\
         content-length: {body_bytes}\r\n\r\n"
    );
    match wire {
        Wire::Http1 => format!("POST {CHAT} HTTP/1.1\r\nhost: {authority}\r\n{fields}"),
        Wire::Http2 => format!(
            ":method: POST\r\n:scheme: https\r\n:authority: {authority}\r\n:path: {CHAT}\r\n{fields}"
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_sees_our_head_and_its_own_key_and_nothing_of_the_clients() {
    for wire in WIRES {
        let (first, second) = (Upstream::start(wire).await, Upstream::start(wire).await);
        first.simulator.default(Script::json(500, "{}"));
        let setup = Setup::new()
            .variable("KEY_ONE", "sk-one")
            .variable("KEY_TWO", "sk-two");
        let setup = first.pool(setup, "first", "api_key = { env = \"KEY_ONE\" }");
        let gateway = second
            .pool(setup, "second", "api_key = { env = \"KEY_TWO\" }")
            .model("m", &["first", "second"])
            .start();
        for stream in [false, true] {
            let body = ask("m", stream);
            let lines = [&CANARIES[..], &["X-Request-Id: of-the-client"]].concat();
            let mut client = Connection::open(gateway.address).await;
            client.send(post(CHAT, &lines, body.as_bytes())).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.field("x-request-id"), Some("of-the-client"));
            for (upstream, key) in [(&first, "sk-one"), (&second, "sk-two")] {
                let request = upstream.simulator.next_request().await.unwrap();
                let head = String::from_utf8(request.head.to_vec()).unwrap();
                // HTTP/2 names the authority in its own field and may repeat it as Host.
                let host = format!("host: {}\r\n", upstream.simulator.addr());
                let head = match wire {
                    Wire::Http1 => head,
                    Wire::Http2 => head.replace(&host, ""),
                };
                let expected = golden(wire, upstream, key, stream, body.len());
                assert_eq!(head, expected, "{wire:?}");
                assert_eq!(request.body, body.as_bytes());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_a_pool_is_not_used_and_the_clients_token_does_not_stand_in() {
    let up = upstream().await;
    let other = upstream().await;
    let gateway = Setup::new()
        .variable("EMPTY", "")
        .pool_with(
            "unset",
            &[&base(&up)],
            "api_key = { env = \"SPAFE_TEST_UNSET\" }",
        )
        .pool_with("empty", &[&base(&up)], "api_key = { env = \"EMPTY\" }")
        .pool_with("open", &[&base(&other)], "")
        .model("unset", &["unset"])
        .model("empty", &["empty"])
        .model("backed", &["unset", "empty", "open"])
        .start();
    for stream in [false, true] {
        for model in ["unset", "empty", "backed"] {
            let mut client = Connection::open(gateway.address).await;
            client
                .send(post(CHAT, &CANARIES[..3], ask(model, stream).as_bytes()))
                .await;
            let answer = client.answer().await;
            if model == "backed" {
                assert_eq!(answer.status, 200);
                assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
            } else {
                assert_eq!(answer.status, 503, "{model}");
                assert_eq!(answer.json()["error"]["code"], json!("no_healthy_upstream"));
            }
        }
    }
    assert_eq!(up.requests().len(), 0);
    for request in other.requests() {
        assert_eq!(request.header("authorization"), None);
        assert!(!String::from_utf8_lossy(&request.head).contains("canary"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_says_of_itself_does_not_reach_a_client() {
    for wire in WIRES {
        let up = Upstream::start(wire).await;
        let setup = Setup::new().variable("KEY", "very-secret-key-0815");
        let gateway = up
            .pool(setup, "up", "api_key = { env = \"KEY\" }")
            .model("m", &["up"])
            .start();
        let url = base(&up.simulator);
        let leaks = [
            "very-secret-key-0815",
            "org-abc123",
            "proj_xyz",
            "sk-other-key",
            "sk-in-json",
            "127.0.0.1",
        ];
        let words = format!(
            "Bad request to {url} for key very-secret-key-0815 (org-abc123), \"proj_xyz\" and 'sk-other-key', {{\"key\":\"sk-in-json\"}}. Say less."
        );
        let error = json!({"error": {"message": words, "type": "t", "param": "org-abc123", "code": "sk-other-key"}});
        let mut texts = Vec::new();
        for status in [400, 404, 422, 429, 500, 401] {
            up.simulator.push(Script::json(status, error.to_string()));
            let answer = chat(gateway.address, "m", status % 2 == 0).await;
            let text = format!("{:?} {}", answer.fields, answer.text());
            let is_passed_on = matches!(status, 400 | 404 | 422);
            assert_eq!(text.contains("Bad request to"), is_passed_on, "{text}");
            assert_eq!(text.contains("Say less."), is_passed_on, "{text}");
            texts.push(text);
        }
        for leak in leaks {
            let leaking: Vec<_> = texts.iter().filter(|text| text.contains(leak)).collect();
            assert!(leaking.is_empty(), "{leak} in {leaking:?}");
        }
        assert!(!gateway.output().contains("very-secret-key-0815"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answers_head_is_ours_and_not_the_upstreams() {
    const ALLOWED: [&str; 16] = [
        "access-control-allow-origin",
        "access-control-expose-headers",
        "cache-control",
        "connection",
        "cache-status",
        "content-length",
        "content-type",
        "date",
        "server-timing",
        "transfer-encoding",
        "x-accel-buffering",
        "x-content-type-options",
        "x-request-id",
        "x-spafe-attempts",
        "x-spafe-model",
        "x-spafe-upstream",
    ];
    let dressed = |script: Script| {
        [
            "Set-Cookie",
            "OpenAI-Organization",
            "OpenAI-Version",
            "X-RateLimit-Limit-Requests",
            "Server",
            "Via",
            "CF-Ray",
            "CF-Cache-Status",
            "X-Request-Id",
            "Access-Control-Allow-Origin",
            "Alt-Svc",
            "Strict-Transport-Security",
            "X-Powered-By",
        ]
        .iter()
        .fold(script, |script, name| script.header(name, "theirs"))
    };
    for wire in WIRES {
        let up = Upstream::start(wire).await;
        let gateway = up.pool(Setup::new(), "up", "").model("m", &["up"]).start();
        up.simulator.push(dressed(completion("x")));
        up.simulator
            .push(dressed(Script::sse(&[&chunk("x"), &stop(0)])));
        up.simulator.push(dressed(Script::json(400, "{}")));
        for stream in [false, true, false] {
            let answer = chat(gateway.address, "m", stream).await;
            for (name, value) in &answer.fields {
                assert!(ALLOWED.contains(&name.as_str()), "{name}: {value}");
                assert_ne!(value, "theirs", "{name}");
            }
        }
    }
}
