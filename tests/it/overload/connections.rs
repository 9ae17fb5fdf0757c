//! How many connections are kept?
//!
//! Refused ones are closed without a word, and before TLS; the caps of networks are
//! tested here with the many addresses that this machine has, all of them `127.0.0.n`.

use std::time::Duration;

use super::{LIST, limited};
use crate::kit::client::Connection;
use crate::kit::http2::Http2;
use crate::kit::now;

/// Every word of `spafe_connections_refused_total`.
fn refused(reason: &str) -> String {
    format!("spafe_connections_refused_total{{reason=\"{reason}\"}}")
}

/// Asks for something that costs nothing.
async fn is_served(connection: &mut Connection) {
    connection.send(LIST).await;
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_keeps_its_share_of_connections() {
    const OPENED: usize = 1_000;
    const KEPT: usize = 64;
    let (setup, _upstream) = limited("head_timeout = \"60s\"").await;
    // Lines are counted below.
    let gateway = setup.variable("RUST_LOG", "info").start();
    let mut connections = Vec::new();
    for _ in 0..OPENED {
        connections.push(Connection::open(gateway.address).await);
    }
    let beyond = (OPENED - KEPT) as u64;
    gateway.counts(&refused("address"), beyond).await;
    gateway.counts("spafe_connections", KEPT as u64).await;
    // Another address has its own share.
    let mut other = Connection::open_from(2, gateway.address).await;
    is_served(&mut other).await;
    for (number, connection) in connections.iter_mut().enumerate() {
        if number < KEPT {
            is_served(connection).await;
        } else {
            assert!(connection.closed().await.is_empty(), "{number} heard");
        }
    }
    drop((connections, other));
    gateway.counts("spafe_connections", 0).await;
    is_served(&mut Connection::open(gateway.address).await).await;
    // None of them has left a line: those there are, are of requests or of the start.
    let output = gateway.output();
    let lines = output.lines().filter(|line| line.starts_with('{'));
    let others = lines.filter(|line| !line.contains("request_id"));
    assert!(others.count() < 10, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_addresses_together_keep_so_many() {
    let (setup, _upstream) = limited("connections_max = 8").await;
    let gateway = setup.start();
    let mut kept = Vec::new();
    for n in 1..=8 {
        let mut connection = Connection::open_from(n, gateway.address).await;
        is_served(&mut connection).await;
        kept.push(connection);
    }
    for n in 1..=20 {
        let began = now();
        let mut beyond = Connection::open_from(n, gateway.address).await;
        assert!(beyond.closed().await.is_empty());
        let took = began.elapsed();
        assert!(took < Duration::from_millis(500), "closed after {took:?}");
    }
    gateway.counts(&refused("all"), 20).await;
    drop(kept.pop());
    gateway.counts("spafe_connections", 7).await;
    is_served(&mut Connection::open_from(9, gateway.address).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_tls_count_before_they_shake_hands() {
    let (setup, _upstream) = limited("connections_per_address_max = 4").await;
    let gateway = setup.tls().start();
    let address = gateway.tls_address.unwrap();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(Connection::open(address).await);
    }
    gateway.counts("spafe_connections", 4).await;
    let mut beyond = Connection::open(address).await;
    assert!(beyond.closed().await.is_empty());
    gateway.counts(&refused("address"), 1).await;
    // The two listeners share the count.
    let mut plain = Connection::open(gateway.address).await;
    assert!(plain.closed().await.is_empty());
    gateway.counts(&refused("address"), 2).await;
    drop(silent);
    gateway.counts("spafe_connections", 0).await;
    let client = Http2::open(&gateway).await;
    gateway.counts("spafe_connections", 1).await;
    client.leave();
    gateway.counts("spafe_connections", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_counted_until_it_ends_whatever_way() {
    let (setup, _upstream) =
        limited("head_timeout = \"300ms\"\nkeep_alive = \"1s\"\nnext_head_timeout = \"1s\"").await;
    let gateway = setup.tls().start();
    let tls = gateway.tls_address.unwrap();
    let plain = gateway.address;
    for (address, sent, resets) in [
        (plain, "", false),
        (plain, "", true),
        (plain, "GET /v1/mo", true),
        (plain, "nonsense\r\n\r\n", false),
        (plain, LIST, false),
        (plain, LIST, true),
        (plain, "GET / HTTP/1.0\r\n\r\n", false),
        (tls, "", false),
        (tls, "", true),
        (tls, "GET / HTTP/1.1\r\n\r\n", false),
        (tls, "\u{16}\u{3}\u{1}", true),
    ] {
        let mut connection = Connection::open(address).await;
        gateway.counts("spafe_connections", 1).await;
        connection.offer(sent.as_bytes()).await;
        if resets {
            connection.reset();
        } else {
            connection.finish().await;
        }
        gateway.counts("spafe_connections", 0).await;
    }
    // Ended by us: a head that does not come, and an idle connection.
    for sent in ["", LIST] {
        let mut connection = Connection::open(plain).await;
        gateway.counts("spafe_connections", 1).await;
        connection.send(sent).await;
        gateway.counts("spafe_connections", 0).await;
    }
}
