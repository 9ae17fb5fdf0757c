//! Whose connection does a balancer say it is?
//!
//! With the PROXY protocol, in front of plaintext and in front of TLS. Whoever does not
//! speak it where it is expected is not answered at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use super::{PATH, head, with};
use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Gateway;
use crate::kit::http2::Http2;

/// A line of version 1 for this caller.
fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 192.0.2.1 4711 443\r\n").into_bytes()
}

/// A block of version 2 for this caller, with something at its end that nobody needs.
fn block(client: Ipv4Addr) -> Vec<u8> {
    let mut block = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
    block.extend(client.octets());
    block.extend([192, 0, 2, 1, 0x12, 0x67, 1, 0xbb]);
    block.extend([4, 0, 4, 0, 0, 0, 0]);
    block
}

/// A block of version 2 that tells of nobody.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Sends this in front of two requests on one connection; who they are counted for.
async fn counted(gateway: &Gateway, before: &[u8]) -> String {
    let id = format!("id-{}", gateway.request_log(0).await.len());
    let mut client = Connection::open(gateway.address).await;
    let named = format!("X-Request-Id: {id}");
    let first = post(PATH, &[&named], ask("m", false).as_bytes());
    client.send([before, &first].concat()).await;
    assert_eq!(client.answer().await.status, 200);
    let named = format!("X-Request-Id: {id}-again");
    client.send(head("GET", "/v1/models", &[&named])).await;
    assert_eq!(client.answer().await.status, 200);
    let lines = [
        gateway.logged(&id).await,
        gateway.logged(&format!("{id}-again")).await,
    ];
    let [one, other] = lines.map(|line: Value| line["client"].as_str().unwrap().to_owned());
    assert_eq!(one, other);
    one
}

const REFUSED: &str = "spafe_proxy_headers_refused_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_header_tells_whose_connection_it_is() {
    let (setup, _upstream) = with("").await;
    let gateway = setup.server("proxy_protocol = true").start();
    for (before, expected) in [
        (line("203.0.113.7"), "203.0.113.0/24"),
        (block([198, 51, 100, 9].into()), "198.51.100.0/24"),
        (
            b"PROXY TCP6 2001:db8:1:2::7 2001:db8::1 4711 443\r\n".to_vec(),
            "2001:db8:1::/48",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.0/24"),
        (LOCAL.to_vec(), "127.0.0.0/24"),
    ] {
        assert_eq!(counted(&gateway, &before).await, expected);
    }
    // Byte by byte, and what follows comes at once.
    let mut slow = Connection::open(gateway.address).await;
    slow.send_slowly(&line("203.0.113.7"), 1, Duration::from_millis(1))
        .await;
    slow.send(head("GET", "/v1/models", &[])).await;
    assert_eq!(slow.answer().await.status, 200);
    gateway.counts(REFUSED, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_it_is_not_answered() {
    let (setup, _upstream) = with("[bounds]\nhead_timeout = \"300ms\"").await;
    let gateway = setup.tls().server("proxy_protocol = true").start();
    let mut refused = 0;
    for address in [gateway.address, gateway.tls_address.unwrap()] {
        for sent in [
            &head("GET", "/v1/models", &[]).into_bytes()[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXY TCP4 nonsense\r\n",
            b"PROXY TCP4 203.0.113.7",
            &[b'P'; 200],
            &[&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"\r\n\r\n\0\r\nQUIT\n\x41\x11\0\0",
        ] {
            let mut client = Connection::open(address).await;
            client.send(sent).await;
            assert!(client.closed().await.is_empty(), "{sent:?}");
            refused += 1;
            gateway.counts(REFUSED, refused).await;
        }
        // Who says nothing is not waited for longer than for a head.
        assert!(Connection::open(address).await.closed().await.is_empty());
        refused += 1;
        gateway.counts(REFUSED, refused).await;
        // A balancer's look whether somebody listens is no fault.
        let mut look = Connection::open(address).await;
        look.finish().await;
        assert!(look.closed().await.is_empty());
    }
    gateway.counts("spafe_connections", 0).await;
    gateway.counts(REFUSED, refused).await;
    // None of them has left a line in the log of the process.
    let output = gateway.output();
    assert!(!output.contains("ERROR"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_stands_before_tls_as_well() {
    let (setup, _upstream) = with("").await;
    let gateway = setup.tls().server("proxy_protocol = true").start();
    for (number, before) in [line("203.0.113.7"), block([203, 0, 113, 8].into())]
        .iter()
        .enumerate()
    {
        let mut client = Http2::open_after(&gateway, before).await;
        for stream in 0..2 {
            let id = format!("id-{number}-{stream}");
            let body = ask("m", false);
            let mut upload = client.begin_named(PATH, Some(body.len()), Some(&id)).await;
            upload.send(body.into(), true).await;
            assert_eq!(upload.answer().await.status, 200);
            assert_eq!(gateway.logged(&id).await["client"], "203.0.113.0/24");
        }
    }
    gateway.counts("spafe_connections", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_of_an_address_are_the_callers_and_not_the_balancers() {
    const FULL: &str = "spafe_connections_refused_total{reason=\"address\"}";
    let bounds = "[bounds]\nconnections_per_address_max = 2\nin_flight_per_client_max = 1";
    let (setup, _upstream) = with(bounds).await;
    let gateway = setup.tls().server("proxy_protocol = true").start();
    let mut kept = Vec::new();
    for n in 1..=4 {
        let client = format!("203.0.113.{n}");
        for _ in 0..2 {
            let mut connection = Connection::open(gateway.address).await;
            connection.send(line(&client)).await;
            connection.send(head("GET", "/v1/models", &[])).await;
            assert_eq!(connection.answer().await.status, 200);
            kept.push(connection);
        }
    }
    let beyond = async |address: SocketAddr| {
        let mut beyond = Connection::open(address).await;
        beyond.send(line("203.0.113.1")).await;
        assert!(beyond.closed().await.is_empty());
    };
    beyond(gateway.address).await;
    gateway.counts(FULL, 1).await;
    // Both listeners share the count, and it is before the handshake.
    beyond(gateway.tls_address.unwrap()).await;
    gateway.counts(FULL, 2).await;
    gateway.counts("spafe_connections", 8).await;
    drop(kept);
    gateway.counts("spafe_connections", 0).await;
    assert_eq!(
        counted(&gateway, &line("203.0.113.1")).await,
        "203.0.113.0/24"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_not_expected_a_header_is_a_malformed_head() {
    let (setup, _upstream) = with("").await;
    let gateway = setup.start();
    for before in [line("203.0.113.7"), block([203, 0, 113, 7].into())] {
        let mut client = Connection::open(gateway.address).await;
        client
            .send([&before[..], head("GET", "/v1/models", &[]).as_bytes()].concat())
            .await;
        assert_eq!(client.answer().await.status, 400);
    }
}
