//! What is a chat asked with?
//!
//! The fields that are looked at, and what conversations are made of. Parts of OpenAI's kinds are
//! described; a model may take others, of which no more is said than that they name their kind.

#![expect(
    dead_code,
    reason = "these describe requests, which are never made here"
)]

use std::borrow::Cow;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// The shape of what is sent there.
pub(super) fn declare(generator: &mut SchemaGenerator) {
    generator.subschema_for::<ChatRequest<'_>>();
}

/// An object of which only its maker knows what is in it.
pub(super) type Object = Map<String, Value>;

/// What a model is asked.
#[derive(JsonSchema)]
struct ChatRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// The conversation so far.
    #[schemars(length(min = 1))]
    messages: Vec<ChatMessage<'a>>,
    /// Whether the answer comes as events while it is written.
    stream: Option<bool>,
    /// What is told beside the events.
    stream_options: Option<StreamOptions>,
    /// How freely the model chooses its words.
    #[schemars(range(min = 0.0, max = 2.0))]
    temperature: Option<f64>,
    /// Of which part of all likely words it chooses.
    #[schemars(range(min = 0.0, max = 1.0))]
    top_p: Option<f64>,
    /// How little it repeats what it has spoken of.
    #[schemars(range(min = -2.0, max = 2.0))]
    presence_penalty: Option<f64>,
    /// How little it repeats its words.
    #[schemars(range(min = -2.0, max = 2.0))]
    frequency_penalty: Option<f64>,
    /// How many tokens an answer may have.
    max_tokens: Option<u64>,
    /// How many answers are wanted. Of whoever shows no key, not more than the operator allows.
    #[schemars(range(min = 1))]
    n: Option<u32>,
    /// What may be called.
    tools: Option<Vec<Object>>,
    /// A name for whoever asks, of your own choice.
    user: Option<Cow<'a, str>>,
}

/// What somebody said.
#[derive(JsonSchema)]
struct ChatMessage<'a> {
    /// Who said it.
    role: Role,
    /// What was said: a text, or parts; nothing where an assistant only calls.
    content: Option<Content<'a>>,
    /// What an assistant calls.
    tool_calls: Option<Vec<Object>>,
    /// Of which call it is what came of it.
    tool_call_id: Option<Cow<'a, str>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    Function,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

/// A part of what was said: of one of OpenAI's kinds, or of another that the model takes.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Part<'a> {
    Known(KnownPart<'a>),
    Other(OtherPart<'a>),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub(super) enum KnownPart<'a> {
    /// Words.
    Text {
        /// Which.
        text: Cow<'a, str>,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl<'a>,
    },
    /// Sound.
    InputAudio {
        /// Which.
        input_audio: Audio<'a>,
    },
    /// A document.
    File {
        /// Which.
        file: Attachment<'a>,
    },
    /// That an assistant would not.
    Refusal {
        /// In its words.
        refusal: Cow<'a, str>,
    },
}

#[derive(JsonSchema)]
pub(super) struct OtherPart<'a> {
    /// What it is.
    #[schemars(rename = "type", extend("not" = { "enum": KINDS }))]
    kind: Cow<'a, str>,
}

/// The kinds of [`KnownPart`].
const KINDS: [&str; 5] = ["text", "image_url", "input_audio", "file", "refusal"];

#[derive(JsonSchema)]
pub(super) struct ImageUrl<'a> {
    /// An address, or a data URI.
    url: Cow<'a, str>,
}

#[derive(JsonSchema)]
pub(super) struct Audio<'a> {
    /// In base64.
    data: Cow<'a, str>,
    /// Such as `wav`.
    format: Cow<'a, str>,
}

#[derive(JsonSchema)]
pub(super) struct Attachment<'a> {
    /// A data URI.
    file_data: Option<Cow<'a, str>>,
    /// What it is called.
    filename: Option<Cow<'a, str>>,
    /// Where the model's maker keeps it.
    file_id: Option<Cow<'a, str>>,
}

#[derive(JsonSchema)]
struct StreamOptions {
    /// Whether an event before the last tells the tokens.
    include_usage: Option<bool>,
}
