//! How do messages become turns?
//!
//! What system and developer say is joined, in order, and stands beside the turns. Messages of
//! the same side that follow one another are one turn. What came of a call stands in the user's
//! turn, and the results of parallel calls in one.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::parts::{Block, blocks};
use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_empty, is_null, is_text, list, text};

/// A conversation in Anthropic's form.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    /// Blocks of text.
    pub system: Vec<Block<'a>>,
    /// Sides alternate.
    pub turns: Vec<Turn<'a>>,
}

/// What one side says at once.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    /// Who says it.
    pub role: Side,
    /// Not empty.
    pub content: Vec<Block<'a>>,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    User,
    Assistant,
}

impl<'a> Conversation<'a> {
    /// The caller's `messages`.
    pub(super) fn of(messages: &'a RawValue, drops: bool) -> Result<Self, Inexpressible> {
        let messages = list(messages)
            .ok_or_else(|| Inexpressible::malformed("messages", "must be a list of messages"))?;
        let mut conversation = Self::default();
        for (place, message) in messages.into_iter().enumerate() {
            let path = format!("messages[{place}]");
            let message = Members::of(message)
                .ok_or_else(|| Inexpressible::malformed(&*path, "must be an object"))?;
            conversation.add(&message, &path, drops)?;
        }
        if conversation.turns.is_empty() {
            return Err(Inexpressible::value(
                "messages",
                "must have a message of the user's",
            ));
        }
        Ok(conversation)
    }

    /// Whether what came of calls is what is said last.
    pub(super) fn ends_with_results(&self) -> bool {
        let last = self.turns.last();
        last.is_some_and(|turn| {
            let mut blocks = turn.content.iter();
            blocks.any(|block| matches!(block, Block::ToolResult { .. }))
        })
    }

    fn add(&mut self, message: &Members<'a>, path: &str, drops: bool) -> Result<(), Inexpressible> {
        let role = message.text("role");
        let role = role.as_deref().unwrap_or_default();
        for (name, value) in &message.0 {
            if !is_known(role, name, value) && !drops {
                return Err(Inexpressible::unknown(format!("{path}.{name}")));
            }
        }
        let at = format!("{path}.content");
        let content = match message.member("content") {
            Some(content) => blocks(content, &at, drops)?,
            None => Vec::new(),
        };
        match role {
            "system" | "developer" => {
                if !content.iter().all(|it| matches!(it, Block::Text { .. })) {
                    return Err(Inexpressible::value(at, "must be text"));
                }
                self.system.extend(content);
            }
            "user" if content.is_empty() => {
                return Err(Inexpressible::value(at, "must not be empty"));
            }
            "user" => self.say(Side::User, content),
            "assistant" => self.say(Side::Assistant, assistants(message, content, path)?),
            "tool" => self.say(Side::User, vec![result(message, content, path)?]),
            _ => {
                return Err(Inexpressible::value(
                    format!("{path}.role"),
                    "must be system, developer, user, assistant or tool",
                ));
            }
        }
        Ok(())
    }

    fn say(&mut self, role: Side, content: Vec<Block<'a>>) {
        match self.turns.last_mut() {
            // An assistant that said nothing and called nothing has no turn.
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => self.turns.push(Turn { role, content }),
        }
    }
}

/// Whether a member of a message is understood, or says nothing.
fn is_known(role: &str, name: &str, value: &RawValue) -> bool {
    match name {
        "role" | "content" => true,
        // A caller who sends our answer back sends its thoughts back, too, and perhaps another
        // vendor's seal; without its own this one could not use them.
        "tool_calls" | "refusal" | "reasoning_content" | "extra_content" => {
            role == "assistant" || is_empty(value)
        }
        "tool_call_id" | "cache_control" => role == "tool" || is_null(value),
        _ => is_empty(value),
    }
}

/// What an assistant said, and what it called.
fn assistants<'a>(
    message: &Members<'a>,
    mut content: Vec<Block<'a>>,
    path: &str,
) -> Result<Vec<Block<'a>>, Inexpressible> {
    if let Some(refusal) = message
        .member("refusal")
        .filter(|refusal| !is_empty(refusal))
    {
        if !is_text(refusal) {
            let at = format!("{path}.refusal");
            return Err(Inexpressible::malformed(at, "must be a text"));
        }
        content.push(Block::Text {
            text: refusal,
            cache_control: None,
        });
    }
    let Some(calls) = message.member("tool_calls") else {
        return Ok(content);
    };
    let path = format!("{path}.tool_calls");
    let calls = list(calls).ok_or_else(|| Inexpressible::malformed(&*path, "must be a list"))?;
    for (place, call) in calls.into_iter().enumerate() {
        content.push(self::call(call, &format!("{path}[{place}]"))?);
    }
    Ok(content)
}

fn call<'a>(call: &'a RawValue, path: &str) -> Result<Block<'a>, Inexpressible> {
    let call = Members::at(call, path)?;
    let string = |members: &Members<'a>, name: &str, at: &str| {
        let member = members.member(name).filter(|value| is_text(value));
        member.ok_or_else(|| Inexpressible::malformed(format!("{at}.{name}"), "must be a text"))
    };
    let at = format!("{path}.function");
    let function = call
        .member("function")
        .ok_or_else(|| Inexpressible::value(&*at, "must be there: only functions can be called"))?;
    let function = Members::at(function, &at)?;
    let arguments = text(string(&function, "arguments", &at)?).unwrap_or_default();
    Ok(Block::ToolUse {
        id: id(string(&call, "id", path)?),
        name: string(&function, "name", &at)?,
        input: input(&arguments).ok_or_else(|| {
            Inexpressible::malformed(format!("{at}.arguments"), "must be a JSON object as a text")
        })?,
    })
}

/// How a call is known here: of letters, digits, `_` and `-` alone. Another vendor's id is put into
/// these, each into one of its own; nobody who reads the answer meets it again.
fn id(told: &RawValue) -> Cow<'_, RawValue> {
    // However it is written: a call and its result may do so in two ways.
    let said = text(told).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !said.is_empty() && said.bytes().all(is_plain) {
        return Cow::Borrowed(told);
    }
    let put = format!("\"id_{}\"", URL_SAFE_NO_PAD.encode(&*said));
    RawValue::from_string(put).map_or(Cow::Borrowed(told), Cow::Owned)
}

/// What a function was called with; without a word it is an empty object.
fn input(arguments: &str) -> Option<Box<RawValue>> {
    let arguments = match arguments.trim_ascii() {
        "" => "{}",
        arguments => arguments,
    };
    let is_object = arguments.starts_with('{');
    serde_json::from_str(arguments).ok().filter(|_| is_object)
}

fn result<'a>(
    message: &Members<'a>,
    content: Vec<Block<'a>>,
    path: &str,
) -> Result<Block<'a>, Inexpressible> {
    let called = message.member("tool_call_id").filter(|id| is_text(id));
    Ok(Block::ToolResult {
        tool_use_id: id(called.ok_or_else(|| {
            Inexpressible::malformed(format!("{path}.tool_call_id"), "must be a text")
        })?),
        content,
        cache_control: message.member("cache_control"),
    })
}
