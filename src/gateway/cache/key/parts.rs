//! What stands before the body in what is hashed?
//!
//! All that it is taken from is taken apart in full, so that whoever adds a field decides
//! whether it makes another key.

use std::net::IpAddr;

use super::stage::Stage;
use super::{Ingredients, Scope};
use crate::config::clients;
use crate::gateway::route::{Leg, Plan};

/// One of the parts of a key that stand before the body.
pub(super) enum Part<'a> {
    Endpoint(&'a str),
    Scope(Scope<'a>),
    Epoch(&'a [u8; 32]),
    BaseUrl(&'a str),
    Beta(&'a [u8]),
    Leg { pool: &'a str, name: &'a str },
    Ignored(&'a str),
}

impl<'a> Ingredients<'a> {
    /// All that stands before the body.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        let Self {
            endpoint,
            scope,
            plan,
            model,
            base_url,
            beta,
            // The end of it, whose length nobody needs to know.
            body: _,
            ignored,
        } = *self;
        let Plan {
            // What the configuration says of these is in the epoch.
            model: _,
            modality: _,
            // Which of them is asked for comes in by itself.
            operations: _,
            shows_images: _,
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
                // In the epoch.
                max_tokens_default: _,
                thinking: _,
                timeouts: _,
                metrics: _,
                // Whatever it costs, it is the same answer.
                served: _,
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
        .chain(beta.map(Part::Beta))
        .chain(legs)
        .chain(ignored.iter().map(|name| Part::Ignored(name)))
    }
}

impl Part<'_> {
    /// Puts it as a tag, its length and its bytes. The body begins with none of the tags.
    pub(super) fn put(&self, stage: &mut Stage) {
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
            Self::Beta(words) => tagged(b'b', words),
            Self::Leg { pool, name } => {
                tagged(b'p', pool.as_bytes());
                tagged(b'm', name.as_bytes());
            }
            Self::Ignored(name) => tagged(b'i', name.as_bytes()),
        }
    }
}
