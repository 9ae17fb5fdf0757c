//! Which keys could two readers take differently?
//!
//! Of a key that stands twice some readers take the first value, some the last: so
//! none may, in any object. And some readers match keys without regard to case (Go's
//! `encoding/json` folds even `ſ` to `s` and the Kelvin sign to `k`), some stop at a
//! NUL, some trim: so a key that is a known one under such a reading, and is not
//! spelled as that, is refused. Of the latter only the outermost object is judged:
//! what lies deeper is the upstream's.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::InspectError;
use super::field::Field;
use super::parameters::parameters;
use crate::operation::Operation;

/// Up to so many keys are compared pairwise, which is cheaper than a table.
const PAIRWISE_MAX: usize = 16;

/// The keys of a chat-completions body that mean something to somebody.
const KNOWN: [&str; 49] = [
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
    "prompt_cache_retention",
    "api_base",
    "base_url",
    "api_key",
];

/// What some gateways take from a body: where they ask, and with which credential. It is never
/// meant for a model, and an upstream that is such a gateway would follow it.
const STEERING: [&str; 3] = ["api_base", "base_url", "api_key"];

/// Known keys that are no parameter of chat completions: they mean something to some upstream
/// only, and what they mean there is not known here.
const FOREIGN: [&str; 7] = [
    "top_k",
    "min_p",
    "repetition_penalty",
    "reasoning",
    "prompt",
    "provider",
    "models",
];

/// The routed field a top-level key names, `None` for any other key.
///
/// # Errors
///
/// The key is another spelling of a known one, or nobody's to send.
pub(super) fn recognise(
    operation: Operation,
    key: &str,
    offset: usize,
) -> Result<Option<Field>, InspectError> {
    let field = match key {
        "model" => Field::Model,
        "messages" => Field::Messages,
        "stream" => Field::Stream,
        "n" => Field::N,
        "max_tokens" => Field::MaxTokens,
        "max_completion_tokens" => Field::MaxCompletionTokens,
        "user" => Field::User,
        "prompt_cache_key" => Field::PromptCacheKey,
        "stream_options" => Field::StreamOptions,
        "store" => Field::Store,
        "temperature" => Field::Temperature,
        "best_of" => Field::BestOf,
        "top_logprobs" => Field::TopLogprobs,
        "tools" => Field::Tools,
        "functions" => Field::Functions,
        "size" => Field::Size,
        other => {
            if let Some(field) = parameters(operation).field(other) {
                return Ok(Some(field));
            }
            if let Some(param) = STEERING.into_iter().find(|steering| *steering == other) {
                return Err(InspectError::Steering { param, offset });
            }
            return match folds_to(operation, other) {
                Some(param) => Err(InspectError::FoldedKey { param, offset }),
                None => Ok(None),
            };
        }
    };
    Ok(Some(field))
}

/// Whether this is a parameter of the operation; of chats, an image model's included.
pub(super) fn is_parameter(operation: Operation, key: &str) -> bool {
    match operation {
        Operation::Chat => KNOWN.contains(&key) && !FOREIGN.contains(&key),
        other => parameters(other).names.contains(&key),
    }
}

/// The known key that this is, to the letter.
pub(super) fn name(operation: Operation, key: &str) -> Option<&'static str> {
    known(operation).find(|known| *known == key)
}

/// The keys that mean something to somebody who is asked for this.
fn known(operation: Operation) -> impl Iterator<Item = &'static str> {
    let own = parameters(operation).names.iter().copied();
    KNOWN.into_iter().chain(own)
}

/// Finds keys that stand twice.
///
/// Few keys are compared with each other. Of many, prints tell at once that most
/// differ; only where two are equal are the texts compared, by a set of std's own, so
/// that a caller who made prints collide would gain a second look and nothing else.
#[derive(Default)]
pub(super) struct Duplicates {
    /// Prints by their low bits, 0 where there is none; at least half are 0.
    table: Vec<u64>,
    /// Of the prints; chosen when the first is needed.
    seed: Option<u64>,
}

impl Duplicates {
    /// A key that stands twice among these.
    pub(super) fn find<'k>(&mut self, keys: &[&'k [u8]]) -> Option<&'k [u8]> {
        if keys.len() <= PAIRWISE_MAX {
            return twice_pairwise(keys);
        }
        if !self.may_stand_twice(keys) {
            return None;
        }
        let mut seen = HashSet::with_capacity_and_hasher(keys.len(), RandomState::new());
        keys.iter().copied().find(|key| !seen.insert(*key))
    }

    fn may_stand_twice(&mut self, keys: &[&[u8]]) -> bool {
        let seed = *self
            .seed
            .get_or_insert_with(|| RandomState::new().hash_one(keys.len()));
        self.table.clear();
        self.table.resize(keys.len().next_power_of_two() * 2, 0);
        keys.iter().any(|key| !self.insert(print(key, seed)))
    }

    /// Keeps a print; `false` where it is there already.
    fn insert(&mut self, print: u64) -> bool {
        let mask = self.table.len() - 1;
        let mut at = usize::try_from(print & mask as u64).unwrap_or(0);
        // Half of the table is free, so this comes to an end.
        while let Some(place) = self.table.get_mut(at) {
            if *place == 0 {
                *place = print;
                return true;
            }
            if *place == print {
                return false;
            }
            at = (at + 1) & mask;
        }
        false
    }
}

fn twice_pairwise<'k>(keys: &[&'k [u8]]) -> Option<&'k [u8]> {
    let mut rest = keys;
    while let Some((key, others)) = rest.split_first() {
        if others.contains(key) {
            return Some(key);
        }
        rest = others;
    }
    None
}

/// A fingerprint under a seed that callers do not know. Never 0.
fn print(text: &[u8], seed: u64) -> u64 {
    let mix = |print: u64, word: u64| {
        // The digits of pi behind the point, as wyhash and its kin take them; any odd number does.
        let product = u128::from(print ^ word) * 0x243F_6A88_85A3_08D3;
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded")]
        let folded = (product >> 64) as u64 ^ product as u64;
        folded
    };
    let mut print = seed ^ text.len() as u64;
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        print = mix(print, u64::from_le_bytes(*word));
        rest = after;
    }
    let tail = rest
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(mix(print, tail), seed) | 1
}

/// The known key that another reader could take this one for, though it is spelled otherwise.
pub(super) fn folds_to(operation: Operation, key: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if key.bytes().all(plain) {
        return None;
    }
    // A reader that stops at a NUL reads only what stands before it.
    let before_nul = key.split('\0').next().unwrap_or_default();
    known(operation)
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn texts() -> Vec<String> {
        let short = (0..1000).map(|number| format!("{number:x}"));
        let long = (0..1000).map(|number| format!("a longer key, {number}, and more behind it"));
        short.chain(long).collect()
    }

    /// With equal prints it would be right as well, and slow.
    #[test]
    fn of_many_keys_most_are_told_apart_by_their_prints() {
        let texts = texts();
        let mut keys: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.may_stand_twice(&keys));
        assert_eq!(duplicates.find(&keys), None);
        keys[1700] = keys[30];
        assert!(duplicates.may_stand_twice(&keys));
        assert_eq!(duplicates.find(&keys), Some(b"1e".as_slice()));
    }

    #[test]
    fn few_keys_are_compared_as_they_are() {
        let texts = texts();
        let mut keys: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        keys.truncate(PAIRWISE_MAX);
        let mut duplicates = Duplicates::default();
        assert_eq!(duplicates.find(&keys), None);
        keys[9] = keys[3];
        assert_eq!(duplicates.find(&keys), Some(b"3".as_slice()));
        assert!(duplicates.seed.is_none());
    }

    #[test]
    fn prints_differ_by_each_letter_and_in_all_of_their_bits() {
        let texts = texts();
        for seed in [0, 1, u64::MAX, 0x0123_4567_89AB_CDEF] {
            let prints: HashSet<u64> = texts.iter().map(|it| print(it.as_bytes(), seed)).collect();
            assert_eq!(prints.len(), texts.len());
            // The lowest bit is always set, so that none is 0.
            assert!(prints.iter().all(|print| print & 1 == 1));
            for bit in 1..64 {
                let set = prints.iter().filter(|print| *print >> bit & 1 == 1).count();
                let expected = texts.len() * 2 / 5..texts.len() * 3 / 5;
                assert!(expected.contains(&set), "{set} of bit {bit}, seed {seed}");
            }
        }
        let lengths: HashSet<u64> = (0..100).map(|length| print(&vec![0; length], 7)).collect();
        assert_eq!(lengths.len(), 100);
    }
}
