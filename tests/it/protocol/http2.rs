//! And in HTTP/2?
//!
//! There a request's end is a flag, so nothing can be smuggled behind it; but
//! what one stream does must not be felt by another.

/// What must come of a sequence of frames?
mod cases;
/// Which frames are taken, and which end a connection?
mod framing;
/// What may be said of a connection, and what is done about it?
mod connection;
/// Which frames may a stream have, in each of its states?
mod streams;
/// Which heads are requests?
mod messages;
/// Which heads can be read?
mod compression;
/// What is too much?
mod floods;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Method, Request};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use spafe::simulator::When;
use spafe::simulator::script::Script;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{CHAT, assert_is_refusal, marked, recorded};
use crate::kit::client::Answer;
use crate::kit::gateway::Gateway;
use crate::kit::soon;

/// One connection; it ends when this is dropped.
struct Client {
    requests: SendRequest<Bytes>,
    driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn connect(gateway: &Gateway) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = gateway.certificate.as_ref().unwrap();
        roots
            .add(CertificateDer::from_pem_file(certificate).unwrap())
            .unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let mut config = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = TcpStream::connect(gateway.tls_address.unwrap())
            .await
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
        let (requests, connection) = soon("HTTP/2", h2::client::handshake(tls)).await.unwrap();
        Self {
            requests,
            driver: tokio::spawn(connection),
        }
    }

    async fn begin(&self, request: Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let ready = soon("a free stream", self.requests.clone().ready()).await;
        ready.unwrap().send_request(request, end).unwrap()
    }

    async fn send(
        &self,
        request: Request<()>,
        body: impl Into<Bytes>,
    ) -> Result<Answer, h2::Error> {
        let (answer, mut sender) = self.begin(request, false).await;
        // Where it is not taken, the answer says why.
        let _ = sender.send_data(body.into(), true);
        whole(answer).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The whole answer, however the request fared.
async fn whole(answer: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = soon("an answer", answer).await?.into_parts();
    let mut whole = Answer {
        status: head.status.as_u16(),
        fields: fields(&head.headers),
        body: Vec::new(),
    };
    while let Some(part) = soon("a body", body.data()).await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole.body.extend_from_slice(&part);
    }
    Ok(whole)
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    headers.iter().map(field).collect()
}

fn request(method: &str, uri: &str) -> Request<()> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json")
        .body(())
        .unwrap()
}

fn chat() -> Request<()> {
    request("POST", &format!("https://gateway.test{CHAT}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_connection_get_their_own_answers() {
    let (setup, upstream) = recorded().await;
    let many = "[bounds]\nin_flight_per_client_max = 64";
    let gateway = setup.tls().tables(many).start();
    let client = Client::connect(&gateway).await;
    // Until a client was told how many streams it may open it takes a number of its own.
    let list = request("GET", "https://gateway.test/v1/models");
    client.send(list, Vec::new()).await.unwrap();
    let asked = (0..200).map(|number| {
        let mark = format!("number-{number:03}");
        let answer = json!({"id": mark, "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": mark}}], "usage": null});
        upstream.push_when(
            When::Body(mark.clone()),
            Script::json(200, answer.to_string()),
        );
        let client = &client;
        async move {
            let answer = client.send(chat(), marked(&mark)).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json()["id"], *mark);
            assert!(answer.field("connection").is_none(), "{answer:?}");
            assert!(answer.field("transfer-encoding").is_none(), "{answer:?}");
        }
    });
    join_all(asked).await;
    assert_eq!(upstream.requests().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_in_http1_is_refused_here() {
    let (setup, upstream) = recorded().await;
    let gateway = setup
        .tls()
        .server("allowed_hosts = [\"gateway.test\"]")
        .start();
    let client = Client::connect(&gateway).await;
    let at = |path: &str| format!("https://gateway.test{path}");
    let mut many = chat();
    for number in 0..100 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        many.headers_mut().insert(name, "y".parse().unwrap());
    }
    let mut text = chat();
    text.headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    let mut expects = chat();
    expects.headers_mut().insert("expect", "x".parse().unwrap());
    let mut other = chat();
    other
        .headers_mut()
        .insert("host", "other.test".parse().unwrap());
    for (request, status) in [
        (request("PUT", &at(CHAT)), 405),
        (request("TRACE", &at(CHAT)), 405),
        (request("post", &at(CHAT)), 405),
        (request("CONNECT", "gateway.test:443"), 405),
        (request("POST", &at("/v1/../admin")), 404),
        (request("POST", &at("//v1/chat/completions")), 404),
        (
            request("POST", &at(&format!("/{}", "a".repeat(10 * 1024)))),
            414,
        ),
        (request("POST", &format!("https://evil.example{CHAT}")), 421),
        (
            request("POST", &format!("https://gateway.test:70000{CHAT}")),
            400,
        ),
        (many, 431),
        (text, 415),
        (expects, 417),
    ] {
        let what = format!("{request:?}");
        let answer = client.send(request, marked("refused")).await.unwrap();
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_is_refusal(&answer, &what);
    }
    // These pingora refuses by itself, in few words.
    let user = request("POST", &format!("https://user@gateway.test{CHAT}"));
    for request in [other, user] {
        let answer = client.send(request, marked("refused")).await;
        assert!(answer.is_err() || answer.unwrap().status == 400);
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(
        client.send(chat(), marked("good")).await.unwrap().status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_arrives_and_its_siblings_live() {
    let (setup, upstream) = recorded().await;
    let gateway = setup
        .tls()
        .tables("[bounds]\nbody_bytes_max = \"512KiB\"")
        .start();
    let client = Client::connect(&gateway).await;
    for _ in 0..50 {
        let early = request("POST", "https://gateway.test/v1/nothing");
        let mut large = chat();
        large
            .headers_mut()
            .insert("content-length", "1048576".parse().unwrap());
        for (request, status) in [(early, 404), (large, 413), (chat(), 413)] {
            let answer = client.send(request, vec![b' '; 1_048_576]).await.unwrap();
            assert_eq!(answer.status, status, "{answer:?}");
            assert_is_refusal(&answer, "an early answer");
        }
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(
        client.send(chat(), marked("good")).await.unwrap().status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_as_long_as_it_says_is_reset() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let client = Client::connect(&gateway).await;
    for length in ["1", "4096", "x", "-1"] {
        let mut request = chat();
        request
            .headers_mut()
            .insert("content-length", length.parse().unwrap());
        let answer = client.send(request, marked("wrong length")).await;
        assert!(answer.is_err() || answer.unwrap().status == 400, "{length}");
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(
        client.send(chat(), marked("good")).await.unwrap().status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_ends_its_upstream_and_nothing_else() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let client = Client::connect(&gateway).await;
    // One while its answer is awaited, one in the middle of a body.
    upstream.push_when(When::Body("left".to_owned()), Script::stall());
    let (_answer, mut sender) = client.begin(chat(), false).await;
    sender.send_data(marked("left").into(), true).unwrap();
    let seen = upstream.next_request().await.unwrap();
    let (_unfinished, mut half) = client.begin(chat(), false).await;
    half.send_data(Bytes::from_static(b"{\"model\":"), false)
        .unwrap();
    sender.send_reset(Reason::CANCEL);
    half.send_reset(Reason::CANCEL);
    upstream.aborted(seen.number).await.unwrap();
    assert_eq!(
        client.send(chat(), marked("good")).await.unwrap().status,
        200
    );
    assert_eq!(upstream.requests().len(), 2);
}
