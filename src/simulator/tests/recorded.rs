//! What is recorded of a request?

use super::*;

#[tokio::test]
async fn a_request_is_recorded_byte_for_byte() {
    let simulator = started(Options::test()).await;
    let head = "POST /x?y=%20 HTTP/1.1\r\nhOsT:  here \r\nX-Twice: 1\r\nX_Low: a:b\r\nX-Twice: 2\r\n\
                Content-Length: 5\r\n\r\n";
    let mut client = sent(&simulator, format!("{head}hello{GET}")).await;
    let first = simulator.next_request().await.unwrap();
    assert_eq!(first.head, head.as_bytes());
    assert_eq!(
        (first.method.as_str(), first.target.as_str()),
        ("POST", "/x?y=%20")
    );
    let names: Vec<&str> = first
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        ["hOsT", "X-Twice", "X_Low", "X-Twice", "Content-Length"]
    );
    assert_eq!(
        (first.header("host"), first.authority.as_str()),
        (Some("here"), "here")
    );
    assert_eq!(first.header("X_LOW"), Some("a:b"));
    assert_eq!((&first.body[..], first.body_bytes), (&b"hello"[..], 5));
    assert_eq!(first.body_hash, blake3::hash(b"hello"));
    assert!(!first.reused && first.complete.is_some());
    let second = simulator.next_request().await.unwrap();
    assert!(second.reused && second.connection == 0 && second.number == 1);
    simulator.answered(1).await.unwrap();
    client.shutdown().await.unwrap();
    simulator.connection_closed(0).await.unwrap();
    assert_eq!(
        simulator
            .requests()
            .iter()
            .filter_map(|req| req.aborted)
            .count(),
        0
    );
    sent(&simulator, GET).await;
    assert_eq!(simulator.next_request().await.unwrap().connection, 1);
    assert_eq!(simulator.connections().len(), 2);
}

#[tokio::test]
async fn a_chunked_body_is_put_together_and_continue_is_said() {
    let simulator = started(Options::test()).await;
    simulator.default(Script::json(200, "{}").then_close(Duration::ZERO));
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n";
    let mut client = sent(&simulator, head).await;
    expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
    let body = b"3;x=y\r\nhel\r\nA\r\nlo, there!\r\n0\r\nTrailer: t\r\n\r\n";
    client.write_all(body).await.unwrap();
    let request = simulator.next_request().await.unwrap();
    assert_eq!(&request.body[..], b"hello, there!");
    let (answer, _) = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_abort_and_no_whole_request() {
    let simulator = started(Options::test()).await;
    let whole = post("0123456789");
    drop(sent(&simulator, whole.strip_suffix('9').unwrap()).await);
    simulator.aborted(0).await.unwrap();
    let request = simulator.next_request().await.unwrap();
    assert_eq!((request.complete, request.body_bytes), (None, 0));
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_malformed() {
    let cases = [
        (
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "there are",
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "the content length",
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "the content length",
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "the content length",
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            "the content length",
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 67108865\r\n\r\n",
            "the body is over",
        ),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "the transfer coding",
        ),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
            "a header's name",
        ),
        ("GET / HTTP/1.1\r\n folded: x\r\n\r\n", "a header's name"),
        (
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "a header has no colon",
        ),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "a header's value"),
        ("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", "a line ends"),
        ("GET  / HTTP/1.1\r\n\r\n", "the request line"),
        ("GET / HTTP/3.0\r\n\r\n", "the version"),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "a chunk's size is not",
        ),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "a chunk is longer",
        ),
    ];
    let simulator = started(Options::test()).await;
    for (bytes, reason) in cases {
        let mut client = sent(&simulator, bytes).await;
        let request = simulator.next_request().await.unwrap();
        let found = request.malformed.expect(bytes);
        assert!(found.starts_with(reason), "{bytes:?} is {found}");
        let (answer, _) = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let mut client = sent(&simulator, "x".repeat(70_000)).await;
    let request = simulator.next_request().await.unwrap();
    assert_eq!(request.malformed, Some("the head is over 64 KiB"));
    let _ = rest(&mut client).await;
    drop(sent(&simulator, "GET / HT").await);
    let request = simulator.next_request().await.unwrap();
    assert_eq!(request.malformed, Some("the head broke off"));
    assert_eq!(request.head, &b"GET / HT"[..]);
}

#[tokio::test]
async fn the_record_keeps_the_latest_within_its_bounds() {
    let simulator = started(Options {
        record: Some(Bounds {
            requests_max: 2,
            bodies_bytes_max: 12,
        }),
        ..Options::instant()
    })
    .await;
    for body in ["11111111", "22222222", "33333333"] {
        sent(&simulator, post(body)).await;
        assert_eq!(simulator.next_request().await.unwrap().body, body);
    }
    let kept = simulator.requests();
    let kept: Vec<_> = kept
        .iter()
        .map(|req| (req.number, req.body.len(), req.body_bytes))
        .collect();
    assert_eq!(kept, [(1, 0, 8), (2, 8, 8)]);
    assert_eq!(simulator.connections().len(), 2);

    let silent = started(Options::instant()).await;
    let mut client = sent(&silent, GET).await;
    expect(&mut client, "HTTP/1.1 200 OK").await;
    assert!(silent.requests().is_empty() && silent.connections().is_empty());
}
