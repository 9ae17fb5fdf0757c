//! How is Google's Gemini protocol spoken?
//!
//! Shape: turns (`contents`) of parts, said by `user` or `model`; a `systemInstruction` beside
//! them; `generationConfig` for how an answer is to be. What came of a call stands in the
//! user's turn. A whole answer and each event of a stream have the same form: candidates, each
//! with parts that are added to what it said before. A stream has no event that ends it.
//!
//! A part may have a `thoughtSignature`, without which later models go on worse or refuse to. It
//! travels in `extra_content.google.thought_signature` of a call, or of a message, as in
//! Google's own address for OpenAI's protocol; a caller who sends its messages back as they
//! came brings it along.
//!
//! Source: the Gemini API reference, `models.generateContent` and `streamGenerateContent`,
//! v1beta, and its pages on thinking, thought signatures and structured outputs.

/// What is asked?
pub(super) mod request;
/// How is an answer to be drawn and formed?
mod settings;
/// How do messages become turns?
mod contents;
/// How do parts of a message become parts of a turn?
mod parts;
/// What may be called, and must anything be?
mod tools;
/// What can be promised of JSON?
mod schema;
/// What does an answer, or an event, say?
mod said;
/// How does a whole answer read?
pub(super) mod answer;
/// How does a stream read?
pub(super) mod events;
/// What does an error say?
pub(super) mod failure;

use std::borrow::Cow;

/// Why an answer ended, in OpenAI's words. A reason that OpenAI has no word for goes on as it
/// is, in its letters' other case: what the caller makes of it nobody here can say.
fn finish_reason(reason: &str, has_calls: bool) -> Cow<'_, str> {
    match reason {
        "STOP" if has_calls => "tool_calls".into(),
        "STOP" => "stop".into(),
        "MAX_TOKENS" => "length".into(),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => "content_filter".into(),
        other => other.to_ascii_lowercase().into(),
    }
}
