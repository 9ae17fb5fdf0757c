//! How does a whole answer look as a stream?
//!
//! An answer that was kept whole is also given to those who ask for a stream, as the events
//! that an SDK makes the same message of. Every SDK has its own way to join what comes
//! in parts, so only what all of them join is cut: content, refusal and the arguments of
//! calls. All else goes in one piece, as it is; JavaScript's keeps the last value of a
//! member that it does not know (such as `reasoning_content`), Python's joins them.
//!
//! Nothing is decoded on the way (`raw.rs`), and each event repeats what the answer
//! says beside its choices, so the number of events is bounded by what that is long.

/// Where may a text be cut?
mod pieces;
/// What does one choice say, part by part?
mod choice;

#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use self::choice::Choice;
use super::raw::{Members, Object, is_null, one_line};
use crate::openai::ChatChunk;

/// Into so many pieces all texts of an answer together are cut, and one more for each text:
/// as many as a reader sees go by, and no more than a model of ordinary speed sends in
/// some seconds.
const PIECES_MAX: usize = 128;
/// A handful of words; shorter ones are not cut off.
const PIECE_BYTES_MIN: usize = 24;
/// What is repeated in all pieces together. Most answers repeat 200 bytes; some have their
/// sources beside the choices and repeat ten thousand.
const REPEATED_BYTES_MAX: usize = 256 * 1024;
/// A replay may take so many bytes, and so many times its answer's: an answer that was made
/// of nothing but calls would use up the memory.
const REPLAY_BYTES_MIN: usize = 2 * REPEATED_BYTES_MAX;
/// See [`REPLAY_BYTES_MIN`].
const REPLAY_FACTOR_MAX: usize = 16;

/// Why an answer cannot be given as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is not JSON, or has no choices with a message each.
    #[error("the answer is no chat completion")]
    Shape,
    /// It would be much longer than the answer.
    #[error("the answer would take far more bytes as a stream")]
    TooLong,
}

/// The events of a stream that says what this answer says, `[DONE]` last, all slices of
/// one buffer. With `include_usage` a last chunk tells the tokens, where they are known.
///
/// Shape: `chat.completion.chunk`; for each choice in turn its role and what is empty or
/// was thought, its content, its refusal, what else it has, its calls, its finish.
///
/// # Errors
/// [`ReplayError`]; nothing that [`super::admission`] admits, but for an answer with
/// thousands of calls.
pub fn events(completion: &[u8], include_usage: bool) -> Result<Vec<Bytes>, ReplayError> {
    let text = simdutf8::basic::from_utf8(completion).map_err(|_| ReplayError::Shape)?;
    let mut repeated = Members::read(text).ok_or(ReplayError::Shape)?;
    let usage = repeated.take("usage").filter(|usage| !is_null(usage));
    let usage = usage.filter(|_| include_usage);
    let choices = Choice::list(repeated.take("choices").ok_or(ReplayError::Shape)?)?;

    let mut stream = Stream::new(&repeated, usage.is_some(), completion.len());
    let texts_bytes: usize = choices.iter().map(Choice::texts_bytes).sum();
    let pieces_max = (REPEATED_BYTES_MAX / stream.head.len()).clamp(1, PIECES_MAX);
    let piece_bytes = PIECE_BYTES_MIN.max(texts_bytes / pieces_max);
    for choice in choices {
        choice.write(piece_bytes, &mut stream)?;
    }
    if let Some(usage) = usage {
        stream.usage(usage)?;
    }
    Ok(stream.close())
}

/// The events, as they are written.
struct Stream {
    bytes: Vec<u8>,
    /// Where each event ends.
    ends: Vec<usize>,
    bytes_max: usize,
    /// How each chunk begins: everything before what is in the list of its choices.
    head: Vec<u8>,
    /// What each chunk but the last says of usage.
    tail: &'static str,
}

impl Stream {
    fn new(repeated: &Members<'_>, tells_usage: bool, completion_bytes: usize) -> Self {
        let mut chunk = Object::new();
        let mut has_object = false;
        for (name, value) in &repeated.0 {
            if name == "object" {
                has_object = true;
                chunk.texts(name, &[ChatChunk::OBJECT]);
            } else {
                chunk.member(name, value.get());
            }
        }
        if !has_object {
            chunk.texts("object", &[ChatChunk::OBJECT]);
        }
        let mut head = b"data: ".to_vec();
        head.extend_from_slice(&chunk.unclosed());
        head.extend_from_slice(b",\"choices\":[");
        Self {
            bytes: Vec::with_capacity(completion_bytes * 2),
            ends: Vec::new(),
            bytes_max: completion_bytes
                .saturating_mul(REPLAY_FACTOR_MAX)
                .saturating_add(REPLAY_BYTES_MIN),
            head,
            tail: if tells_usage {
                "],\"usage\":null}\n\n"
            } else {
                "]}\n\n"
            },
        }
    }

    /// A chunk that says something of one choice.
    fn choice(&mut self, choice: Object) -> Result<(), ReplayError> {
        let choice = choice.close();
        self.chunk(&choice, self.tail)
    }

    /// The last chunk.
    fn usage(&mut self, usage: &RawValue) -> Result<(), ReplayError> {
        let tail = format!("],\"usage\":{}}}\n\n", one_line(usage.get()));
        self.chunk(&[], &tail)
    }

    fn chunk(&mut self, choice: &[u8], tail: &str) -> Result<(), ReplayError> {
        self.bytes.extend_from_slice(&self.head);
        self.bytes.extend_from_slice(choice);
        self.bytes.extend_from_slice(tail.as_bytes());
        self.ends.push(self.bytes.len());
        if self.bytes.len() > self.bytes_max {
            return Err(ReplayError::TooLong);
        }
        Ok(())
    }

    fn close(mut self) -> Vec<Bytes> {
        self.bytes.extend_from_slice(b"data: [DONE]\n\n");
        self.ends.push(self.bytes.len());
        let all = Bytes::from(self.bytes);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| all.slice(Range { start, end: *end }))
            .collect()
    }
}
