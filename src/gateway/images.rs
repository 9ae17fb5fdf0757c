//! Which generated images are kept, and where?
//!
//! An upstream that answers with the bytes of an image leaves us to give the caller
//! an address for it. The bytes are kept under their own hash, so that one image is
//! kept once and its address can be cached for ever, and nothing about the caller is
//! in the name. What is kept is bounded by the bytes of one image, the bytes of all
//! and their age; the oldest go first.
//!
//! The store itself (a folder, S3 or GCS) is the truth. The [`Index`] in memory only
//! knows enough to keep the bounds, and every sweep builds it again from a listing:
//! so a restart, a second replica on the same bucket, a request that was given up
//! half-way and a file someone removed by hand all end in the same right numbers.
//! Reading asks the store and never the index.

/// Where is the store, and can it be written to?
mod backend;
/// What is an image called, and what is it?
pub mod id;
/// What is kept, and what must go?
mod index;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{ObjectMeta, ObjectStoreExt};
use tokio::sync::RwLock;

use self::backend::Backend;
pub use self::backend::OpenError;
pub use self::id::ImageId;
use self::index::{Bounds, Index};
use crate::config;

/// Between two sweeps. An image may outlive its age, and the store its bytes by what
/// other replicas wrote, for so long; a listing of a full store takes about a second.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// Base64 as upstreams write it: the standard alphabet, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Generated images, by the hash of their bytes.
#[derive(Debug)]
pub struct ImageStore {
    backend: Backend,
    image_bytes_max: usize,
    index: Mutex<Index>,
    /// Held for reading while an image is written and for writing while one is chosen
    /// and removed, so that an image which is made again is never removed after it
    /// was written again.
    removal: RwLock<()>,
}

/// An image as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Its bytes.
    pub bytes: Bytes,
    /// `image/png`, `image/jpeg`, `image/webp` or `image/gif`.
    pub content_type: &'static str,
    /// A strong entity tag, with its quotes.
    pub etag: String,
}

/// An image that is there, and not read yet.
#[derive(Debug)]
pub struct Found {
    id: ImageId,
    found: object_store::GetResult,
}

impl Found {
    /// How large it is.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        // No larger than allowed, which is a number of this size.
        usize::try_from(self.found.meta.size).unwrap_or(usize::MAX)
    }

    /// Reads it; `None` where it is not what has this name.
    ///
    /// # Errors
    ///
    /// [`ImageError::Store`], where it could not be read.
    pub async fn read(self) -> Result<Option<StoredImage>, ImageError> {
        let bytes = self.found.bytes().await?;
        // Someone else may write to a folder or bucket; only what this store would
        // have given that name is served under it.
        if ImageId::of(&bytes) != Some(self.id) {
            return Ok(None);
        }
        Ok(Some(StoredImage {
            bytes,
            content_type: self.id.kind().content_type(),
            etag: format!("\"{}\"", self.id),
        }))
    }
}

/// What is kept now, and what had to go since the start.
///
/// Units: bytes as they are charged (see [`index::BYTES_CHARGED_MIN`]); images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageStats {
    /// Bytes of all images.
    pub bytes: u64,
    /// Number of images.
    pub count: u64,
    /// Images removed for their age or for want of room.
    pub evictions: u64,
}

/// Why an image is not kept.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It has more bytes than `[images] image_bytes_max` allows.
    #[error("the image has more than {bytes_max} bytes ([images] image_bytes_max)")]
    TooLarge {
        /// What is allowed.
        bytes_max: usize,
    },
    /// What stands in `b64_json` cannot be decoded.
    #[error("the image is not valid base64: {0}")]
    NotBase64(#[from] base64::DecodeError),
    /// The bytes are no PNG, JPEG, WebP or GIF. SVG and HTML are refused above all:
    /// served from this origin they would run scripts.
    #[error("the bytes are no PNG, JPEG, WebP or GIF")]
    UnknownType,
    /// The store failed.
    #[error("the image store failed: {0}")]
    Store(#[from] object_store::Error),
}

impl ImageStore {
    /// Opens the store that `[images]` names, and makes its folder where there is none.
    ///
    /// To be called once, at the start: credentials of S3 and GCS are read from the
    /// environment here. Nothing is listed yet: [`Self::sweep_forever`] begins with that.
    ///
    /// # Errors
    ///
    /// [`OpenError`], where the address is no known kind, the folder cannot be made or
    /// written to, or the cloud's settings are incomplete.
    pub fn open(images: &config::images::Images) -> Result<Self, OpenError> {
        Ok(Self {
            backend: Backend::open(&images.store)?,
            image_bytes_max: images.image_bytes_max,
            index: Mutex::new(Index::new(Bounds {
                bytes_max: images.store_bytes_max,
                age_max: images.age_max,
            })),
            removal: RwLock::new(()),
        })
    }

    /// Keeps an image that came as base64.
    ///
    /// # Errors
    ///
    /// [`ImageError`]; nothing is decoded that would be larger than allowed.
    pub async fn put_base64(&self, base64: &[u8], now: SystemTime) -> Result<ImageId, ImageError> {
        // Four characters are three bytes; padding makes this at most two too many.
        let decoded_bytes_max = (base64.len() / 4 + 1) * 3;
        if decoded_bytes_max > self.image_bytes_max.saturating_add(5) {
            return Err(self.too_large());
        }
        let bytes = BASE64.decode(base64)?;
        self.put(Bytes::from(bytes), now).await
    }

    /// Keeps an image.
    ///
    /// One that is kept already is written again: its address was just given to
    /// another caller and is good for the full age.
    ///
    /// # Errors
    ///
    /// [`ImageError`]; what is not kept after an error is not counted either.
    pub async fn put(&self, bytes: Bytes, now: SystemTime) -> Result<ImageId, ImageError> {
        if bytes.len() > self.image_bytes_max {
            return Err(self.too_large());
        }
        let id = ImageId::of(&bytes).ok_or(ImageError::UnknownType)?;
        // Counted before it is written, so that images written side by side cannot
        // exceed the bound together.
        self.index().insert(id, bytes.len() as u64, now);
        self.evict(now).await;
        let _no_removal = self.removal.read().await;
        let location = self.backend.location(id);
        match self.backend.store.put(&location, bytes.into()).await {
            Ok(_) => Ok(id),
            Err(error) => {
                self.index().remove(id);
                Err(error.into())
            }
        }
    }

    /// The image called `id` before its bytes are read, or `None` where there is none, or no
    /// longer.
    ///
    /// # Errors
    ///
    /// [`ImageError::Store`], where the store could not be asked.
    pub async fn find(&self, id: ImageId, now: SystemTime) -> Result<Option<Found>, ImageError> {
        let found = match self.backend.store.get(&self.backend.location(id)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_allowed = found.meta.size <= self.image_bytes_max as u64;
        let is_expired = self.index().is_expired(written_at(&found.meta), now);
        Ok((is_allowed && !is_expired).then_some(Found { id, found }))
    }

    /// Whether every image is here, as far as this process knows, that an answer of ours names
    /// by an address which begins with this.
    #[must_use]
    pub fn has_all(&self, answer: &[u8], base_url: &str, now: SystemTime) -> bool {
        let prefix = format!("{base_url}/images/");
        let index = self.index();
        memchr::memmem::find_iter(answer, &prefix).all(|at| {
            let name = answer.get(at + prefix.len()..).unwrap_or_default();
            let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
            let length = name.iter().position(|byte| !is_in_name(byte));
            let name = name.get(..length.unwrap_or(name.len())).unwrap_or_default();
            let id = std::str::from_utf8(name).ok().and_then(ImageId::parse);
            id.is_some_and(|id| index.has(id, now))
        })
    }

    /// Bytes that one image may have.
    #[must_use]
    pub fn image_bytes_max(&self) -> usize {
        self.image_bytes_max
    }

    /// What is kept now.
    #[must_use]
    pub fn stats(&self) -> ImageStats {
        self.index().stats()
    }

    /// Lists the store, counts what is there and removes what is too old or too much.
    ///
    /// # Errors
    ///
    /// [`ImageError::Store`], where the listing failed; what is known then stays.
    pub async fn sweep(&self, now: SystemTime) -> Result<(), ImageError> {
        let generation = self.index().begin_listing();
        let mut listing = self.backend.store.list(self.backend.prefix());
        while let Some(object) = listing.next().await {
            let object = object?;
            let Some(id) = object.location.filename().and_then(ImageId::parse) else {
                continue;
            };
            // The name alone could also stand in a folder of someone else's below.
            if object.location == self.backend.location(id) {
                self.index().found(id, object.size, written_at(&object));
            }
        }
        self.index().end_listing(generation);
        self.evict(now).await;
        Ok(())
    }

    /// Sweeps at once and then every ten minutes, until the task is dropped.
    pub async fn sweep_forever(&self, clock: impl Fn() -> SystemTime + Send) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            if let Err(error) = self.sweep(clock()).await {
                tracing::warn!(%error, "image store could not be swept; it is tried again");
            }
        }
    }

    /// Removes what is over the bounds. What cannot be removed is found again by the
    /// next sweep.
    async fn evict(&self, now: SystemTime) {
        if !self.index().is_over(now) {
            return;
        }
        let _no_write = self.removal.write().await;
        let evicted = self.index().take_evicted(now);
        for id in evicted {
            let gone = self.backend.store.delete(&self.backend.location(id)).await;
            match gone {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, %id, "image could not be removed; the next sweep tries again");
                }
            }
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // The index is whole after every call; a panic elsewhere does not spoil it.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn too_large(&self) -> ImageError {
        ImageError::TooLarge {
            bytes_max: self.image_bytes_max,
        }
    }
}

fn written_at(object: &ObjectMeta) -> SystemTime {
    object.last_modified.into()
}

#[cfg(test)]
mod tests;
