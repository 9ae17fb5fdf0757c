//! What does an answer look like in Redis?
//!
//! Sealed, so that Redis and whoever reads it learn no more than how long it is, and so that
//! nothing is believed that another replica has not written. A value is opened before a byte
//! of it is read otherwise; its key is made of the secret that replicas share, of what the
//! answer is kept by, and of a salt. So what was cut, changed, written by others or copied
//! from another answer's place does not open, and is no answer.
//!
//! In front stands a version, since replicas of two releases may run side by side:
//!
//! ```text
//! "spafe" version salt[16] { era[16] made fresh while_revalidate if_error (ms, u64)
//!                            usage: told prompt completion total
//!                            flags, lengths of body, model and pool, model, pool, body } tag[16]
//! ```

use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{Deposit, Era};
use crate::names::{ModelId, PoolName};
use crate::openai::Usage;

/// What a value begins with, and the version of what follows.
const MAGIC: [u8; 6] = *b"spafe\x01";
/// Bytes of the salt.
const SALT: usize = 16;
/// Bytes that can be read without the key.
const CLEAR: usize = MAGIC.len() + SALT;
/// Bytes behind an opened value that say whether it was left as it is.
const TAG: usize = 16;
/// Bytes of numbers in front of model, pool and body.
const NUMBERS: usize = 16 + 4 * 8 + 1 + 3 * 8 + 1 + 4 + 2 + 2;
/// A body of so many bytes or more is compressed: below, it saves less than a packet.
const COMPRESSED_MIN: usize = 4096;
/// Answers halve at the fastest level of all, at 500 MB/s; a tenth more would take twice as
/// long (16 KiB of prose: 7.2 KB in 36 µs, 6.8 KB in 55 µs, and back in 18 µs).
const LEVEL: i32 = 1;
/// That the body is compressed.
const IS_COMPRESSED: u8 = 1;
/// Bytes of a model's and a pool's name together that are kept.
const NAMES_MAX: usize = 1024;
/// The clocks of replicas may differ by so much. What is further ahead was written by a
/// clock that is wrong, and how old it is nobody knows.
const SKEW_MAX: Duration = Duration::from_secs(5);

/// What values are sealed and opened with.
#[derive(Clone)]
pub(super) struct Seal([u8; 32]);

/// Why a value is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nobody of us has written this here.
    Garbage,
    /// It was removed, with all that was there then.
    Removed,
    /// It was made in the future.
    Ahead,
    /// Its time is over.
    Over,
}

/// Bytes of the longest value of an answer with so many.
pub(super) fn length_max(body_bytes_max: usize) -> usize {
    body_bytes_max.saturating_add(CLEAR + NUMBERS + NAMES_MAX + TAG)
}

impl Seal {
    /// Of the secret that replicas share.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(blake3::derive_key(
            "spafe: the seal of answers that replicas share",
            secret,
        ))
    }

    /// What is written of an answer; `None`: it cannot be.
    ///
    /// `salt` is by chance, and no secret.
    pub(super) fn close(
        &self,
        key: &[u8; 32],
        era: Era,
        deposit: &Deposit,
        salt: u128,
    ) -> Option<Vec<u8>> {
        let salt = salt.to_le_bytes();
        let mut value = Vec::new();
        value.extend_from_slice(&MAGIC);
        value.extend_from_slice(&salt);
        write(&mut value, era, deposit)?;
        let (_, plain) = value.split_at_mut_checked(CLEAR)?;
        let key = self.key(key, &salt)?;
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(MAGIC), plain);
        value.extend_from_slice(tag.ok()?.as_ref());
        Some(value)
    }

    /// The answer that is kept by this key, as it was written.
    pub(super) fn open(
        &self,
        key: &[u8; 32],
        mut value: Vec<u8>,
        body_bytes_max: usize,
    ) -> Result<Opened, Unread> {
        let (clear, sealed) = value.split_at_mut_checked(CLEAR).ok_or(Unread::Garbage)?;
        let salt = clear.strip_prefix(&MAGIC).ok_or(Unread::Garbage)?;
        let salt = salt.try_into().map_err(|_| Unread::Garbage)?;
        let plain = self
            .key(key, &salt)
            .and_then(|key| key.open_in_place(nonce(), Aad::from(MAGIC), sealed).ok())
            .ok_or(Unread::Garbage)?;
        let end = CLEAR + plain.len();
        value.truncate(end);
        let plain = Bytes::from(value).slice(CLEAR..);
        read(plain, body_bytes_max).ok_or(Unread::Garbage)
    }

    /// The key of one value. No two values have the same, so none needs a nonce of its own.
    fn key(&self, key: &[u8; 32], salt: &[u8; SALT]) -> Option<LessSafeKey> {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(salt).update(key);
        let key = UnboundKey::new(&AES_256_GCM, hasher.finalize().as_bytes());
        key.ok().map(LessSafeKey::new)
    }
}

/// A value that was opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    era: Era,
    deposit: Deposit,
}

impl Opened {
    /// The answer, if it may be given now.
    pub(super) fn at(self, now: SystemTime, era: Era) -> Result<Deposit, Unread> {
        if self.era != era {
            return Err(Unread::Removed);
        }
        let made = self.deposit.made;
        if made.duration_since(now).is_ok_and(|ahead| ahead > SKEW_MAX) {
            return Err(Unread::Ahead);
        }
        match self.deposit.left(now) {
            Duration::ZERO => Err(Unread::Over),
            _ => Ok(self.deposit),
        }
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// The body in fewer bytes, where it has many and that makes them fewer.
fn packed(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < COMPRESSED_MIN {
        return None;
    }
    let packed = zstd::bulk::compress(body, LEVEL).ok()?;
    (packed.len() < body.len()).then_some(packed)
}

/// Writes what will be sealed; `None`: a number or a name has no room.
fn write(value: &mut Vec<u8>, era: Era, deposit: &Deposit) -> Option<()> {
    let packed = packed(&deposit.body);
    let body = packed.as_deref().unwrap_or(&deposit.body);
    let (model, pool) = (deposit.model.as_str(), deposit.pool.as_str());
    if model.len().saturating_add(pool.len()) > NAMES_MAX {
        return None;
    }
    value.reserve(NUMBERS + NAMES_MAX + body.len() + TAG);
    value.extend_from_slice(&era);
    let spans = [
        deposit.made.duration_since(SystemTime::UNIX_EPOCH).ok()?,
        deposit.fresh,
        deposit.stale_while_revalidate,
        deposit.stale_if_error,
    ];
    for span in spans {
        value.extend_from_slice(&u64::try_from(span.as_millis()).ok()?.to_le_bytes());
    }
    let usage = deposit.usage.unwrap_or_default();
    value.push(u8::from(deposit.usage.is_some()));
    for tokens in [
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
    ] {
        value.extend_from_slice(&tokens.to_le_bytes());
    }
    value.push(if packed.is_some() { IS_COMPRESSED } else { 0 });
    value.extend_from_slice(&u32::try_from(deposit.body.len()).ok()?.to_le_bytes());
    for name in [model, pool] {
        value.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
    }
    value.extend_from_slice(model.as_bytes());
    value.extend_from_slice(pool.as_bytes());
    value.extend_from_slice(body);
    Some(())
}

/// What stands in an opened value.
fn read(mut plain: Bytes, body_bytes_max: usize) -> Option<Opened> {
    let mut era = Era::default();
    plain.try_copy_to_slice(&mut era).ok()?;
    let mut number = || plain.try_get_u64_le().ok();
    let made = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(number()?))?;
    let [fresh, stale_while_revalidate, stale_if_error] =
        [number()?, number()?, number()?].map(Duration::from_millis);
    let is_told = plain.try_get_u8().ok()? != 0;
    let mut number = || plain.try_get_u64_le().ok();
    let usage = Usage {
        prompt_tokens: number()?,
        completion_tokens: number()?,
        total_tokens: number()?,
        // Nobody counts what an answer from memory has used.
        cached_tokens: 0,
    };
    let is_compressed = plain.try_get_u8().ok()? & IS_COMPRESSED != 0;
    let length = usize::try_from(plain.try_get_u32_le().ok()?).ok()?;
    let lengths = [plain.try_get_u16_le().ok()?, plain.try_get_u16_le().ok()?];
    let [model, pool] = lengths.map(usize::from);
    let model = name(&mut plain, model)?;
    let pool = name(&mut plain, pool)?;
    if length > body_bytes_max {
        return None;
    }
    let body = if is_compressed {
        // No more memory than was just allowed, whatever stands in it.
        Bytes::from(zstd::bulk::decompress(&plain, length).ok()?)
    } else {
        plain
    };
    let deposit = Deposit {
        body,
        usage: is_told.then_some(usage),
        model: ModelId::new(std::str::from_utf8(&model).ok()?),
        pool: PoolName::new(std::str::from_utf8(&pool).ok()?),
        made,
        fresh,
        stale_while_revalidate,
        stale_if_error,
    };
    (deposit.body.len() == length).then_some(Opened { era, deposit })
}

fn name(plain: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= plain.len()).then(|| plain.split_to(length))
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(***)")
    }
}

#[cfg(test)]
mod tests;
