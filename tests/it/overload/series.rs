//! What if callers make names up?
//!
//! Models, paths, agents, origins and keys that nobody has heard of, each of them another one: no
//! series comes of it, and no memory is kept for it.

use std::net::SocketAddr;

use crate::kit::client::{Connection, post};
use crate::kit::gateway::Setup;
use crate::kit::now;
use crate::kit::upstream::{base, upstream};

/// Names of each kind in all, and before memory is measured first. The whole count of the
/// requirement takes minutes without optimisation, and what a name leaves behind is seen with less.
const NAMES: usize = 6_000;
const FIRST: usize = 1_000;
/// Beside what is kept for them.
const MEMORY_BYTES_MAX: u64 = 4 << 20;

/// Two requests with names of their own.
async fn ask(client: &mut Connection, address: SocketAddr, number: usize) {
    let name = format!("made-up-{number}");
    let agent = format!("User-Agent: {name}");
    let origin = format!("Origin: https://{name}.example");
    let key = format!("Authorization: Bearer {name}");
    let id = format!("X-Request-Id: {name}");
    let lines = [&*agent, &origin, &key, &id];
    let body = format!("{{\"model\":\"{name}\",\"messages\":[]}}");
    let path = format!("/{name}");
    for path in ["/v1/chat/completions", &*path] {
        client.send(post(path, &lines, body.as_bytes())).await;
        let answer = client.answer().await;
        assert!((400..500).contains(&answer.status), "{}", answer.text());
        if answer.field("connection") == Some("close") {
            *client = Connection::open(address).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_callers_make_up_leave_nothing_behind() {
    let up = upstream().await;
    let gateway = Setup::new()
        .tables("[bounds]\nrequests_per_connection = 1000000\n[log]\nrequests = \"off\"")
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .start();
    let mut client = Connection::open(gateway.address).await;
    for number in 0..FIRST {
        ask(&mut client, gateway.address, number).await;
    }
    let (series, memory) = (
        gateway.metric("spafe_metric_series ").await,
        gateway.resident_bytes(),
    );
    for number in FIRST..NAMES {
        ask(&mut client, gateway.address, number).await;
    }
    let began = now();
    let metrics = gateway.metrics().await;
    let took = began.elapsed();
    assert!(!metrics.contains("made-up"), "a name is told");
    assert!((gateway.metric("spafe_metric_series ").await - series).abs() < 0.5);
    assert!(series <= 2_000.0, "{series} series");
    assert!(metrics.len() <= 1 << 20, "{} bytes", metrics.len());
    // Fifty milliseconds where the machine is not busy with other tests.
    assert!(took.as_millis() < 1_000, "{took:?}");
    let grown = gateway.resident_bytes().saturating_sub(memory);
    assert!(grown <= MEMORY_BYTES_MAX, "{grown} bytes more");
}
