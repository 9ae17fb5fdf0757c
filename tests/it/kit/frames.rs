//! What does a client of HTTP/2 send that no library would?
//!
//! Frames made by hand, whole or not, in any order, and heads compressed by hand as well; and
//! what comes back, frame by frame. A library would refuse to send what is tested, and
//! would hide what it is told.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::gateway::Gateway;
use super::http2::{secure, secure_from};
use super::soon;

/// What every connection begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Kinds of frames, RFC 9113, 6.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GO_AWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

// And their flags.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITIZED: u8 = 0x20;

// Settings, 6.5.2.
pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
pub(crate) const ENABLE_PUSH: u16 = 2;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(crate) const MAX_FRAME_SIZE: u16 = 5;

// Reasons, 7.
pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A connection on which frames are sent and read by hand.
pub(crate) struct Frames {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
    /// What was read of it until now.
    pub(crate) told: Told,
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What a gateway has said on a connection.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Statuses by stream.
    pub(crate) statuses: BTreeMap<u32, u16>,
    /// Bytes of bodies by stream, and in how many frames they came.
    pub(crate) bodies: BTreeMap<u32, (usize, usize)>,
    /// Streams whose answers have ended.
    pub(crate) ended: Vec<u32>,
    /// Reasons of resets by stream.
    pub(crate) resets: BTreeMap<u32, u32>,
    /// The reason of the last GOAWAY.
    pub(crate) go_away: Option<u32>,
    /// Payloads of answers to PING.
    pub(crate) pongs: Vec<Vec<u8>>,
    /// How many settings of ours were acknowledged.
    pub(crate) settings_acks: usize,
    /// Nothing more comes.
    pub(crate) closed: bool,
}

impl Frames {
    /// Connects, and begins with settings that make heads easy to read.
    pub(crate) async fn open(gateway: &Gateway) -> Self {
        Self::begin(Self::silent(gateway).await, &[]).await
    }

    /// As [`Frames::open`], with these settings as well.
    pub(crate) async fn open_with(gateway: &Gateway, more: &[(u16, u32)]) -> Self {
        Self::begin(Self::silent(gateway).await, more).await
    }

    /// As [`Frames::open_with`], from `127.0.0.n`; `None` where the connection was not let in.
    pub(crate) async fn open_from(n: u8, gateway: &Gateway, more: &[(u16, u32)]) -> Option<Self> {
        let stream = secure_from(n, gateway, "h2").await?;
        Some(Self::begin(Self::over(stream), more).await)
    }

    /// Connects, agrees on HTTP/2 and says nothing.
    pub(crate) async fn silent(gateway: &Gateway) -> Self {
        Self::over(secure(gateway, "h2").await)
    }

    fn over(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            told: Told::default(),
        }
    }

    async fn begin(mut self, more: &[(u16, u32)]) -> Self {
        // Without a table of its own the other side writes every status out.
        let ours = [&[(HEADER_TABLE_SIZE, 0)], more].concat();
        self.offer(&[PREFACE, &settings(&ours), &acknowledged()].concat())
            .await;
        self
    }

    /// Sends these bytes, as far as they are taken; false where they were not.
    pub(crate) async fn offer(&mut self, bytes: &[u8]) -> bool {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        soon("the peer to read", sent).await.is_ok()
    }

    /// The next frame; `None` at the end, however it came.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                self.told.note(&frame);
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.unread).await;
            if !matches!(read, Ok(1..)) {
                self.told.closed = true;
                return None;
            }
        }
    }

    /// Reads until what was told is enough, or nothing more comes.
    pub(crate) async fn until(&mut self, what: &str, enough: impl Fn(&Told) -> bool) -> &Told {
        let reading = async { while !enough(&self.told) && self.next().await.is_some() {} };
        if tokio::time::timeout(super::PATIENCE, reading)
            .await
            .is_err()
        {
            panic!("waited in vain for {what}; told {:?}", self.told);
        }
        &self.told
    }

    fn take(&mut self) -> Option<Frame> {
        let (head, rest) = self.unread.split_first_chunk::<9>()?;
        let [a, b, c, kind, flags, stream @ ..] = *head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = rest.get(..length)?.to_vec();
        self.unread.drain(..9 + length);
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }
}

impl Told {
    fn note(&mut self, frame: &Frame) {
        let stream = frame.stream;
        match frame.kind {
            HEADERS => {
                if let Some(status) = status(&frame.payload) {
                    self.statuses.insert(stream, status);
                }
            }
            DATA => {
                let (bytes, frames) = self.bodies.entry(stream).or_default();
                *bytes += frame.payload.len();
                *frames += 1;
            }
            RESET => {
                self.resets.insert(stream, word(&frame.payload, 0));
            }
            GO_AWAY => self.go_away = Some(word(&frame.payload, 4)),
            PING if frame.flags & ACK != 0 => self.pongs.push(frame.payload.clone()),
            SETTINGS if frame.flags & ACK != 0 => self.settings_acks += 1,
            _ => {}
        }
        if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
            self.ended.push(stream);
        }
    }

    /// Whether this stream's answer has come to its end.
    pub(crate) fn answered(&self, stream: u32) -> bool {
        self.ended.contains(&stream)
    }
}

fn word(payload: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(payload[at..at + 4].try_into().unwrap())
}

/// The status that a head begins with, of a peer without a table of its own: RFC 7541, 6.
fn status(head: &[u8]) -> Option<u16> {
    // A change of the table's size may come first.
    let head = head
        .iter()
        .position(|byte| byte & 0xe0 != 0x20)
        .map(|start| &head[start..])?;
    match head {
        [indexed @ 0x88..=0x8e, ..] => {
            Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)])
        }
        [0x08 | 0x18 | 0x48, length, value @ ..] => {
            let value = &value[..usize::from(length & 0x7f)];
            let digits = if length & 0x80 == 0 {
                std::str::from_utf8(value).unwrap().to_owned()
            } else {
                digits(value)
            };
            Some(digits.parse().unwrap())
        }
        // Trailers, which we never send, or something new.
        _ => None,
    }
}

/// Three digits in Huffman's code: five bits where the first three are 000, else six.
fn digits(value: &[u8]) -> String {
    let bits: Vec<u8> = value
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    let mut rest = &bits[..];
    let mut digits = String::new();
    for _ in 0..3 {
        let (digit, length) = match number(&rest[..5]) {
            digit @ 0..=2 => (digit, 5),
            // 3 is 011001 and 9 is 011111.
            _ => (number(&rest[..6]) - 0b01_1001 + 3, 6),
        };
        digits.push(char::from(b'0' + digit));
        rest = &rest[length..];
    }
    digits
}

/// A frame with this payload.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A head that is whole.
pub(crate) fn headers(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, block)
}

/// The last part of a body.
pub(crate) fn last(stream: u32, part: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, part)
}

/// Settings.
pub(crate) fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let pair = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let payload: Vec<u8> = pairs.iter().flat_map(pair).collect();
    frame(SETTINGS, 0, 0, payload)
}

/// Settings of the other side have been understood.
pub(crate) fn acknowledged() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, [])
}

/// So many bytes more may be sent.
pub(crate) fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
}

/// The end of a stream before its time.
pub(crate) fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RESET, 0, stream, reason.to_be_bytes())
}

/// A field, literally and without a place in any table: RFC 7541, 6.2.2.
pub(crate) fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [&[0][..], &text(name.as_ref()), &text(value.as_ref())].concat()
}

/// A string as it is: RFC 7541, 5.2.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    [integer(0, 7, bytes.len()), bytes.to_vec()].concat()
}

/// A number behind what shares its first byte: RFC 7541, 5.1.
pub(crate) fn integer(before: u8, bits: u32, number: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if number < most {
        return vec![before | u8::try_from(number).unwrap()];
    }
    let mut bytes = vec![before | u8::try_from(most).unwrap()];
    let mut rest = number - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// Fields one after the other.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// What a request's head begins with.
pub(crate) fn begin(method: &str, path: &str) -> Vec<u8> {
    block(&[
        (":method", method),
        (":scheme", "https"),
        (":path", path),
        (":authority", "gateway.test"),
    ])
}

/// The head of a POST of JSON.
pub(crate) fn post(path: &str) -> Vec<u8> {
    [
        begin("POST", path),
        field("content-type", "application/json"),
    ]
    .concat()
}
