//! How is an answer written as a chat completion, whole and in chunks?

use std::time::Duration;

use serde::Serialize;

use super::{Answer, Ask};
use crate::simulator::application::written;
use crate::simulator::calling::Call;
use crate::simulator::script::{DONE, Script};
use crate::simulator::{Options, unix_seconds};

/// A completion, or one chunk of it.
#[derive(Debug, Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    /// In a chunk: absent unless usage was asked for, then `null` until the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Told>,
}

#[derive(Debug, Serialize)]
struct Choice<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Message<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
}

/// A call, or in a stream a part of one, which then tells which.
#[derive(Debug, Serialize)]
struct Called<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

/// Usage where it is known; `null` in the chunks before that.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told {
    NotYet,
    Tokens(Usage),
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "these are OpenAI's names")]
pub(super) struct Usage {
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) total_tokens: usize,
}

pub(super) fn whole(ask: &Ask<'_>, id: &str, answers: &[Answer], options: &Options) -> Script {
    let said: Vec<String> = answers
        .iter()
        .map(|answer| answer.tokens.concat())
        .collect();
    let choices = answers.iter().zip(&said).enumerate();
    let body = Completion {
        id,
        object: "chat.completion",
        created: unix_seconds(),
        model: ask.model,
        choices: choices
            .map(|(index, (answer, said))| Choice {
                index,
                message: Some(Message {
                    role: Some("assistant"),
                    content: answer.calls.is_empty().then_some(said),
                    tool_calls: answer.calls.iter().map(Called::whole).collect(),
                }),
                delta: None,
                finish_reason: Some(answer.finish_reason),
            })
            .collect(),
        usage: Some(Told::Tokens(ask.usage(answers))),
    };
    let longest = answers.iter().map(|answer| answer.tokens.len()).max();
    let gaps = u32::try_from(longest.unwrap_or(0)).unwrap_or(u32::MAX);
    let speaking = options.token_gap.saturating_mul(gaps);
    Script::json(200, written(&body)).delay_head(options.first_token.saturating_add(speaking))
}

/// First who speaks, then token by token all choices in turn, then why each ended.
pub(super) fn stream(ask: &Ask<'_>, id: &str, answers: &[Answer], options: &Options) -> Script {
    let created = unix_seconds();
    let chunk = |choices, usage| {
        let body = Completion {
            id,
            object: "chat.completion.chunk",
            created,
            model: ask.model,
            choices,
            usage: ask.usage_in_stream.then_some(usage),
        };
        format!("data: {}\n\n", written(&body))
    };
    let delta = |index, delta, finish_reason| {
        let choice = Choice {
            index,
            message: None,
            delta: Some(delta),
            finish_reason,
        };
        chunk(vec![choice], Told::NotYet)
    };
    let content = |content| Message {
        content: Some(content),
        ..Message::default()
    };
    let mut script = Script::event_stream().delay_head(options.first_token);
    for index in 0..answers.len() {
        let role = Message {
            role: Some("assistant"),
            ..content("")
        };
        script = script.piece(delta(index, role, None));
    }
    let longest = answers.iter().map(|answer| answer.tokens.len()).max();
    for at in 0..longest.unwrap_or(0) {
        let mut gap = if at == 0 {
            Duration::ZERO
        } else {
            options.token_gap
        };
        for (index, answer) in answers.iter().enumerate() {
            if let Some(token) = answer.tokens.get(at) {
                script = script.piece_after(gap, delta(index, content(token), None));
                gap = Duration::ZERO;
            }
        }
    }
    for (index, answer) in answers.iter().enumerate() {
        for (place, call) in answer.calls.iter().enumerate() {
            for part in Called::parts(place, call) {
                let part = Message {
                    tool_calls: vec![part],
                    ..Message::default()
                };
                script = script.piece(delta(index, part, None));
            }
        }
        script = script.piece(delta(index, Message::default(), Some(answer.finish_reason)));
    }
    if ask.usage_in_stream {
        script = script.piece(chunk(Vec::new(), Told::Tokens(ask.usage(answers))));
    }
    script.piece(DONE)
}

impl<'a> Called<'a> {
    fn whole(call: &'a Call) -> Self {
        Self {
            index: None,
            id: Some(&call.id),
            kind: Some("function"),
            function: Function {
                name: Some(&call.name),
                arguments: &call.arguments,
            },
        }
    }

    /// Which one it is, then its arguments piece by piece.
    fn parts(place: usize, call: &'a Call) -> impl Iterator<Item = Self> {
        let mut begun = Self::whole(call);
        begun.index = Some(place);
        begun.function.arguments = "";
        let pieces = call.pieces().into_iter().map(move |arguments| Self {
            index: Some(place),
            id: None,
            kind: None,
            function: Function {
                name: None,
                arguments,
            },
        });
        std::iter::once(begun).chain(pieces)
    }
}
