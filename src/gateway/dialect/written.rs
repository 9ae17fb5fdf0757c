//! How is an answer written that is made here?
//!
//! In the form that OpenAI gives its own. What stands before and behind the
//! delta of a chunk is the same in all of a stream, and is rendered once.

/// Has a stream said anything yet?
pub(super) mod opening;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Names;
use super::calls::Call;
use crate::openai::{ChatChunk, ChatCompletion, ErrorEnvelope, ErrorObject, VERBATIM};

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
    /// Of the answer, all of them.
    pub completion: u64,
    /// Of these, those that were thought, where they are told apart.
    pub reasoning: Option<u64>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Details,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<Thought>,
}

#[derive(Serialize)]
struct Thought {
    reasoning_tokens: u64,
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
            completion_tokens_details: tokens
                .reasoning
                .map(|reasoning_tokens| Thought { reasoning_tokens }),
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
        self.delta_of(0, delta, out);
    }

    /// The same of another choice than the first.
    pub(super) fn delta_of(&self, index: u32, delta: &impl Serialize, out: &mut Vec<u8>) {
        self.choice(index, delta, None, out);
    }

    /// A chunk that adds to the text of one member. `text` is a JSON string, and goes on as it
    /// was written.
    pub(super) fn text(&self, member: &str, text: &RawValue, out: &mut Vec<u8>) {
        self.begin(0, out);
        out.push(b'{');
        out.push(b'"');
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(text.get().as_bytes());
        out.extend_from_slice(b"},\"finish_reason\":null}],\"usage\":null}\n\n");
    }

    /// The same of any choice, where `inside` writes what stands between the quotes.
    pub(super) fn raw_of<T>(
        &self,
        index: u32,
        member: &str,
        out: &mut Vec<u8>,
        inside: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        self.begin(index, out);
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(b"\":\"");
        let written = inside(out);
        out.extend_from_slice(b"\"},\"finish_reason\":null}],\"usage\":null}\n\n");
        written
    }

    /// A chunk that says what tokens weighed.
    pub(super) fn logprobs_of(&self, index: u32, logprobs: &impl Serialize, out: &mut Vec<u8>) {
        self.begin(index, out);
        out.extend_from_slice(b"{},\"logprobs\":");
        put(out, logprobs);
        out.extend_from_slice(b",\"finish_reason\":null}],\"usage\":null}\n\n");
    }

    /// A chunk with the upstream's own words in it, which are JSON; its line ends stand between
    /// tokens, and would end the line here.
    pub(super) fn verbatim(&self, data: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{\"");
        out.extend_from_slice(VERBATIM.as_bytes());
        out.extend_from_slice(b"\":[");
        let lines = data.split(|byte| matches!(byte, b'\n' | b'\r'));
        lines.for_each(|line| out.extend_from_slice(line));
        out.extend_from_slice(b"]},\"finish_reason\":null}],\"usage\":null}\n\n");
    }

    /// The chunk that says why the answer ended.
    pub(super) fn finish(&self, reason: &str, out: &mut Vec<u8>) {
        self.finish_of(0, reason, out);
    }

    /// The same of another choice than the first.
    pub(super) fn finish_of(&self, index: u32, reason: &str, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Nothing {}
        self.choice(index, &Nothing {}, Some(reason), out);
    }

    /// The event that only counts tokens.
    pub(super) fn usage(&self, tokens: Tokens, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"],\"usage\":");
        put(out, &Usage::from(tokens));
        out.extend_from_slice(b"}\n\n");
    }

    fn choice(&self, index: u32, delta: &impl Serialize, finish: Option<&str>, out: &mut Vec<u8>) {
        self.begin(index, out);
        put(out, delta);
        out.extend_from_slice(b",\"finish_reason\":");
        put(out, &finish);
        out.extend_from_slice(b"}],\"usage\":null}\n\n");
    }

    /// A chunk up to its delta.
    fn begin(&self, index: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":");
        put(out, &index);
        out.extend_from_slice(b",\"delta\":");
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
    /// [`crate::openai::VERBATIM`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic: Option<[&'a RawValue; 1]>,
}

/// A whole answer with one choice.
pub(super) fn completion(
    names: &Names,
    model: &str,
    message: &Message<'_>,
    finish_reason: Option<&str>,
    tokens: Tokens,
) -> Vec<u8> {
    let mut completion = Completion::new(names, model);
    completion.choice(0, None::<()>, finish_reason, |out| put(out, message));
    completion.end(tokens)
}

/// A whole answer, choice by choice.
#[derive(Debug)]
pub(super) struct Completion {
    out: Vec<u8>,
    has_choices: bool,
}

impl Completion {
    /// One that says this of itself.
    pub(super) fn new(names: &Names, model: &str) -> Self {
        let mut out = Vec::new();
        put(
            &mut out,
            &Head {
                id: &names.id,
                object: ChatCompletion::OBJECT,
                created: names.created,
                model,
            },
        );
        // Goes on where the object would end.
        out.pop();
        out.extend_from_slice(b",\"choices\":[");
        Self {
            out,
            has_choices: false,
        }
    }

    /// Adds a choice, whose message `message` writes.
    pub(super) fn choice(
        &mut self,
        index: u32,
        logprobs: Option<impl Serialize>,
        finish_reason: Option<&str>,
        message: impl FnOnce(&mut Vec<u8>),
    ) {
        let out = &mut self.out;
        if self.has_choices {
            out.push(b',');
        }
        self.has_choices = true;
        out.extend_from_slice(b"{\"index\":");
        put(out, &index);
        out.extend_from_slice(b",\"message\":");
        message(out);
        if let Some(logprobs) = logprobs {
            out.extend_from_slice(b",\"logprobs\":");
            put(out, &logprobs);
        }
        out.extend_from_slice(b",\"finish_reason\":");
        put(out, &finish_reason);
        out.push(b'}');
    }

    /// All of it.
    pub(super) fn end(mut self, tokens: Tokens) -> Vec<u8> {
        self.out.extend_from_slice(b"],\"usage\":");
        put(&mut self.out, &Usage::from(tokens));
        self.out.push(b'}');
        self.out
    }
}

/// An error as OpenAI writes one.
pub(super) fn error(kind: &str, code: Option<&str>, message: &str) -> String {
    let error = ErrorObject {
        message: message.into(),
        kind: kind.into(),
        param: None,
        code: code.map(Cow::from),
    };
    ErrorEnvelope { error }.to_json()
}

/// JSON without the blanks between its parts. Some answer in lines for people, and a call's
/// arguments are a text in OpenAI's protocol; an event of a stream must be one line.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    if !json.contains(['\n', '\r', '\t', ' ']) {
        return json.into();
    }
    let mut compact = String::with_capacity(json.len());
    let (mut in_text, mut is_escaped) = (false, false);
    for letter in json.chars() {
        match letter {
            ' ' | '\n' | '\r' | '\t' if !in_text => continue,
            '"' if !is_escaped => in_text = !in_text,
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
        compact.push(letter);
    }
    compact.into()
}

fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    // Plain fields into memory: there is nothing that could fail.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_where_they_mean_nothing() {
        let check = |json: &str, expected: &str| assert_eq!(compact(json), expected);
        check("{}", "{}");
        check(
            "{\n  \"a b\": [ 1,\t2 ],\r\n \"c\": \"d \\\" e\\\\\" }",
            r#"{"a b":[1,2],"c":"d \" e\\"}"#,
        );
    }
}
