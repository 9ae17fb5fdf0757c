//! How do messages become turns?
//!
//! What system and developer say is joined, in order, and stands beside the turns. Messages of
//! the same side that follow one another are one turn; but what came of calls, all of one turn's
//! together, is a turn without words, since the upstream counts it against the calls. Which
//! function a result is of, the call tells that has its id.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::parts::{FunctionCall, FunctionResponse, Part, Response, parts, said, texts};
use crate::config::dialect::Thinking;
use crate::gateway::dialect::members::{Members, is_empty, is_null, is_text, list, text};
use crate::gateway::dialect::{Inexpressible, Terms};

/// What stands for a signature that is not there. Models that want one refuse calls without,
/// and the calls of a caller who does not keep signatures, or had another model's answers,
/// have none.
///
/// Source: the Gemini API's page on thought signatures.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// A conversation in Gemini's form.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    /// Texts.
    pub system: Vec<Part<'a>>,
    /// Who says what.
    pub turns: Vec<Turn<'a>>,
}

/// What one side says at once.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    role: Side,
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    User,
    Model,
}

/// Calls that were made: what was called, by id, the last where two have one. A table, because
/// a body may have very many of them, and as many results.
type Made<'a> = HashMap<Cow<'a, str>, Cow<'a, str>>;

impl<'a> Conversation<'a> {
    /// The caller's `messages`.
    pub(super) fn of(
        messages: &'a RawValue,
        terms: Terms,
        drops: bool,
    ) -> Result<Self, Inexpressible> {
        let messages = list(messages)
            .ok_or_else(|| Inexpressible::malformed("messages", "must be a list of messages"))?;
        let mut conversation = Self::default();
        let mut made = Made::new();
        for (place, message) in messages.into_iter().enumerate() {
            let path = format!("messages[{place}]");
            let members = Members::of(message)
                .ok_or_else(|| Inexpressible::malformed(&*path, "must be an object"))?;
            let message = Message {
                members,
                path,
                drops,
            };
            match message.members.text("role").as_deref() {
                Some("system" | "developer") => {
                    message.only(&[])?;
                    let texts = texts(message.content()?, &message.at("content"), drops)?;
                    conversation.system.extend(texts.into_iter().map(said));
                }
                Some("user") => {
                    message.only(&[])?;
                    let parts = parts(message.content()?, &message.at("content"), drops)?;
                    conversation.push(Side::User, parts);
                }
                Some("assistant") => {
                    let parts = message.assistant(terms, &mut made)?;
                    conversation.push(Side::Model, parts);
                }
                Some("tool") => {
                    conversation.push(Side::User, vec![message.result(&made)?]);
                }
                _ => {
                    let must = "must be system, developer, user, assistant or tool";
                    return Err(Inexpressible::value(message.at("role"), must));
                }
            }
        }
        Ok(conversation)
    }

    fn push(&mut self, role: Side, mut parts: Vec<Part<'a>>) {
        let is_result = |parts: &[Part<'_>]| {
            let first = parts.first();
            first.is_some_and(|part| part.function_response.is_some())
        };
        match self.turns.last_mut() {
            Some(last) if last.role == role && is_result(&last.parts) == is_result(&parts) => {
                last.parts.append(&mut parts);
            }
            _ if parts.is_empty() => {}
            _ => self.turns.push(Turn { role, parts }),
        }
    }
}

/// One of the caller's messages.
struct Message<'a> {
    members: Members<'a>,
    path: String,
    drops: bool,
}

impl<'a> Message<'a> {
    fn at(&self, member: &str) -> String {
        format!("{}.{member}", self.path)
    }

    fn content(&self) -> Result<&'a RawValue, Inexpressible> {
        let content = self.members.member("content");
        content.ok_or_else(|| Inexpressible::malformed(self.at("content"), "must be there"))
    }

    /// Refuses members that say something and are none of these.
    fn only(&self, known: &[&str]) -> Result<(), Inexpressible> {
        for (name, value) in &self.members.0 {
            let is_known = matches!(&**name, "role" | "content") || known.contains(&&**name);
            // What a message says is never left out.
            let is_said = matches!(&**name, "audio" | "function_call");
            if !is_known && !is_empty(value) && (is_said || !self.drops) {
                return Err(Inexpressible::unknown(self.at(name)));
            }
        }
        Ok(())
    }

    /// What the model said, thought and called.
    fn assistant(&self, terms: Terms, made: &mut Made<'a>) -> Result<Vec<Part<'a>>, Inexpressible> {
        self.only(&[
            "refusal",
            "reasoning_content",
            "tool_calls",
            "extra_content",
        ])?;
        let mut found = Vec::new();
        let thought = self.members.member("reasoning_content");
        if let Some(thought) = thought.filter(|it| is_text(it) && !is_empty(it)) {
            found.push(Part {
                thought: Some(true),
                ..said(thought)
            });
        }
        let calls = self.members.member("tool_calls").filter(|it| !is_empty(it));
        let content = self.members.member("content");
        // Beside calls there is often a text without anything in it.
        let content = content.filter(|it| calls.is_none() || !is_empty(it));
        if let Some(content) = content {
            found.append(&mut parts(content, &self.at("content"), self.drops)?);
        }
        let refusal = self.members.member("refusal");
        found.extend(refusal.filter(|it| is_text(it)).map(said));
        if let Some(signature) = signature(&self.members) {
            let last = found.iter_mut().rev().find(|part| part.thought.is_none());
            match last {
                Some(last) => last.thought_signature = Some(Box::new(signature)),
                // It came with an empty text.
                None => found.push(Part {
                    text: serde_json::from_str("\"\"").ok(),
                    thought_signature: Some(Box::new(signature)),
                    ..Part::default()
                }),
            }
        }
        if let Some(calls) = calls {
            found.append(&mut self.calls(calls, terms, made)?);
        }
        Ok(found)
    }

    fn calls(
        &self,
        calls: &'a RawValue,
        terms: Terms,
        made: &mut Made<'a>,
    ) -> Result<Vec<Part<'a>>, Inexpressible> {
        let at = self.at("tool_calls");
        let calls = list(calls).ok_or_else(|| Inexpressible::malformed(&*at, "must be a list"))?;
        let mut found = Vec::with_capacity(calls.len());
        for (place, call) in calls.into_iter().enumerate() {
            found.push(called(call, &format!("{at}[{place}]"), made)?);
        }
        let has_signature = found.iter().any(|part| part.thought_signature.is_some());
        if let Some(first) = found.first_mut()
            && terms.thinking == Thinking::Adaptive
            && !has_signature
        {
            first.thought_signature = Some(Box::new(NO_SIGNATURE.into()));
        }
        Ok(found)
    }

    /// What came of a call.
    fn result(&self, made: &Made<'a>) -> Result<Part<'a>, Inexpressible> {
        self.only(&["tool_call_id"])?;
        let at = self.at("tool_call_id");
        let id = self.members.text("tool_call_id");
        let id = id.ok_or_else(|| Inexpressible::malformed(&*at, "must be a text"))?;
        let name = made.get(&id).ok_or_else(|| {
            Inexpressible::malformed(at, "must be the id of a call that was made before")
        })?;
        let texts = texts(self.content()?, &self.at("content"), self.drops)?;
        let response = match *texts {
            [output] => itself(output).unwrap_or(Response::Text { output }),
            _ => Response::Texts { output: texts },
        };
        Ok(Part {
            function_response: Some(Box::new(FunctionResponse {
                name: name.clone(),
                id,
                response,
            })),
            ..Part::default()
        })
    }
}

/// A result that is an object in a text.
fn itself<'a>(output: &RawValue) -> Option<Response<'a>> {
    let object = text(output)?;
    let object = object.trim_ascii();
    if !object.starts_with('{') {
        return None;
    }
    let object = RawValue::from_string(object.to_owned()).ok()?;
    Some(Response::Itself(object))
}

fn called<'a>(
    call: &'a RawValue,
    path: &str,
    made: &mut Made<'a>,
) -> Result<Part<'a>, Inexpressible> {
    let malformed = |member: &str, must| Inexpressible::malformed(format!("{path}{member}"), must);
    let members = Members::of(call).ok_or_else(|| malformed("", "must be an object"))?;
    let kind = members.text("type");
    if kind.is_some_and(|kind| kind != "function") {
        let at = format!("{path}.type");
        return Err(Inexpressible::value(at, "must be function"));
    }
    let id = members.text("id");
    let id = id.ok_or_else(|| malformed(".id", "must be a text"))?;
    let function = members.member("function").and_then(Members::of);
    let function = function.ok_or_else(|| malformed(".function", "must be an object"))?;
    let name = function.text("name");
    let name = name.ok_or_else(|| malformed(".function.name", "must be a text"))?;
    let arguments = function.text("arguments").unwrap_or_default();
    let arguments = match arguments.trim_ascii() {
        "" => "{}",
        arguments => arguments,
    };
    let args = RawValue::from_string(arguments.to_owned()).ok();
    let args = args
        .filter(|args| args.get().starts_with('{'))
        .ok_or_else(|| malformed(".function.arguments", "must be an object as a text"))?;
    made.insert(id.clone(), name.clone());
    Ok(Part {
        function_call: Some(Box::new(FunctionCall { id, name, args })),
        thought_signature: signature(&members).map(Box::new),
        ..Part::default()
    })
}

/// `extra_content.google.thought_signature`
fn signature<'a>(members: &Members<'a>) -> Option<Cow<'a, str>> {
    let extra = members.member("extra_content").filter(|it| !is_null(it))?;
    let google = Members::of(extra)?.member("google")?;
    Members::of(google)?.text("thought_signature")
}
