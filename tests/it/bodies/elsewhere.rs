//! Can a caller make the gateway ask somebody whom no operator has named?
//!
//! Bodies, heads and upstreams' answers name every kind of address, and the system itself says
//! to whom the process has connected: strace writes down each such call.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, post};
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::upstream::{base, upstream};
use crate::kit::{script, soon};

/// Where strace writes.
const CALLS: &str = "calls";
const CHAT: &str = "/v1/chat/completions";
/// Every protocol in which somebody is asked.
const DIALECTS: [&str; 4] = ["openai", "anthropic", "gemini", "responses"];

#[tokio::test(flavor = "multi_thread")]
async fn the_process_connects_to_configured_targets_and_nobody_else() {
    script::set_up();
    let upstream = upstream().await;
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let gateway = watched(&upstream).start();
    let port = trap.local_addr().unwrap().port();
    let places = places(port);
    for place in &places {
        for body in bodies(place) {
            asked(&gateway, &body, &lines(port)).await;
        }
        upstream.push(image(place));
        asked(&gateway, &question("paints", &json!("A cat.")), &[]).await;
    }
    for place in &places {
        for status in [301, 302, 303, 307, 308] {
            upstream.push(Script::json(status, "{}").header("Location", place));
            asked(&gateway, &question("openai", &json!("Hi")), &[]).await;
        }
    }
    assert!(
        trap.accept().is_err(),
        "somebody came who was not asked for"
    );
    let calls = gateway.folder().join(CALLS);
    let pid = gateway.pid();
    // A copy: what the gateway leaves behind goes with it.
    let kept = tempfile::tempdir().unwrap();
    let link = kept.path().join(CALLS);
    std::fs::hard_link(calls, &link).unwrap();
    assert!(gateway.terminate().await.success());
    let seen = connected(&link, pid).await;
    let configured = upstream.addr().to_string();
    assert_eq!(seen, BTreeSet::from([configured]));
}

/// A gateway under strace, which leaves the process its number.
fn watched(upstream: &Simulator) -> Setup {
    let traced = "trace=connect,sendto,sendmsg,sendmmsg";
    let mut setup = Setup::new()
        .started_by(&[
            "strace",
            "-D",
            "-f",
            "--seccomp-bpf",
            "-e",
            traced,
            "-o",
            CALLS,
        ])
        .tables("[ejection]\nfailures = 1000\nrequests_min = 1000")
        .pool_with("paints", &[&base(upstream)], "dialect = \"images\"")
        .model_with("paints", &["paints"], "modality = \"image\"");
    for dialect in DIALECTS {
        let target = match dialect {
            "gemini" => format!("{}/v1beta", upstream.url()),
            _ => base(upstream),
        };
        let keys = format!("dialect = {dialect:?}");
        setup = setup
            .pool_with(dialect, &[&target], &keys)
            .model(dialect, &[dialect]);
    }
    setup
}

/// Addresses of all kinds: of clouds, of files, of this machine.
fn places(port: u16) -> Vec<String> {
    vec![
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/latest/meta-data/".to_owned(),
        "http://metadata.google.internal/computeMetadata/v1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("//127.0.0.1:{port}/"),
    ]
}

fn question(model: &str, content: &Value) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": content}]})
}

/// Questions that name this place wherever something could be fetched from.
fn bodies(place: &str) -> Vec<Value> {
    let mut bodies = Vec::new();
    for dialect in DIALECTS {
        for part in [
            json!({"type": "image_url", "image_url": {"url": place}}),
            json!({"type": "file", "file": {"file_url": place, "file_id": place}}),
            json!({"type": "input_audio", "input_audio": {"url": place, "data": place, "format": "wav"}}),
        ] {
            bodies.push(question(
                dialect,
                &json!([{"type": "text", "text": "What?"}, part]),
            ));
        }
    }
    for member in ["api_base", "base_url", "api_key"] {
        let mut body = question("openai", &json!("Hi"));
        body[member] = json!(place);
        bodies.push(body);
    }
    let mut body = question("openai", &json!("Hi"));
    body["tools"] = json!([{"type": "mcp", "server_label": "a", "server_url": place}]);
    for member in [
        "proxy",
        "endpoint",
        "webhook_url",
        "image_url",
        "url",
        "user",
        "extra_body",
        "host",
    ] {
        body[member] = json!(place);
    }
    body["provider"] = json!({"base_url": place, "api_base": place});
    body["metadata"] = json!({"url": place});
    bodies.push(body);
    bodies.push(question(place, &json!("Hi")));
    bodies.push(question("paints", &json!(format!("As in {place}"))));
    bodies
}

/// Fields that other gateways take for a word on where to ask.
fn lines(port: u16) -> Vec<String> {
    let trap = format!("127.0.0.1:{port}");
    let hosts = [
        "X-Forwarded-Host",
        "X-Host",
        "X-Upstream-Host",
        "X-Original-Host",
        "X-Forwarded-Server",
        "X-Target-Host",
        "X-Backend-Host",
        "X-HTTP-Host-Override",
        "X-Real-Host",
        "Proxy",
        "X-Envoy-Original-Dst-Host",
    ];
    let urls = [
        "X-Base-Url",
        "X-Api-Base",
        "X-OpenAI-Api-Base",
        "X-Target-Url",
        "X-Original-Url",
        "X-Rewrite-Url",
        "X-Proxy-Url",
        "X-Callback-Url",
        "Destination",
    ];
    let hosts = hosts.map(|name| format!("{name}: {trap}"));
    let urls = urls.map(|name| format!("{name}: http://{trap}/"));
    let forwarded = format!("Forwarded: host={trap};by={trap}");
    hosts.into_iter().chain(urls).chain([forwarded]).collect()
}

/// An image that is somewhere else.
fn image(place: &str) -> Script {
    Script::json(
        200,
        json!({"created": 1, "data": [{"url": place}]}).to_string(),
    )
}

/// Asks, whatever is said to it; whom it names in a part of a message, in both protocols.
async fn asked(gateway: &Gateway, body: &Value, lines: &[String]) {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let has_parts = body["messages"][0]["content"].is_array();
    let paths: &[&str] = if has_parts {
        &[CHAT, "/v1/messages"]
    } else {
        &[CHAT]
    };
    for path in paths.iter().copied() {
        let mut body = body.clone();
        if path != CHAT {
            body["max_tokens"] = json!(16);
        }
        let mut client = Connection::open(gateway.address).await;
        client
            .send(post(path, &lines, body.to_string().as_bytes()))
            .await;
        let answer = client.answer().await;
        assert!(answer.status >= 200, "{answer:?}");
    }
}

/// To whom a process has connected, or sent anything without that, until its end.
async fn connected(calls: &Path, pid: u32) -> BTreeSet<String> {
    let end = format!("{pid} +++ exited with 0 +++");
    let calls = soon("strace's last word", async {
        loop {
            let calls = std::fs::read_to_string(calls).unwrap();
            // Behind a number that is shorter than others stand spaces.
            if calls
                .lines()
                .any(|line| line.split_whitespace().eq(end.split(' ')))
            {
                return calls;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    calls.lines().filter_map(place_of).collect()
}

/// The address in a call, if there is one.
fn place_of(call: &str) -> Option<String> {
    let between = |from: &str, to: &str| {
        let (_, rest) = call.split_once(from)?;
        rest.split_once(to).map(|(found, _)| found.to_owned())
    };
    let port = between("htons(", ")");
    match (between("inet_addr(\"", "\""), port) {
        (Some(address), Some(port)) => Some(format!("{address}:{port}")),
        _ if call.contains("AF_INET6") => Some(format!("[{}]", between("AF_INET6, \"", "\"")?)),
        _ => between("sun_path=", "}"),
    }
}
