//! Why was this not answered from memory?
//!
//! Two keys differ without saying in what. So an operator is told what a key is made of, part
//! by part; of what a body holds they see names, lengths and hashes, and never a prompt.

use std::sync::LazyLock;

use super::canonical::Canonical;
use super::parts::Part;
use super::stage::Stage;
use super::{Ingredients, Scope};

/// What the hashes are for that members of a body are told apart by.
const CONTEXT: &str = "spafe 2026-11-29 member of a body, as it is told";

/// That as a key of BLAKE3.
static DOMAIN: LazyLock<[u8; blake3::KEY_LEN]> = LazyLock::new(|| blake3::derive_key(CONTEXT, b""));

/// One thing that a key is made of, to be told to an operator; never what a body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// What it is.
    pub name: String,
    /// Which one, or what it can be told apart by.
    pub text: String,
}

/// What a key is made of, in the order in which it is hashed.
#[must_use]
pub fn explain(ingredients: &Ingredients<'_>) -> Vec<Ingredient> {
    let body = Canonical::of(ingredients.body);
    let top = body.as_ref().map(Canonical::top).unwrap_or_default();
    let is_sent = |name: &str| {
        let body = body.as_ref();
        body.is_some_and(|body| {
            top.iter()
                .any(|member| body.text(member) == name.as_bytes())
        })
    };
    let mut told: Vec<Ingredient> = ingredients.parts().map(|part| part.told(is_sent)).collect();
    told.extend(ingredients.members_told().unwrap_or_else(|| {
        let mut stage = stage(ingredients.body.len());
        stage.put(ingredients.body);
        vec![hashed("body, as it came".to_owned(), 0, stage)]
    }));
    told
}

impl Ingredients<'_> {
    /// What is told of the members that count.
    fn members_told(&self) -> Option<Vec<Ingredient>> {
        let mut body = Canonical::of(self.body)?;
        let mut told = Vec::new();
        for member in body.top() {
            let text = body.text(&member);
            if self.counts(text) {
                let name = name_told(text);
                let mut stage = stage(self.body.len());
                body.put(&member, &mut stage)?;
                told.push(hashed(name, member.before_value(), stage));
            }
        }
        Some(told)
    }
}

impl Part<'_> {
    fn told(&self, is_sent: impl Fn(&str) -> bool) -> Ingredient {
        let (name, text) = match self {
            Self::Endpoint(name) => ("endpoint", (*name).to_owned()),
            Self::Scope(Scope::Shared) => ("scope", "shared".to_owned()),
            Self::Scope(Scope::Anonymous) => ("scope", "anonymous".to_owned()),
            Self::Scope(Scope::Key(key)) => ("scope", format!("key {}", key.name)),
            Self::Scope(Scope::Client(address)) => ("scope", format!("client {address}")),
            Self::Epoch(hash) => ("epoch", blake3::Hash::from_bytes(**hash).to_string()),
            Self::BaseUrl(url) => ("base_url", (*url).to_owned()),
            Self::Beta(words) => ("beta", String::from_utf8_lossy(words).into_owned()),
            Self::Leg { pool, name } => ("pool", format!("{pool}: {name}")),
            Self::Ignored(name) if is_sent(name) => ("ignored", format!("{name}, which was sent")),
            Self::Ignored(name) => ("ignored", format!("{name}, which was not sent")),
        };
        Ingredient {
            name: name.to_owned(),
            text,
        }
    }
}

/// A stage for about so many bytes of a body.
fn stage(expected: usize) -> Stage {
    Stage::new(&DOMAIN, expected)
}

/// What is told of bytes: how many they are, and the first of their hash.
fn hashed(name: String, uncounted_bytes: u64, stage: Stage) -> Ingredient {
    let (len, hash) = stage.finish();
    let bytes = len.saturating_sub(uncounted_bytes);
    let hash = hash.to_hex();
    let text = format!("{bytes} bytes, {}", hash.get(..12).unwrap_or_default());
    Ingredient { name, text }
}

/// A member by the beginning of its key, which a caller may have made as long as they liked.
fn name_told(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let start: String = text.chars().take(64).collect();
    format!("body.{start}")
}
