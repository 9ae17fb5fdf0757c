//! What is asked?
//!
//! Most members have the same name and meaning in both of OpenAI's protocols; some stand
//! elsewhere, and some are gone. These are refused or left out, as configured. Not so what an
//! answer may be at most: without it an answer could cost anything, and any other bound is not
//! what was asked for.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::input::{self, Item};
use super::tools::{self, Choice, Format, Tool};
use crate::config::dialect::Unsupported;
use crate::gateway::dialect::members::{Members, is_null, number, says_nothing};
use crate::gateway::dialect::{Asked, Inexpressible};
use crate::gateway::inspect::Ask;

/// The least that an answer may be bounded by.
///
/// Source: the API's own refusal of less (`integer_below_min_value`).
const OUTPUT_TOKENS_MIN: u64 = 16;
/// What weights of tokens are asked for with.
const LOGPROBS: &[&str] = &["message.output_text.logprobs"];

/// A body of `responses`.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    store: bool,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Text::is_empty")]
    text: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'static [&'static str],
    #[serde(flatten)]
    same: Same<'a>,
}

/// What has the same name and meaning.
#[derive(Default, Serialize)]
struct Same<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_retention: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a RawValue>,
}

#[derive(Default, Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Reasoning<'a> {
    effort: &'a RawValue,
}

impl Text<'_> {
    fn is_empty(&self) -> bool {
        let Self { format, verbosity } = self;
        format.is_none() && verbosity.is_none()
    }
}

/// The caller's body, in the words of Responses.
pub(in crate::gateway::dialect) fn body(asked: &Asked<'_>) -> Result<Bytes, Inexpressible> {
    let members: Members = serde_json::from_slice(asked.body)
        .map_err(|_| Inexpressible::malformed("messages", "must be in an object"))?;
    let drops = asked.terms.unsupported == Unsupported::Drop;
    let ask = asked.ask;
    // What messages say is never left out.
    let messages = members.member("messages");
    let messages = messages.ok_or_else(|| Inexpressible::malformed("messages", "must be there"))?;
    let mut body = Body {
        model: asked.model,
        input: input::items(messages, drops)?,
        store: ask.store,
        stream: ask.stream,
        max_output_tokens: output_tokens(ask)?,
        tools: Vec::new(),
        tool_choice: None,
        text: Text::default(),
        reasoning: None,
        include: &[],
        same: Same::default(),
    };
    for (name, value) in members.0.iter().filter(|(_, value)| !is_null(value)) {
        match body.take(name, value, drops) {
            Err(_) if drops => {}
            taken => taken?,
        }
    }
    serde_json::to_vec(&body)
        .map(Bytes::from)
        .map_err(|_| Inexpressible::malformed("messages", "must be JSON"))
}

/// How long the answer may be.
fn output_tokens(ask: &Ask) -> Result<Option<u64>, Inexpressible> {
    let (field, most) = match ask.max_completion_tokens {
        None => ("max_tokens", ask.max_tokens),
        most => ("max_completion_tokens", most),
    };
    match most {
        Some(..OUTPUT_TOKENS_MIN) => Err(Inexpressible::value(field, "must be at least 16")),
        most => Ok(most),
    }
}

impl<'a> Body<'a> {
    /// Takes one member that says something.
    fn take(&mut self, name: &str, value: &'a RawValue, drops: bool) -> Result<(), Inexpressible> {
        match name {
            // Taken already; and how an answer is delivered is our own business.
            "model"
            | "messages"
            | "stream"
            | "store"
            | "max_tokens"
            | "max_completion_tokens"
            | "stream_options" => {}
            "tools" => self.tools = tools::tools(value, drops)?,
            "tool_choice" => self.tool_choice = Some(tools::choice(value)?),
            "response_format" => self.text.format = tools::format(value, drops)?,
            "verbosity" => self.text.verbosity = Some(value),
            "reasoning_effort" => self.reasoning = Some(Reasoning { effort: value }),
            "logprobs" if value.get() == "true" => self.include = LOGPROBS,
            _ if is_neutral(name, value) => {}
            _ => match self.same.place(name) {
                Some(place) => *place = Some(value),
                None if name == "n" => return Err(Inexpressible::value("n", "must be 1")),
                None => return Err(Inexpressible::unknown(name)),
            },
        }
        Ok(())
    }
}

impl<'a> Same<'a> {
    /// Where a member of this name belongs, if it is one of these.
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match name {
            "temperature" => &mut self.temperature,
            "top_p" => &mut self.top_p,
            "top_logprobs" => &mut self.top_logprobs,
            "parallel_tool_calls" => &mut self.parallel_tool_calls,
            "user" => &mut self.user,
            "safety_identifier" => &mut self.safety_identifier,
            "prompt_cache_key" => &mut self.prompt_cache_key,
            "prompt_cache_retention" => &mut self.prompt_cache_retention,
            "metadata" => &mut self.metadata,
            "service_tier" => &mut self.service_tier,
            _ => return None,
        })
    }
}

/// Whether it asks for nothing but what is done anyway.
fn is_neutral(name: &str, value: &RawValue) -> bool {
    let said = value.get();
    match name {
        "n" => number(value) == Some(1.0),
        "presence_penalty" | "frequency_penalty" | "top_logprobs" => number(value) == Some(0.0),
        "logprobs" => said == "false",
        "modalities" => said.trim_matches(['[', ']']).trim_ascii() == "\"text\"",
        _ => says_nothing(name, value),
    }
}
