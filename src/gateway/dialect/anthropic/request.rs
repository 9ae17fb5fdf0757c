//! What is asked?
//!
//! Each member of the caller's body is taken in turn: it is put into Anthropic's words; or it
//! says nothing that is not meant anyway (`n` of 1, a penalty of 0, what every client sends); or
//! it cannot be put, and is refused or left out, as configured. No value is bent into range.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::messages::{Conversation, Turn};
use super::parts::Block;
use super::tools::{self, Format, Tool, ToolChoice};
use crate::config::dialect::{Thinking, Unsupported};
use crate::gateway::dialect::members::{
    Members, is_null, is_text, list, number, says_nothing, text,
};
use crate::gateway::dialect::{Asked, Inexpressible, Terms};

/// The least that can be thought with, and so the least above which there is room for it.
const BUDGET_MIN: u64 = 1024;
/// The least `top_p` that is taken beside such thoughts.
///
/// Source: Anthropic's page on extended thinking.
const TOP_P_MIN: f64 = 0.95;

/// A body of `messages`.
#[derive(Debug, Default, Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thought<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<&'a RawValue>,
    stream: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Thought<'a> {
    /// As the caller wrote it in Anthropic's own words.
    Said(&'a RawValue),
    Told(Told),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told {
    Enabled { budget_tokens: u64 },
    Adaptive,
}

#[derive(Debug, Default, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        let Self { effort, format } = self;
        effort.is_none() && format.is_none()
    }
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    user_id: &'a RawValue,
}

/// The caller's body, in Anthropic's words.
pub(in crate::gateway::dialect) fn body(asked: &Asked<'_>) -> Result<Bytes, Inexpressible> {
    let members: Members = serde_json::from_slice(asked.body)
        .map_err(|_| Inexpressible::malformed("messages", "must be in an object"))?;
    let drops = asked.terms.unsupported == Unsupported::Drop;
    let ask = asked.ask;
    let said = ask.max_completion_tokens.or(ask.max_tokens);
    let mut body = Body {
        model: asked.model,
        max_tokens: said.unwrap_or_else(|| u64::from(asked.terms.max_tokens_default)),
        stream: ask.stream,
        ..Body::default()
    };
    // What messages say is never left out.
    let messages = members.member("messages");
    let messages = messages.ok_or_else(|| Inexpressible::malformed("messages", "must be there"))?;
    let conversation = Conversation::of(messages, drops)?;
    let ends_with_results = conversation.ends_with_results();
    Conversation {
        system: body.system,
        turns: body.messages,
    } = conversation;
    for (name, value) in members.0.iter().filter(|(_, value)| !is_null(value)) {
        match body.take(name, value, asked, drops) {
            Err(_) if drops => {}
            taken => taken?,
        }
    }
    body.choose(&members, drops)?;
    if let Some(effort) = members.member("reasoning_effort") {
        match body.think(effort, asked, ends_with_results) {
            Err(_) if drops => {}
            taken => taken?,
        }
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
            // Taken already, or with others; and how an answer is delivered, and by what it is
            // routed, is our own business.
            "model"
            | "messages"
            | "stream"
            | "max_tokens"
            | "max_completion_tokens"
            | "reasoning_effort"
            | "tool_choice"
            | "parallel_tool_calls"
            | "stream_options"
            | "prompt_cache_key" => {}
            "tools" => self.tools = tools::tools(value, drops)?,
            "stop" => self.stop_sequences = Some(tools::stops(value)?),
            "response_format" => self.output_config.format = tools::format(value, drops)?,
            "temperature" | "top_p" | "top_k" => self.sample(name, value, asked.terms.thinking)?,
            "thinking" => self.thinking = Some(Thought::Said(value)),
            "cache_control" => self.cache_control = Some(value),
            "user" | "safety_identifier" if is_text(value) => {
                self.metadata = Some(Metadata { user_id: value });
            }
            "service_tier" => {
                self.service_tier = Some(match value.get() {
                    "\"auto\"" => "auto",
                    "\"default\"" => "standard_only",
                    _ => return Err(Inexpressible::value(name, "must be auto or default")),
                });
            }
            _ if is_neutral(name, value) => {}
            "n" => return Err(Inexpressible::value("n", "must be 1")),
            _ => return Err(Inexpressible::unknown(name)),
        }
        Ok(())
    }

    /// How words are drawn. 1 is what is meant anyway, and saying so of two of them at once
    /// is refused there.
    fn sample(
        &mut self,
        name: &str,
        value: &'a RawValue,
        thinking: Thinking,
    ) -> Result<(), Inexpressible> {
        let number =
            number(value).ok_or_else(|| Inexpressible::malformed(name, "must be a number"))?;
        #[expect(clippy::float_cmp, reason = "1 is 1")]
        let is_neutral = number == 1.0 && name != "top_k";
        if is_neutral {
            return Ok(());
        }
        if thinking == Thinking::Adaptive {
            return Err(Inexpressible::unknown(name));
        }
        match name {
            "top_k" => self.top_k = Some(value),
            _ if !(0.0..=1.0).contains(&number) => {
                return Err(Inexpressible::value(name, "must be from 0 to 1"));
            }
            "top_p" => self.top_p = Some(value),
            _ => self.temperature = Some(value),
        }
        Ok(())
    }

    /// How hard it is to think.
    fn think(
        &mut self,
        effort: &RawValue,
        asked: &Asked<'_>,
        ends_with_results: bool,
    ) -> Result<(), Inexpressible> {
        let field = "reasoning_effort";
        let Terms {
            unsupported,
            thinking,
            ..
        } = asked.terms;
        let drops = unsupported == Unsupported::Drop;
        let effort = text(effort).unwrap_or_default();
        if thinking == Thinking::Adaptive {
            self.output_config.effort = Some(match &*effort {
                "minimal" | "low" => "low",
                "medium" => "medium",
                "high" => "high",
                "xhigh" => "xhigh",
                _ => {
                    return Err(Inexpressible::value(
                        field,
                        "must be low, medium, high or xhigh",
                    ));
                }
            });
            self.thinking = Some(Thought::Told(Told::Adaptive));
            return Ok(());
        }
        // In hundredths of what an answer may have.
        let part = match &*effort {
            "none" => return Ok(()),
            "minimal" => 10,
            "low" => 20,
            "medium" => 50,
            "high" => 80,
            "xhigh" => 95,
            _ => {
                return Err(Inexpressible::value(
                    field,
                    "must be none, minimal, low, medium, high or xhigh",
                ));
            }
        };
        if self.max_tokens <= BUDGET_MIN {
            return Err(Inexpressible::value(
                field,
                "needs max_completion_tokens above 1024",
            ));
        }
        // It wants its thoughts back before the calls, and a caller does not have them.
        if ends_with_results {
            return Err(Inexpressible::value(
                field,
                "cannot be said in a request that ends with what came of calls: leave it out there",
            ));
        }
        if self.tool_choice.as_ref().is_some_and(ToolChoice::is_forced) {
            return Err(Inexpressible::value(
                field,
                "cannot be said beside a tool_choice that wants a call",
            ));
        }
        self.sample_beside_thoughts(drops)?;
        let budget_tokens = (self.max_tokens.saturating_mul(part) / 100).max(BUDGET_MIN);
        self.thinking = Some(Thought::Told(Told::Enabled { budget_tokens }));
        Ok(())
    }

    /// Whoever thinks with a budget draws words as it does, or nearly so.
    fn sample_beside_thoughts(&mut self, drops: bool) -> Result<(), Inexpressible> {
        let is_near = |top_p: &&RawValue| number(top_p).is_some_and(|top_p| top_p >= TOP_P_MIN);
        let near = self.top_p.filter(is_near);
        for (name, sampled, must) in [
            (
                "temperature",
                &mut self.temperature,
                "must be unset beside reasoning_effort",
            ),
            (
                "top_k",
                &mut self.top_k,
                "must be unset beside reasoning_effort",
            ),
            (
                "top_p",
                &mut self.top_p,
                "must be at least 0.95 beside reasoning_effort",
            ),
        ] {
            let is_kept = name == "top_p" && near.is_some();
            if !is_kept && sampled.take().is_some() && !drops {
                return Err(Inexpressible::value(name, must));
            }
        }
        Ok(())
    }

    /// Whether anything must be called. Where there is nothing to call, nothing must; and where
    /// what is to be called was left out, that is, too.
    fn choose(&mut self, members: &Members<'a>, drops: bool) -> Result<(), Inexpressible> {
        let choice = members.member("tool_choice");
        let choice = choice.filter(|choice| {
            !self.tools.is_empty() || !matches!(choice.get(), "\"auto\"" | "\"none\"")
        });
        let parallel = members.member("parallel_tool_calls");
        let parallel = parallel.filter(|_| !self.tools.is_empty());
        match tools::choice(choice, parallel) {
            Err(_) if drops => {}
            chosen => self.tool_choice = chosen?,
        }
        let said = members.member("tools").and_then(list);
        let is_less = said.is_some_and(|said| said.len() != self.tools.len());
        let choice = self.tool_choice.take();
        self.tool_choice = choice.filter(|choice| !is_less || choice.is_among(&self.tools));
        Ok(())
    }
}

/// Whether it asks for nothing but what is done anyway.
fn is_neutral(name: &str, value: &RawValue) -> bool {
    let said = value.get();
    match name {
        "n" => number(value) == Some(1.0),
        "presence_penalty" | "frequency_penalty" | "top_logprobs" => number(value) == Some(0.0),
        "logprobs" | "store" => said == "false",
        "verbosity" => said == "\"medium\"",
        "modalities" => text_only(said),
        _ => says_nothing(name, value),
    }
}

/// Whether a list of modalities is of text.
fn text_only(said: &str) -> bool {
    let inside = said
        .strip_prefix('[')
        .and_then(|said| said.strip_suffix(']'));
    inside.is_some_and(|inside| inside.trim_ascii() == "\"text\"")
}
