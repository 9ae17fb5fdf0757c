//! What if the process has as much memory as it may?
//!
//! Nothing stands in for memory here: bodies that are half sent fill it.

use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::Simulator;

use super::{LIST, MODEL, PATH, assert_shed};
use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::reload::replace;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

const MIB: u64 = 1 << 20;
/// What all bodies may have, which has to be less than the process may.
const BODIES_MIB: u64 = 32;
/// What one caller has sent of its body, at most: less than lies between the two bounds.
const PART_BYTES: usize = 2 << 20;
const PRESSURE: &str = "spafe_memory_pressure";

fn setup(upstream: &Simulator, memory_max: u64) -> Setup {
    Setup::new()
        .tables(&format!(
            "[bounds]\nmemory_max = {memory_max}\nbody_bytes_max = \"8MiB\"\nbodies_bytes_max = \"{BODIES_MIB}MiB\"\nin_flight_per_client_max = 64\n[cache]\nmax_bytes = \"1MiB\""
        ))
        .pool("main", &[&base(upstream)])
        .model(MODEL, &["main"])
}

/// Another bound comes into force.
async fn allow(gateway: &Gateway, upstream: &Simulator, memory_max: u64) {
    replace(&gateway.config, &setup(upstream, memory_max).text());
    gateway.signal(Signal::HUP);
    gateway
        .counts("spafe_limit{name=\"memory_bytes\"}", memory_max)
        .await;
}

async fn chat(gateway: &Gateway) -> Answer {
    let mut client = Connection::open(gateway.address).await;
    client
        .send(post(PATH, &[], ask(MODEL, false).as_bytes()))
        .await;
    client.answer().await
}

/// Bodies that are half sent, until there is hardly memory for more.
async fn fill(gateway: &Gateway) -> Vec<Connection> {
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        8 * MIB
    );
    let mut bodies = Vec::new();
    while gateway.metric(PRESSURE).await < 1.0 {
        assert!(bodies.len() < 32, "bodies fill no memory");
        let mut client = Connection::open(gateway.address).await;
        client.send(&head).await;
        client.offer(&vec![b' '; PART_BYTES]).await;
        bodies.push(client);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn near_its_bound_it_refuses_and_gives_up_what_it_can() {
    let upstream = upstream().await;
    let gateway = setup(&upstream, 1 << 30).start();
    assert_eq!(chat(&gateway).await.status, 200);
    let kept = chat(&gateway).await;
    assert!(kept.field("cache-status").unwrap().contains("hit"));
    allow(&gateway, &upstream, gateway.resident_bytes() + 24 * MIB).await;

    let bodies = fill(&gateway).await;
    let refused = chat(&gateway).await;
    assert_shed(&refused, 503, "overloaded_error", "overloaded");
    assert_eq!(refused.field("connection"), Some("close"));
    let shed = "spafe_requests_shed_total{reason=\"memory\"}";
    assert!(gateway.metric(shed).await >= 1.0);
    let mut other = Connection::open(gateway.address).await;
    other.send(LIST).await;
    assert_eq!(other.answer().await.status, 200);
    gateway.says("memory is short").await;

    // What is given back is seen, and what was kept is not there any more.
    drop(bodies);
    gateway.counts(PRESSURE, 0).await;
    let again = chat(&gateway).await;
    assert_eq!(again.status, 200);
    assert!(!again.field("cache-status").unwrap().contains("hit"));
    gateway.says("there is memory again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_bound_it_lets_nobody_in_until_there_is_memory_again() {
    let upstream = upstream().await;
    let gateway = setup(&upstream, 1 << 30).start();
    let least = (BODIES_MIB + 2) * MIB;
    allow(&gateway, &upstream, gateway.resident_bytes().max(least)).await;
    gateway.counts(PRESSURE, 2).await;
    let mut refused = Connection::open(gateway.address).await;
    refused.offer(LIST.as_bytes()).await;
    // Closed on what was sent, a connection is reset.
    let said = refused.ended().await.unwrap_or_default();
    assert!(said.is_empty(), "{said:?}");
    let closed = "spafe_connections_refused_total{reason=\"memory\"}";
    assert!(gateway.metric(closed).await >= 1.0);

    allow(&gateway, &upstream, 1 << 30).await;
    gateway.counts(PRESSURE, 0).await;
    soon("an answer", async {
        while chat(&gateway).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
