//! How does a stream read?
//!
//! Shape: `response.created`; items that begin, grow and end; and `response.completed`,
//! `.incomplete` or `.failed` with the whole answer. Each event is answered with what it means
//! at once, or with nothing; kinds that are not known mean nothing here. What an item says at
//! its end was said before, piece by piece, but for a call that was not said in pieces.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::{Item, Response};
use super::{Failure, finish_reason};
use crate::gateway::dialect::members::is_text;
use crate::gateway::dialect::written::opening::Opening;
use crate::gateway::dialect::written::{Chunks, DONE, Message, compact};
use crate::gateway::dialect::{Names, Unreadable};

/// Calls that may be open at once. OpenAI's models make a handful.
const OPEN_MAX: usize = 128;

/// What a stream said so far.
#[derive(Debug)]
pub(in crate::gateway::dialect) struct Events {
    names: Names,
    /// `Some` from the first event on.
    chunks: Option<Chunks>,
    /// What that first event says.
    opening: Opening,
    /// Calls that are being said.
    open: Vec<Open>,
    /// How many calls were begun.
    calls: u32,
    /// Something was thought, so what is thought next is a paragraph of its own.
    has_thought: bool,
}

/// A call that is being said.
#[derive(Debug)]
struct Open {
    /// The place of its item.
    output_index: u32,
    /// Its place among the calls.
    index: u32,
    /// A piece of its arguments has come.
    has_pieces: bool,
}

/// An event, its parts unread.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    output_index: Option<u32>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Logprobs {
    content: Vec<Box<RawValue>>,
    refusal: Option<()>,
}

impl Events {
    /// Nothing was said yet.
    pub(in crate::gateway::dialect) fn new(names: Names) -> Self {
        Self {
            names,
            chunks: None,
            opening: Opening::default(),
            open: Vec::new(),
            calls: 0,
            has_thought: false,
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
        if !matches!(&*event.kind, "response.failed" | "error") {
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
        match &*event.kind {
            "response.output_text.delta" => self.text("content", event, out),
            "response.refusal.delta" => self.text("refusal", event, out),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.text("reasoning_content", event, out)
            }
            "response.reasoning_summary_part.added" => self.paragraph(out),
            "response.function_call_arguments.delta" => self.arguments(event, out),
            "response.output_item.added" => self.begin(event, out),
            "response.output_item.done" => self.close(event, out),
            "response.created" => self.start(event.response),
            "response.completed" | "response.incomplete" => self.finish(event.response, out),
            "response.failed" => {
                let response: Response = read(event.response)?;
                let error = response.error.map(|error| error.written());
                fail(&error.ok_or(Unreadable("a failure without an error"))?, out);
                Ok(())
            }
            "error" => {
                let failure: Failure = serde_json::from_slice(data)
                    .map_err(|_| Unreadable("an error that is none"))?;
                fail(&failure.written(), out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, response: Option<&RawValue>) -> Result<(), Unreadable> {
        if self.chunks.is_some() {
            return Err(Unreadable("a second response"));
        }
        let response: Response = read(response)?;
        let model = self.names.model(response.model.as_deref());
        let chunks = self.chunks.insert(Chunks::new(&self.names, model));
        let role = Message {
            role: Some("assistant"),
            content: Some(String::new()),
            ..Message::default()
        };
        chunks.delta(&role, self.opening.begin());
        Ok(())
    }

    /// More of a text.
    fn text(
        &mut self,
        member: &str,
        event: &Event<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        let text = event.delta.filter(|text| is_text(text));
        let text = text.ok_or(Unreadable("a text that is none"))?;
        if text.get() != "\"\"" {
            chunks.text(member, text, out);
        }
        if member == "reasoning_content" {
            self.has_thought = true;
        }
        match &event.logprobs {
            Some(logprobs) if !logprobs.is_empty() => {
                // What came in several lines leaves in one.
                let one = |it: &&RawValue| RawValue::from_string(compact(it.get()).into());
                let content = logprobs.iter().map(one).collect::<Result<_, _>>();
                let told = Logprobs {
                    content: content.map_err(|_| Unreadable("weights that are none"))?,
                    refusal: None,
                };
                chunks.logprobs_of(0, &told, out);
            }
            _ => {}
        }
        Ok(())
    }

    /// A paragraph of what is thought begins.
    fn paragraph(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        if self.has_thought {
            chunks.raw_of(0, "reasoning_content", out, |out| {
                out.extend_from_slice(b"\\n\\n");
            });
        }
        Ok(())
    }

    /// An item begins, of which only calls say anything yet.
    fn begin(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        let item: Item = read(event.item)?;
        if item.kind != "function_call" {
            return Ok(());
        }
        let (Some(id), Some(name), Some(output_index)) =
            (item.call_id, item.name, event.output_index)
        else {
            return Err(Unreadable("a call without id, name or index"));
        };
        if self.open.len() >= OPEN_MAX {
            return Err(Unreadable("more calls at once than anybody makes"));
        }
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        self.open.push(Open {
            output_index,
            index,
            has_pieces: false,
        });
        chunks.call(index, (&id, &name), out);
        Ok(())
    }

    /// More of what something is called with.
    fn arguments(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        let mut open = self.open.iter_mut();
        let call = open.find(|call| Some(call.output_index) == event.output_index);
        let call = call.ok_or(Unreadable("arguments of no call"))?;
        let arguments: Cow<'_, str> = read(event.delta)?;
        if !arguments.is_empty() {
            call.has_pieces = true;
            chunks.arguments(call.index, &arguments, out);
        }
        Ok(())
    }

    /// An item ends.
    fn close(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        let mut open = self.open.iter();
        let Some(place) = open.position(|call| Some(call.output_index) == event.output_index)
        else {
            return Ok(());
        };
        let call = self.open.swap_remove(place);
        if !call.has_pieces {
            let item: Item = read(event.item)?;
            chunks.arguments(
                call.index,
                item.arguments.as_deref().unwrap_or_default(),
                out,
            );
        }
        Ok(())
    }

    fn finish(&mut self, response: Option<&RawValue>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let chunks = begun(self.chunks.as_ref())?;
        let response: Response = read(response)?;
        let reason = finish_reason(response.incomplete_details.as_ref(), self.calls > 0);
        chunks.finish(reason, out);
        chunks.usage(response.usage.unwrap_or_default().tokens(), out);
        out.extend_from_slice(DONE);
        Ok(())
    }
}

fn fail(error: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(error.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// What is written with, once the answer has begun.
fn begun(chunks: Option<&Chunks>) -> Result<&Chunks, Unreadable> {
    chunks.ok_or(Unreadable("an event before the response began"))
}

fn read<'a, T: Deserialize<'a>>(part: Option<&'a RawValue>) -> Result<T, Unreadable> {
    let part = part.map_or("null", RawValue::get);
    serde_json::from_str(part).map_err(|_| Unreadable("an event that is not like its kind"))
}
