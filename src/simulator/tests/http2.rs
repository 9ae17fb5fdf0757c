//! Are scripts played and departures seen on HTTP/2 over TLS?

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// A simulator with a certificate, and a connection to it under this ALPN name.
async fn secured(alpn: &[u8]) -> (Simulator, TlsStream<TcpStream>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls {
        certificates_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
        http2: true,
    };
    let simulator = started(Options {
        tls: Some(tls),
        ..Options::test()
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let tcp = connected(&simulator).await;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, tcp).await.unwrap();
    (simulator, stream)
}

async fn client() -> (Simulator, SendRequest<Bytes>) {
    let (simulator, stream) = secured(b"h2").await;
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    (simulator, requests)
}

fn post(requests: &mut SendRequest<Bytes>, body: impl Into<Bytes>) -> ResponseFuture {
    let request = http::Request::post("https://localhost/v1/chat/completions?a=b")
        .header("X-Twice", "1")
        .header("x-twice", "2");
    let (answer, mut stream) = requests
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    stream.send_data(body.into(), true).unwrap();
    answer
}

/// All data until the stream ends, and the reason if it ended badly.
async fn read(body: &mut RecvStream) -> (String, Option<h2::Error>) {
    let mut all = Vec::new();
    loop {
        match timeout(SOON, body.data()).await.expect("data or an end") {
            Some(Ok(data)) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                all.extend_from_slice(&data);
            }
            Some(Err(error)) => return (String::from_utf8(all).unwrap(), Some(error)),
            None => return (String::from_utf8(all).unwrap(), None),
        }
    }
}

#[tokio::test]
async fn a_large_request_arrives_whole_and_a_stream_comes_back() {
    let (simulator, mut requests) = client().await;
    let large = vec![b'x'; 3 << 20];
    simulator.push(Script::sse(&["one", "two"]).header("X-Case", "kept"));
    let answer = post(&mut requests, large.clone()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-case"], "kept");
    let (events, ended) = read(&mut answer.into_body()).await;
    assert_eq!(events, "data: one\n\ndata: two\n\ndata: [DONE]\n\n");
    assert!(ended.is_none());
    let request = simulator.next_request().await.unwrap();
    assert_eq!(request.version, http::Version::HTTP_2);
    assert_eq!(request.body_hash, blake3::hash(&large));
    assert_eq!(request.authority, "localhost");
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/v1/chat/completions?a=b")
    );
    let twice: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), &value[..]))
        .collect();
    assert_eq!(twice, [("x-twice", &b"1"[..]), ("x-twice", &b"2"[..])]);
    assert!(
        request
            .head
            .starts_with(b":method: POST\r\n:scheme: https\r\n:authority: localhost\r\n")
    );
    simulator.answered(0).await.unwrap();
    assert_eq!(
        simulator.connections()[0].server_name.as_deref(),
        Some("localhost")
    );

    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    let answer = post(&mut requests, body).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let (said, _) = read(&mut answer.into_body()).await;
    assert!(said.contains("I am m, played"), "{said}");
    assert!(simulator.next_request().await.unwrap().reused);
}

#[tokio::test]
async fn streams_are_reset_where_the_script_says() {
    let (simulator, mut requests) = client().await;
    simulator.push(Script::reset());
    let error = post(&mut requests, "{}").await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    simulator.push(Script::raw("HTTP/1.1 200 OK\r\n\r\n"));
    let error = post(&mut requests, "{}").await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    for (script, reason) in [
        (
            Script::sse(&["one", "two"]).reset_after(14),
            Reason::INTERNAL_ERROR,
        ),
        (
            Script::sse(&["one", "two"]).malformed_chunk_after(14),
            Reason::PROTOCOL_ERROR,
        ),
    ] {
        simulator.push(script);
        let answer = post(&mut requests, "{}").await.unwrap();
        let (events, ended) = read(&mut answer.into_body()).await;
        assert_eq!(events, "data: one\n\ndat");
        assert_eq!(ended.unwrap().reason(), Some(reason));
    }
    assert_eq!(
        simulator.connections().len(),
        1,
        "the connection outlives its streams"
    );
    let aborted = simulator
        .requests()
        .iter()
        .filter_map(|req| req.aborted)
        .count();
    assert_eq!(aborted, 0);
}

#[tokio::test]
async fn a_cut_ends_the_connection_after_the_bytes_before_it() {
    let (simulator, mut requests) = client().await;
    simulator.push(Script::sse(&["one"]).cut_after(6));
    let answer = post(&mut requests, "{}").await.unwrap();
    let (events, ended) = read(&mut answer.into_body()).await;
    assert_eq!(events, "data: ");
    assert!(ended.is_some());
    simulator.connection_closed(0).await.unwrap();
}

#[tokio::test]
async fn a_goaway_lets_the_stream_finish_and_no_other_begin() {
    let (simulator, mut requests) = client().await;
    let gate = Gate::new();
    simulator.push(Script::sse(&["one"]).goaway_after(6).hold_after(6, &gate));
    let answer = post(&mut requests, "{}").await.unwrap();
    timeout(SOON, async {
        while requests.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the client learns of the GOAWAY");
    gate.open();
    let (events, ended) = read(&mut answer.into_body()).await;
    assert_eq!(events, "data: one\n\ndata: [DONE]\n\n");
    assert!(ended.is_none());
}

#[tokio::test]
async fn a_departure_is_seen_before_and_after_the_head() {
    let gate = Gate::new();
    let (simulator, mut requests) = client().await;
    let scripts = [
        Script::stall(),
        Script::json(200, "{}").delay_head(SOON),
        Script::json(200, vec![b' '; 32 << 20]),
        Script::sse(&["one"]).hold_after(6, &gate),
        Script::sse(&["one"]).stall_after(6),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        simulator.push(script);
        let answer = post(&mut requests, "{}");
        simulator.next_request().await.unwrap();
        let left = now();
        drop(answer);
        let aborted = simulator.aborted(number).await.unwrap();
        assert!(
            aborted.duration_since(left) < Duration::from_millis(250),
            "script {number}"
        );
    }
    simulator.push(Script::stall());
    let answer = post(&mut requests, "{}");
    simulator.next_request().await.unwrap();
    drop((answer, requests));
    simulator.aborted(5).await.unwrap();
    simulator.connection_closed(0).await.unwrap();
}

#[tokio::test]
async fn http1_is_spoken_over_tls_too() {
    let (simulator, mut stream) = secured(b"http/1.1").await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    timeout(SOON, stream.read_exact(&mut head))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    simulator.push(Script::reset());
    stream.write_all(GET.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
