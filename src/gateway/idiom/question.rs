//! What is asked in Anthropic's words, as a chat?
//!
//! The mirror of the dialect. Each member of the body is taken in turn: it has a word in a chat;
//! or it changes no answer (where a prompt's beginning is kept, who is billed how); or a chat
//! cannot say it, and it is noted, because whoever speaks the caller's own protocol can still
//! be asked. Only what is malformed in any protocol is refused here. Texts, schemas and numbers
//! stay as they were written.

/// What is talked about?
mod turns;
/// What is one block of a turn?
mod blocks;
/// What may be called?
mod tools;

use serde::Serialize;
use serde_json::value::RawValue;

use self::tools::{Choice, Tool};
use self::turns::Message;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_null, is_text, list, number};
use crate::gateway::dialect::original::Unsaid;
use crate::gateway::dialect::original::origins::Origins;

/// What an answer's length must be.
const WHOLE: &str = "must be a whole number";

/// What is asked, as a chat.
#[derive(Debug)]
pub struct Chat {
    /// A body of `chat/completions`.
    pub body: Vec<u8>,
    /// What it does not say.
    pub unsaid: Unsaid,
    /// Where its parts come from.
    pub origins: Origins,
}

/// A body of `chat/completions`.
#[derive(Debug, Default, Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a RawValue>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a RawValue>,
    /// Anthropic's streams always count.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: Schema<'a>,
}

#[derive(Debug, Serialize)]
struct Schema<'a> {
    /// A chat's schema has a name, which nobody reads.
    name: &'static str,
    #[serde(rename = "schema")]
    is_like: &'a RawValue,
    /// As it is meant there.
    strict: bool,
}

/// The caller's body, which is one strict JSON object, as a chat.
///
/// # Errors
/// Where it is malformed in its own protocol.
pub fn chat(body: &[u8]) -> Result<Chat, Inexpressible> {
    let members: Members = serde_json::from_slice(body)
        .map_err(|_| Inexpressible::malformed("messages", "must be in an object"))?;
    let mut unsaid = Unsaid::default();
    let mut chat = Body::default();
    let turns = chat.converse(&members, &mut unsaid)?;
    if members.member("max_tokens").is_none() {
        return Err(Inexpressible::malformed("max_tokens", WHOLE));
    }
    for (name, value) in members.all().iter().filter(|(_, value)| !is_null(value)) {
        chat.take(name, value, &members, &mut unsaid)?;
    }
    chat.unchoose(&members);
    let body = serde_json::to_vec(&chat)
        .map_err(|_| Inexpressible::malformed("messages", "must be JSON"))?;
    let output = members.member("output_config").and_then(Members::of);
    let is_worded = output.is_some_and(|output| output.member("effort").is_some());
    let origins = Origins {
        turns,
        effort: if is_worded {
            "output_config.effort"
        } else {
            "thinking.budget_tokens"
        },
    };
    Ok(Chat {
        body,
        unsaid,
        origins,
    })
}

impl<'a> Body<'a> {
    /// What was said so far, and what was said before all; for each message of it the turn that
    /// it is of.
    fn converse(
        &mut self,
        members: &Members<'a>,
        unsaid: &mut Unsaid,
    ) -> Result<Vec<Option<usize>>, Inexpressible> {
        let must = "must be a list of messages that is not empty";
        let messages = members.member("messages").and_then(list);
        let messages = messages
            .filter(|messages| !messages.is_empty())
            .ok_or_else(|| Inexpressible::malformed("messages", must))?;
        if let Some(system) = members.member("system") {
            self.messages.extend(turns::system(system, unsaid)?);
        }
        let mut turns = vec![None; self.messages.len()];
        for (place, message) in messages.into_iter().enumerate() {
            let path = format!("messages[{place}]");
            turns::turn(message, &path, &mut self.messages, unsaid)?;
            turns.resize(self.messages.len(), Some(place));
        }
        Ok(turns)
    }

    /// Takes one member that says something.
    fn take(
        &mut self,
        name: &str,
        value: &'a RawValue,
        members: &Members<'a>,
        unsaid: &mut Unsaid,
    ) -> Result<(), Inexpressible> {
        match name {
            // Taken already; and where the upstream keeps a prompt's beginning changes no answer.
            "messages" | "system" | "cache_control" => {}
            "model" => self.model = Some(value),
            "max_tokens" => self.length(value, unsaid)?,
            "stream" => {
                self.stream = Some(value);
                let include_usage = value.get() == "true";
                self.stream_options = include_usage.then_some(StreamOptions { include_usage });
            }
            "temperature" => self.temperature = Some(value),
            "top_p" => self.top_p = Some(value),
            "top_k" if value.get().parse::<u64>().is_ok() => {
                unsaid.top_k = Some(value.get().into());
            }
            "top_k" => return Err(Inexpressible::malformed(name, "must be a whole number")),
            "stop_sequences" => self.stop(value)?,
            "tools" => self.tools = tools::tools(value, unsaid)?,
            "tool_choice" => {
                let choice = tools::choice(value)?;
                self.parallel_tool_calls = (!choice.is_parallel).then_some(false);
                self.tool_choice = Some(choice.choice);
            }
            "metadata" => self.user(value, unsaid)?,
            "thinking" => self.think(value, members, unsaid)?,
            "output_config" => self.output(value, unsaid)?,
            "service_tier" => match value.get() {
                // What is meant anyway.
                "\"auto\"" => {}
                "\"standard_only\"" => self.service_tier = Some("default"),
                _ => unsaid.setting(Inexpressible::unknown(name)),
            },
            _ => unsaid.setting(Inexpressible::unknown(name)),
        }
        Ok(())
    }

    /// Chooses nothing that is not there. Where a tool was left out a caller is refused, or told
    /// to be content with less.
    fn unchoose(&mut self, members: &Members<'a>) {
        let said = members
            .member("tools")
            .and_then(list)
            .map_or(0, |tools| tools.len());
        if said == self.tools.len() {
            return;
        }
        let choice = self.tool_choice.take();
        self.tool_choice = choice.filter(|choice| choice.is_among(&self.tools));
        if self.tools.is_empty() {
            self.parallel_tool_calls = None;
        }
    }

    /// How long the answer may be. To have none, so that the question is remembered, is a word that
    /// a chat does not have, and whoever is asked without it would answer.
    fn length(&mut self, value: &'a RawValue, unsaid: &mut Unsaid) -> Result<(), Inexpressible> {
        match value.get().parse::<u64>() {
            Ok(0) => unsaid.content(Inexpressible::value("max_tokens", "must be at least 1")),
            Ok(_) => self.max_tokens = Some(value),
            Err(_) => return Err(Inexpressible::malformed("max_tokens", WHOLE)),
        }
        Ok(())
    }

    fn stop(&mut self, value: &'a RawValue) -> Result<(), Inexpressible> {
        let stops = list(value).filter(|stops| stops.iter().all(|stop| is_text(stop)));
        let stops = stops
            .ok_or_else(|| Inexpressible::malformed("stop_sequences", "must be a list of texts"))?;
        self.stop = (!stops.is_empty()).then_some(value);
        Ok(())
    }

    fn user(&mut self, value: &'a RawValue, unsaid: &mut Unsaid) -> Result<(), Inexpressible> {
        let members = object(value, "metadata")?;
        for (name, value) in members.all().iter().filter(|(_, value)| !is_null(value)) {
            match &**name {
                "user_id" if is_text(value) => self.user = Some(value),
                "user_id" => {
                    return Err(Inexpressible::malformed(
                        "metadata.user_id",
                        "must be a text",
                    ));
                }
                _ => unsaid.setting(Inexpressible::unknown(format!("metadata.{name}"))),
            }
        }
        Ok(())
    }

    /// How hard to think: a part of what the answer may have is a word in a chat.
    fn think(
        &mut self,
        value: &'a RawValue,
        members: &Members<'a>,
        unsaid: &mut Unsaid,
    ) -> Result<(), Inexpressible> {
        let thinking = object(value, "thinking")?;
        match thinking.text("type").as_deref() {
            // To think as hard as `output_config` says is what a chat means that says nothing.
            Some("adaptive") => {}
            Some("disabled") => unsaid.is_unthinking = true,
            Some("enabled") => {
                let budget = thinking.member("budget_tokens").and_then(number);
                let budget = budget.ok_or_else(|| {
                    Inexpressible::malformed("thinking.budget_tokens", "must be a number")
                })?;
                let all = members.member("max_tokens").and_then(number);
                let part = budget / all.unwrap_or(1.0).max(1.0);
                self.reasoning_effort.get_or_insert(match part {
                    ..0.35 => "low",
                    0.35..0.65 => "medium",
                    _ => "high",
                });
            }
            _ => unsaid.setting(Inexpressible::unknown("thinking.type")),
        }
        Ok(())
    }

    fn output(&mut self, value: &'a RawValue, unsaid: &mut Unsaid) -> Result<(), Inexpressible> {
        let members = object(value, "output_config")?;
        for (name, value) in members.all().iter().filter(|(_, value)| !is_null(value)) {
            match &**name {
                "effort" => match value.get() {
                    "\"low\"" => self.reasoning_effort = Some("low"),
                    "\"medium\"" => self.reasoning_effort = Some("medium"),
                    "\"high\"" => self.reasoning_effort = Some("high"),
                    "\"xhigh\"" => self.reasoning_effort = Some("xhigh"),
                    _ => unsaid.setting(Inexpressible::value(
                        "output_config.effort",
                        "must be low, medium, high or xhigh",
                    )),
                },
                "format" => self.format(value, unsaid)?,
                _ => unsaid.setting(Inexpressible::unknown(format!("output_config.{name}"))),
            }
        }
        Ok(())
    }

    fn format(&mut self, value: &'a RawValue, unsaid: &mut Unsaid) -> Result<(), Inexpressible> {
        let path = "output_config.format";
        let format = object(value, path)?;
        if format.text("type").as_deref() != Some("json_schema") {
            unsaid.setting(Inexpressible::value(path, "must be a JSON schema"));
            return Ok(());
        }
        let schema = format.member("schema");
        let schema = schema
            .ok_or_else(|| Inexpressible::malformed(format!("{path}.schema"), "must be there"))?;
        self.response_format = Some(Format {
            kind: "json_schema",
            json_schema: Schema {
                name: "answer",
                is_like: schema,
                strict: true,
            },
        });
        Ok(())
    }
}

fn object<'a>(value: &'a RawValue, path: &str) -> Result<Members<'a>, Inexpressible> {
    Members::of(value).ok_or_else(|| Inexpressible::malformed(path, "must be an object"))
}
