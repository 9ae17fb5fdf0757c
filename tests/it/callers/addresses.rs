//! Which address is a caller's?
//!
//! This machine has many, all of them `127.0.0.n`: some are trusted proxies here, and some
//! are not. The line of a request tells which network it was counted for.

use futures_util::future::join_all;
use spafe::simulator::script::{Gate, Script};

use super::{PATH, asked_from, assert_refused, head, with};
use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Gateway;
use crate::kit::http2::secure_after;
use crate::kit::now;
use crate::kit::pair::{chunk, stop};
use crate::kit::reload::replace;

/// Trusts `127.0.0.2` and `127.0.0.3`.
const TRUSTED: &str = "[clients]\ntrusted_proxies = [\"127.0.0.2/31\"]\n";

/// The network in the line that such a request leaves.
async fn counted(n: u8, gateway: &Gateway, lines: &[&str]) -> String {
    let id = format!("id-{}", gateway.request_log(0).await.len());
    let named = format!("X-Request-Id: {id}");
    let lines = [&[named.as_str()], lines].concat();
    assert_eq!(asked_from(n, gateway, &lines).await.status, 200);
    let line = gateway.logged(&id).await;
    line["client"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoofed_address_means_nothing_from_who_is_not_trusted() {
    const SPOOFED: [&str; 6] = [
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-For: 203.0.113.8, 127.0.0.2",
        "Forwarded: for=203.0.113.7",
        "X-Real-IP: 203.0.113.7",
        "CF-Connecting-IP: 203.0.113.7",
        "True-Client-IP: 203.0.113.7",
    ];
    for tables in ["", TRUSTED] {
        let (setup, _upstream) = with(tables).await;
        let gateway = setup.start();
        assert_eq!(counted(1, &gateway, &SPOOFED).await, "127.0.0.0/24");
        for line in SPOOFED {
            assert_eq!(counted(4, &gateway, &[line]).await, "127.0.0.0/24");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_trusted_proxy_the_last_untrusted_address_is_the_callers() {
    let (setup, _upstream) = with(TRUSTED).await;
    let gateway = setup.start();
    let fifty = format!(
        "X-Forwarded-For: {}203.0.113.7",
        "198.51.100.9, ".repeat(49)
    );
    for (lines, expected) in [
        (&[][..], "127.0.0.0/24"),
        (&["X-Forwarded-For: 203.0.113.7"], "203.0.113.0/24"),
        (
            &["X-Forwarded-For: 198.51.100.9, 203.0.113.7:80"],
            "203.0.113.0/24",
        ),
        (
            &[
                "X-Forwarded-For: 198.51.100.9",
                "x-forwarded-for: 203.0.113.7, 127.0.0.3",
            ],
            "203.0.113.0/24",
        ),
        (
            &["X-Forwarded-For: [::ffff:203.0.113.7]:80"],
            "203.0.113.0/24",
        ),
        (&["X-Forwarded-For: 2001:db8:1:2::7"], "2001:db8:1::/48"),
        (&[fifty.as_str()], "203.0.113.0/24"),
        (&["X-Forwarded-For: 203.0.113.7, unknown"], "127.0.0.0/24"),
        (&["X-Forwarded-For: , ,"], "127.0.0.0/24"),
        (
            &[
                "Forwarded: for=203.0.113.7",
                "X-Real-IP: 203.0.113.7",
                "CF-Connecting-IP: 203.0.113.7",
            ],
            "127.0.0.0/24",
        ),
    ] {
        assert_eq!(counted(2, &gateway, lines).await, expected, "{lines:?}");
    }
    // A head of this size does not come in at all, whoever sends it.
    let long = format!("X-Forwarded-For: {}", "127.0.0.3,".repeat(10 * 1024));
    assert_eq!(asked_from(2, &gateway, &[&long]).await.status, 431);

    let (setup, _upstream) = with(&format!("{TRUSTED}forwarded_header = \"forwarded\"")).await;
    let gateway = setup.start();
    for (line, expected) in [
        (
            "Forwarded: for=\"[2001:db8:1::7]:80\";proto=https, for=127.0.0.3",
            "2001:db8:1::/48",
        ),
        ("Forwarded: for=\", for=203.0.113.7", "203.0.113.0/24"),
        ("Forwarded: for=203.0.113.7, for=_hidden", "127.0.0.0/24"),
        ("X-Forwarded-For: 203.0.113.7", "127.0.0.0/24"),
    ] {
        assert_eq!(counted(2, &gateway, &[line]).await, expected, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_is_told_so_at_every_endpoint_and_costs_no_upstream() {
    let (setup, upstream) = with(&format!("{TRUSTED}deny = [\"203.0.113.0/24\"]")).await;
    let gateway = setup.start();
    let denied = "X-Forwarded-For: 203.0.113.7";
    let answer = asked_from(2, &gateway, &[denied]).await;
    assert_refused(&answer, 403, "permission_error", "client_denied");
    let mut client = Connection::open_from(2, gateway.address).await;
    for path in ["/v1/models", "/api/v1/models/m", "/images/x"] {
        client.send(head("GET", path, &[denied])).await;
        let answer = client.answer().await;
        assert_refused(&answer, 403, "permission_error", "client_denied");
    }
    // A page asks first whether it may ask, and could not read why it may not.
    let wants = "Access-Control-Request-Method: POST";
    client
        .send(head("OPTIONS", PATH, &[denied, "Origin: http://a", wants]))
        .await;
    assert_eq!(client.answer().await.status, 204);
    assert!(upstream.requests().is_empty());
    assert_eq!(
        asked_from(2, &gateway, &["X-Forwarded-For: 203.0.114.7"])
            .await
            .status,
        200
    );
    assert_eq!(asked_from(1, &gateway, &[denied]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_allowed_comes_in() {
    let (setup, _upstream) = with("[clients]\nallow = [\"127.0.0.4\"]\n").await;
    let gateway = setup.start();
    assert_eq!(asked_from(4, &gateway, &[]).await.status, 200);
    let answer = asked_from(5, &gateway, &[]).await;
    assert_refused(&answer, 403, "permission_error", "client_denied");
}

/// A stream that waits behind its first event until the gate is opened.
fn waiting(gate: &Gate) -> Script {
    let first = chunk("Hello");
    let head_bytes = "data: \n\n".len() + first.len();
    Script::sse(&[&first, &stop(0)]).hold_after(head_bytes, gate)
}

/// Asks for so many streams at once and says how many were refused for being too many.
async fn refused_of(
    count: usize,
    n: u8,
    gateway: &Gateway,
    line: &str,
) -> (usize, Vec<Connection>) {
    let asking = (0..count).map(|_| async {
        let mut client = Connection::open_from(n, gateway.address).await;
        let body = ask("m", true);
        client.send(post(PATH, &[line], body.as_bytes())).await;
        let status = client.head().await.status;
        assert!(matches!(status, 200 | 429), "{status}");
        (status == 429, client)
    });
    let (refused, clients): (Vec<bool>, Vec<Connection>) =
        join_all(asking).await.into_iter().unzip();
    (
        refused.into_iter().filter(|refused| *refused).count(),
        clients,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_sixteen_requests_in_progress_and_others_are_not_concerned() {
    let (setup, upstream) = with("").await;
    let gateway = setup.start();
    let gate = Gate::new();
    upstream.default(waiting(&gate));
    let nothing = "X-Forwarded-For: 198.51.100.9";
    // 60 on connections of their own, so that no cap of connections is met.
    let (refused, _kept) = refused_of(60, 1, &gateway, nothing).await;
    assert_eq!(refused, 60 - 16);
    for n in 2..=6 {
        let (refused, _kept) = refused_of(4, n, &gateway, nothing).await;
        assert_eq!(refused, 0, "127.0.0.{n}");
    }
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_people_behind_one_address_have_more_where_the_operator_says_so() {
    let tables = format!(
        "{TRUSTED}shares = [{{ networks = [\"203.0.113.0/24\", \"127.0.0.5\"], times = 3 }}]\n\
         [bounds]\nin_flight_per_client_max = 2\nconnections_per_address_max = 4"
    );
    let (setup, upstream) = with(&tables).await;
    let gateway = setup.start();
    let gate = Gate::new();
    upstream.default(waiting(&gate));
    let mut kept = Vec::new();
    // Behind the proxy each is counted by itself, and the proxy's connections by nobody's cap.
    for (line, room) in [
        ("X-Forwarded-For: 198.51.100.1", 2),
        ("X-Forwarded-For: 198.51.100.2", 2),
        ("X-Forwarded-For: 203.0.113.1", 6),
        ("X-Forwarded-For: 203.0.113.2", 6),
    ] {
        let (refused, clients) = refused_of(10, 2, &gateway, line).await;
        assert_eq!(refused, 10 - room, "{line}");
        kept.push(clients);
    }
    // Connections are counted with their share as well.
    for (n, room) in [(5, 12), (6, 4)] {
        let mut open = Vec::new();
        for _ in 0..room {
            let mut client = Connection::open_from(n, gateway.address).await;
            client.send(head("GET", "/v1/models", &[])).await;
            assert_eq!(client.answer().await.status, 200);
            open.push(client);
        }
        let mut beyond = Connection::open_from(n, gateway.address).await;
        assert!(beyond.closed().await.is_empty());
    }
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_are_accepted_in_a_second() {
    const REFUSED: &str = "spafe_connections_refused_total{reason=\"pace\"}";
    let (setup, _upstream) = with("[bounds]\naccepts_per_second_max = 5").await;
    let gateway = setup.start();
    let began = now();
    let mut open = Vec::new();
    for n in 1..=60 {
        open.push(Connection::open_from(n, gateway.address).await);
    }
    let seconds = began.elapsed().as_secs_f64() + 0.5;
    let counted = || async {
        (
            gateway.metric(REFUSED).await,
            gateway.metric("spafe_connections").await,
        )
    };
    crate::kit::soon("all to be counted", async {
        while counted().await.0 + counted().await.1 < 60.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (refused, kept) = counted().await;
    assert!(kept <= 5.0 + 5.0 * seconds, "{kept} in {seconds} s");
    assert!((kept + refused - 60.0).abs() < 0.5, "{kept} + {refused}");
    // Another number is heard without a restart.
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let text = text.replace("accepts_per_second_max = 5", "accepts_per_second_max = 500");
    replace(&gateway.config, &text);
    gateway.follows(&text).await;
    for n in 100..120 {
        let mut client = Connection::open_from(n, gateway.address).await;
        client.send(head("GET", "/v1/models", &[])).await;
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_that_connects_without_end_shuts_nobody_out() {
    let (setup, _upstream) = with("[bounds]\naccepts_per_second_max = 160").await;
    let gateway = setup.start();
    let models = head("GET", "/v1/models", &[]);
    for round in 0..10 {
        // Ten times its part of the pace, each connection reset at once.
        for _ in 0..100 {
            Connection::open_from(250, gateway.address).await.reset();
        }
        let mut other = Connection::open_from(10 + round, gateway.address).await;
        other.send(&models).await;
        assert_eq!(other.answer().await.status, 200, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_whole_address_is_written_down() {
    let (setup, _upstream) = with(TRUSTED).await;
    let gateway = setup.tls().start();
    let tls = gateway.tls_address.unwrap();
    for line in [
        "X-Forwarded-For: 203.0.113.77",
        "X-Forwarded-For: 2001:db8:1:2:3:4:5:77",
        "X-Forwarded-For: 203.0.113.77, garbage.77",
    ] {
        assert_eq!(asked_from(2, &gateway, &[line]).await.status, 200);
    }
    // Heads, bodies and handshakes that come to nothing.
    for (address, sent) in [
        (gateway.address, "nonsense\r\n\r\n"),
        (gateway.address, "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"),
        (tls, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        (tls, "\u{16}\u{3}\u{1}"),
    ] {
        let mut client = Connection::open_from(77, address).await;
        client.send(sent).await;
        client.finish().await;
        client.closed().await;
    }
    drop(secure_after(&gateway, "h2", b"").await);
    gateway.says("TLS handshake failed").await;
    gateway.counts("spafe_connections", 0).await;
    let output = gateway.output();
    for whole in ["203.0.113.77", "127.0.0.77", "3:4:5:77", "1:2:", "garbage"] {
        assert!(!output.contains(whole), "{whole}: {output}");
    }
    assert!(output.contains("203.0.113.0/24") && output.contains("2001:db8:1::/48"));
}
