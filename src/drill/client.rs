//! What does a caller see, to the byte?
//!
//! A client library hides how an answer ended, and that is what a drill is about. So this
//! one writes its request by hand and keeps what comes: whether the framing came to its
//! end, which events were whole, what was told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sse::Scanner;
use crate::sys;

/// What comes from the gateway while a caller waits.
const COMMENT: &[u8] = b": working\n\n";
/// How an error begins that is told as an event.
const ERROR_EVENT: &[u8] = b"data: {\"error\":";
/// No event of a drill is longer.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a caller saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The status; `None`: there was no answer.
    pub status: Option<u16>,
    /// Fields of the head, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, without framing.
    pub body: Bytes,
    /// The body came to the end that its framing tells.
    pub whole: bool,
    /// The caller gave up waiting.
    pub gave_up: bool,
    /// From the request to the end.
    pub took: Duration,
}

/// What a stream said.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    /// The upstream's bytes: without comments and without the event that tells of an error.
    pub events: Vec<u8>,
    /// Comments of the gateway's.
    pub comments: usize,
    /// The error that the last event tells of.
    pub error: Option<Value>,
    /// `[DONE]` came.
    pub done: bool,
    /// It ended inside an event.
    pub half: bool,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Asked {
    tcp: TcpStream,
    came: Vec<u8>,
}

/// Asks, and waits for the end of the answer.
pub(super) async fn ask(address: SocketAddr, model: &str, stream: bool, within: Duration) -> Seen {
    let began = sys::instant();
    let mut asked = None;
    let answered = async {
        let mut request = Asked::send(address, model, stream).await?;
        let came = request.read_to_end().await;
        asked = Some(request);
        came
    };
    let gave_up = tokio::time::timeout(within, answered).await.is_err();
    let came = asked.map(|asked| asked.came).unwrap_or_default();
    Seen {
        gave_up,
        took: sys::instant() - began,
        ..Seen::read(&came)
    }
}

impl Asked {
    /// Sends a request.
    pub(super) async fn send(address: SocketAddr, model: &str, stream: bool) -> io::Result<Self> {
        let body = serde_json::json!({
            "model": model, "stream": stream,
            "messages": [{"role": "user", "content": "This is a drill."}],
            "stream_options": stream.then(|| serde_json::json!({"include_usage": true})),
        });
        let body = body.to_string();
        let mut tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: drill\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tcp.write_all(request.as_bytes()).await?;
        let came = Vec::new();
        Ok(Self { tcp, came })
    }

    /// Waits for the first event of the answer.
    pub(super) async fn first_event(&mut self) -> io::Result<()> {
        while memmem::find(&self.came, b"data: ").is_none() {
            if self.tcp.read_buf(&mut self.came).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    async fn read_to_end(&mut self) -> io::Result<()> {
        while self.tcp.read_buf(&mut self.came).await? > 0 {
            if Seen::is_at_its_end(&self.came) {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Seen {
    /// The first value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What it was told about how often upstreams were asked.
    pub(super) fn attempts(&self) -> Option<usize> {
        self.field("x-spafe-attempts")?.parse().ok()
    }

    /// The error object of an answer that is one.
    pub(super) fn error(&self) -> Option<Value> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get("error").cloned()
    }

    /// What an upstream sent of a stream, an error of its own included.
    pub(super) fn without_comments(&self) -> Vec<u8> {
        without_comments(&self.body).0
    }

    /// Reads the body as events.
    pub(super) fn stream(&self) -> Stream {
        const DONE: &[u8] = b"data: [DONE]";
        let mut scanner = Scanner::new(EVENT_BYTES_MAX);
        let mut whole = Vec::new();
        scanner.feed(self.body.clone(), &mut whole);
        let (mut events, comments) = without_comments(&whole.concat());
        let mut error = None;
        let told = memmem::rfind(&events, ERROR_EVENT);
        // At the start of an event and nowhere else: the words of a model are no error.
        let told =
            told.filter(|at| *at == 0 || events.get(..*at).is_some_and(|e| e.ends_with(b"\n")));
        if let Some(at) = told {
            let event = events.split_off(at);
            let data = event.strip_prefix(b"data: ".as_slice()).unwrap_or_default();
            let parsed: Option<Value> = serde_json::from_slice(data.trim_ascii_end()).ok();
            error = parsed.and_then(|parsed| parsed.get("error").cloned());
            if error.is_none() {
                events.extend_from_slice(&event);
            }
        }
        Stream {
            events,
            comments,
            error,
            done: self.body.trim_ascii_end().ends_with(DONE),
            half: scanner.held_bytes() > 0,
        }
    }

    fn read(came: &[u8]) -> Self {
        let Some((head, body)) = divided(came) else {
            return Self::default();
        };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let fields = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let seen = Self {
            status: status.and_then(|status| status.parse().ok()),
            fields,
            ..Self::default()
        };
        let (body, whole) = match seen.field("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) => (body.to_vec(), body.len() == length),
            Some(Err(_)) => (body.to_vec(), false),
            None => dechunked(body),
        };
        Self {
            body: body.into(),
            whole,
            ..seen
        }
    }

    /// Whether nothing more is to come. Looked at closely only where it may be so.
    fn is_at_its_end(came: &[u8]) -> bool {
        let Some((head, body)) = divided(came) else {
            return false;
        };
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        match length {
            Some(length) => length.trim().parse() == Ok(body.len()),
            None => body.ends_with(b"0\r\n\r\n") && dechunked(body).1,
        }
    }
}

/// Head and body.
fn divided(came: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memmem::find(came, b"\r\n\r\n")?;
    Some((came.get(..end)?, came.get(end + 4..)?))
}

/// The data of chunks, and whether the last one came.
fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = memmem::find(rest, b"\r\n") else {
            return (body, false);
        };
        let size = rest
            .get(..end)
            .and_then(|line| std::str::from_utf8(line).ok());
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            return (body, false);
        };
        let data = rest.get(end + 2..).unwrap_or_default();
        if size == 0 {
            return (body, data == b"\r\n");
        }
        body.extend_from_slice(data.get(..size.min(data.len())).unwrap_or_default());
        let Some(next) = data.get(size..).and_then(|next| next.strip_prefix(b"\r\n")) else {
            return (body, false);
        };
        rest = next;
    }
}

/// What an upstream sent, and how many comments of the gateway's stood between.
fn without_comments(body: &[u8]) -> (Vec<u8>, usize) {
    let mut events = Vec::with_capacity(body.len());
    let mut comments = 0;
    let mut rest = body;
    while let Some(at) = memmem::find(rest, COMMENT) {
        let (before, behind) = rest.split_at(at);
        events.extend_from_slice(before);
        rest = behind.get(COMMENT.len()..).unwrap_or_default();
        comments += 1;
    }
    events.extend_from_slice(rest);
    (events, comments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_is_told_from_a_whole_one() {
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for answer in [chunked.as_slice(), length] {
            for end in 0..=answer.len() {
                let seen = Seen::read(&answer[..end]);
                assert_eq!(seen.whole, end == answer.len(), "{end}: {seen:?}");
                assert_eq!(Seen::is_at_its_end(&answer[..end]), seen.whole);
                assert!(b"hello".starts_with(&seen.body), "{end}: {seen:?}");
            }
        }
    }

    #[test]
    fn a_stream_is_taken_apart_into_events_comments_and_an_error() {
        let body =
            ": working\n\ndata: {\"a\":1}\n\n: working\n\ndata: {\"error\":{\"code\":\"c\"}}\n\n";
        let seen = Seen {
            body: body.into(),
            ..Seen::default()
        };
        let error = "data: {\"error\":{\"code\":\"c\"}}\n\n";
        let upstreams = format!("data: {{\"a\":1}}\n\n{error}");
        assert_eq!(seen.without_comments(), upstreams.as_bytes());
        let stream = seen.stream();
        assert_eq!(stream.events, b"data: {\"a\":1}\n\n");
        assert_eq!(
            (stream.comments, stream.done, stream.half),
            (2, false, false)
        );
        assert_eq!(stream.error.unwrap()["code"], "c");
        let cut = Seen {
            body: "data: {}\n\ndata: {\"choi".into(),
            ..Seen::default()
        };
        assert!(cut.stream().half);
    }
}
