//! What is the prompt of an image?
//!
//! Image models are asked through chat completions, so the prompt is the text of
//! the last user message. Only such requests come here: the messages are read
//! again, with serde, which text models are spared.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::field::Field;
use super::{Ask, InspectError};

/// What an image model is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageAsk {
    /// The text of the last user message.
    pub prompt: String,
    /// How many images; `None`: not said, which means one.
    pub n: Option<u32>,
    /// Such as `1024x1024`.
    pub size: Option<String>,
    /// Such as `hd`.
    pub quality: Option<String>,
    /// Such as `vivid`.
    pub style: Option<String>,
    /// What makes the same image again, where the upstream knows it.
    pub seed: Option<i64>,
}

/// Reads what an image model is asked for from a body that was inspected.
///
/// # Errors
///
/// No user message has text, or `size`, `quality`, `style` or `seed` is of another type.
pub fn image_ask(body: &[u8], ask: &Ask) -> Result<ImageAsk, InspectError> {
    let invalid = |field| InspectError::InvalidValue {
        field,
        offset: ask.messages_span.start,
    };
    let text = |field, value: Option<Value>| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(field)),
    };
    let prompt = last_user_text(body, ask).ok_or(invalid(Field::Messages))?;
    let options: Options = serde_json::from_slice(body).map_err(|_| invalid(Field::Messages))?;
    let seed = match options.seed {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_i64().ok_or(invalid(Field::Seed))?),
    };
    Ok(ImageAsk {
        prompt,
        n: ask.n,
        size: text(Field::Size, options.size)?,
        quality: text(Field::Quality, options.quality)?,
        style: text(Field::Style, options.style)?,
        seed,
    })
}

/// The text of the last user message: its string, or its text parts, a line each.
/// `None` where there is no such message or it has no text.
#[must_use]
pub fn last_user_text(body: &[u8], ask: &Ask) -> Option<String> {
    let messages = body.get(ask.messages_span.clone())?;
    let messages: Vec<Message> = serde_json::from_slice(messages).ok()?;
    let message = messages
        .into_iter()
        .rev()
        .find(|message| message.role == "user")?;
    let content = message.content?.get();
    let text = if content.starts_with('[') {
        let parts: Vec<Part> = serde_json::from_str(content).ok()?;
        let texts: Vec<String> = parts.into_iter().filter_map(|part| part.text).collect();
        texts.join("\n")
    } else {
        serde_json::from_str(content).ok()?
    };
    (!text.trim().is_empty()).then_some(text)
}

#[derive(Deserialize)]
struct Options {
    size: Option<Value>,
    quality: Option<Value>,
    style: Option<Value>,
    seed: Option<Value>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    role: String,
    /// Raw, because only the last one is read: the others may hold megabytes of images.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}
