//! What can be called?
//!
//! A table with a line for each path. What a line does not say follows from the rest: the
//! errors from what has to be asked for to be refused so, `HEAD` from `GET`.

use serde_json::{Value, json};

use crate::gateway::idiom::Idiom;
use crate::gateway::refusal::listed::Of;

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// Under `/api/v1` and under `/v1`.
    Api,
    /// At the address itself.
    Site,
}

/// The form of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Envelope {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

/// A body: its type and its shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    /// Its media type.
    pub(super) kind: &'static str,
    /// Its schema among the components, or what `shapes::reference` makes of it.
    pub(super) shape: &'static str,
}

/// Something that can be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    /// Where it is.
    pub(super) root: Root,
    /// Its path below that.
    pub(super) path: &'static str,
    /// Its name for programs.
    pub(super) id: &'static str,
    /// What it is, in a few words.
    pub(super) summary: &'static str,
    /// And in more.
    pub(super) description: &'static str,
    /// What is sent; none: it is asked for by `GET`.
    pub(super) asks: Option<Body>,
    /// What comes back with 200.
    pub(super) answers: &'static [Body],
    /// What may be refused.
    pub(super) refuses: &'static [Of],
    /// Whether a 200 names itself, so that it can be asked for again by that.
    pub(super) is_kept: bool,
    /// In which form it is refused.
    pub(super) envelope: Envelope,
}

pub(super) const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// What whoever asks a model may be refused.
pub(super) const ASKING: &[Of] = &[Of::Anything, Of::Keyed, Of::Model, Of::Body, Of::Answer];
const READING: &[Of] = &[Of::Anything];

/// Chats and what is around them; what models are called for beside is in `further.rs`.
pub(super) const OPERATIONS: [Operation; 8] = [
    Operation {
        root: Root::Api,
        path: "/chat/completions",
        id: "createChatCompletion",
        summary: "Ask a model",
        description: "A text model answers in words, an image model with Markdown for images. With \"stream\": true the answer comes as events; the last is [DONE], and a failure is an event with an error.",
        asks: Some(Body {
            kind: JSON,
            shape: "ChatRequest",
        }),
        answers: &[
            Body {
                kind: JSON,
                shape: "ChatCompletion",
            },
            Body {
                kind: "text/event-stream",
                shape: "events",
            },
        ],
        refuses: ASKING,
        is_kept: false,
        envelope: Envelope::OpenAi,
    },
    Operation {
        root: Root::Api,
        path: "/models",
        id: "listModels",
        summary: "List the models",
        description: "Every model that can be asked for by its name, in the operator's order.",
        asks: None,
        answers: &[Body {
            kind: JSON,
            shape: "ModelList",
        }],
        refuses: &[Of::Anything, Of::Keyed],
        is_kept: false,
        envelope: Envelope::OpenAi,
    },
    Operation {
        root: Root::Api,
        path: "/models/{model}",
        id: "retrieveModel",
        summary: "Look a model up",
        description: "By its id or an alias. Slashes in it may stand as they are.",
        asks: None,
        answers: &[Body {
            kind: JSON,
            shape: "ModelEntry",
        }],
        refuses: &[Of::Anything, Of::Keyed, Of::Model, Of::Path],
        is_kept: false,
        envelope: Envelope::OpenAi,
    },
    Operation {
        root: Root::Site,
        path: "/images/{image}",
        id: "getImage",
        summary: "Get a generated image",
        description: "What the address in an image model's answer leads to. It never changes.",
        asks: None,
        answers: &[
            Body {
                kind: "image/png",
                shape: "bytes",
            },
            Body {
                kind: "image/jpeg",
                shape: "bytes",
            },
            Body {
                kind: "image/webp",
                shape: "bytes",
            },
            Body {
                kind: "image/gif",
                shape: "bytes",
            },
        ],
        refuses: &[Of::Anything, Of::Image],
        is_kept: true,
        envelope: Envelope::OpenAi,
    },
    Operation {
        root: Root::Site,
        path: "/pages/models.json",
        id: "getModelStates",
        summary: "See which models can be asked now",
        description: "The models with their state at this moment; the documentation page shows it.",
        asks: None,
        answers: &[Body {
            kind: JSON,
            shape: "ModelStates",
        }],
        refuses: &[Of::Anything, Of::Keyed],
        is_kept: false,
        envelope: Envelope::OpenAi,
    },
    Operation {
        root: Root::Site,
        path: "/",
        id: "getDocumentation",
        summary: "Read the documentation",
        description: "For people, with a playground.",
        asks: None,
        answers: &[Body {
            kind: HTML,
            shape: "text",
        }],
        refuses: READING,
        is_kept: true,
        envelope: Envelope::OpenAi,
    },
    Operation {
        root: Root::Site,
        path: "/openapi.json",
        id: "getDescription",
        summary: "Read this description",
        description: "OpenAPI 3.1.",
        asks: None,
        answers: &[Body {
            kind: JSON,
            shape: "object",
        }],
        refuses: READING,
        is_kept: true,
        envelope: Envelope::OpenAi,
    },
    Operation {
        root: Root::Site,
        path: "/robots.txt",
        id: "getRobots",
        summary: "What robots may read",
        description: "The documentation, and nothing else.",
        asks: None,
        answers: &[Body {
            kind: "text/plain; charset=utf-8",
            shape: "text",
        }],
        refuses: READING,
        is_kept: true,
        envelope: Envelope::OpenAi,
    },
];

impl Envelope {
    /// Its schema.
    pub(super) fn shape(self) -> &'static str {
        match self {
            Self::OpenAi => "ErrorEnvelope",
            Self::Anthropic => "MessageError",
        }
    }

    /// The protocol that it belongs to.
    pub(super) fn idiom(self) -> Idiom {
        match self {
            Self::OpenAi => Idiom::OpenAi,
            Self::Anthropic => Idiom::Anthropic,
        }
    }
}

impl Root {
    /// What paths begin with.
    pub(super) fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Api => &["/api/v1", "/v1"],
            Self::Site => &[""],
        }
    }
}

impl Operation {
    /// Whether an upstream may answer.
    pub(super) fn asks_upstreams(&self) -> bool {
        self.refuses.contains(&Of::Answer)
    }

    /// The names that stand in its path, and what it may be told in its head.
    pub(super) fn parameters(&self) -> Vec<Value> {
        let mut parameters: Vec<Value> = self
            .path
            .split('{')
            .filter_map(|part| part.split_once('}'))
            .map(|(name, _)| {
                json!({
                    "name": name, "in": "path", "required": true,
                    "schema": { "type": "string", "minLength": 1 },
                })
            })
            .collect();
        parameters.push(json!({
            "name": "x-request-id", "in": "header",
            "description": "A name for this request; a made one takes the place of one that is not like that.",
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" },
        }));
        if self.is_kept {
            parameters.push(json!({
                "name": "if-none-match", "in": "header",
                "description": "The etag of what is known already.",
                "schema": { "type": "string" },
            }));
        }
        parameters
    }
}

/// What a caller may say of an answer that is asked of a model.
pub(super) fn request_headers() -> [Value; 1] {
    [json!({
        "name": "cache-control", "in": "header",
        "description": "no-cache: not from memory. no-store: and not kept either. max-age: not older than so many seconds.",
        "schema": { "type": "string", "examples": ["no-cache", "no-store", "max-age=60"] },
    })]
}
