//! How is an answer to be drawn and formed?
//!
//! OpenAI's numbers mean the same there, and go on as they were written. What is bounded more
//! narrowly is refused here with its bound, because the upstream's refusal would name a field
//! that the caller does not know.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::schema;
use crate::config::dialect::Thinking;
use crate::gateway::dialect::members::{Members, is_empty, is_text, list, number, text};
use crate::gateway::dialect::original::Unsaid;
use crate::gateway::dialect::{Asked, Inexpressible, Terms};
use crate::gateway::inspect::Ask;

/// Texts that end an answer.
const STOPS_MAX: usize = 5;
/// Candidates of an answer.
const CANDIDATES_MAX: u32 = 8;

/// `generationConfig`
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Written::is_nothing")]
    temperature: Written<'a>,
    #[serde(skip_serializing_if = "Written::is_nothing")]
    top_p: Written<'a>,
    #[serde(skip_serializing_if = "Written::is_nothing")]
    top_k: Written<'a>,
    #[serde(skip_serializing_if = "Written::is_nothing")]
    presence_penalty: Written<'a>,
    #[serde(skip_serializing_if = "Written::is_nothing")]
    frequency_penalty: Written<'a>,
    #[serde(skip_serializing_if = "Written::is_nothing")]
    seed: Written<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<Written<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    response_modalities: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Written::is_nothing")]
    response_json_schema: Written<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

/// A value in JSON.
#[derive(Debug, Default)]
enum Written<'a> {
    #[default]
    Nothing,
    /// As the caller wrote it.
    Theirs(&'a RawValue),
    /// As it is written here.
    Ours(Box<RawValue>),
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

impl Written<'_> {
    fn value(&self) -> Option<&RawValue> {
        match self {
            Self::Nothing => None,
            Self::Theirs(value) => Some(value),
            Self::Ours(value) => Some(value),
        }
    }

    fn is_nothing(&self) -> bool {
        self.value().is_none()
    }
}

impl PartialEq for Written<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.value().map(RawValue::get) == other.value().map(RawValue::get)
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'a> Settings<'a> {
    /// What inspection has read already.
    pub(super) fn new(ask: &Ask) -> Self {
        Self {
            max_output_tokens: ask.max_completion_tokens.or(ask.max_tokens),
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes one member of the caller's body, if it is one of these; false: it is not.
    pub(super) fn take(
        &mut self,
        name: &str,
        value: &'a RawValue,
        terms: Terms,
        drops: bool,
    ) -> Result<bool, Inexpressible> {
        let written = Written::Theirs(value);
        match name {
            "temperature" => self.temperature = written,
            "top_p" => self.top_p = written,
            "top_k" => self.top_k = written,
            // Some models refuse to hear of them, and every client sends 0.
            "presence_penalty" | "frequency_penalty" if number(value) == Some(0.0) => {}
            "presence_penalty" => self.presence_penalty = written,
            "frequency_penalty" => self.frequency_penalty = written,
            "seed" => {
                if serde_json::from_str::<i32>(value.get()).is_err() {
                    return Err(Inexpressible::value(name, "must be an integer of 32 bits"));
                }
                self.seed = written;
            }
            "n" => self.candidate_count = candidates(value)?,
            "stop" => self.stop_sequences = stops(value)?,
            "logprobs" => self.response_logprobs = (value.get() == "true").then_some(true),
            "top_logprobs" => {
                let count: Option<u32> = serde_json::from_str(value.get()).ok();
                let count = count
                    .ok_or_else(|| Inexpressible::malformed(name, "must be a small integer"))?;
                self.logprobs = (count > 0).then_some(count);
            }
            "modalities" => self.response_modalities = modalities(value)?,
            "response_format" => self.form(value, drops)?,
            "reasoning_effort" => self.thinking_config = Some(thinking(value, terms.thinking)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What its caller said in words of Anthropic's, which a chat has not.
    pub(super) fn beside(&mut self, unsaid: &Unsaid, asked: &Asked<'_>) {
        let top_k = unsaid.top_k.as_deref();
        let top_k = top_k.and_then(|top_k| RawValue::from_string(top_k.to_owned()).ok());
        if let Some(top_k) = top_k {
            self.top_k = Written::Ours(top_k);
        }
        if unsaid.is_unthinking
            && asked.terms.thinking == Thinking::Budget
            && may_be_unthinking(asked.model)
        {
            let config = ThinkingConfig {
                thinking_budget: Some(0),
                ..ThinkingConfig::default()
            };
            self.thinking_config.get_or_insert(config);
        }
    }

    /// What an answer is to look like.
    fn form(&mut self, value: &RawValue, drops: bool) -> Result<(), Inexpressible> {
        const JSON: &str = "application/json";
        let field = "response_format";
        let must = "must be text, json_object or json_schema";
        let members = Members::of(value).ok_or_else(|| Inexpressible::malformed(field, must))?;
        match members.text("type").as_deref() {
            Some("text") => return Ok(()),
            Some("json_object") => self.response_mime_type = Some(JSON),
            Some("json_schema") => {
                let path = "response_format.json_schema";
                let object = members.member("json_schema").and_then(Members::of);
                let object =
                    object.ok_or_else(|| Inexpressible::malformed(path, "must be an object"))?;
                for (name, value) in &object.0 {
                    // A name is only a name.
                    let known = ["name", "description", "schema", "strict"].contains(&&**name);
                    if !known && !is_empty(value) && !drops {
                        return Err(Inexpressible::unknown(format!("{path}.{name}")));
                    }
                }
                let strict = object.member("strict").is_some_and(|it| it.get() == "true");
                let path = format!("{path}.schema");
                let given = object
                    .member("schema")
                    .ok_or_else(|| Inexpressible::malformed(&*path, "must be there"))?;
                let description = object.text("description");
                let schema = schema::promised(given, &path, strict, drops)?;
                let schema = schema::described(schema, description.as_deref());
                self.response_json_schema = Written::Ours(schema);
                self.response_mime_type = Some(JSON);
            }
            _ => return Err(Inexpressible::value(field, must)),
        }
        Ok(())
    }
}

/// Whether a model thinks unasked, or might, and may be asked not to: those before do not know
/// how, the larger one cannot help it, and those who paint refuse to hear of it.
///
/// Source: the Gemini API's page on thinking.
fn may_be_unthinking(model: &str) -> bool {
    model.contains("gemini-2.5-flash") && !model.contains("image")
}

fn candidates(value: &RawValue) -> Result<Option<u32>, Inexpressible> {
    let count: Option<u32> = serde_json::from_str(value.get()).ok();
    match count {
        Some(1) => Ok(None),
        Some(count @ 2..=CANDIDATES_MAX) => Ok(Some(count)),
        _ => Err(Inexpressible::value("n", "must be from 1 to 8")),
    }
}

fn stops(value: &RawValue) -> Result<Vec<Written<'_>>, Inexpressible> {
    let stops = if is_text(value) {
        Some(vec![value])
    } else {
        list(value).filter(|stops| stops.iter().all(|stop| is_text(stop)))
    };
    let stops = stops
        .ok_or_else(|| Inexpressible::malformed("stop", "must be a text or a list of texts"))?;
    if stops.len() > STOPS_MAX {
        return Err(Inexpressible::value("stop", "must have at most 5 texts"));
    }
    Ok(stops.into_iter().map(Written::Theirs).collect())
}

fn modalities(value: &RawValue) -> Result<Vec<&'static str>, Inexpressible> {
    let must = "must have text or image in it, and nothing else";
    let refused = || Inexpressible::value("modalities", must);
    let kinds = list(value).ok_or_else(refused)?;
    let mut found = Vec::with_capacity(kinds.len());
    for kind in kinds {
        found.push(match text(kind).as_deref() {
            Some("text") => "TEXT",
            Some("image") => "IMAGE",
            _ => return Err(refused()),
        });
    }
    // Text alone is what is meant where nothing is said.
    if found.iter().all(|kind| *kind == "TEXT") {
        found.clear();
    }
    Ok(found)
}

/// How hard it is to think: by a number of tokens up to Gemini 2.5, by a word from 3 on. The
/// numbers are those of Google's own address for OpenAI's protocol. Whoever says how hard it is to
/// think is told what was thought.
fn thinking(value: &RawValue, thinking: Thinking) -> Result<ThinkingConfig, Inexpressible> {
    let field = "reasoning_effort";
    let effort = text(value).unwrap_or_default();
    if thinking == Thinking::Adaptive {
        let level = match &*effort {
            "minimal" => "minimal",
            "low" => "low",
            "medium" => "medium",
            "high" => "high",
            _ => {
                return Err(Inexpressible::value(
                    field,
                    "must be minimal, low, medium or high",
                ));
            }
        };
        return Ok(ThinkingConfig {
            thinking_level: Some(level),
            include_thoughts: Some(true),
            ..ThinkingConfig::default()
        });
    }
    let budget = match &*effort {
        "none" => 0,
        "minimal" | "low" => 1024,
        "medium" => 8192,
        "high" => 24_576,
        _ => {
            return Err(Inexpressible::value(
                field,
                "must be none, minimal, low, medium or high",
            ));
        }
    };
    Ok(ThinkingConfig {
        thinking_budget: Some(budget),
        include_thoughts: (budget > 0).then_some(true),
        ..ThinkingConfig::default()
    })
}
