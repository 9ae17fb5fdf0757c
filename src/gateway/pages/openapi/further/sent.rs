//! What is sent there?

#![expect(
    dead_code,
    reason = "these describe requests, which are never made here"
)]

use std::borrow::Cow;

use schemars::{JsonSchema, SchemaGenerator};

use super::super::chats::{Object, Part};

/// The shapes of these requests.
pub(in super::super) fn declare(generator: &mut SchemaGenerator) {
    generator.subschema_for::<CompletionRequest<'_>>();
    generator.subschema_for::<EmbeddingRequest<'_>>();
    generator.subschema_for::<ImageRequest<'_>>();
    generator.subschema_for::<ResponseRequest<'_>>();
    generator.subschema_for::<SpeechRequest<'_>>();
    generator.subschema_for::<TranscriptionRequest<'_>>();
    generator.subschema_for::<ModerationRequest<'_>>();
    generator.subschema_for::<RerankRequest<'_>>();
}

/// A text, or several; each as words or as tokens.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Texts<'a> {
    One(Cow<'a, str>),
    Many(#[schemars(length(min = 1))] Vec<Cow<'a, str>>),
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
    ManyInTokens(#[schemars(length(min = 1))] Vec<Vec<u32>>),
}

/// Texts, or what else a model makes vectors of.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Embedded<'a> {
    Texts(Texts<'a>),
    Others(#[schemars(length(min = 1))] Vec<Object>),
}

/// A text, several, or one of texts and images.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Judged<'a> {
    One(Cow<'a, str>),
    Many(#[schemars(length(min = 1))] Vec<Cow<'a, str>>),
    Parts(#[schemars(length(min = 1))] Vec<Part<'a>>),
}

/// A text, or an object with one or an image in it.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Document<'a> {
    Text(Cow<'a, str>),
    Object(Object),
}

/// A text, or items of a conversation.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Items<'a> {
    Text(Cow<'a, str>),
    Items(Vec<Object>),
}

/// A voice by its name, or one of your own.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Voice<'a> {
    Name(Cow<'a, str>),
    Own(Object),
}

/// A text to go on with.
#[derive(JsonSchema)]
struct CompletionRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// What stands before.
    prompt: Texts<'a>,
    /// Whether the answer comes as events while it is written.
    stream: Option<bool>,
}

/// Texts to become vectors.
#[derive(JsonSchema)]
struct EmbeddingRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// Which.
    input: Embedded<'a>,
}

/// An image to be made.
#[derive(JsonSchema)]
struct ImageRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// What is on it.
    prompt: Cow<'a, str>,
    /// How many.
    #[schemars(range(min = 1))]
    n: Option<u32>,
    /// How large, such as 1024x1024.
    size: Option<Cow<'a, str>>,
}

/// A conversation in items.
#[derive(JsonSchema)]
struct ResponseRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// A text, or all items so far. Where it is not there, `prompt` is.
    input: Option<Items<'a>>,
    /// One that the model's maker keeps, by its id.
    prompt: Option<Object>,
    /// Whether the answer comes as events while it is written.
    stream: Option<bool>,
}

/// A text to be read aloud.
#[derive(JsonSchema)]
struct SpeechRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// The text.
    input: Cow<'a, str>,
    /// Whose voice, where the model has several.
    voice: Option<Voice<'a>>,
}

/// Speech to be written down.
#[derive(JsonSchema)]
struct TranscriptionRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// The recording.
    #[schemars(extend("contentMediaType" = "application/octet-stream"))]
    file: Cow<'a, str>,
}

/// Texts to be judged.
#[derive(JsonSchema)]
struct ModerationRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// Which.
    input: Judged<'a>,
}

/// Documents to be put in order.
#[derive(JsonSchema)]
struct RerankRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// What they are to fit.
    query: Document<'a>,
    /// The documents.
    #[schemars(length(min = 1))]
    documents: Vec<Document<'a>>,
}
