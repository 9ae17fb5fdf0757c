//! What do requests and answers look like?
//!
//! Answers by the types that write them. Requests pass through as they are, and only what is
//! acted on is read; so what is said of a request here is what is promised of it: the fields that
//! are looked at, and that all others go to the model.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::further::sent;
use super::messages;
use crate::gateway::models::List;
use crate::gateway::pages::state::Told;
use crate::openai::{ChatChunk, ChatCompletion, ErrorEnvelope};

/// What a model is asked.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "it is the description of a request, which is never made here"
)]
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
    #[schemars(range(min = 1))]
    max_tokens: Option<u32>,
    /// How many answers are wanted.
    #[schemars(range(min = 1, max = 4))]
    n: Option<u32>,
    /// A name for whoever asks, of your own choice.
    #[schemars(length(max = 64))]
    user: Option<Cow<'a, str>>,
}

/// What somebody said.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "it is the description of a request, which is never made here"
)]
struct ChatMessage<'a> {
    /// Who said it.
    role: Role,
    /// What was said: a text, or parts of text and images.
    content: Content<'a>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(
    dead_code,
    reason = "it is the description of a request, which is never made here"
)]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(
    dead_code,
    reason = "it is the description of a request, which is never made here"
)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "it is the description of a request, which is never made here"
)]
enum Part<'a> {
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
}

#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "it is the description of a request, which is never made here"
)]
struct ImageUrl<'a> {
    /// An address, or a data URI.
    url: Cow<'a, str>,
}

#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "it is the description of a request, which is never made here"
)]
struct StreamOptions {
    /// Whether an event before the last tells the tokens.
    include_usage: Option<bool>,
}

/// All shapes by their names.
pub(super) fn all() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    generator.subschema_for::<ChatRequest<'_>>();
    sent::declare(&mut generator);
    messages::declare(&mut generator);
    generator.subschema_for::<ChatCompletion>();
    generator.subschema_for::<ChatChunk>();
    generator.subschema_for::<ErrorEnvelope<'_>>();
    generator.subschema_for::<List<'_>>();
    generator.subschema_for::<Told<'_>>();
    generator.take_definitions(true)
}

/// A shape by its name, or one of those that are none of JSON's.
pub(super) fn reference(shape: &str) -> Value {
    match shape {
        "object" => json!({ "type": "object" }),
        "text" => json!({ "type": "string" }),
        "bytes" => json!({ "type": "string", "contentMediaType": "application/octet-stream" }),
        "events" => json!({
            "type": "string",
            "description": "Events whose data is a ChatChunk each, or an ErrorEnvelope where the answer breaks off; then [DONE].",
            "contentMediaType": "text/event-stream",
            "contentSchema": { "anyOf": [
                { "$ref": "#/components/schemas/ChatChunk" },
                { "$ref": "#/components/schemas/ErrorEnvelope" },
            ] },
        }),
        name => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}
