//! Which spellings of a key could another reader take for a known one?
//!
//! Some readers match keys without regard to case (Go's `encoding/json` folds even
//! `ſ` to `s` and the Kelvin sign to `k`), some stop at a NUL, some trim. A key that
//! is a known one under such a reading, and is not spelled as that, is refused.
//! Only the outermost object is judged so: what lies deeper is the upstream's.

use super::{Field, InspectError};

/// The keys of a chat-completions body that mean something to somebody.
const KNOWN: [&str; 45] = [
    "model",
    "messages",
    "stream",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "user",
    "stream_options",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "stop",
    "seed",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "best_of",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "reasoning",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "web_search_options",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt",
    "size",
    "quality",
    "style",
    "provider",
    "models",
];

/// The routed field a top-level key names, `None` for any other key.
///
/// # Errors
///
/// The key is another spelling of a known one.
pub(super) fn recognise(key: &str, offset: usize) -> Result<Option<Field>, InspectError> {
    let field = match key {
        "model" => Field::Model,
        "messages" => Field::Messages,
        "stream" => Field::Stream,
        "n" => Field::N,
        "max_tokens" => Field::MaxTokens,
        "max_completion_tokens" => Field::MaxCompletionTokens,
        "user" => Field::User,
        "stream_options" => Field::StreamOptions,
        other => {
            return match folds_to(other) {
                Some(param) => Err(InspectError::FoldedKey { param, offset }),
                None => Ok(None),
            };
        }
    };
    Ok(Some(field))
}

/// The known key that this is, to the letter.
pub(super) fn name(key: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| *known == key)
}

/// The known key that another reader could take this one for, though it is spelled otherwise.
fn folds_to(key: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if key.bytes().all(plain) {
        return None;
    }
    // A reader that stops at a NUL reads only what stands before it.
    let before_nul = key.split('\0').next().unwrap_or_default();
    KNOWN
        .into_iter()
        .find(|known| folds_equal(key, known) || folds_equal(before_nul, known))
        .filter(|known| *known != key)
}

fn folds_equal(key: &str, known: &str) -> bool {
    // Up and down again: `ſ` has no lower case but its own, its upper case is `S`.
    let folded = key
        .chars()
        .filter(|letter| !is_invisible(*letter))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase);
    folded.eq(known.chars())
}

/// White space, controls, and the characters that show nothing (Unicode's
/// `Default_Ignorable_Code_Point`, as far as assigned).
fn is_invisible(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}
