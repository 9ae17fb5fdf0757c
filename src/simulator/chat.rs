//! What does a model say?
//!
//! Something a person recognises as an answer to the question, and a test can predict:
//! the same request gives the same words. It greets, says which model it plays and that
//! it is played, and repeats the question. A token is a word with the space before it,
//! which is close enough for limits and usage to be seen working.
//! What it does with tools and schemas: `calling.rs`.

/// How is an answer written, whole and in chunks?
mod wire;

use serde_json::Value;

use super::Options;
use super::application::{Refusal, bounded};
use super::calling::{Call, Doing};
use super::script::Script;
use wire::{Usage, stream, whole};

/// What was asked, as far as it shapes the answer.
struct Ask<'a> {
    model: &'a str,
    question: String,
    prompt_tokens: usize,
    choices: usize,
    tokens_max: usize,
    stop: Vec<&'a str>,
    stream: bool,
    usage_in_stream: bool,
    doing: Doing,
}

/// One of the `n` answers.
struct Answer {
    tokens: Vec<String>,
    calls: Vec<Call>,
    finish_reason: &'static str,
}

/// More answers to one request are refused, as OpenAI does at 128.
const CHOICES_MAX: u64 = 16;
/// So much of the question is repeated.
const QUESTION_CHARS_MAX: usize = 160;

/// Answers a chat completion.
pub(super) fn answer(body: &Value, options: &Options, number: u64) -> Result<Script, Refusal> {
    let ask = Ask::parse(body)?;
    let id = format!("chatcmpl-simulated{number:010}");
    let answers: Vec<Answer> = (0..ask.choices).map(|index| ask.answer(index)).collect();
    Ok(if ask.stream {
        stream(&ask, &id, &answers, options)
    } else {
        whole(&ask, &id, &answers, options)
    })
}

/// What is said to this, as one text.
pub(super) fn said(body: &Value) -> Result<String, Refusal> {
    Ok(Ask::parse(body)?.answer(0).tokens.concat())
}

impl Script {
    /// A completion that says this, in OpenAI's form, with usage.
    #[must_use]
    pub fn chat(model: &str, said: &str) -> Self {
        let tokens = tokens(said).map(str::to_owned).collect();
        whole(
            &Ask::of(model),
            SCRIPTED,
            &[Answer::of(tokens)],
            &Options::instant(),
        )
    }

    /// The same as a stream with one chunk for each of these, without usage.
    #[must_use]
    pub fn chat_stream(model: &str, said: &[&str]) -> Self {
        let tokens = said.iter().map(|token| (*token).to_owned()).collect();
        stream(
            &Ask::of(model),
            SCRIPTED,
            &[Answer::of(tokens)],
            &Options::instant(),
        )
    }
}

/// What a model says to a question, token by token.
pub(super) fn spoken(model: &str, question: &str) -> Vec<String> {
    let ask = Ask {
        question: question.to_owned(),
        ..Ask::of(model)
    };
    ask.answer(0).tokens
}

/// The id of every such answer: it was made before there was a request to number.
const SCRIPTED: &str = "chatcmpl-scripted";

impl Answer {
    fn of(tokens: Vec<String>) -> Self {
        Self {
            tokens,
            calls: Vec::new(),
            finish_reason: "stop",
        }
    }

    /// What is paid for: a call costs as much as the pieces that it comes in.
    fn counted(&self) -> usize {
        let calls = self.calls.iter().map(|call| 1 + call.pieces().len());
        self.tokens.len() + calls.sum::<usize>()
    }
}

impl<'a> Ask<'a> {
    /// What a script answers that was made before anything was asked.
    fn of(model: &'a str) -> Self {
        Self {
            model,
            question: String::new(),
            prompt_tokens: 1,
            choices: 1,
            tokens_max: usize::MAX,
            stop: Vec::new(),
            stream: false,
            usage_in_stream: false,
            doing: Doing::default(),
        }
    }

    fn parse(body: &'a Value) -> Result<Self, Refusal> {
        let messages = match body.get("messages") {
            None => return Err(Refusal::missing("messages")),
            Some(Value::Array(messages)) if !messages.is_empty() => messages,
            Some(_) => return Err(Refusal::invalid("messages", "an array of messages")),
        };
        let model = match body.get("model") {
            None => return Err(Refusal::missing("model")),
            Some(model) => model.as_str().filter(|model| !model.is_empty()),
        };
        let said: Vec<String> = messages.iter().map(content).collect();
        let chars: usize = said.iter().map(|text| text.chars().count()).sum();
        let is_user = |message: &&Value| message.get("role").is_some_and(|role| role == "user");
        let asked = messages.iter().rev().find(is_user);
        let limit = match bounded(body, "max_completion_tokens", 1..=u64::MAX)? {
            Some(limit) => Some(limit),
            None => bounded(body, "max_tokens", 1..=u64::MAX)?,
        };
        let choices = bounded(body, "n", 1..=CHOICES_MAX)?.unwrap_or(1);
        let flag = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
        Ok(Self {
            model: model.ok_or_else(|| Refusal::invalid("model", "the name of a model"))?,
            question: asked.map(content).unwrap_or_default(),
            // Four characters a token and four tokens a message: OpenAI's own rule of thumb.
            prompt_tokens: chars.div_ceil(4) + 4 * messages.len(),
            choices: usize::try_from(choices).unwrap_or(1),
            tokens_max: limit.map_or(usize::MAX, |limit| {
                usize::try_from(limit).unwrap_or(usize::MAX)
            }),
            stop: stop_sequences(body),
            stream: flag(body.get("stream")),
            usage_in_stream: flag(body.pointer("/stream_options/include_usage")),
            doing: Doing::of_chat(body)?,
        })
    }

    fn answer(&self, index: usize) -> Answer {
        if !self.doing.calls.is_empty() {
            return Answer {
                tokens: Vec::new(),
                calls: self.doing.calls.clone(),
                finish_reason: "tool_calls",
            };
        }
        let mut said = self.doing.said(self.small_talk(index));
        let stops = self.stop.iter().filter_map(|stop| said.find(stop));
        if let Some(at) = stops.min() {
            said.truncate(at);
        }
        let mut tokens: Vec<String> = tokens(&said).map(str::to_owned).collect();
        let cut = tokens.len() > self.tokens_max;
        tokens.truncate(self.tokens_max);
        Answer {
            tokens,
            calls: Vec::new(),
            finish_reason: if cut { "length" } else { "stop" },
        }
    }

    /// What is said to whoever wants nothing in particular.
    fn small_talk(&self, index: usize) -> String {
        let greeting = match index % 4 {
            0 => "Hello!",
            1 => "Good day!",
            2 => "Hi there!",
            _ => "Greetings!",
        };
        let model = self.model;
        let asked: Vec<&str> = self.question.split_whitespace().collect();
        let mut asked = asked.join(" ");
        if let Some((cut, _)) = asked.char_indices().nth(QUESTION_CHARS_MAX) {
            asked.truncate(cut);
            asked.push('…');
        }
        let about = if asked.is_empty() {
            "You asked nothing yet.".to_owned()
        } else {
            format!("You asked: “{asked}”")
        };
        format!(
            "{greeting} I am {model}, played by the built-in simulator. {about} \
             A real model would answer here; this one shows that your request found its way."
        )
    }

    fn usage(&self, answers: &[Answer]) -> Usage {
        let completion_tokens = answers.iter().map(Answer::counted).sum();
        Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens,
            total_tokens: self.prompt_tokens + completion_tokens,
        }
    }
}

/// The text of a message, whose content is a string or an array of parts.
fn content(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn stop_sequences(body: &Value) -> Vec<&str> {
    let sequences = match body.get("stop") {
        Some(Value::Array(sequences)) => sequences.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(sequence)) => vec![sequence.as_str()],
        _ => Vec::new(),
    };
    sequences
        .into_iter()
        .filter(|stop| !stop.is_empty())
        .collect()
}

/// Words, each with the space before it.
pub(super) fn tokens(said: &str) -> impl Iterator<Item = &str> {
    let mut rest = said;
    std::iter::from_fn(move || {
        let next_space = rest.char_indices().skip(1).find(|(_, char)| *char == ' ');
        let at = next_space.map_or(rest.len(), |(at, _)| at);
        let (token, after) = rest.split_at_checked(at)?;
        rest = after;
        (!token.is_empty()).then_some(token)
    })
}
