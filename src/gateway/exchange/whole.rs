//! Is this a whole, valid answer?
//!
//! A JSON answer is held until it is complete, because then a broken one can
//! still be replaced. One that is too large to be held is passed through as it
//! comes, and can only be broken off. So is one that there is no room for now: what
//! callers are slow to take must not use up the memory.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::gateway::body::{Held, Share};
use crate::gateway::dialect::{self, Names, Unreadable};
use crate::gateway::exchange::failure::{AttemptError, from_error_object};
use crate::gateway::exchange::source::Source;
use crate::gateway::exchange::upstream::Upstream;
use crate::gateway::exchange::{Body, Through};
use crate::gateway::pools::Pool;
use crate::openai::glance::Glance;

/// What is held of one answer; more passes through.
const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What each answer may hold without counting it. It is what one read of a connection takes,
/// and more than most answers are, which so can be replaced however little room there is.
const UNCOUNTED_BYTES_MAX: usize = 64 * 1024;

/// How an answer is wanted.
pub(super) struct Wanted<'a> {
    /// Until when.
    pub deadline: Instant,
    /// Whose it is.
    pub pool: &'a Pool,
    /// What it may hold.
    pub share: Share,
    /// What it is to say of itself, where it must be put into OpenAI's words. Then it must be
    /// held.
    pub names: Option<Names>,
}

/// Reads an answer to its end, or as far as it may be held.
pub(super) async fn read(
    mut upstream: Upstream,
    wanted: Wanted<'_>,
    source: impl FnOnce() -> Source,
) -> Result<Body, AttemptError> {
    let Wanted {
        deadline,
        pool,
        mut share,
        names,
    } = wanted;
    let mut parts: Vec<Bytes> = Vec::new();
    let mut held_bytes = 0;
    while let Some(part) = upstream.body(deadline, "the rest of the answer").await? {
        held_bytes += part.len();
        let has_room = held_bytes <= UNCOUNTED_BYTES_MAX || share.grow(part.len()).is_ok();
        let is_too_large = held_bytes > HELD_BYTES_MAX;
        parts.push(part);
        if is_too_large && names.is_some() {
            return Err(AttemptError::Invalid("an answer too large to be held"));
        }
        if !has_room && names.is_some() {
            return Err(AttemptError::NoRoom);
        }
        if is_too_large || !has_room {
            return Ok(Body::Through(Box::new(Through {
                begin: parts,
                share: Some(share),
                is_too_large,
                length: upstream.length(),
                upstream,
                source: source(),
                deadline,
            })));
        }
        if upstream.is_done() {
            break;
        }
    }
    let announced = upstream.length();
    if announced.is_some_and(|length| length != held_bytes) {
        return Err(AttemptError::Broken(
            "its body is shorter than announced".to_owned(),
        ));
    }
    upstream.release().await;
    let mut bytes = joined(parts, held_bytes);
    if let Some(names) = names {
        bytes = dialect::answer(pool.dialect, bytes, &names)
            .map_err(|Unreadable(why)| AttemptError::Invalid(why))?;
    }
    match Glance::read(&bytes) {
        Some(Glance { error: true, .. }) => Err(from_error_object(&bytes, pool)),
        Some(glance) => Ok(Body::Whole {
            bytes: Held::new(bytes, share),
            glance,
        }),
        None => Err(AttemptError::Invalid("its body is no JSON object")),
    }
}

fn joined(mut parts: Vec<Bytes>, len: usize) -> Bytes {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(len);
    for part in parts {
        all.extend_from_slice(&part);
    }
    all.freeze()
}
