//! What is wrong with the head of an answer, or with its framing?
//!
//! Where two readers could take an answer for two different ones, it is taken for none,
//! and nothing that follows on its connection is believed: the next caller is served.

use std::time::Duration;

use crate::drill::fault::{Failed, Fault, INVALID, TIMEOUT, UNAVAILABLE};
use crate::drill::said::FIRST;
use crate::simulator::script::Script;

/// Heads written by hand.
pub(super) fn faults(stream: bool, first: Duration) -> Vec<Fault> {
    let mut faults: Vec<Fault> = malformed(stream)
        .into_iter()
        .map(|(name, script, failed)| Fault::says(name, script, failed).http1().then_well())
        .collect();
    let begin = head(stream, "Content-Length: 500");
    faults.push(
        Fault::says(
            "head-and-nothing",
            Script::raw(begin.clone()).stall_after(begin.len()),
            TIMEOUT,
        )
        .http1()
        .costing(first),
    );
    let bytes: Vec<&[u8]> = begin.as_bytes().chunks(1).collect();
    let pause = first / 8;
    let dripping = Script::raw_pieces(&bytes).gap(pause);
    faults.push(
        Fault::says("head-byte-by-byte", dripping, TIMEOUT)
            .http1()
            .costing(first),
    );
    faults
}

fn malformed(stream: bool) -> Vec<(&'static str, Script, Failed)> {
    let (_, bytes) = FIRST.answer(stream);
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let length = body.len();
    let raw = |fields: &str| Script::raw(format!("{}{body}", head(stream, fields)));
    let own_length = format!("Content-Length: {length}");
    let other = format!("{own_length}\r\nContent-Length: 5");
    let listed = format!("Content-Length: 5, {length}");
    let both = format!("{own_length}\r\nTransfer-Encoding: chunked");
    let many = "x-many: 1\r\n".repeat(300);
    let large = format!("x-large: {}\r\n{own_length}", "x".repeat(1024 * 1024));
    let fields = format!("{many}{own_length}");
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000);
    let cut = |script: Script| {
        let end = script.body_bytes();
        script.cut_after(end)
    };
    vec![
        ("head-two-lengths", cut(raw(&other)), INVALID),
        ("head-listed-lengths", cut(raw(&listed)), INVALID),
        ("head-length-and-chunks", cut(raw(&both)), INVALID),
        ("head-300-fields", cut(raw(&fields)), INVALID),
        ("head-1-mib", cut(raw(&large)), INVALID),
        (
            "head-1000-interim",
            Script::raw(format!("{interim}{}{body}", head(stream, &own_length))),
            INVALID,
        ),
        (
            "head-101",
            cut(Script::raw(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            )),
            INVALID,
        ),
        (
            "head-204-with-body",
            cut(Script::raw(format!(
                "HTTP/1.1 204 No Content\r\n{own_length}\r\n\r\n{body}"
            ))),
            INVALID,
        ),
        (
            "head-injected-bytes",
            cut(raw(&format!("x-a: 1\0\x01\r\n{own_length}"))),
            INVALID,
        ),
        (
            "head-no-http",
            cut(Script::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n")),
            INVALID,
        ),
        (
            "head-half",
            cut(Script::raw("HTTP/1.1 200 OK\r\nContent-Ty")),
            UNAVAILABLE.passing(),
        ),
    ]
}

fn head(stream: bool, fields: &str) -> String {
    let kind = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{fields}\r\n\r\n")
}
