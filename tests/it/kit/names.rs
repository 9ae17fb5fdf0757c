//! What comes of names that nobody has heard of?
//!
//! Each request has another model, path, agent, origin and key, over connections that are kept.

use std::net::SocketAddr;
use std::ops::Range;

use super::client::{Connection, post};
use super::gateway::{Gateway, Setup};
use super::now;
use super::upstream::{base, upstream};

/// Callers who make names up at the same time.
const CALLERS: usize = 4;
/// Beside what is kept for the first names.
const MEMORY_BYTES_MAX: u64 = 4 << 20;
/// Series, bytes, and the time to tell them: fifty milliseconds where the machine has nothing
/// else to do, and the program was optimised.
const SERIES_MAX: f64 = 2_000.0;
const METRICS_BYTES_MAX: usize = 1 << 20;
const MILLISECONDS_MAX: u128 = if cfg!(debug_assertions) { 1_000 } else { 50 };

/// Two requests with names of their own, at a model's path and at one that is made up.
async fn ask(client: &mut Connection, address: SocketAddr, number: usize) {
    let lines = [
        format!("User-Agent: agent-made-up-{number}"),
        format!("Origin: https://origin-made-up-{number}.example"),
        format!("Authorization: Bearer key-made-up-{number}"),
        format!("X-Request-Id: id-made-up-{number}"),
    ];
    let lines = lines.each_ref().map(String::as_str);
    let body = format!("{{\"model\":\"model-made-up-{number}\",\"messages\":[]}}");
    let path = format!("/path-made-up-{number}");
    for path in ["/v1/chat/completions", &*path] {
        client.send(post(path, &lines, body.as_bytes())).await;
        let answer = client.answer().await;
        assert!((400..500).contains(&answer.status), "{}", answer.text());
        if answer.field("connection") == Some("close") {
            *client = Connection::open(address).await;
        }
    }
}

/// Makes all of these names up.
async fn make_up(gateway: &Gateway, names: Range<usize>) {
    let address = gateway.address;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let mine = names.clone().skip(caller).step_by(CALLERS);
            tokio::spawn(async move {
                let mut client = Connection::open(address).await;
                for number in mine {
                    ask(&mut client, address, number).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    gateway.idle().await;
}

/// Makes so many names up, and behind the first of them sees that nothing grows any more.
pub(crate) async fn leave_nothing_behind(first: usize, all: usize) {
    let up = upstream().await;
    let gateway = Setup::new()
        .tables("[bounds]\nrequests_per_connection = 1000000\nconnections_per_address_max = 4096\n[log]\nrequests = \"off\"")
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .start();
    make_up(&gateway, 0..first).await;
    gateway.metrics().await;
    let series = gateway.metric("spafe_metric_series ").await;
    let memory = gateway.resident_bytes();

    make_up(&gateway, first..all).await;
    let began = now();
    let metrics = gateway.metrics().await;
    let took = began.elapsed();
    let grown = gateway.resident_bytes().saturating_sub(memory);
    let lines = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    println!(
        "{all} names: {series} series, {lines} lines, {} bytes in {took:?}, {grown} bytes more",
        metrics.len()
    );
    assert!(!metrics.contains("made-up"), "a name is told: {metrics}");
    assert!((gateway.metric("spafe_metric_series ").await - series).abs() < 0.5);
    assert!(series <= SERIES_MAX, "{series} series");
    assert!(
        metrics.len() <= METRICS_BYTES_MAX,
        "{} bytes",
        metrics.len()
    );
    assert!(took.as_millis() <= MILLISECONDS_MAX, "{took:?}");
    assert!(grown <= MEMORY_BYTES_MAX, "{grown} bytes more");
}
