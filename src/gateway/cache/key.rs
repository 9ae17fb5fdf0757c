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

/// How is a body written so that white space and the order of keys make no difference?
mod canonical;
/// Where do the long values of a body end?
mod outline;
/// How are many small pieces hashed at the speed of a large one?
mod stage;

use std::fmt;
use std::net::IpAddr;

use crate::config::clients;
use crate::gateway::client::Client;
use crate::gateway::route::{Leg, Plan};
use canonical::Canonical;
use stage::Stage;

/// What the hash is for, and the form of what is hashed. Replicas of two versions may share
/// what they keep, so a form that changes needs another name.
const CONTEXT: &str = "spafe 2026-07 key of a kept answer, form 1";
/// The same for the hashes that members of a body are told apart by.
const MEMBER_CONTEXT: &str = "spafe 2026-07 member of a body, as it is told";

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
    /// The body, as it was inspected.
    pub body: &'a [u8],
    /// Top-level members that the operator says no answer depends on. Another list, or another
    /// order of it, makes other keys.
    pub ignored: &'a [Box<str>],
}

/// One thing that a key is made of, to be told to an operator; never what a body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// What it is.
    pub name: String,
    /// Which one, or what it can be told apart by.
    pub text: String,
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
        Self(hash)
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
    match ingredients.members_told() {
        Some(members) => told.extend(members),
        None => {
            let mut stage = Stage::new(blake3::Hasher::new_derive_key(MEMBER_CONTEXT));
            stage.put(ingredients.body);
            told.push(hashed("body, as it came".to_owned(), 0, stage));
        }
    }
    told
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

/// One of the parts of a key that stand before the body.
enum Part<'a> {
    Endpoint(&'a str),
    Scope(Scope<'a>),
    Epoch(&'a [u8; 32]),
    BaseUrl(&'a str),
    Leg { pool: &'a str, name: &'a str },
    Ignored(&'a str),
}

impl<'a> Ingredients<'a> {
    /// All that stands before the body.
    fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        let Self {
            endpoint,
            scope,
            plan,
            model,
            base_url,
            // The end of it, whose length nobody needs to know.
            body: _,
            ignored,
        } = *self;
        let Plan {
            // What the configuration says of these is in the epoch.
            model: _,
            modality: _,
            fallbacks: _,
            epoch,
            legs,
            weight: _,
            // Of it only the scope makes another answer, and that has come in by itself.
            cache: _,
            metrics: _,
        } = plan;
        let legs = legs.iter().map(move |leg| {
            let Leg {
                pool,
                name,
                timeouts: _,
                metrics: _,
            } = leg;
            Part::Leg {
                pool: pool.name.as_str(),
                name: name.as_deref().unwrap_or(model),
            }
        });
        [
            Part::Endpoint(endpoint),
            Part::Scope(scope),
            Part::Epoch(epoch),
        ]
        .into_iter()
        .chain(base_url.map(Part::BaseUrl))
        .chain(legs)
        .chain(ignored.iter().map(|name| Part::Ignored(name)))
    }

    /// A stage with all that stands before the body.
    fn staged(&self) -> Stage {
        let mut stage = Stage::new(blake3::Hasher::new_derive_key(CONTEXT));
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

    /// What is told of the members that count.
    fn members_told(&self) -> Option<Vec<Ingredient>> {
        let mut body = Canonical::of(self.body)?;
        let mut told = Vec::new();
        for member in body.top() {
            let text = body.text(&member);
            if self.counts(text) {
                let name = name_told(text);
                let mut stage = Stage::new(blake3::Hasher::new_derive_key(MEMBER_CONTEXT));
                body.put(&member, &mut stage)?;
                told.push(hashed(name, member.before_value(), stage));
            }
        }
        Some(told)
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

impl Part<'_> {
    /// Puts it as a tag, its length and its bytes. The body begins with none of the tags.
    fn put(&self, stage: &mut Stage) {
        let mut tagged = |tag: u8, bytes: &[u8]| {
            stage.put(&[tag]);
            stage.put(&(bytes.len() as u64).to_le_bytes());
            stage.put(bytes);
        };
        match self {
            Self::Endpoint(name) => tagged(b'e', name.as_bytes()),
            Self::Scope(Scope::Shared) => tagged(b's', b""),
            Self::Scope(Scope::Anonymous) => tagged(b'a', b""),
            Self::Scope(Scope::Key(key)) => {
                let clients::Key {
                    sha256,
                    name: _,
                    expires: _,
                    models: _,
                    allowance: _,
                } = key;
                tagged(b'k', sha256);
            }
            // The length tells the one from the other.
            Self::Scope(Scope::Client(IpAddr::V4(address))) => tagged(b'c', &address.octets()),
            Self::Scope(Scope::Client(IpAddr::V6(address))) => tagged(b'c', &address.octets()),
            Self::Epoch(hash) => tagged(b'h', *hash),
            Self::BaseUrl(url) => tagged(b'u', url.as_bytes()),
            Self::Leg { pool, name } => {
                tagged(b'p', pool.as_bytes());
                tagged(b'm', name.as_bytes());
            }
            Self::Ignored(name) => tagged(b'i', name.as_bytes()),
        }
    }

    fn told(&self, is_sent: impl Fn(&str) -> bool) -> Ingredient {
        let (name, text) = match self {
            Self::Endpoint(name) => ("endpoint", (*name).to_owned()),
            Self::Scope(Scope::Shared) => ("scope", "shared".to_owned()),
            Self::Scope(Scope::Anonymous) => ("scope", "anonymous".to_owned()),
            Self::Scope(Scope::Key(key)) => ("scope", format!("key {}", key.name)),
            Self::Scope(Scope::Client(address)) => ("scope", format!("client {address}")),
            Self::Epoch(hash) => ("epoch", hex(*hash)),
            Self::BaseUrl(url) => ("base_url", (*url).to_owned()),
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

/// What is told of bytes: how many they are, and the first of their hash.
fn hashed(name: String, uncounted_bytes: usize, stage: Stage) -> Ingredient {
    let (len, hash) = stage.finish();
    let bytes = len.saturating_sub(uncounted_bytes);
    let start = hash.first_chunk::<6>().map(|start| hex(start));
    let text = format!("{bytes} bytes, {}", start.unwrap_or_default());
    Ingredient { name, text }
}

/// A member by the beginning of its key, which a caller may have made as long as they liked.
fn name_told(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let start: String = text.chars().take(64).collect();
    format!("body.{start}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
