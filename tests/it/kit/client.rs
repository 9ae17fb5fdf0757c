//! What exactly goes over the wire?
//!
//! An HTTP library refuses to send what an attacker would, and hides how an
//! answer is framed. This connection sends any bytes, in pieces and slowly where
//! a test wants that, and reads an answer by its framing and no further.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{canary, soon};

/// A plain TCP connection that speaks HTTP/1.1 by hand.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its fields in order, names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    /// Its body without framing.
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(soon("a connection", TcpStream::connect(address)).await)
    }

    /// Connects from another address of this machine, `127.0.0.n`.
    pub(crate) async fn open_from(n: u8, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind((Ipv4Addr::new(127, 0, 0, n), 0).into())
            .unwrap();
        Self::over(soon("a connection", socket.connect(address)).await)
    }

    /// As [`Connection::open_from`], with as little room for what comes as there can be.
    pub(crate) async fn open_narrow(n: u8, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind((Ipv4Addr::new(127, 0, 0, n), 0).into())
            .unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        Self::over(soon("a connection", socket.connect(address)).await)
    }

    fn over(stream: std::io::Result<TcpStream>) -> Self {
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends these bytes and nothing else.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        canary::overhear(bytes.as_ref());
        soon("the peer to read", self.stream.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// Sends these bytes in pieces, with a pause after each.
    pub(crate) async fn send_slowly(&mut self, bytes: &[u8], piece_bytes: usize, pause: Duration) {
        for piece in bytes.chunks(piece_bytes) {
            self.send(piece).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends these bytes as far as the peer takes them; false where it took not all.
    pub(crate) async fn offer(&mut self, bytes: &[u8]) -> bool {
        let sent = soon("the peer to read", self.stream.write_all(bytes)).await;
        sent.is_ok()
    }

    /// Says that nothing more will come; answers can still be read.
    pub(crate) async fn finish(&mut self) {
        // A peer that is gone already has been told enough.
        let _ = soon("the peer to hear an end", self.stream.shutdown()).await;
    }

    /// Sends a POST of JSON and reads the answer.
    pub(crate) async fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(post(path, &[], body.as_ref())).await;
        self.answer().await
    }

    /// Reads a whole answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        while let Some(piece) = self.piece(&answer).await {
            answer.body.extend_from_slice(&piece);
            if answer.length() == Some(answer.body.len()) {
                break;
            }
        }
        if answer.status >= 400 {
            canary::opens_nothing("an error", &answer.text());
        }
        answer
    }

    /// Reads an answer's head; its body is to be read in pieces.
    pub(crate) async fn head(&mut self) -> Answer {
        let head = self.until(b"\r\n\r\n", "an answer's head").await;
        canary::opens_nothing("a head", &String::from_utf8_lossy(&head));
        Answer::of_head(&head)
    }

    /// The next piece of a body: a chunk, or what has arrived; `None` at its end.
    pub(crate) async fn piece(&mut self, head: &Answer) -> Option<Vec<u8>> {
        if head.field("transfer-encoding") == Some("chunked") {
            let line = self.until(b"\r\n", "a chunk's size").await;
            let digits = std::str::from_utf8(&line).unwrap().trim();
            let size = usize::from_str_radix(digits, 16)
                .unwrap_or_else(|_| panic!("{digits:?} is no chunk size"));
            let mut chunk = self.exactly(size + 2).await;
            assert_eq!(chunk.split_off(size), b"\r\n", "after a chunk");
            return (size > 0).then_some(chunk);
        }
        match head.length() {
            Some(0) => None,
            Some(length) => Some(self.exactly(length).await),
            None if matches!(head.status, 100..200 | 204 | 304) => None,
            None => {
                if self.unread.is_empty() && !self.more().await {
                    return None;
                }
                Some(std::mem::take(&mut self.unread))
            }
        }
    }

    /// Resets the connection (RST).
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Takes a few bytes now and then, until the peer gives up; how many it were.
    pub(crate) async fn take_slowly(&mut self, piece_bytes: usize, pause: Duration) -> usize {
        let mut piece = vec![0; piece_bytes];
        let mut taken = 0;
        loop {
            match self.stream.read(&mut piece).await {
                Ok(bytes @ 1..) => taken += bytes,
                Ok(0) | Err(_) => return taken,
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until the peer has closed; anything it still sends is returned.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        soon("the peer to close", async { while self.more().await {} }).await;
        std::mem::take(&mut self.unread)
    }

    /// Waits for the first bytes or the end, and no longer than that.
    pub(crate) async fn hears_within(&mut self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.more()).await;
    }

    /// Whether something has come that was not looked at.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// As [`Connection::closed`], and the peer must have ended it rather than reset it.
    pub(crate) async fn ended(&mut self) -> std::io::Result<Vec<u8>> {
        soon("the peer to end", async {
            while self.stream.read_buf(&mut self.unread).await? > 0 {}
            Ok(std::mem::take(&mut self.unread))
        })
        .await
    }

    async fn until(&mut self, end: &[u8], what: &str) -> Vec<u8> {
        loop {
            let found = self
                .unread
                .windows(end.len())
                .position(|bytes| bytes == end);
            if let Some(start) = found {
                let rest = self.unread.split_off(start + end.len());
                return std::mem::replace(&mut self.unread, rest);
            }
            let came = soon(what, self.more()).await;
            assert!(
                came,
                "the peer closed before {what}, after {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        }
    }

    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let came = soon("a body", self.more()).await;
            assert!(came, "the peer closed inside a body");
        }
        let rest = self.unread.split_off(count);
        std::mem::replace(&mut self.unread, rest)
    }

    /// Whether the peer sent anything more; a reset is an end.
    async fn more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread).await;
        matches!(read, Ok(1..))
    }
}

impl Answer {
    /// Every answer in what a peer sent until it closed, each with its length.
    pub(crate) fn all(bytes: &[u8]) -> Vec<Self> {
        let mut answers = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.windows(4).position(|part| part == b"\r\n\r\n") {
            let mut answer = Self::of_head(&rest[..end + 4]);
            rest = &rest[end + 4..];
            let length = answer.length().unwrap_or(0);
            assert!(length <= rest.len(), "a body was cut: {answer:?}");
            answer.body = rest[..length].to_vec();
            rest = &rest[length..];
            answers.push(answer);
        }
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(rest));
        answers
    }

    pub(super) fn of_head(head: &[u8]) -> Self {
        let head = std::str::from_utf8(head).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let fields = rest
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self {
            status,
            fields,
            body: Vec::new(),
        }
    }

    /// A field's value; `None` where it is absent.
    ///
    /// # Panics
    ///
    /// Where the field stands twice: no answer of ours repeats one.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice: {self:?}");
        value
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn length(&self) -> Option<usize> {
        self.field("content-length")
            .map(|value| value.parse().unwrap())
    }
}

/// Asks for a chat completion on a connection of its own and reads the answer.
pub(crate) async fn chat(address: SocketAddr, model: &str, stream: bool) -> Answer {
    let mut client = Connection::open(address).await;
    client
        .post("/v1/chat/completions", ask(model, stream))
        .await
}

/// The bytes of a POST of JSON, with more lines of its head.
pub(crate) fn post(path: &str, lines: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// The request of the API's description, for this model.
pub(crate) fn ask(model: &str, stream: bool) -> String {
    serde_json::json!({
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": stream,
        "model": model,
        "temperature": 0.5,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_p": 1,
    })
    .to_string()
}
