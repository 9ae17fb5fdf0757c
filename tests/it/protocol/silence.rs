//! How long is a client waited for that says nothing over TLS?
//!
//! What comes before HTTP is waited for as well: a preface of HTTP/2 that was agreed on,
//! a head. (A handshake has a minute, a constant of pingora's, which is too long for a
//! test that runs on every change; the long runs look at it.)

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::recorded;
use crate::kit::client::Connection;
use crate::kit::http2::{Http2, secure, shake_as};
use crate::kit::{now, soon};

const SCALED: &str = "[bounds]\nhead_timeout = \"400ms\"\nh2_idle = \"1s\"";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_agrees_on_a_protocol_and_is_silent_is_let_go() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().tables(SCALED).start();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let started = [&preface[..], &settings].concat();
    for (what, protocol, sent) in [
        ("no word of HTTP/2", "h2", &b""[..]),
        ("half a preface", "h2", &preface[..12]),
        ("a preface", "h2", &preface[..]),
        ("no stream", "h2", &started),
        (
            "half a frame",
            "h2",
            &[&started[..], &[0, 0, 50, 1]].concat(),
        ),
        ("no word of HTTP/1.1", "http/1.1", b""),
        ("half a head", "http/1.1", b"GET / HT"),
        ("no protocol and no word", "", b""),
    ] {
        let mut client = secure(&gateway, protocol).await;
        let began = now();
        client.write_all(sent).await.unwrap();
        let mut told = Vec::new();
        // An end or a reset, either is one.
        let _ = soon(what, client.read_to_end(&mut told)).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{what}");
    }
    gateway.counts("spafe_connections", 0).await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_that_begins_in_time_has_all_the_time_it_needs() {
    let (setup, _upstream) = recorded().await;
    let setup = setup.tls();
    let gateway = setup.tables("[bounds]\nhead_timeout = \"300ms\"").start();
    let mut client = Http2::open(&gateway).await;
    // Longer than what a first word has.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let upload = client.begin("/nowhere", Some(0)).await;
    assert_eq!(upload.answer().await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_is_closed_and_the_next_one_works() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let address = gateway.tls_address.unwrap();
    for (what, sent) in [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..]),
        ("a record of zeros", &[0; 64]),
    ] {
        let mut client = Connection::open(address).await;
        client.send(sent).await;
        let told = client.closed().await;
        // An alert at most, and never a handshake.
        assert!(told.is_empty() || told[0] == 0x15, "{what}: {told:?}");
    }
    for protocol in ["h2", "http/1.1", ""] {
        secure(&gateway, protocol).await;
    }
    gateway.counts("spafe_connections", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_tls_1_2_is_told_that_it_is() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    // As it was sent in its time, with a suite of then, and with all that TLS 1.2 asks for:
    // signature_algorithms, supported_groups.
    let (then, now) = (&[0, 0x2f][..], &[0xc0, 0x2b][..]);
    let extensions = [0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 23];
    // Fatal, both of them: handshake_failure, protocol_version.
    for (suite, extensions, alert) in [(then, &[][..], 40), (now, &extensions[..], 70)] {
        for (what, minor) in [("SSL 3.0", 0), ("TLS 1.0", 1), ("TLS 1.1", 2)] {
            let mut hello = vec![3, minor];
            hello.extend([7; 32]);
            hello.extend([0, 0, 2]);
            hello.extend(suite);
            hello.extend([1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
            hello.extend(extensions);
            let length = u8::try_from(hello.len()).unwrap();
            let record = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
            let mut client = Connection::open(gateway.tls_address.unwrap()).await;
            client.send(&record).await;
            let told = client.closed().await;
            // One record: an alert of two bytes.
            let expected = (0x15, &[0, 2, 2, alert][..]);
            assert_eq!((told[0], &told[3..]), expected, "{what}");
        }
    }
    gateway.counts("spafe_connections", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_name_is_asked_for_there_is_one_certificate() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    for name in ["localhost", "127.0.0.1"] {
        shake_as(&gateway, name).await.unwrap();
    }
    // It is shown, and the client is who sees that it is for others.
    let error = shake_as(&gateway, "elsewhere.test").await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    gateway.counts("spafe_connections", 0).await;
}
