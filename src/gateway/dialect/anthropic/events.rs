//! How does a stream read?
//!
//! Shape: `message_start`; for each block `content_block_start`, pieces (`content_block_delta`),
//! `content_block_stop`; `message_delta` with the reason of the end and the counts; and
//! `message_stop`. `ping` and `error` stand anywhere. Each of them is answered with what it
//! means at once, or with nothing; kinds that are not known may be added at any time and mean
//! nothing here. Blocks come one after the other, so one is open at a time.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Failure;
use super::{Usage, finish_reason};
use crate::gateway::dialect::members::is_text;
use crate::gateway::dialect::written::opening::Opening;
use crate::gateway::dialect::written::{Chunks, DONE, Message};
use crate::gateway::dialect::{Names, Unreadable};

/// What a stream said so far.
#[derive(Debug)]
pub(in crate::gateway::dialect) struct Events {
    names: Names,
    /// `Some` from the first event of the message on.
    chunks: Option<Chunks>,
    /// What that first event says.
    opening: Opening,
    usage: Usage,
    /// The call whose block is open.
    call: Option<Open>,
    /// How many calls were begun.
    calls: u32,
}

/// A call that is being said.
#[derive(Debug)]
struct Open {
    /// The number of its block.
    block: u32,
    /// Its place among the calls.
    index: u32,
    /// What it is called with if no piece comes.
    input: Option<Box<str>>,
}

/// An event, its parts unread.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    index: Option<u32>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Start<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    usage: Option<Usage>,
}

/// The beginning of a block, or a piece of one, with the members of every kind.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ending<'a> {
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

impl Events {
    /// Nothing was said yet.
    pub(in crate::gateway::dialect) fn new(names: Names) -> Self {
        Self {
            names,
            chunks: None,
            opening: Opening::default(),
            usage: Usage::default(),
            call: None,
            calls: 0,
        }
    }

    /// Takes an event's data and appends the chunks that it means.
    pub(in crate::gateway::dialect) fn event(
        &mut self,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let event: Event =
            serde_json::from_slice(data).map_err(|_| Unreadable("an event that is none"))?;
        let at = out.len();
        let read = self.read(&event, data, out);
        if !matches!(&*event.kind, "ping" | "error") {
            self.opening.precede(out, at);
        }
        read
    }

    /// What it began with, where it has said nothing else yet.
    pub(in crate::gateway::dialect) fn opening(&mut self) -> &mut Opening {
        &mut self.opening
    }

    fn read(
        &mut self,
        event: &Event<'_>,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        if let (Some(chunks), true) = (&self.chunks, self.names.verbatim)
            && !matches!(&*event.kind, "ping" | "error")
        {
            chunks.verbatim(data, out);
        }
        match &*event.kind {
            "content_block_delta" => self.piece(event, out),
            "message_start" => self.start(data, event.message),
            "content_block_start" => self.begin(event, out),
            "content_block_stop" => {
                self.stop(event.index, out);
                Ok(())
            }
            "message_delta" => self.ending(event, out),
            "message_stop" => {
                out.extend_from_slice(DONE);
                Ok(())
            }
            "error" => {
                let failure: Failure = read(event.error)?;
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(failure.written().as_bytes());
                out.extend_from_slice(b"\n\n");
                Ok(())
            }
            "ping" => {
                out.extend_from_slice(b": ping\n\n");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, data: &[u8], message: Option<&RawValue>) -> Result<(), Unreadable> {
        if self.chunks.is_some() {
            return Err(Unreadable("a second message"));
        }
        let start: Start = read(message)?;
        self.usage = start.usage.unwrap_or_default();
        let model = self.names.model(start.model.as_deref());
        let chunks = self.chunks.insert(Chunks::new(&self.names, model));
        let out = self.opening.begin();
        if self.names.verbatim {
            chunks.verbatim(data, out);
        }
        let role = Message {
            role: Some("assistant"),
            content: Some(String::new()),
            ..Message::default()
        };
        chunks.delta(&role, out);
        Ok(())
    }

    /// A block begins.
    fn begin(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        let piece: Piece = read(event.content_block)?;
        match &*piece.kind {
            "text" => said(chunks, "content", piece.text, out),
            "thinking" => said(chunks, "reasoning_content", piece.thinking, out),
            "tool_use" => {
                let (Some(id), Some(name), Some(block)) =
                    (piece.id.as_deref(), piece.name.as_deref(), event.index)
                else {
                    return Err(Unreadable("a call without id, name or index"));
                };
                let index = self.calls;
                self.calls = self.calls.saturating_add(1);
                self.call = Some(Open {
                    block,
                    index,
                    input: Some(piece.input.map_or("{}", RawValue::get).into()),
                });
                chunks.call(index, (id, name), out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A piece of the open block.
    fn piece(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        let piece: Piece = read(event.delta)?;
        match &*piece.kind {
            "text_delta" => said(chunks, "content", piece.text, out),
            "thinking_delta" => said(chunks, "reasoning_content", piece.thinking, out),
            "input_json_delta" => {
                // Those of other blocks are of the upstream's own tools.
                let Some(call) = self
                    .call
                    .as_mut()
                    .filter(|call| Some(call.block) == event.index)
                else {
                    return Ok(());
                };
                let arguments = piece.partial_json.as_deref().unwrap_or_default();
                if !arguments.is_empty() {
                    call.input = None;
                    chunks.arguments(call.index, arguments, out);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A block ends. A call that no piece was said of is called with what it began with.
    fn stop(&mut self, block: Option<u32>, out: &mut Vec<u8>) {
        let Some(call) = self.call.take_if(|call| Some(call.block) == block) else {
            return;
        };
        if let (Some(input), Some(chunks)) = (call.input, &self.chunks) {
            chunks.arguments(call.index, &input, out);
        }
    }

    fn ending(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        if let Some(usage) = event.usage {
            self.usage = self.usage.and(read(Some(usage))?);
        }
        let ending: Ending = read(event.delta)?;
        if let Some(reason) = ending.stop_reason {
            chunks.finish(finish_reason(&reason), out);
            chunks.usage(self.usage.tokens(), out);
        }
        Ok(())
    }
}

/// What is written with, once the message has begun.
fn begun(chunks: Option<&Chunks>) -> Result<&Chunks, Unreadable> {
    chunks.ok_or(Unreadable("an event before the message began"))
}

fn read<'a, T: Deserialize<'a>>(part: Option<&'a RawValue>) -> Result<T, Unreadable> {
    let part = part.map_or("null", RawValue::get);
    serde_json::from_str(part).map_err(|_| Unreadable("an event that is not like its kind"))
}

/// Adds to a text, if there is something to add.
fn said(
    chunks: &Chunks,
    member: &str,
    text: Option<&RawValue>,
    out: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    match text {
        Some(text) if !is_text(text) => Err(Unreadable("a text that is none")),
        Some(text) if text.get() != "\"\"" => {
            chunks.text(member, text, out);
            Ok(())
        }
        _ => Ok(()),
    }
}
