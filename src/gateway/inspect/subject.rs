//! What is it asked about?
//!
//! The one field that an operation cannot do without, and how much is in it: of a list of
//! texts each is a question of its own, and a list of numbers is one text as tokens. What is
//! inside of it is the upstream's to read.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::field::Field;
use super::scan::{Kind, Value};
use super::values::{boolean, said, string};
use super::{Found, InspectError, invalid};
use crate::operation::Operation;

/// What is asked about.
pub(super) struct Subject {
    /// Where it stands in the body.
    pub(super) span: Range<usize>,
    /// How much it is, ≥ 1.
    pub(super) inputs: usize,
}

/// Finds what is asked about, which is there and not more than so many.
pub(super) fn subject(
    found: &Found,
    text: &str,
    operation: Operation,
    inputs_max: usize,
) -> Result<Subject, InspectError> {
    let required = |field, value: &Option<Value>| {
        let value = said(value.as_ref()).cloned();
        value.ok_or(InspectError::MissingField { field })
    };
    let (field, value) = match operation {
        Operation::Chat | Operation::Counting => {
            let messages = found.messages.clone();
            let field = Field::Messages;
            (field, messages.ok_or(InspectError::MissingField { field })?)
        }
        Operation::Completions | Operation::Images => {
            (Field::Prompt, required(Field::Prompt, &found.prompt)?)
        }
        // What a prompt that is kept upstream is filled with may be nothing.
        Operation::Responses if said(found.input.as_ref()).is_none() => {
            let prompt = said(found.prompt.as_ref()).cloned();
            let field = Field::Input;
            (
                Field::Prompt,
                prompt.ok_or(InspectError::MissingField { field })?,
            )
        }
        Operation::Embeddings
        | Operation::Responses
        | Operation::Speech
        | Operation::Moderations
        | Operation::Transcriptions => (Field::Input, required(Field::Input, &found.input)?),
        Operation::Rerank => {
            required(Field::Query, &found.query)?;
            (
                Field::Documents,
                required(Field::Documents, &found.documents)?,
            )
        }
    };
    let is_text = matches!(value.kind, Kind::String { .. });
    let is_list = value.kind == Kind::Array;
    let fits = match operation {
        Operation::Chat | Operation::Rerank | Operation::Counting => is_list,
        Operation::Images | Operation::Speech | Operation::Transcriptions => is_text,
        Operation::Responses if field == Field::Prompt => value.kind == Kind::Object,
        Operation::Completions
        | Operation::Embeddings
        | Operation::Responses
        | Operation::Moderations => is_text || is_list,
    };
    let inputs = match operation {
        _ if !fits => 0,
        // Messages and items are one question, however many there are.
        Operation::Chat | Operation::Responses | Operation::Counting => 1,
        _ if is_list => inputs(text.get(value.span.clone()).unwrap_or_default()),
        _ => 1,
    };
    match inputs {
        0 => Err(invalid(field, &value)),
        many if many > inputs_max => Err(InspectError::AboveCap {
            field,
            max: inputs_max as u64,
            offset: value.span.start,
        }),
        inputs => Ok(Subject {
            span: value.span,
            inputs,
        }),
    }
}

/// How many texts are in a list that was inspected; numbers are one.
fn inputs(list: &str) -> usize {
    let first = list.get(1..).unwrap_or_default().trim_start();
    if first.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return 1;
    }
    // Of nothing, which needs no room.
    let entries: Vec<IgnoredAny> = serde_json::from_str(list).unwrap_or_default();
    entries.len()
}

/// Whether the answer is to be a stream of events.
pub(super) fn is_stream(
    found: &Found,
    text: &str,
    operation: Operation,
) -> Result<bool, InspectError> {
    match operation {
        Operation::Responses => {
            // Nobody could ask for it when it is done.
            if boolean(Field::Background, found.background.as_ref())?
                && let Some(value) = &found.background
            {
                return Err(invalid(Field::Background, value));
            }
            boolean(Field::Stream, found.stream.as_ref())
        }
        Operation::Speech => {
            let format = said(found.stream_format.as_ref());
            Ok(format.and_then(|value| string(text, value)).as_deref() == Some("sse"))
        }
        // None of these has one.
        Operation::Embeddings
        | Operation::Moderations
        | Operation::Rerank
        | Operation::Counting => Ok(false),
        _ => boolean(Field::Stream, found.stream.as_ref()),
    }
}

/// Whether the upstream is to keep what it answers, or answers by what it has kept. Of
/// responses it is to unless that is said.
pub(super) fn is_stored(found: &Found, operation: Operation) -> Result<bool, InspectError> {
    let store = boolean(Field::Store, found.store.as_ref())?;
    if operation != Operation::Responses {
        return Ok(store);
    }
    let goes_on = [
        &found.previous_response_id,
        &found.conversation,
        &found.prompt,
    ]
    .into_iter()
    .any(|value| said(value.as_ref()).is_some());
    Ok(store || said(found.store.as_ref()).is_none() || goes_on)
}
