//! What does a model say that answers in parts?
//!
//! Most say one text. Some that think (Mistral's, and servers that take after it) say a list
//! instead: thoughts, which are a list of texts again, and texts. Each is told as it is written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::gateway::dialect::Unreadable;
use crate::gateway::dialect::members::{is_null, is_text};

/// What is said, most often in one piece.
pub(super) type Pieces<'a> = SmallVec<[Piece<'a>; 1]>;

/// A text as it is written, quotes included.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'a> {
    /// The model thought it.
    Thought(&'a RawValue),
    /// The model said it.
    Text(&'a RawValue),
}

/// One of a list.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

/// The pieces of a text that may be a list of parts, in order.
///
/// # Errors
/// It is neither, or a part of it is nothing that can be told.
pub(super) fn pieces(content: Option<&RawValue>) -> Result<Pieces<'_>, Unreadable> {
    let mut pieces = Pieces::new();
    match content {
        Some(text) if is_text(text) => pieces.push(Piece::Text(text)),
        Some(parts) if !is_null(parts) => {
            for part in list(parts)? {
                match &*part.kind {
                    "text" => pieces.push(Piece::Text(text(part.text)?)),
                    "thinking" => think(part.thinking, &mut pieces)?,
                    // Where something was found, which stands in no text.
                    "reference" => {}
                    _ => return Err(Unreadable("a part that is no text")),
                }
            }
        }
        _ => {}
    }
    Ok(pieces)
}

/// Thoughts: a text, or a list of texts.
fn think<'a>(thoughts: Option<&'a RawValue>, to: &mut Pieces<'a>) -> Result<(), Unreadable> {
    match thoughts {
        Some(whole) if is_text(whole) => to.push(Piece::Thought(whole)),
        Some(parts) => {
            for part in list(parts)? {
                if part.kind == "text" {
                    to.push(Piece::Thought(text(part.text)?));
                }
            }
        }
        None => {}
    }
    Ok(())
}

fn list(parts: &RawValue) -> Result<Vec<Part<'_>>, Unreadable> {
    serde_json::from_str(parts.get()).map_err(|_| Unreadable("a text that is none"))
}

fn text(text: Option<&RawValue>) -> Result<&RawValue, Unreadable> {
    text.filter(|text| is_text(text))
        .ok_or(Unreadable("a text that is none"))
}
