//! Is this a whole, valid answer?
//!
//! A JSON answer is held until it is complete, because then a broken one can
//! still be replaced. One that is too large to be held is passed through as it
//! comes, and can only be broken off. So is one that there is no room for now: what
//! callers are slow to take must not use up the memory.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::gateway::body::{Held, Share};
use crate::gateway::dialect::{self, Answered, Names, Unreadable};
use crate::gateway::exchange::Body;
use crate::gateway::exchange::failure::{AttemptError, from_error_object};
use crate::gateway::exchange::image::Album;
use crate::gateway::exchange::source::Source;
use crate::gateway::exchange::through::{Through, json};
use crate::gateway::exchange::upstream::Upstream;
use crate::gateway::pools::Pool;
use crate::openai::glance::Glance;
use crate::operation::Operation;

/// What is held of one answer; more passes through.
const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What each answer may hold without counting it. It is what one read of a connection takes,
/// and more than most answers are, which so can be replaced however little room there is.
const UNCOUNTED_BYTES_MAX: usize = 64 * 1024;

/// How an answer is wanted.
pub(super) struct Wanted<'a> {
    /// Until when.
    pub deadline: Instant,
    /// What was asked for.
    pub operation: Operation,
    /// Whose it is.
    pub pool: &'a Pool,
    /// What it may hold.
    pub share: Share,
    /// What it is to say of itself, where it must be put into OpenAI's words. Then it must be
    /// held.
    pub names: Option<Names>,
    /// Where pictures are kept that it shows among its words.
    pub album: Option<Album>,
}

/// Reads an answer to its end, or as far as it may be held.
pub(super) async fn read(
    mut upstream: Upstream,
    wanted: Wanted<'_>,
    source: impl FnOnce() -> Source,
) -> Result<Body, AttemptError> {
    let Wanted {
        deadline,
        operation,
        pool,
        share,
        names,
        album,
    } = wanted;
    let gathered = gather(&mut upstream, deadline, share).await?;
    let Gathered {
        parts,
        bytes: held_bytes,
        is_all,
        is_too_large,
        share,
    } = gathered;
    if !is_all {
        if names.is_some() {
            return Err(if is_too_large {
                AttemptError::Invalid("an answer too large to be held")
            } else {
                AttemptError::NoRoom
            });
        }
        return Ok(Body::Through(Box::new(Through {
            begin: parts,
            share: Some(share),
            is_too_large,
            length: upstream.length(),
            announced: upstream.length(),
            media_type: json(),
            upstream,
            source: source(),
            deadline,
            gap: None,
            passed: 0,
        })));
    }
    if upstream.length().is_some_and(|length| length != held_bytes) {
        return Err(shorter());
    }
    upstream.release().await;
    let mut bytes = joined(parts, held_bytes);
    if let Some(names) = names {
        let Answered {
            bytes: put,
            pictures,
        } = dialect::answer(pool.dialect, bytes, &names)
            .map_err(|Unreadable(why)| AttemptError::Invalid(why))?;
        bytes = if pictures.is_empty() {
            put
        } else {
            Box::pin(Album::fill(album.as_ref(), &put, &pictures, deadline)).await?
        };
    }
    match Glance::of(operation, &bytes) {
        Some(Glance { error: true, .. }) => Err(from_error_object(&bytes, pool)),
        Some(glance) => Ok(Body::Whole {
            bytes: Held::new(bytes, share),
            glance,
        }),
        None => Err(AttemptError::Invalid("its body is no JSON object")),
    }
}

/// An answer, as far as it may be held.
pub(super) struct Gathered {
    pub parts: Vec<Bytes>,
    /// `bytes = Σ part.len()`
    pub bytes: usize,
    /// Whether that is all of it.
    pub is_all: bool,
    /// Else whether it is too large, and not only too large now.
    pub is_too_large: bool,
    /// What it counts.
    pub share: Share,
}

/// Reads an answer to its end, or as far as it may be held.
pub(super) async fn gather(
    upstream: &mut Upstream,
    deadline: Instant,
    mut share: Share,
) -> Result<Gathered, AttemptError> {
    let mut parts: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    let (mut is_all, mut is_too_large) = (true, false);
    while let Some(part) = upstream.body(deadline, "the rest of the answer").await? {
        bytes += part.len();
        let has_room = bytes <= UNCOUNTED_BYTES_MAX || share.grow(part.len()).is_ok();
        is_too_large = bytes > HELD_BYTES_MAX;
        parts.push(part);
        is_all = has_room && !is_too_large;
        if !is_all || upstream.is_done() {
            break;
        }
    }
    Ok(Gathered {
        parts,
        bytes,
        is_all,
        is_too_large,
        share,
    })
}

/// What is told of an answer that ended before its length.
pub(super) fn shorter() -> AttemptError {
    AttemptError::Broken("its body is shorter than announced".to_owned())
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
