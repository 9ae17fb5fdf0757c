//! What does one choice say, part by part?
//!
//! Its role comes first, and with it what is empty (an SDK that sees nothing of a member
//! does not have it, and `""` is not `null`) and what was thought before the answer. The
//! log probabilities come with the second part: SDKs that find some in the first
//! have them twice.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::pieces::pieces;
use super::{ReplayError, Stream};
use crate::gateway::cache::raw::{Members, Object, is_empty, is_null, text};
use crate::openai::VERBATIM;

/// One choice, taken apart.
pub(super) struct Choice<'a> {
    index: u32,
    /// The first delta.
    first: Object,
    /// What is sent piece by piece.
    texts: Vec<(&'static str, &'a str)>,
    /// What the message has beside all that, in one delta.
    others: Object,
    function_call: Option<Call<'a>>,
    tool_calls: Vec<Call<'a>>,
    logprobs: Option<&'a RawValue>,
    finish_reason: Option<&'a RawValue>,
    /// What the choice has beside its message; said with the finish.
    beside: Members<'a>,
}

/// A call of a function.
struct Call<'a> {
    /// All of it but its arguments, of which only the quotes are there.
    first: Object,
    /// What is sent piece by piece.
    arguments: &'a str,
}

impl<'a> Choice<'a> {
    /// The choices of an answer by their index; SDKs put a new one behind those they have.
    pub(super) fn list(choices: &'a RawValue) -> Result<Vec<Self>, ReplayError> {
        let choices = Members::list(choices.get()).ok_or(ReplayError::Shape)?;
        let choices = (0..).zip(choices);
        let choices = choices.map(|(place, choice)| Self::read(place, choice));
        let mut choices: Vec<Self> = choices.collect::<Option<_>>().ok_or(ReplayError::Shape)?;
        choices.sort_by_key(|choice| choice.index);
        let indexes: BTreeSet<u32> = choices.iter().map(|choice| choice.index).collect();
        if choices.is_empty() || indexes.len() < choices.len() {
            return Err(ReplayError::Shape);
        }
        Ok(choices)
    }

    fn read(place: u32, mut choice: Members<'a>) -> Option<Self> {
        let index = match choice.take("index").filter(|index| !is_null(index)) {
            Some(index) => index.get().parse().ok()?,
            None => place,
        };
        let message = Members::read(choice.take("message")?.get())?;
        // A name that means another thing in a chunk.
        choice.take("delta");
        let mut read = Self {
            index,
            first: Object::new(),
            texts: Vec::new(),
            others: Object::new(),
            function_call: None,
            tool_calls: Vec::new(),
            logprobs: choice.take("logprobs"),
            finish_reason: choice.take("finish_reason"),
            beside: choice,
        };
        read.message(message);
        Some(read)
    }

    fn message(&mut self, mut message: Members<'a>) {
        let role = message.take("role").map_or("\"assistant\"", RawValue::get);
        self.first.member("role", role);
        for name in ["content", "refusal"] {
            let Some(value) = message.take(name) else {
                continue;
            };
            match text(value) {
                Some(said) if !said.is_empty() => {
                    self.first.texts(name, &[]);
                    self.texts.push((name, said));
                }
                _ => self.whole(name, value),
            }
        }
        if let Some(value) = message.take("function_call") {
            match Members::read(value.get()) {
                Some(call) => self.function_call = Some(Call::of_function(call)),
                None => self.whole("function_call", value),
            }
        }
        if let Some(value) = message.take("tool_calls") {
            match Members::list(value.get()) {
                Some(calls) if !calls.is_empty() => {
                    self.tool_calls = (0..)
                        .zip(calls)
                        .map(|(place, call)| Call::of_tool(place, call))
                        .collect();
                }
                _ => self.whole("tool_calls", value),
            }
        }
        for (name, value) in &message.0 {
            self.whole(name, value);
        }
    }

    /// Adds a member of the message that is sent in one piece.
    fn whole(&mut self, name: &str, value: &RawValue) {
        if is_empty(value) || name.starts_with("reasoning") || name == VERBATIM {
            self.first.member(name, value.get());
        } else {
            self.others.member(name, value.get());
        }
    }

    /// What of it is cut into pieces.
    pub(super) fn texts_bytes(&self) -> usize {
        let calls = self.function_call.iter().chain(&self.tool_calls);
        let arguments = calls.map(|call| call.arguments.len());
        let texts = self.texts.iter().map(|(_, text)| text.len());
        texts.chain(arguments).sum()
    }

    /// Writes the chunks of this choice.
    pub(super) fn write(self, piece_bytes: usize, stream: &mut Stream) -> Result<(), ReplayError> {
        let mut parts = Parts {
            index: self.index,
            logprobs: self.logprobs.map(RawValue::get),
            count: 0,
            stream,
        };
        parts.delta(self.first)?;
        for (name, text) in self.texts {
            for piece in pieces(text, piece_bytes) {
                parts.delta(texts(name, piece))?;
            }
        }
        if !self.others.is_empty() {
            parts.delta(self.others)?;
        }
        if let Some(call) = self.function_call {
            parts.delta(object("function_call", call.first))?;
            for piece in pieces(call.arguments, piece_bytes) {
                parts.delta(object("function_call", texts("arguments", piece)))?;
            }
        }
        for (place, call) in self.tool_calls.into_iter().enumerate() {
            parts.delta(objects("tool_calls", call.first))?;
            for piece in pieces(call.arguments, piece_bytes) {
                let mut part = Object::new();
                part.member("index", &place.to_string());
                part.object("function", texts("arguments", piece));
                parts.delta(objects("tool_calls", part))?;
            }
        }
        let finish_reason = self.finish_reason.map_or("null", RawValue::get);
        parts.part(Object::new(), finish_reason, &self.beside)
    }
}

impl<'a> Call<'a> {
    /// A call of the kind that there was before tools, or the function of a tool's.
    fn of_function(mut function: Members<'a>) -> Self {
        let arguments = function.take("arguments");
        let mut first = Object::new();
        first.members(&function);
        let said = arguments.and_then(text).unwrap_or_default();
        match arguments {
            Some(value) if said.is_empty() => first.member("arguments", value.get()),
            Some(_) => first.texts("arguments", &[]),
            None => {}
        }
        Self {
            first,
            arguments: said,
        }
    }

    /// A tool's, which SDKs find by its place in the list.
    fn of_tool(place: u32, mut call: Members<'a>) -> Self {
        let function = call.take("function");
        call.take("index");
        let mut first = Object::new();
        first.member("index", &place.to_string());
        first.members(&call);
        let mut arguments = "";
        if let Some(value) = function {
            match Members::read(value.get()).map(Self::of_function) {
                Some(function) => {
                    first.object("function", function.first);
                    arguments = function.arguments;
                }
                None => first.member("function", value.get()),
            }
        }
        Self { first, arguments }
    }
}

/// The chunks of one choice, as they are written.
struct Parts<'a> {
    index: u32,
    logprobs: Option<&'a str>,
    count: usize,
    stream: &'a mut Stream,
}

impl Parts<'_> {
    fn delta(&mut self, delta: Object) -> Result<(), ReplayError> {
        self.part(delta, "null", &Members::default())
    }

    fn part(
        &mut self,
        delta: Object,
        finish_reason: &str,
        beside: &Members<'_>,
    ) -> Result<(), ReplayError> {
        let mut choice = Object::new();
        choice.member("index", &self.index.to_string());
        choice.object("delta", delta);
        if let Some(logprobs) = self.logprobs {
            let is_due = self.count == 1;
            choice.member("logprobs", if is_due { logprobs } else { "null" });
        }
        choice.member("finish_reason", finish_reason);
        choice.members(beside);
        self.count += 1;
        self.stream.choice(choice)
    }
}

fn texts(name: &str, text: &str) -> Object {
    let mut object = Object::new();
    object.texts(name, &[text]);
    object
}

fn object(name: &str, inner: Object) -> Object {
    let mut outer = Object::new();
    outer.object(name, inner);
    outer
}

fn objects(name: &str, only: Object) -> Object {
    let mut outer = Object::new();
    outer.objects(name, [only]);
    outer
}
