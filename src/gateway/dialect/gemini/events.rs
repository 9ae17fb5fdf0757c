//! How does a stream read?
//!
//! Each event adds to what its candidates said, and each part leaves as a chunk at once. Why a
//! candidate ended may stand in events that are followed by more of it, and nothing says that
//! the stream is over but the end of the connection: so that is when the reasons are told,
//! with the counts. A stream that ends before each of its candidates had one has broken.

use serde::Serialize;

use super::answer::{Signed, call_id, parts};
use super::said::{Candidate, Counts, Extra, Line, Member, Part, Piece, Said};
use super::{failure, finish_reason};
use crate::gateway::dialect::calls::{Call, Calls};
use crate::gateway::dialect::written::{Chunks, DONE, Message, compact};
use crate::gateway::dialect::{Names, Picture, Unreadable};

/// More candidates than anybody may ask for.
const CANDIDATES_MAX: usize = 8;

/// What a stream said so far.
#[derive(Debug)]
pub(in crate::gateway::dialect) struct Events {
    names: Names,
    /// `Some` from the first candidate on.
    chunks: Option<Chunks>,
    choices: Vec<Choice>,
    counts: Counts,
    /// How many calls were made.
    calls: u32,
    /// It told of an error, and nothing more is said.
    has_failed: bool,
    /// What belongs into what was said last.
    pictures: Vec<Picture>,
}

/// One of the answers.
#[derive(Debug, Default)]
struct Choice {
    index: u32,
    content: Line,
    reasoning: Line,
    /// How many calls it made.
    calls: u32,
    /// Why it ended, as told last.
    finish: Option<Box<str>>,
}

/// A delta of a signature alone.
#[derive(Serialize)]
struct Extras<'a> {
    extra_content: Extra<'a>,
}

impl Events {
    /// Nothing was said yet.
    pub(in crate::gateway::dialect) fn new(names: Names) -> Self {
        Self {
            names,
            chunks: None,
            choices: Vec::new(),
            counts: Counts::default(),
            calls: 0,
            has_failed: false,
            pictures: Vec::new(),
        }
    }

    /// Takes an event's data and appends the chunks that it means.
    pub(in crate::gateway::dialect) fn event(
        &mut self,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        if self.has_failed {
            return Ok(());
        }
        let said: Said =
            serde_json::from_slice(data).map_err(|_| Unreadable("an event that is none"))?;
        if let Some(error) = said.error {
            self.fail(&failure::written(error.get()), out);
            return Ok(());
        }
        if let Some(counts) = said.usage_metadata {
            self.counts = self.counts.larger(counts);
        }
        let blocked = said.prompt_feedback.as_ref();
        if let Some(reason) = blocked.and_then(|it| it.block_reason.as_deref())
            && said.candidates.is_empty()
            && self.choices.is_empty()
        {
            self.fail(&failure::blocked(reason), out);
            return Ok(());
        }
        if !said.candidates.is_empty() && self.chunks.is_none() {
            let model = self.names.model(said.model_version.as_deref());
            self.chunks = Some(Chunks::new(&self.names, model));
        }
        for candidate in &said.candidates {
            self.candidate(candidate, out)?;
        }
        Ok(())
    }

    /// The connection has ended in order.
    pub(in crate::gateway::dialect) fn end(&mut self, out: &mut Vec<u8>) {
        let Some(chunks) = self.chunks.as_ref().filter(|_| !self.has_failed) else {
            return;
        };
        if self.choices.iter().any(|choice| choice.finish.is_none()) {
            return;
        }
        for choice in &self.choices {
            let reason = choice.finish.as_deref().unwrap_or_default();
            chunks.finish_of(choice.index, &finish_reason(reason, choice.calls > 0), out);
        }
        chunks.usage(self.counts.tokens(), out);
        out.extend_from_slice(DONE);
    }

    /// The pictures in what was appended since this was asked last.
    pub(in crate::gateway::dialect) fn pictures(&mut self) -> Vec<Picture> {
        std::mem::take(&mut self.pictures)
    }

    fn fail(&mut self, error: &str, out: &mut Vec<u8>) {
        self.has_failed = true;
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(error.as_bytes());
        out.extend_from_slice(b"\n\n");
    }

    fn candidate(
        &mut self,
        candidate: &Candidate<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let place = self.place(candidate.index, out)?;
        let (Some(chunks), Some(choice)) = (&self.chunks, self.choices.get_mut(place)) else {
            return Ok(());
        };
        for part in parts(candidate) {
            let call = choice.part(part, chunks, out, &mut self.pictures)?;
            let Some(call) = call else { continue };
            let made = call_id(&self.names, self.calls);
            self.calls = self.calls.saturating_add(1);
            let arguments = call.args.map_or("{}".into(), |args| compact(args.get()));
            let signed = Signed {
                call: Call::whole(
                    Some(choice.calls),
                    call.id.as_deref().unwrap_or(&made),
                    &call.name,
                    &arguments,
                ),
                extra_content: part.extra(),
            };
            choice.calls = choice.calls.saturating_add(1);
            let tool_calls = [signed];
            chunks.delta_of(choice.index, &Calls { tool_calls }, out);
        }
        if let Some(logprobs) = &candidate.logprobs_result {
            chunks.logprobs_of(choice.index, &logprobs.told(), out);
        }
        if let Some(reason) = candidate.finish_reason.as_deref() {
            choice.finish = Some(reason.into());
        }
        Ok(())
    }

    /// The place of a choice, which begins where it was not there.
    fn place(&mut self, index: u32, out: &mut Vec<u8>) -> Result<usize, Unreadable> {
        let mut choices = self.choices.iter();
        if let Some(place) = choices.position(|choice| choice.index == index) {
            return Ok(place);
        }
        let place = self.choices.len();
        if place >= CANDIDATES_MAX {
            return Err(Unreadable("more candidates than anybody asks for"));
        }
        self.choices.push(Choice {
            index,
            ..Choice::default()
        });
        if let Some(chunks) = &self.chunks {
            let role = Message {
                role: Some("assistant"),
                content: Some(String::new()),
                ..Message::default()
            };
            chunks.delta_of(index, &role, out);
        }
        Ok(place)
    }
}

impl Choice {
    /// Tells of a part, but for a call, which is given back.
    fn part<'p, 'a>(
        &mut self,
        part: &'p Part<'a>,
        chunks: &Chunks,
        out: &mut Vec<u8>,
        pictures: &mut Vec<Picture>,
    ) -> Result<Option<&'p super::said::FunctionCall<'a>>, Unreadable> {
        match part.piece()? {
            Piece::Text(member, text) => {
                let index = self.index;
                let line = self.line(member);
                chunks.raw_of(index, member.name(), out, |out| line.words(text, out));
            }
            Piece::Picture(member, base64) => {
                let index = self.index;
                let line = self.line(member);
                let at = chunks.raw_of(index, member.name(), out, |out| line.picture(out));
                pictures.push(Picture {
                    at,
                    base64: base64.to_owned(),
                });
            }
            Piece::Call(call) => return Ok(Some(call)),
            Piece::Nothing => {}
        }
        if let Some(extra_content) = part.extra() {
            chunks.delta_of(self.index, &Extras { extra_content }, out);
        }
        Ok(None)
    }

    fn line(&mut self, member: Member) -> &mut Line {
        match member {
            Member::Content => &mut self.content,
            Member::Reasoning => &mut self.reasoning,
        }
    }
}
