//! How does a whole answer read?
//!
//! The parts of each candidate are laid end to end by what they are: text and pictures,
//! thoughts, calls.

use serde::Serialize;

use super::said::{Candidate, Extra, Line, Member, Part, Piece, Said};
use super::{failure, finish_reason};
use crate::gateway::dialect::calls::Call;
use crate::gateway::dialect::written::{Completion, compact};
use crate::gateway::dialect::{Answered, Names, Picture, Unreadable};

/// A call with what the model wants to see again with it.
#[derive(Serialize)]
pub(super) struct Signed<'a> {
    #[serde(flatten)]
    pub call: Call<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<Extra<'a>>,
}

/// The answer as a `chat.completion`.
pub(in crate::gateway::dialect) fn completion(
    body: &[u8],
    names: &Names,
) -> Result<Answered, Unreadable> {
    let said: Said = serde_json::from_slice(body).map_err(|_| Unreadable("no answer"))?;
    if let Some(error) = said.error {
        return Ok(failure::written(error.get()).into());
    }
    let blocked = said.prompt_feedback.and_then(|it| it.block_reason);
    if let (Some(reason), []) = (&blocked, &*said.candidates) {
        return Ok(failure::blocked(reason).into());
    }
    if said.candidates.is_empty() {
        return Err(Unreadable("an answer without a candidate"));
    }
    let model = names.model(said.model_version.as_deref());
    let mut completion = Completion::new(names, model);
    let mut pictures = Vec::new();
    let mut calls = 0;
    for candidate in &said.candidates {
        let told = candidate.logprobs_result.as_ref().map(|it| it.told());
        let mut message = Message::default();
        for part in parts(candidate) {
            message.add(part, names, &mut calls)?;
        }
        let reason = candidate.finish_reason.as_deref();
        let reason = reason.map(|reason| finish_reason(reason, message.has_calls));
        completion.choice(candidate.index, told, reason.as_deref(), |out| {
            message.write(out, &mut pictures);
        });
    }
    let tokens = said.usage_metadata.unwrap_or_default().tokens();
    Ok(Answered {
        bytes: completion.end(tokens).into(),
        pictures,
    })
}

/// The parts of a candidate.
pub(super) fn parts<'c, 'a>(candidate: &'c Candidate<'a>) -> &'c [Part<'a>] {
    candidate.content.as_ref().map_or(&[], |it| &it.parts)
}

/// What a call is known by where the model gives it no id: the same for the same answer.
pub(super) fn call_id(names: &Names, place: u32) -> String {
    let id = names.id.strip_prefix("chatcmpl-").unwrap_or(&names.id);
    format!("call_{id}_{place}")
}

/// A message as it grows; texts as they stand in JSON.
#[derive(Default)]
struct Message {
    content: Text,
    reasoning: Text,
    calls: Vec<u8>,
    extra: Vec<u8>,
    has_calls: bool,
}

#[derive(Default)]
struct Text {
    line: Line,
    json: Vec<u8>,
    /// Where addresses belong, and of what.
    pictures: Vec<(usize, String)>,
}

impl Message {
    fn add(&mut self, part: &Part<'_>, names: &Names, calls: &mut u32) -> Result<(), Unreadable> {
        let extra_content = part.extra();
        match part.piece()? {
            Piece::Text(member, text) => {
                let Text { line, json, .. } = self.text(member);
                line.words(text, json);
            }
            Piece::Picture(member, base64) => {
                let Text {
                    line,
                    json,
                    pictures,
                } = self.text(member);
                pictures.push((line.picture(json), base64.to_owned()));
            }
            Piece::Call(call) => {
                let made = call_id(names, *calls);
                *calls = calls.saturating_add(1);
                let arguments = call.args.map_or("{}".into(), |args| compact(args.get()));
                let signed = Signed {
                    call: Call::whole(
                        None,
                        call.id.as_deref().unwrap_or(&made),
                        &call.name,
                        &arguments,
                    ),
                    extra_content,
                };
                if self.has_calls {
                    self.calls.push(b',');
                }
                self.has_calls = true;
                return write(&signed, &mut self.calls);
            }
            Piece::Nothing => {}
        }
        // Where several parts have one, the last is of all that was said.
        if let Some(extra) = extra_content {
            self.extra.clear();
            write(&extra, &mut self.extra)?;
        }
        Ok(())
    }

    fn text(&mut self, member: Member) -> &mut Text {
        match member {
            Member::Content => &mut self.content,
            Member::Reasoning => &mut self.reasoning,
        }
    }

    fn write(self, out: &mut Vec<u8>, pictures: &mut Vec<Picture>) {
        out.extend_from_slice(b"{\"role\":\"assistant\",\"content\":");
        if self.content.json.is_empty() && self.has_calls {
            out.extend_from_slice(b"null");
        } else {
            self.content.write(out, pictures);
        }
        if !self.reasoning.json.is_empty() {
            out.extend_from_slice(b",\"reasoning_content\":");
            self.reasoning.write(out, pictures);
        }
        if self.has_calls {
            out.extend_from_slice(b",\"tool_calls\":[");
            out.extend_from_slice(&self.calls);
            out.push(b']');
        }
        if !self.extra.is_empty() {
            out.extend_from_slice(b",\"extra_content\":");
            out.extend_from_slice(&self.extra);
        }
        out.push(b'}');
    }
}

impl Text {
    fn write(self, out: &mut Vec<u8>, pictures: &mut Vec<Picture>) {
        out.push(b'"');
        let begin = out.len();
        out.extend_from_slice(&self.json);
        out.push(b'"');
        let placed = self.pictures.into_iter().map(|(at, base64)| Picture {
            at: begin + at,
            base64,
        });
        pictures.extend(placed);
    }
}

fn write(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    serde_json::to_writer(out, value).map_err(|_| Unreadable("a call that is none"))
}
