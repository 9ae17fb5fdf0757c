//! What is an answer kept by?
//!
//! By a hash of everything that could make another answer: the whole body but for what is
//! named here, who may see the answer, who was asked for it and in which words. A field that
//! nobody here knows counts like one that is known, so a question can only be asked once too
//! often, and never be given another's answer. White space and the order of keys do not count
//! (`key/canonical.rs`); how a number or a string is written does.
//!
//! The hash is of 256 bits and has no known collision, unlike those that tables are made with:
//! prompts come from people who would like to choose what others are answered. What it is made
//! of is hashed as it is come by; each part has a tag and a length, so that no two lists of
//! parts look the same.

/// What stands before the body in what is hashed?
mod parts;
/// How is a body written so that white space and the order of keys make no difference?
mod canonical;
/// Where do the long values of a body end?
mod outline;
/// How are many small pieces hashed at the speed of a large one?
mod stage;
/// Why was this not answered from memory?
mod told;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use crate::config::clients;
use crate::gateway::client::Client;
use crate::gateway::route::Plan;
use canonical::Canonical;
use stage::Stage;
pub use told::{Ingredient, explain};

/// What the hash is for, and the form of what is hashed. Replicas of two versions may share
/// what they keep, so a form that changes needs another name.
const CONTEXT: &str = "spafe 2026-11-29 key of a kept answer, form 2";

/// That as a key of BLAKE3, so that nothing is such a hash by chance.
static DOMAIN: LazyLock<[u8; blake3::KEY_LEN]> = LazyLock::new(|| blake3::derive_key(CONTEXT, b""));

/// Bytes that stand before a body, or about as many.
const PARTS_BYTES: usize = 1024;

/// Top-level members that never count: how the answer is delivered is no part of it, and the
/// model counts by what each pool calls it.
const UNCOUNTED: [&str; 3] = ["stream", "stream_options", "model"];

/// What an answer is kept by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Who may be given an answer that was made for one of them.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// Everybody.
    Shared,
    /// Everybody without a key.
    Anonymous,
    /// Whoever shows this key; it is told apart by its hash, so another one that is given its
    /// name has nothing of it.
    Key(&'a clients::Key),
    /// Whoever comes from this address, without a key. Of IPv6, the network of its /64.
    Client(IpAddr),
}

/// Everything that makes a key.
#[derive(Debug, Clone, Copy)]
pub struct Ingredients<'a> {
    /// The word for what was called.
    pub endpoint: &'static str,
    /// Who may be given the answer.
    pub scope: Scope<'a>,
    /// Who may answer.
    pub plan: &'a Plan,
    /// The model's name as the caller wrote it, escapes decoded.
    pub model: &'a str,
    /// What addresses of kept images begin with, where images are asked for.
    pub base_url: Option<&'a str>,
    /// Which betas of Anthropic's are wanted.
    pub beta: Option<&'a [u8]>,
    /// The body, as it was inspected.
    pub body: &'a [u8],
    /// Top-level members that the operator says no answer depends on. Another list, or another
    /// order of it, makes other keys.
    pub ignored: &'a [Box<str>],
}

impl Key {
    /// The key of what is asked here.
    #[must_use]
    pub fn of(ingredients: &Ingredients<'_>) -> Self {
        let mut stage = ingredients.staged();
        if ingredients.put_canonical(&mut stage).is_none() {
            stage = ingredients.staged();
            ingredients.put_as_it_came(&mut stage);
        }
        let (_, hash) = stage.finish();
        Self(*hash.as_bytes())
    }

    /// The key that this is the hash of: one that was written down, or is made up for a trial.
    #[must_use]
    pub fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl<'a> Scope<'a> {
    /// What this caller has for itself alone.
    #[must_use]
    pub fn own(client: &'a Client) -> Self {
        match &client.key {
            Some(key) => Self::Key(key),
            None => Self::Client(client.network()),
        }
    }

    /// What a caller with this one's key has for itself, and all without a key together.
    #[must_use]
    pub fn by_key(client: &'a Client) -> Self {
        client.key.as_deref().map_or(Self::Anonymous, Self::Key)
    }
}

impl Ingredients<'_> {
    /// A stage with all that stands before the body.
    fn staged(&self) -> Stage {
        let mut stage = Stage::new(&DOMAIN, self.body.len() + PARTS_BYTES);
        for part in self.parts() {
            part.put(&mut stage);
        }
        stage
    }

    /// Puts what counts of the body; `None` where it is not as inspection lets bodies through,
    /// or is nested more deeply than is followed.
    fn put_canonical(&self, stage: &mut Stage) -> Option<()> {
        let mut body = Canonical::of(self.body)?;
        stage.put(b"{");
        for member in body.top() {
            if self.counts(body.text(&member)) {
                body.put(&member, stage)?;
                stage.put(b",");
            }
        }
        Some(())
    }

    /// Puts the body to the byte, so that only the same bytes hit. It begins with nothing that
    /// a body in its canonical form could begin with.
    fn put_as_it_came(&self, stage: &mut Stage) {
        stage.put(b"=");
        stage.put(self.body);
    }

    /// Whether a top-level member makes another key.
    fn counts(&self, name: &[u8]) -> bool {
        let mut ignored = self.ignored.iter();
        !UNCOUNTED
            .iter()
            .any(|uncounted| uncounted.as_bytes() == name)
            && !ignored.any(|ignored| ignored.as_bytes() == name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
