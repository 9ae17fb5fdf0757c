//! What did the chunks say of one choice?

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::draft::{Draft, Rule};
use super::{AssemblyError, index};
use crate::gateway::cache::raw::{Members, Object, is_null, items, text};

/// A choice that comes part by part.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    message: Draft<'a>,
    function_call: Option<Draft<'a>>,
    tool_calls: BTreeMap<u32, Call<'a>>,
    /// Said, if only as `null`.
    logprobs: Option<Draft<'a>>,
    finish_reason: Option<&'a RawValue>,
    /// What stands beside all that.
    beside: Draft<'a>,
}

/// A tool's call that comes part by part.
#[derive(Debug, Default)]
struct Call<'a> {
    call: Draft<'a>,
    function: Option<Draft<'a>>,
}

impl<'a> Choice<'a> {
    /// Adds what a chunk says of this choice.
    pub(super) fn chunk(&mut self, mut choice: Members<'a>) -> Result<(), AssemblyError> {
        if let Some(delta) = said(choice.take("delta")) {
            self.delta(read(delta)?)?;
        }
        // In a chunk it would be a second answer beside the delta's.
        if choice.take("message").is_some() {
            return Err(AssemblyError::Chunk);
        }
        if let Some(logprobs) = choice.take("logprobs") {
            let draft = self.logprobs.get_or_insert_default();
            if !is_null(logprobs) {
                add(draft, read(logprobs)?, |_| Rule::Parts)?;
            }
        }
        let reason = said(choice.take("finish_reason"));
        // An empty one is what some say until it is known.
        let reason = reason.filter(|reason| text(reason).is_none_or(|text| !text.is_empty()));
        self.finish_reason = reason.or(self.finish_reason);
        add(&mut self.beside, choice, |_| Rule::Last)
    }

    fn delta(&mut self, mut delta: Members<'a>) -> Result<(), AssemblyError> {
        if let Some(call) = delta.take("function_call") {
            match Members::read(call.get()) {
                Some(call) => add(
                    self.function_call.get_or_insert_default(),
                    call,
                    of_a_function,
                )?,
                None => self.whole("function_call", call)?,
            }
        }
        if let Some(calls) = delta.take("tool_calls") {
            if is_null(calls) || items(calls) == Some("") {
                self.whole("tool_calls", calls)?;
            } else {
                self.tool_calls(calls)?;
            }
        }
        add(&mut self.message, delta, |name| match name {
            "role" => Rule::Same,
            _ => Rule::Parts,
        })
    }

    /// What says that there are no calls; anything else that is none is not understood.
    fn whole(&mut self, name: &'static str, value: &'a RawValue) -> Result<(), AssemblyError> {
        if !is_null(value) && items(value) != Some("") {
            return Err(AssemblyError::Chunk);
        }
        self.message.add(Cow::Borrowed(name), value, Rule::Parts)
    }

    fn tool_calls(&mut self, calls: &'a RawValue) -> Result<(), AssemblyError> {
        for mut call in Members::list(calls.get()).ok_or(AssemblyError::Chunk)? {
            // Without an index nobody knows which call it is a part of.
            let index = index(&mut call)?.ok_or(AssemblyError::Chunk)?;
            let known = self.tool_calls.entry(index).or_default();
            if let Some(function) = said(call.take("function")) {
                let draft = known.function.get_or_insert_default();
                add(draft, read(function)?, of_a_function)?;
            }
            add(&mut known.call, call, |name| match name {
                "id" | "type" => Rule::Same,
                _ => Rule::Parts,
            })?;
        }
        Ok(())
    }

    /// The choice of a whole answer.
    pub(super) fn assembled(self, index: u32) -> Result<Object, AssemblyError> {
        let finish_reason = self.finish_reason.ok_or(AssemblyError::Unfinished)?;
        let mut message = Object::new();
        self.message.write_one(&mut message, "role");
        if message.is_empty() {
            message.texts("role", &["assistant"]);
        }
        let mut written = vec!["role"];
        written.extend(self.function_call.is_some().then_some("function_call"));
        written.extend((!self.tool_calls.is_empty()).then_some("tool_calls"));
        self.message.write_but(&mut message, &written);
        if let Some(call) = self.function_call {
            message.object("function_call", call.written());
        }
        if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.into_values();
            message.objects("tool_calls", calls.map(Call::assembled));
        }
        let mut choice = Object::new();
        choice.member("index", &index.to_string());
        choice.object("message", message);
        match self.logprobs {
            Some(logprobs) if logprobs.is_empty() => choice.member("logprobs", "null"),
            Some(logprobs) => choice.object("logprobs", logprobs.written()),
            None => {}
        }
        choice.member("finish_reason", finish_reason.get());
        self.beside.write_but(&mut choice, &[]);
        Ok(choice)
    }
}

impl Call<'_> {
    fn assembled(self) -> Object {
        let mut call = self.call.written();
        if let Some(function) = self.function {
            call.object("function", function.written());
        }
        call
    }
}

fn of_a_function(name: &str) -> Rule {
    match name {
        "name" => Rule::Same,
        _ => Rule::Parts,
    }
}

fn add<'a>(
    draft: &mut Draft<'a>,
    members: Members<'a>,
    rule: impl Fn(&str) -> Rule,
) -> Result<(), AssemblyError> {
    for (name, value) in members.0 {
        let rule = rule(&name);
        draft.add(name, value, rule)?;
    }
    Ok(())
}

fn said(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| !is_null(value))
}

fn read(value: &RawValue) -> Result<Members<'_>, AssemblyError> {
    Members::read(value.get()).ok_or(AssemblyError::Chunk)
}
