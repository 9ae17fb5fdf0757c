//! How is an answer written that is made here?
//!
//! In the form that OpenAI gives its own, with one choice. What stands before and behind the
//! delta of a chunk is the same in all of a stream, and is rendered once.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Names;
use crate::openai::{ChatChunk, ChatCompletion, ErrorEnvelope, ErrorObject};

/// The event behind which nothing comes.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// What was used, as the upstream counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Of the question, all of them.
    pub prompt: u64,
    /// Of these, those that the upstream remembered.
    pub cached: u64,
    /// And those that it will remember.
    pub cache_written: u64,
    /// Of the answer.
    pub completion: u64,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Details,
}

#[derive(Serialize)]
struct Details {
    cached_tokens: u64,
    /// Not OpenAI's, who do not charge for it.
    cache_creation_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            prompt_tokens: tokens.prompt,
            completion_tokens: tokens.completion,
            total_tokens: tokens.prompt.saturating_add(tokens.completion),
            prompt_tokens_details: Details {
                cached_tokens: tokens.cached,
                cache_creation_tokens: tokens.cache_written,
            },
        }
    }
}

/// Writes the chunks of a stream.
#[derive(Debug)]
pub(super) struct Chunks {
    /// An event up to its choices.
    head: Vec<u8>,
}

#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
}

impl Chunks {
    /// Of a stream that says this of itself.
    pub(super) fn new(names: &Names, model: &str) -> Self {
        let mut head = b"data: ".to_vec();
        put(
            &mut head,
            &Head {
                id: &names.id,
                object: ChatChunk::OBJECT,
                created: names.created,
                model,
            },
        );
        // Goes on where the object would end.
        head.pop();
        head.extend_from_slice(b",\"choices\":[");
        Self { head }
    }

    /// A chunk with this delta.
    pub(super) fn delta(&self, delta: &impl Serialize, out: &mut Vec<u8>) {
        self.choice(delta, None, out);
    }

    /// A chunk that adds to the text of one member. `text` is a JSON string, and goes on as it
    /// was written.
    pub(super) fn text(&self, member: &str, text: &RawValue, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{\"");
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(text.get().as_bytes());
        out.extend_from_slice(b"},\"finish_reason\":null}],\"usage\":null}\n\n");
    }

    /// The chunk that says why the answer ended.
    pub(super) fn finish(&self, reason: &str, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Nothing {}
        self.choice(&Nothing {}, Some(reason), out);
    }

    /// The event that only counts tokens.
    pub(super) fn usage(&self, tokens: Tokens, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"],\"usage\":");
        put(out, &Usage::from(tokens));
        out.extend_from_slice(b"}\n\n");
    }

    fn choice(&self, delta: &impl Serialize, finish: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":");
        put(out, delta);
        out.extend_from_slice(b",\"finish_reason\":");
        put(out, &finish);
        out.extend_from_slice(b"}],\"usage\":null}\n\n");
    }
}

/// An assistant's message, or the parts of one.
#[derive(Debug, Default, Serialize)]
pub(super) struct Message<'a> {
    /// `assistant`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// Text; `None` in a whole answer: `null`.
    pub content: Option<String>,
    /// What was thought before.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reasoning_content: String,
    /// Calls of tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call<'a>>,
}

/// A call of a tool, or a part of one.
#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    /// Its place among the calls, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// What its result will be known by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// `function`
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// What is called.
    pub function: Function<'a>,
}

/// What is called, and with what.
#[derive(Debug, Serialize)]
pub(super) struct Function<'a> {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// JSON as a text.
    pub arguments: &'a str,
}

/// A delta of calls alone.
#[derive(Serialize)]
pub(super) struct Calls<'a> {
    /// The parts.
    pub tool_calls: [Call<'a>; 1],
}

/// A whole answer with one choice.
pub(super) fn completion(
    names: &Names,
    model: &str,
    message: &Message<'_>,
    finish_reason: Option<&str>,
    tokens: Tokens,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Completion<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        choices: [Choice<'a>; 1],
        usage: Usage,
    }
    #[derive(Serialize)]
    struct Choice<'a> {
        index: u32,
        message: &'a Message<'a>,
        finish_reason: Option<&'a str>,
    }
    let mut out = Vec::new();
    put(
        &mut out,
        &Completion {
            head: Head {
                id: &names.id,
                object: ChatCompletion::OBJECT,
                created: names.created,
                model,
            },
            choices: [Choice {
                index: 0,
                message,
                finish_reason,
            }],
            usage: tokens.into(),
        },
    );
    out
}

/// An error as OpenAI writes one.
pub(super) fn error(kind: &str, message: &str) -> String {
    let error = ErrorObject {
        message: message.into(),
        kind: kind.into(),
        param: None,
        code: None,
    };
    ErrorEnvelope { error }.to_json()
}

fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    // Plain fields into memory: there is nothing that could fail.
    let _ = serde_json::to_writer(out, value);
}
