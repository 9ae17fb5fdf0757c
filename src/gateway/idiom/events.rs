//! How does a stream read in Anthropic's words?
//!
//! Shape: `message_start`; for each block `content_block_start`, pieces, `content_block_stop`;
//! `message_delta` with the reason of the end and the counts; `message_stop`. A chat's chunks
//! say which part they add to, so a block begins with the first chunk that adds to another one
//! than before, and what is known at the end alone is told when the end is said. Blocks come one
//! after the other: a call that is gone on with when another has begun is not understood. What
//! comes with another id and a name is another call, whatever its number.
//!
//! Where the upstream speaks the caller's own protocol, its events come along and go out as they
//! came; what they mean is not said a second time.

/// What of a chunk is read?
mod chunk;

use serde::Serialize;
use serde_json::value::RawValue;

use self::chunk::{Call, Chunk, Delta};
use super::envelope;
use super::own;
use super::parts::{self, Piece as Said};
use super::written::{self, Counts, Message};
use crate::gateway::dialect::Unreadable;
use crate::gateway::dialect::members::is_text;
use crate::gateway::record::id::RequestId;

/// What says that somebody is still there.
pub(super) const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// What a stream said so far.
#[derive(Debug)]
pub(super) struct Events {
    id: RequestId,
    has_begun: bool,
    /// What is gone on with, and the number of its block.
    open: Option<(Part, u32)>,
    /// How many blocks were begun.
    blocks: u32,
    /// How many calls were begun.
    calls: u32,
    /// The one that was begun last.
    last_call: Option<LastCall>,
    finish: Option<Finish>,
    counts: Counts,
    own: Own,
    /// The last was said.
    is_over: bool,
}

/// How much of the upstream's own words went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// It has none.
    Unsaid,
    /// They go out.
    Begun,
    /// The last of them did.
    Whole,
}

/// What a block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Thought,
    Text,
    /// A call, by its place among the calls.
    Call(u32),
}

/// How the upstream tells a call's pieces from others'.
#[derive(Debug)]
struct LastCall {
    /// Its place among the calls, as it is told.
    number: u32,
    /// Empty where none is told.
    id: Box<str>,
}

#[derive(Debug)]
struct Finish {
    reason: Box<str>,
    stopped_at: Option<Box<str>>,
}

/// An event of a block, with the members of every kind.
#[derive(Serialize)]
struct Event<T: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told<'a> {
    ContentBlock(Begun<'a>),
    Delta(Piece<'a>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Begun<'a> {
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    Text {
        text: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Nothing,
    },
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "these are Anthropic's names")]
enum Piece<'a> {
    ThinkingDelta { thinking: &'a RawValue },
    TextDelta { text: &'a RawValue },
    InputJsonDelta { partial_json: &'a str },
}

impl Events {
    /// Nothing was said yet.
    pub(super) fn new(id: RequestId) -> Self {
        Self {
            id,
            has_begun: false,
            open: None,
            blocks: 0,
            calls: 0,
            last_call: None,
            finish: None,
            counts: Counts::default(),
            own: Own::Unsaid,
            is_over: false,
        }
    }

    /// Takes a chunk's data and appends the events that it means.
    pub(super) fn chunk(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.is_over {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.end(out);
            return Ok(());
        }
        let chunk: Chunk =
            serde_json::from_slice(data).map_err(|_| Unreadable("an event that is no chunk"))?;
        // vLLM writes `"object":"error"` beside the error's own members.
        if chunk.error.is_some() || chunk.object.as_deref() == Some("error") {
            self.is_over = true;
            envelope::passed_on(data, &self.id, out);
            return Ok(());
        }
        if let Some(usage) = &chunk.usage {
            self.counts = self.counts.larger(usage.counts());
        }
        let mut choices = chunk.choices.into_iter().flatten();
        let choice = choices.find(|choice| choice.index == 0);
        let delta = choice.as_ref().and_then(|choice| choice.delta.as_ref());
        if let Some(items) = delta.and_then(|delta| delta.anthropic.as_deref()) {
            let is_whole = own::events(items, out)? || self.own == Own::Whole;
            self.own = if is_whole { Own::Whole } else { Own::Begun };
            return Ok(());
        }
        if self.own != Own::Unsaid {
            return Ok(());
        }
        // What is told of a question comes before there is an answer, and has no name: Azure's does.
        let Some(choice) = choice else {
            return Ok(());
        };
        self.begin(chunk.id.as_deref(), chunk.model.as_deref(), out);
        if let Some(delta) = &choice.delta {
            self.delta(delta, out)?;
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            let at = choice.stop_reason.filter(|at| is_text(at));
            self.finish = Some(Finish {
                reason: reason.into(),
                stopped_at: at.and_then(|at| serde_json::from_str(at.get()).ok()),
            });
        }
        Ok(())
    }

    /// Nothing comes any more, and all is well: says the last, if that was not said.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Ending<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            delta: Stop<'a>,
            usage: Counts,
        }
        #[derive(Serialize)]
        struct Stop<'a> {
            stop_reason: &'a str,
            stop_sequence: Option<&'a str>,
        }
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        match self.own {
            Own::Unsaid => {}
            Own::Begun => return stop(out),
            Own::Whole => return,
        }
        self.begin(None, None, out);
        self.close(out);
        let finish = self.finish.as_ref();
        let reason = finish.map_or("stop", |finish| &finish.reason);
        let stopped_at = finish.and_then(|finish| finish.stopped_at.as_deref());
        let stopped_at = stopped_at.filter(|_| reason == "stop");
        let ending = Ending {
            kind: "message_delta",
            delta: Stop {
                stop_reason: match stopped_at {
                    Some(_) => "stop_sequence",
                    None => written::stop_reason(reason, self.last_call.is_some()),
                },
                stop_sequence: stopped_at,
            },
            usage: self.counts,
        };
        written::event("message_delta", &ending, out);
        stop(out);
    }

    fn begin(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Start<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            message: Message<'a>,
        }
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let id = written::id(id, &self.id);
        let start = Start {
            kind: "message_start",
            message: Message {
                usage: self.counts,
                ..Message::new(&id, model.unwrap_or_default())
            },
        };
        written::event("message_start", &start, out);
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let thought = delta.reasoning_content.or(delta.reasoning);
        let said = parts::pieces(delta.content)?;
        let refused = delta.refusal.map(Said::Text);
        for said in thought
            .map(Said::Thought)
            .into_iter()
            .chain(said)
            .chain(refused)
        {
            let (Said::Thought(text) | Said::Text(text)) = said;
            if matches!(text.get(), "null" | "\"\"") {
                continue;
            }
            if !is_text(text) {
                return Err(Unreadable("a text that is none"));
            }
            let (part, begun, piece) = match said {
                Said::Thought(thinking) => (
                    Part::Thought,
                    Begun::Thinking {
                        thinking: "",
                        signature: "",
                    },
                    Piece::ThinkingDelta { thinking },
                ),
                Said::Text(text) => (
                    Part::Text,
                    Begun::Text { text: "" },
                    Piece::TextDelta { text },
                ),
            };
            let index = self.open(part, begun, out);
            told("content_block_delta", index, Told::Delta(piece), out);
        }
        for call in delta.tool_calls.iter().flatten() {
            self.call(call, out)?;
        }
        Ok(())
    }

    /// Takes a piece of a call.
    fn call(&mut self, call: &Call<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let function = call.function.as_ref();
        let partial_json = function.and_then(|function| function.arguments.as_deref());
        let partial_json = partial_json.unwrap_or_default();
        let name = function.and_then(|function| function.name.as_deref());
        let index = if self.is_new_call(call, name.unwrap_or_default()) {
            let name = name.ok_or(Unreadable("a call without a name"))?;
            let told = call.id.as_deref().unwrap_or_default();
            let (place, last) = (self.calls, self.last_call.as_ref());
            let number = call.index.or(last.map(|last| last.number));
            self.last_call = Some(LastCall {
                number: number.unwrap_or(place),
                id: told.into(),
            });
            self.calls = place.saturating_add(1);
            let made = told.is_empty().then(|| format!("call_{place}"));
            let begun = Begun::ToolUse {
                id: made.as_deref().unwrap_or(told),
                name,
                input: Nothing {},
            };
            self.open(Part::Call(place), begun, out)
        } else {
            let part = Part::Call(self.calls.saturating_sub(1));
            let last = self.last_call.as_ref().map(|last| last.number);
            let is_last = call.index.is_none() || call.index == last;
            match self.open {
                Some((open, index)) if open == part && is_last => index,
                _ if partial_json.is_empty() => return Ok(()),
                _ => return Err(Unreadable("a call that goes on behind another")),
            }
        };
        if !partial_json.is_empty() {
            let piece = Told::Delta(Piece::InputJsonDelta { partial_json });
            told("content_block_delta", index, piece, out);
        }
        Ok(())
    }

    /// Whether a piece begins a call. Some upstreams number all calls alike or not at all, and
    /// others tell another id with each piece, but those do not name again what is called.
    fn is_new_call(&self, call: &Call<'_>, name: &str) -> bool {
        let Some(last) = &self.last_call else {
            return true;
        };
        let id = call.id.as_deref().unwrap_or_default();
        let is_another = !name.is_empty() && !id.is_empty() && *id != *last.id;
        match call.index {
            Some(number) if number != last.number => number > last.number,
            Some(_) => is_another,
            None => is_another || (!name.is_empty() && id.is_empty()),
        }
    }

    /// The number of the block of this part, which begins if it is not open.
    fn open(&mut self, part: Part, begun: Begun<'_>, out: &mut Vec<u8>) -> u32 {
        if let Some((open, index)) = self.open
            && open == part
        {
            return index;
        }
        self.close(out);
        let index = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        self.open = Some((part, index));
        told("content_block_start", index, Told::ContentBlock(begun), out);
        index
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((_, index)) = self.open.take() {
            let kind = "content_block_stop";
            let what = Nothing {};
            written::event(kind, &Event { kind, index, what }, out);
        }
    }
}

/// Says that the message is whole.
pub(super) fn stop(out: &mut Vec<u8>) {
    written::verbatim("message_stop", "{\"type\":\"message_stop\"}", out);
}

fn told(kind: &'static str, index: u32, what: Told<'_>, out: &mut Vec<u8>) {
    written::event(kind, &Event { kind, index, what }, out);
}
