//! In which order does a script happen?
//!
//! A script says *what* and *after how many bytes*; the connection wants to know what is
//! next. So a script is turned once into a list of acts, with pieces split where a mark
//! lies inside them, and both versions of HTTP play the same list. Nothing here touches
//! a socket or a clock.

use std::time::Duration;

use bytes::Bytes;

use super::script::{Fault, Framing, Gate, Mark, Script};

/// A script, ready to be played any number of times.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Bytes)>,
    pub(super) framing: Framing,
    pub(super) length: u64,
    pub(super) acts: Vec<Act>,
    pub(super) close_after: Option<Duration>,
}

/// One step of an answer.
#[derive(Debug)]
pub(super) enum Act {
    Sleep(Duration),
    Hold(Gate),
    /// Status and headers. There is none in a verbatim play.
    Head,
    Data(Data),
    Goaway,
    /// The last act wherever it stands.
    Fault(Fault),
    /// The end of the body is told. The last act of a play without fault.
    End,
}

/// A piece of the body, or a part of one where a mark divides it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) bytes: Bytes,
    /// At the first part of a piece: the length of the whole piece, for its chunk size.
    pub(super) opens: Option<usize>,
    /// At the last part of a piece: it is written out here.
    pub(super) closes: bool,
}

impl Play {
    pub(super) fn new(script: Script) -> Self {
        let true_length = script.body_bytes() as u64;
        let acts = acts(&script);
        Self {
            status: script.status,
            headers: script.headers,
            framing: script.framing,
            length: match script.framing {
                Framing::LengthClaimed(claimed) => claimed,
                _ => true_length,
            },
            acts,
            close_after: script.close_after,
        }
    }
}

fn acts(script: &Script) -> Vec<Act> {
    let mut acts = Vec::with_capacity(script.pieces.len() + 4);
    sleep(&mut acts, script.head_delay);
    acts.extend(script.head_gate.clone().map(Act::Hold));
    if script.framing != Framing::Verbatim {
        acts.push(Act::Head);
    }
    let mut marks = script.marks.clone();
    marks.sort_by_key(|(at, _)| *at);
    let mut marks = marks.into_iter().peekable();
    let mut written = 0;
    for piece in script.pieces.iter().filter(|piece| !piece.bytes.is_empty()) {
        while let Some((_, mark)) = marks.next_if(|(at, _)| *at <= written) {
            acts.push(Act::from(mark));
        }
        sleep(&mut acts, piece.delay);
        let mut rest = piece.bytes.clone();
        let mut opens = Some(rest.len());
        while let Some((at, mark)) = marks.next_if(|(at, _)| *at < written + rest.len()) {
            let part = rest.split_to(at - written);
            written = at;
            if !part.is_empty() {
                acts.push(data(part, opens.take(), false));
            }
            acts.push(Act::from(mark));
        }
        written += rest.len();
        acts.push(data(rest, opens, true));
    }
    acts.extend(marks.map(|(_, mark)| Act::from(mark)));
    acts.push(Act::End);
    acts
}

fn sleep(acts: &mut Vec<Act>, delay: Duration) {
    if !delay.is_zero() {
        acts.push(Act::Sleep(delay));
    }
}

fn data(bytes: Bytes, opens: Option<usize>, closes: bool) -> Act {
    Act::Data(Data {
        bytes,
        opens,
        closes,
    })
}

impl From<Mark> for Act {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Hold(gate) => Self::Hold(gate),
            Mark::Goaway => Self::Goaway,
            Mark::Fault(fault) => Self::Fault(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each act as a word: `5(` opens a chunk of 5, `)` closes it.
    fn check(script: Script, expected: &str) {
        let words: Vec<String> = Play::new(script)
            .acts
            .iter()
            .map(|act| match act {
                Act::Sleep(delay) => format!("sleep{}", delay.as_millis()),
                Act::Hold(_) => "hold".to_owned(),
                Act::Head => "head".to_owned(),
                Act::Data(data) => format!(
                    "{}{}{}",
                    data.opens
                        .map_or(String::new(), |length| format!("{length}(")),
                    String::from_utf8_lossy(&data.bytes),
                    if data.closes { ")" } else { "" }
                ),
                Act::Goaway => "goaway".to_owned(),
                Act::Fault(fault) => format!("{fault:?}"),
                Act::End => "end".to_owned(),
            })
            .collect();
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn a_script_becomes_acts_in_the_order_of_bytes() {
        let ms = Duration::from_millis;
        let two = || Script::sse_bytes(&[b"hello", b"you"]);
        check(Script::json(200, "{}"), "head 2({}) end");
        check(
            two().gap(ms(7)).delay_head(ms(3)),
            "sleep3 head 5(hello) sleep7 3(you) end",
        );
        check(two().cut_after(0), "head Cut 5(hello) 3(you) end");
        check(two().reset_after(2), "head 5(he Reset llo) 3(you) end");
        check(
            two().gap(ms(7)).stall_after(5),
            "head 5(hello) Stall sleep7 3(you) end",
        );
        check(two().cut_after(99), "head 5(hello) 3(you) Cut end");
        check(
            two().malformed_chunk_after(5),
            "head 5(hello) MalformedChunk 3(you) end",
        );
        check(
            two().cut_after(4).hold_after(1, &Gate::new()),
            "head 5(h hold ell Cut o) 3(you) end",
        );
        check(
            two().hold_after(3, &Gate::new()).goaway_after(3),
            "head 5(hel hold goaway lo) 3(you) end",
        );
        check(Script::close(), "Cut end");
        check(Script::raw("x").hold_head(&Gate::new()), "hold 1(x) end");
    }
}
