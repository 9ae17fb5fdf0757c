//! How does a stream look as a whole answer?
//!
//! An answer that came as a stream is also given to those who ask for it whole. Only a
//! stream that is complete is put together: its end was said, every choice finished, all
//! of it was understood. What says the same in one piece is what any SDK would make
//! of the stream; where they differ there is no answer, and it is asked for anew.
//!
//! How each member is joined:
//! * of the answer: `id`, `created`, `model`, `system_fingerprint` and `service_tier` as they
//!   are said first, `usage` as it is largest, all else as it is said last; `obfuscation` is
//!   dropped, which only makes chunks longer;
//! * of a choice: its message and `logprobs` part by part, all else as it is said last;
//! * of a message: its calls by their index, and in a call the arguments part by part;
//! * part by part: strings and lists are laid end to end, anything else must be the same
//!   whenever it is said. So must roles, ids, types and names, of which no SDK expects parts.

/// How are the members of one object joined?
mod draft;
/// What did the chunks say of one choice?
mod choice;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use self::choice::Choice;
use self::draft::{Draft, Rule};
use super::raw::{Members, Object, is_null};
use crate::openai::{ChatChunk, ChatCompletion, Usage};
use crate::sse::Choices;
use crate::sse::finished::Finished;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// A `chat.completion`.
    pub bytes: Bytes,
    /// The tokens that were told.
    pub usage: Option<Usage>,
}

/// Why a stream is no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// It ends before its end was said, or inside an event.
    #[error("the stream is cut off")]
    Cut,
    /// It tells of an error.
    #[error("the stream tells of an error")]
    Error,
    /// An event is no chunk, or not like one.
    #[error("an event of the stream is no chunk")]
    Chunk,
    /// A choice has no `finish_reason`, or there is no choice.
    #[error("a choice of the stream did not finish")]
    Unfinished,
    /// A member was said twice, and nobody knows how to join the two.
    #[error("the parts of an answer do not fit together")]
    Apart,
    /// An object has more members than anybody's.
    #[error("an object of the stream has too many members")]
    TooMany,
}

/// The whole answer that these slices of a finished stream are, however it was cut into
/// them. `done_was_added` says that its upstream ended it in order but for `[DONE]`.
///
/// Shape: `chat.completion`; `usage` is `null` where the stream told none. Whether it may be
/// kept is for [`super::admission`] to say.
///
/// # Errors
/// [`AssemblyError`], where the stream is not complete or not understood.
pub fn completion(slices: &[Bytes], done_was_added: bool) -> Result<Assembled, AssemblyError> {
    let stream = match slices {
        [only] => Cow::Borrowed(&**only),
        _ => Cow::Owned(slices.concat()),
    };
    let finished = Finished::read(&stream);
    if finished.cut || !(finished.done || done_was_added) {
        return Err(AssemblyError::Cut);
    }
    let mut answer = Answer::default();
    for data in &finished.data {
        let data = simdutf8::basic::from_utf8(data).map_err(|_| AssemblyError::Chunk)?;
        answer.chunk(Members::read(data).ok_or(AssemblyError::Chunk)?)?;
    }
    answer.assembled()
}

/// What the chunks said so far.
#[derive(Default)]
struct Answer<'a> {
    /// What stands beside the choices.
    beside: Draft<'a>,
    choices: BTreeMap<u32, Choice<'a>>,
    /// The largest counts, and how they were written.
    usage: Option<(Usage, &'a RawValue)>,
}

impl<'a> Answer<'a> {
    fn chunk(&mut self, mut chunk: Members<'a>) -> Result<(), AssemblyError> {
        let object = chunk.take("object").map(RawValue::get);
        let error = chunk.take("error");
        // vLLM writes `"object":"error"` beside the error's own members.
        if error.is_some_and(|error| !is_null(error)) || object == Some("\"error\"") {
            return Err(AssemblyError::Error);
        }
        if !object.is_none_or(is_of_a_chunk) {
            return Err(AssemblyError::Chunk);
        }
        chunk.take("obfuscation");
        if let Some(usage) = chunk.take("usage") {
            self.count(usage);
        }
        if let Some(choices) = chunk.take("choices").filter(|choices| !is_null(choices)) {
            let choices = Members::list(choices.get()).ok_or(AssemblyError::Chunk)?;
            for mut choice in choices {
                let index = index(&mut choice)?.unwrap_or(0);
                if index > Choices::INDEX_MAX {
                    return Err(AssemblyError::Chunk);
                }
                self.choices.entry(index).or_default().chunk(choice)?;
            }
        }
        for (name, value) in chunk.0 {
            let rule = match &*name {
                "id" | "created" | "model" | "system_fingerprint" | "service_tier" => Rule::First,
                _ => Rule::Last,
            };
            self.beside.add(name, value, rule)?;
        }
        Ok(())
    }

    /// Some upstreams count up with every event, and some end with zeros.
    fn count(&mut self, told: &'a RawValue) {
        let Ok(usage) = serde_json::from_str::<Usage>(told.get()) else {
            return;
        };
        self.usage = match self.usage {
            Some((before, raw)) if usage.larger(before) != usage => {
                Some((usage.larger(before), raw))
            }
            _ => Some((usage, told)),
        };
    }

    fn assembled(self) -> Result<Assembled, AssemblyError> {
        if self.choices.is_empty() {
            return Err(AssemblyError::Unfinished);
        }
        let mut completion = Object::new();
        self.beside.write_one(&mut completion, "id");
        completion.texts("object", &[ChatCompletion::OBJECT]);
        self.beside.write_but(&mut completion, &["id"]);
        let mut choices = Vec::with_capacity(self.choices.len());
        for (index, choice) in self.choices {
            choices.push(choice.assembled(index)?);
        }
        completion.objects("choices", choices);
        let told = self.usage.map_or("null", |(_, told)| told.get());
        completion.member("usage", told);
        Ok(Assembled {
            bytes: completion.close().into(),
            usage: self.usage.map(|(usage, _)| usage),
        })
    }
}

/// Azure's first chunk has an empty one, and some upstreams take the answer's.
fn is_of_a_chunk(object: &str) -> bool {
    let object = object.trim_matches('"');
    object.is_empty()
        || object == "null"
        || object == ChatChunk::OBJECT
        || object == ChatCompletion::OBJECT
}

/// Takes the index out of a choice or a call.
fn index(members: &mut Members<'_>) -> Result<Option<u32>, AssemblyError> {
    let Some(index) = members.take("index").filter(|index| !is_null(index)) else {
        return Ok(None);
    };
    let index = index.get().parse().map_err(|_| AssemblyError::Chunk)?;
    Ok(Some(index))
}
