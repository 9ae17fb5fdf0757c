//! What makes a server of HTTP/2 work for nothing?
//!
//! Each flood is what a client sends ever again on one connection. All but the last few are within
//! the protocol: no frame is wrong, there are only too many.

use super::frames::{
    ACK, CANCEL, CONTINUATION, DATA, END_STREAM, Frames, GO_AWAY, HEADERS, INITIAL_WINDOW_SIZE,
    PING, PRIORITY, begin, block, field, frame, headers, integer, post, reset, settings, text,
    window,
};

/// Where a model is asked.
const CHAT: &str = "/v1/chat/completions";

/// One way to make work.
#[derive(Clone, Copy)]
pub(crate) struct Flood {
    pub(crate) name: &'static str,
    /// What is sent once.
    first: fn() -> Vec<u8>,
    /// What is sent ever again; counted from 0.
    again: fn(u32) -> Vec<u8>,
}

const fn flood(name: &'static str, first: fn() -> Vec<u8>, again: fn(u32) -> Vec<u8>) -> Flood {
    Flood { name, first, again }
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

/// A chat on stream 1 whose body is still to come.
fn chat() -> Vec<u8> {
    headers(1, 0, post(CHAT))
}

/// The stream of the number behind the first.
const fn stream(number: u32) -> u32 {
    2 * number + 3
}

/// Every flood.
pub(crate) const FLOODS: [Flood; 20] = [
    flood("resets at once", nothing, |n| {
        [headers(stream(n), 0, post(CHAT)), reset(stream(n), CANCEL)].concat()
    }),
    flood("questions that are reset at once", nothing, |n| {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
        [
            headers(stream(n), 0, post(CHAT)),
            frame(DATA, END_STREAM, stream(n), body),
            reset(stream(n), CANCEL),
        ]
        .concat()
    }),
    flood("resets made by a window", nothing, |n| {
        [
            headers(stream(n), 0, post(CHAT)),
            window(stream(n), (1 << 31) - 1),
        ]
        .concat()
    }),
    flood("resets made by a priority", nothing, |n| {
        let own = stream(n).to_be_bytes();
        [
            headers(stream(n), END_STREAM, begin("GET", "/v1/models")),
            frame(PRIORITY, 0, stream(n), [&own[..], &[1]].concat()),
        ]
        .concat()
    }),
    flood("resets made by a length", nothing, |n| {
        let head = [post(CHAT), field("content-length", "1")].concat();
        [
            headers(stream(n), 0, head),
            frame(DATA, END_STREAM, stream(n), b"{}"),
        ]
        .concat()
    }),
    flood("heads that are none", nothing, |n| {
        let head = [post(CHAT), field("connection", "close")].concat();
        headers(stream(n), END_STREAM, head)
    }),
    flood("paths that are none", nothing, |n| {
        let head = begin("GET", "https://gateway.test/v1/models");
        headers(stream(n), END_STREAM, head)
    }),
    flood("streams beyond those that may be open", nothing, |n| {
        headers(stream(n), 0, post(CHAT))
    }),
    flood(
        "parts of a head without bytes",
        || frame(HEADERS, 0, 1, post(CHAT)),
        |_| frame(CONTINUATION, 0, 1, []),
    ),
    flood(
        "parts of a head with fields",
        || frame(HEADERS, 0, 1, post(CHAT)),
        |_| frame(CONTINUATION, 0, 1, block(&[("x", "y"); 1_000])),
    ),
    flood("parts of a body without bytes", chat, |_| {
        frame(DATA, 0, 1, [])
    }),
    flood("parts of a body of padding", chat, |_| {
        frame(DATA, super::frames::PADDED, 1, [&[9][..], &[0; 9]].concat())
    }),
    flood("parts of a body of a byte", chat, |_| {
        frame(DATA, 0, 1, b" ")
    }),
    flood("pings", nothing, |_| frame(PING, 0, 0, [7; 8])),
    flood("answers to no pings", nothing, |_| {
        frame(PING, ACK, 0, [7; 8])
    }),
    flood("settings", nothing, |n| {
        settings(&[(INITIAL_WINDOW_SIZE, n)])
    }),
    flood("priorities", nothing, |n| {
        frame(PRIORITY, 0, stream(n), [0, 0, 0, 0, 1])
    }),
    flood("windows opened by a byte", chat, |n| window(n % 2, 1)),
    flood("frames that nobody knows", nothing, |_| {
        frame(0xfa, 0, 0, [0; 100])
    }),
    flood("farewells", chat, |_| frame(GO_AWAY, 0, 0, [0; 100])),
];

impl Flood {
    /// Sends it so many times, in writes of many, or until nothing more is taken; how many
    /// were sent.
    pub(crate) async fn pour(&self, client: &mut Frames, times: u32) -> u32 {
        const AT_ONCE: u32 = 20;
        if !client.offer(&(self.first)()).await {
            return 0;
        }
        for first in (0..times).step_by(AT_ONCE as usize) {
            let some: Vec<u8> = (first..times.min(first + AT_ONCE))
                .flat_map(|number| (self.again)(number))
                .collect();
            if !client.offer(&some).await {
                return first;
            }
        }
        times
    }
}

/// A head of as many fields as there is room for, each but the first a byte that names it.
pub(crate) fn bomb(stream: u32) -> Vec<u8> {
    /// Within 16 KiB, where each field counts for its bytes and 32 more.
    const FIELDS: usize = 480;
    let kept = [&[0x40][..], &text(b"a"), &text(b"")].concat();
    let named = integer(0x80, 7, 62).repeat(FIELDS);
    headers(stream, 0, [post(CHAT), kept, named].concat())
}
