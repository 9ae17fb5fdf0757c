//! What is asked?
//!
//! Each member of the caller's body is taken in turn: it is put into Gemini's words; or it says
//! nothing that is not meant anyway; or it cannot be put, and is refused or left out, as
//! configured. No value is bent into range.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::contents::{Conversation, Turn};
use super::parts::Part;
use super::settings::Settings;
use super::tools::{self, ToolConfig, Tools};
use crate::config::dialect::Unsupported;
use crate::gateway::dialect::members::{Members, is_null, number, says_nothing};
use crate::gateway::dialect::{Asked, Inexpressible};

/// A body of `generateContent`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<System<'a>>,
    contents: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Settings::is_empty")]
    generation_config: Settings<'a>,
}

#[derive(Debug, Serialize)]
struct System<'a> {
    parts: Vec<Part<'a>>,
}

/// The caller's body, in Gemini's words.
pub(in crate::gateway::dialect) fn body(asked: &Asked<'_>) -> Result<Bytes, Inexpressible> {
    let members: Members = serde_json::from_slice(asked.body)
        .map_err(|_| Inexpressible::malformed("messages", "must be in an object"))?;
    let drops = asked.terms.unsupported == Unsupported::Drop;
    // What messages say is never left out.
    let messages = members.member("messages");
    let messages = messages.ok_or_else(|| Inexpressible::malformed("messages", "must be there"))?;
    let Conversation { system, turns } = Conversation::of(messages, asked.terms, drops)?;
    let mut body = Body {
        system_instruction: (!system.is_empty()).then_some(System { parts: system }),
        contents: turns,
        tools: None,
        tool_config: None,
        generation_config: Settings::new(asked.ask),
    };
    for (name, value) in members.0.iter().filter(|(_, value)| !is_null(value)) {
        match body.take(name, value, asked, drops) {
            Err(_) if drops => {}
            taken => taken?,
        }
    }
    if let Some(original) = asked.original {
        body.generation_config.beside(&original.unsaid, asked);
    }
    let choice = members.member("tool_choice");
    let chosen = tools::choice(choice, body.tools.as_ref().map(|[tools]| tools));
    match chosen {
        Err(_) if drops => {}
        chosen => body.tool_config = chosen?,
    }
    // A function that must be called may be called twice at once as well, so only where nothing
    // is called there is nothing that would have to come alone.
    let parallel = members.member("parallel_tool_calls");
    let is_serial = parallel.is_some_and(|it| it.get() == "false");
    let may_call = body.tools.is_some() && !tools::is_nothing_called(body.tool_config.as_ref());
    if is_serial && may_call && !drops {
        return Err(Inexpressible::value(
            "parallel_tool_calls",
            "must let functions be called side by side",
        ));
    }
    serde_json::to_vec(&body)
        .map(Bytes::from)
        .map_err(|_| Inexpressible::malformed("messages", "must be JSON"))
}

impl<'a> Body<'a> {
    /// Takes one member that says something.
    fn take(
        &mut self,
        name: &str,
        value: &'a RawValue,
        asked: &Asked<'_>,
        drops: bool,
    ) -> Result<(), Inexpressible> {
        match name {
            // In the path, or taken already, or taken with others; and how an answer is
            // delivered, and by what it is routed, is our own business.
            "model"
            | "stream"
            | "messages"
            | "max_tokens"
            | "max_completion_tokens"
            | "tool_choice"
            | "parallel_tool_calls"
            | "stream_options"
            | "prompt_cache_key" => {}
            "tools" => self.tools = tools::tools(value, drops)?.map(|tools| [tools]),
            _ if self
                .generation_config
                .take(name, value, asked.terms, drops)? => {}
            _ if is_neutral(name, value) => {}
            _ => return Err(Inexpressible::unknown(name)),
        }
        Ok(())
    }
}

/// Whether it asks for nothing but what is done anyway.
fn is_neutral(name: &str, value: &RawValue) -> bool {
    let said = value.get();
    match name {
        // It does not want to know who asks.
        "user" | "safety_identifier" => true,
        "store" => said == "false",
        "best_of" => number(value) == Some(1.0),
        "verbosity" => said == "\"medium\"",
        "service_tier" => matches!(said, "\"auto\"" | "\"default\""),
        _ => says_nothing(name, value),
    }
}
