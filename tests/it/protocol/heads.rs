//! Which heads come in?
//!
//! A table of heads and the status each must be answered with. None of them
//! reaches an upstream unless it says 200, and there only what the gateway says
//! itself arrives, whatever the caller's head was like.

use super::{CHAT, assert_is_refusal, marked, recorded};
use crate::kit::client::{Answer, Connection, post};

/// Sends what stands in the table on connections of their own.
async fn check(table: &[(&str, u16)]) {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    for (bytes, status) in table {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(bytes).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, *status, "{bytes:?}: {answer:?}");
        assert_is_refusal(&answer, bytes);
        if answer.status == 405 {
            assert!(answer.field("allow").is_some(), "{bytes:?}: {answer:?}");
        }
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_not_spoken_are_refused() {
    check(&[
        ("GET /v1/models HTTP/1.0\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.2\r\nHost: h\r\n\r\n", 400),
        ("GET /v1/models HTTP/2.0\r\nHost: h\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.10\r\nHost: h\r\n\r\n", 400),
        ("GET /v1/models http/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /v1/models HTTP/1,1\r\nHost: h\r\n\r\n", 400),
        ("GET /v1/models\r\n\r\n", 400),
        ("GET /v1/models\r\nHost: h\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\x03\x03\r\n\r\n",
            400,
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    ])
    .await;
}

/// Nobody knows where the next one would begin, and whoever keeps connections is told.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_head_that_is_not_understood_the_connection_ends_and_says_so() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.start();
    for fields in [
        "Host: a\r\nHost: b",
        "Host: a\r\nContent-Length: 5, 6",
        "Host: a\r\nX: a\0b",
    ] {
        let mut client = Connection::open(gateway.address).await;
        let head = format!("POST {CHAT} HTTP/1.1\r\n{fields}\r\n\r\n");
        client.send(head).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{fields:?}");
        assert_eq!(answer.field("connection"), Some("close"), "{fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_none_are_refused() {
    check(&[
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400),
        (
            "GET /v1/models HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n",
            400,
        ),
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400),
        (
            "GET /v1/models HTTP/1.1\r\nHost: h\r\nX: a\x7fb\r\n\r\n",
            400,
        ),
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\nX\0: a\r\n\r\n", 400),
        (
            "GET /v1/models HTTP/1.1\r\nHost: h\r\nX\x7f: a\r\n\r\n",
            400,
        ),
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\nX y: a\r\n\r\n", 400),
        (
            "GET /v1/models HTTP/1.1\r\nHost: h\r\nX\u{e9}: a\r\n\r\n",
            400,
        ),
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\n Host: h\r\n\r\n", 400),
        ("GET\0/v1/models HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_host() {
    check(&[
        ("GET /v1/models HTTP/1.1\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a:+80\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: [::g]\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", 400),
        ("GET http://a/v1/models HTTP/1.1\r\nHost: b\r\n\r\n", 400),
        ("GET http://a/v1/models HTTP/1.1\r\n\r\n", 400),
        (
            "GET http://user@a/v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        (
            "GET http://user@a/v1/models HTTP/1.1\r\nHost: user@a\r\n\r\n",
            400,
        ),
        ("GET http:///v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://a:1/v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_compared_exactly_after_decoding_once() {
    check(&[
        ("GET //v1/models HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1//models HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models/ HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /V1/models HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/./models HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/../admin HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /x/../v1/models HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /%2e%2e/v1/models HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/%2e%2e/metrics HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models%2500 HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models%00 HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        (
            "GET /v1/models%0d%0aX:%20y HTTP/1.1\r\nHost: h\r\n\r\n",
            404,
        ),
        ("GET /v1/models%2 HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models%zz HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/%256dodels HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models%ff HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models\\ HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models x HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models  HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /v1/models;x=y HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        (
            "GET /images/../../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n",
            404,
        ),
        (
            "GET /images/%2e%2e%2fspafe.toml HTTP/1.1\r\nHost: h\r\n\r\n",
            404,
        ),
        ("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /debug HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /config HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 404),
    ])
    .await;
    let long = format!(
        "GET /v1/{} HTTP/1.1\r\nHost: h\r\n\r\n",
        "a".repeat(10 * 1024)
    );
    check(&[(&long, 414)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_in_bytes_that_are_no_text_is_refused() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.start();
    for path in [b"/v1/models\xff".as_slice(), b"/v1/mod\xc3\xa9ls", b"\xff"] {
        let mut connection = Connection::open(gateway.address).await;
        let bytes = [b"GET ", path, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        connection.send(bytes).await;
        let answer = connection.answer().await;
        assert!(matches!(answer.status, 400 | 404), "{path:?}: {answer:?}");
        assert_is_refusal(&answer, "bytes above ASCII");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_path_does_not_take_are_told_which_it_takes() {
    let mut requests = Vec::new();
    let long = "A".repeat(64);
    for method in [
        "TRACE", "PUT", "PATCH", "DELETE", "GET", "post", "Post", "X", &long,
    ] {
        requests.push(format!("{method} {CHAT} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    for method in ["POST", "TRACE", "DELETE", "get"] {
        requests.push(format!("{method} /v1/models HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    requests.push("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n".to_owned());
    requests.push(format!("CONNECT {CHAT} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let table: Vec<_> = requests
        .iter()
        .map(|request| (request.as_str(), 405))
        .collect();
    check(&table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_field_removes_nothing_of_ours() {
    let eleven = (0..11)
        .map(|n| format!("x-{n}"))
        .collect::<Vec<_>>()
        .join(", ");
    let mut requests = Vec::new();
    for named in [
        "Authorization",
        "close, authorization",
        "x-request-id",
        "HOST",
        "content-type",
        "Origin",
        "x-api-key",
        &eleven,
    ] {
        requests.push(format!(
            "GET /v1/models HTTP/1.1\r\nHost: h\r\nConnection: {named}\r\n\r\n"
        ));
    }
    requests.push(
        "GET /v1/models HTTP/1.1\r\nHost: h\r\nConnection: close\r\nConnection: x-request-id\r\n\r\n"
            .to_owned(),
    );
    let table: Vec<_> = requests
        .iter()
        .map(|request| (request.as_str(), 400))
        .collect();
    check(&table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_callers_head_reaches_an_upstream() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let lines = [
        "X_Forwarded_For: 203.0.113.1",
        "X-Forwarded-For: 203.0.113.1",
        "Content_Length: 1",
        "Connection: x-secret, keep-alive",
        "X-Secret: canary",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "X-High: \u{e9}",
        "Accept-Encoding: gzip",
        "Cookie: canary",
        "X-Request-Id: mine-1",
    ];
    let mut connection = Connection::open(gateway.address).await;
    let json = marked("Hi");
    // A bare line feed is tolerated in front, and never seen behind.
    let bytes = post(CHAT, &lines, json.as_bytes());
    let bytes = String::from_utf8(bytes)
        .unwrap()
        .replace("TE: trailers\r\n", "TE: trailers\n");
    connection.send(bytes).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("x-request-id"), Some("mine-1"));
    let seen = upstream.next_request().await.unwrap();
    let head = String::from_utf8(seen.head.to_vec()).unwrap();
    for word in [
        "canary",
        "203.0.113",
        "secret",
        "content_length",
        "trailers",
        "\u{e9}",
        "gzip",
    ] {
        assert!(
            !head.to_ascii_lowercase().contains(word),
            "{word} in {head}"
        );
    }
    assert_eq!(
        head.matches('\n').count(),
        head.matches("\r\n").count(),
        "{head:?}"
    );
    assert_eq!(
        seen.header("content-length"),
        Some(json.len().to_string().as_str())
    );
    assert_eq!(seen.body, json);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_a_request_like_any_other() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    for (number, upgrade) in ["websocket", "h2c", "foo", "HTTP/2.0, websocket"]
        .iter()
        .enumerate()
    {
        let lines = [
            "Connection: Upgrade, HTTP2-Settings",
            &format!("Upgrade: {upgrade}"),
            "HTTP2-Settings: AAMAAABkAAQAAP__",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ];
        let (first, second) = (
            marked(&format!("one-{number}")),
            marked(&format!("two-{number}")),
        );
        let mut connection = Connection::open(gateway.address).await;
        let both = [
            post(CHAT, &lines, first.as_bytes()),
            post(CHAT, &["Connection: close"], second.as_bytes()),
        ];
        connection.send(both.concat()).await;
        let answers = Answer::all(&connection.closed().await);
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200], "{upgrade}");
        for json in [first, second] {
            let seen = upstream.next_request().await.unwrap();
            assert_eq!(seen.body, json, "{upgrade}");
            assert!(seen.header("upgrade").is_none() && seen.header("http2-settings").is_none());
        }
    }
}
