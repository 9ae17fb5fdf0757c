//! What can be called in Anthropic's words?
//!
//! A conversation and a count of its tokens. Beside what is acted on everything goes to the
//! model's maker, or is put into its words; so no more is said of a request than that.

#![expect(
    dead_code,
    reason = "these describe what is sent and answered, and are never made here"
)]

use std::borrow::Cow;

use schemars::{JsonSchema, SchemaGenerator};

use super::chats::Object;
use super::operations::{ASKING, Body, Envelope, JSON, Operation, Root};
use crate::operation::Operation as Asked;

/// Both of them.
pub(super) const MESSAGES: [Operation; 2] = [
    Operation {
        root: Root::Api,
        path: "/messages",
        id: "createMessage",
        summary: "Ask a model in Anthropic's words",
        description: "For every model that takes chats. With \"stream\": true the answer comes as Anthropic's events; a failure is an event of the type error.",
        asks: Some(Body {
            kind: JSON,
            shape: "MessageRequest",
        }),
        answers: &[
            Body {
                kind: JSON,
                shape: "Message",
            },
            Body {
                kind: "text/event-stream",
                shape: "text",
            },
        ],
        refuses: ASKING,
        is_kept: false,
        envelope: Envelope::Anthropic,
    },
    Operation {
        root: Root::Api,
        path: Asked::Counting.path(),
        id: "countMessageTokens",
        summary: "Count a question's tokens",
        description: "For the models that an upstream answers for that speaks Anthropic's protocol; others are not counted.",
        asks: Some(Body {
            kind: JSON,
            shape: "TokenCountRequest",
        }),
        answers: &[Body {
            kind: JSON,
            shape: "TokenCount",
        }],
        refuses: ASKING,
        is_kept: false,
        envelope: Envelope::Anthropic,
    },
];

/// The shapes of what is sent there and comes back.
pub(super) fn declare(generator: &mut SchemaGenerator) {
    generator.subschema_for::<MessageRequest<'_>>();
    generator.subschema_for::<Message<'_>>();
    generator.subschema_for::<TokenCountRequest<'_>>();
    generator.subschema_for::<TokenCount>();
    generator.subschema_for::<MessageError<'_>>();
}

/// A conversation in Anthropic's words.
#[derive(JsonSchema)]
struct MessageRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// How many tokens the answer may have; 0: none, and only the question is read.
    max_tokens: u64,
    /// The conversation so far.
    #[schemars(length(min = 1))]
    messages: Vec<Turn<'a>>,
    /// What stands before it: a text, or blocks of text.
    system: Option<Said<'a>>,
    /// Whether the answer comes as events while it is written.
    stream: Option<bool>,
}

/// A conversation whose tokens are counted.
#[derive(JsonSchema)]
struct TokenCountRequest<'a> {
    /// Which model, exactly as listed.
    #[schemars(length(min = 1))]
    model: Cow<'a, str>,
    /// The conversation so far.
    #[schemars(length(min = 1))]
    messages: Vec<Turn<'a>>,
    /// What stands before it: a text, or blocks of text.
    system: Option<Said<'a>>,
}

/// What somebody said.
#[derive(JsonSchema)]
struct Turn<'a> {
    /// Who.
    role: Side,
    /// A text, or blocks of text, images, calls of tools and what came of them.
    content: Said<'a>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Side {
    User,
    Assistant,
    System,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Said<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<Object>),
}

/// An answer in Anthropic's words.
#[derive(JsonSchema)]
struct Message<'a> {
    /// Its name.
    id: Cow<'a, str>,
    /// `message`
    #[schemars(rename = "type")]
    kind: Cow<'a, str>,
    /// `assistant`
    role: Cow<'a, str>,
    /// Who answered, as its maker calls it.
    model: Cow<'a, str>,
    /// What was said: texts, thoughts, calls of tools.
    content: Vec<Object>,
    /// Why it ended, such as `end_turn`.
    stop_reason: Option<Cow<'a, str>>,
    /// What was used.
    usage: Used,
}

#[derive(JsonSchema)]
struct Used {
    /// Tokens of the question that were read anew.
    input_tokens: u64,
    /// Tokens of the answer.
    output_tokens: u64,
}

/// How long a question is.
#[derive(JsonSchema)]
struct TokenCount {
    /// In tokens.
    input_tokens: u64,
}

/// An error in Anthropic's words.
#[derive(JsonSchema)]
struct MessageError<'a> {
    /// `error`
    #[schemars(rename = "type")]
    kind: Cow<'a, str>,
    /// What went wrong.
    error: Wrong<'a>,
    /// The request's name.
    request_id: Cow<'a, str>,
}

#[derive(JsonSchema)]
struct Wrong<'a> {
    /// The class, such as `invalid_request_error`.
    #[schemars(rename = "type")]
    kind: Cow<'a, str>,
    /// For people.
    message: Cow<'a, str>,
}
