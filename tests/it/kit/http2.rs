//! What does a client of HTTP/2 send?
//!
//! Over TLS, agreed on by ALPN, as every client does; and by frames rather than by a
//! library for requests, so that a body can be left half sent in either way there is:
//! the stream is reset, or the connection is gone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Request};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::Answer;
use super::gateway::Gateway;
use super::{canary, soon};

/// A connection to a gateway's listener with TLS.
pub(crate) struct Http2 {
    requests: SendRequest<Bytes>,
    driving: JoinHandle<()>,
}

/// A request whose body is being sent.
pub(crate) struct Upload {
    body: SendStream<Bytes>,
    answer: ResponseFuture,
}

impl Http2 {
    /// Connects and shakes hands.
    pub(crate) async fn open(gateway: &Gateway) -> Self {
        Self::open_after(gateway, b"").await
    }

    /// As [`Http2::open`], behind these bytes in plaintext.
    pub(crate) async fn open_after(gateway: &Gateway, before: &[u8]) -> Self {
        let stream = secure_after(gateway, "h2", before).await;
        Self::over(stream, &h2::client::Builder::new()).await
    }

    /// As [`Http2::open`], with so little room for each answer that is not yet taken.
    pub(crate) async fn narrow(gateway: &Gateway, window_bytes: u32) -> Self {
        let mut builder = h2::client::Builder::new();
        let stream = secure(gateway, "h2").await;
        Self::over(stream, builder.initial_window_size(window_bytes)).await
    }

    async fn over(stream: TlsStream<TcpStream>, builder: &h2::client::Builder) -> Self {
        let (requests, connection) = soon("HTTP/2", builder.handshake(stream)).await.unwrap();
        let driving = tokio::spawn(async move {
            // How it ends is seen by the requests on it.
            let _ = connection.await;
        });
        Self { requests, driving }
    }

    /// Begins a POST of JSON; `length` is told where it is given.
    pub(crate) async fn begin(&mut self, path: &str, length: Option<usize>) -> Upload {
        self.begin_named(path, length, None).await
    }

    /// As [`Http2::begin`], with an id of the request's own.
    pub(crate) async fn begin_named(
        &mut self,
        path: &str,
        length: Option<usize>,
        id: Option<&str>,
    ) -> Upload {
        let mut lines = vec!["content-type: application/json".to_owned()];
        lines.extend(length.map(|length| format!("content-length: {length}")));
        lines.extend(id.map(|id| format!("x-request-id: {id}")));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.begin_with(path, &lines).await
    }

    /// Begins a POST with these fields, each as a line of HTTP/1.
    pub(crate) async fn begin_with(&mut self, path: &str, lines: &[&str]) -> Upload {
        let head = format!("POST {path} HTTP/2\r\n{}\r\n\r\n", lines.join("\r\n"));
        canary::overhear(head.as_bytes());
        let mut request = Request::post(format!("https://localhost{path}"));
        for (name, value) in lines.iter().filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value);
        }
        let mut requests = soon("room for a stream", self.requests.clone().ready())
            .await
            .unwrap();
        let (answer, body) = requests
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        Upload { body, answer }
    }

    /// Waits until the gateway has ended the connection.
    pub(crate) async fn ended(mut self) {
        soon("the end of a connection", &mut self.driving)
            .await
            .unwrap();
    }

    /// Leaves at once, with whatever is under way.
    pub(crate) fn leave(self) {
        self.driving.abort();
    }
}

/// A connection with TLS to a gateway that has agreed on this protocol, and no more.
pub(crate) async fn secure(gateway: &Gateway, protocol: &str) -> TlsStream<TcpStream> {
    secure_after(gateway, protocol, b"").await
}

/// As [`secure`], behind these bytes in plaintext.
pub(crate) async fn secure_after(
    gateway: &Gateway,
    protocol: &str,
    before: &[u8],
) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(gateway.tls_address.unwrap());
    let mut tcp = soon("a connection", tcp).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.write_all(before).await.unwrap();
    let secured = shake(gateway, "localhost", protocol, tcp).await;
    secured.unwrap()
}

/// A handshake with the gateway under this name; an address is a name that is not told.
pub(crate) async fn shake_as(gateway: &Gateway, name: &str) -> std::io::Result<()> {
    let tcp = TcpStream::connect(gateway.tls_address.unwrap());
    let tcp = soon("a connection", tcp).await?;
    shake(gateway, name, "http/1.1", tcp).await.map(drop)
}

/// As [`secure`], from `127.0.0.n`; `None` where the gateway did not let it in.
pub(crate) async fn secure_from(
    n: u8,
    gateway: &Gateway,
    protocol: &str,
) -> Option<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, n], 0).into()).unwrap();
    let tcp = socket.connect(gateway.tls_address.unwrap());
    let tcp = soon("a connection", tcp).await.ok()?;
    tcp.set_nodelay(true).ok()?;
    shake(gateway, "localhost", protocol, tcp).await.ok()
}

async fn shake(
    gateway: &Gateway,
    name: &str,
    protocol: &str,
    tcp: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    let trusted = gateway.certificate.as_ref().unwrap();
    roots
        .add(CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !protocol.is_empty() {
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    }
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    soon("a TLS handshake", tls).await
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl Upload {
    /// Sends a part of the body, as fast as the peer takes it.
    pub(crate) async fn send(&mut self, mut part: Bytes, last: bool) {
        canary::overhear(&part);
        while !part.is_empty() {
            self.body.reserve_capacity(part.len());
            let room = std::future::poll_fn(|context| self.body.poll_capacity(context));
            let room = soon("the peer to take a body", room).await;
            let room = room.expect("the stream has ended").unwrap();
            let now = part.split_to(room.min(part.len()));
            self.body.send_data(now, last && part.is_empty()).unwrap();
        }
    }

    /// Gives up this request and keeps the connection.
    pub(crate) fn reset(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }

    /// Reads the answer's head and then its body as it comes, with a pause after each
    /// part; how that ended.
    pub(crate) async fn take_slowly(self, pause: Duration) -> Result<(), h2::Error> {
        let (_, mut stream) = soon("an answer's head", self.answer).await?.into_parts();
        while let Some(part) = soon("an answer's body", stream.data()).await {
            let part = part?;
            tokio::time::sleep(pause).await;
            stream.flow_control().release_capacity(part.len())?;
        }
        Ok(())
    }

    /// Reads the whole answer.
    pub(crate) async fn answer(self) -> Answer {
        let answer = soon("an answer's head", self.answer).await.unwrap();
        let (head, mut stream) = answer.into_parts();
        let mut body = Vec::new();
        while let Some(part) = soon("an answer's body", stream.data()).await {
            let part = part.unwrap();
            let _ = stream.flow_control().release_capacity(part.len());
            body.extend_from_slice(&part);
        }
        let answer = Answer {
            status: head.status.as_u16(),
            fields: fields(&head.headers),
            body,
        };
        canary::opens_nothing("a head", &format!("{:?}", answer.fields));
        if answer.status >= 400 {
            canary::opens_nothing("an error", &answer.text());
        }
        answer
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}
