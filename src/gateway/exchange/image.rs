//! How do images get into a chat answer?
//!
//! What came as an address is passed on; what came as bytes is kept in the image
//! store and gets an address of ours. Either way the caller sees Markdown, as one
//! answer or as the events of a stream: for a list of images, and for pictures that a
//! text model shows among its words.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::deadline::until;
use crate::gateway::body::Held;
use crate::gateway::dialect;
use crate::gateway::dialect::images::{self, Picture};
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::exchange::{Body, Question};
use crate::gateway::images::{ImageError, ImageStore};
use crate::openai::glance::Glance;
use crate::sys;

/// The chat answer for an upstream's list of images.
pub(super) async fn answer(
    question: &Question,
    base_url: &str,
    list: &[u8],
    store: &ImageStore,
    now: SystemTime,
) -> Result<Body, AttemptError> {
    let pictures = images::parse(list, store.image_bytes_max()).map_err(|error| {
        tracing::warn!(%error, request_id = question.id.as_str(), "image answer not usable");
        AttemptError::Invalid("no usable list of images")
    })?;
    let mut urls = Vec::with_capacity(pictures.len());
    for picture in pictures {
        urls.push(match picture {
            Picture::Url(url) => url,
            Picture::Base64(base64) => {
                let id = store
                    .put_base64(base64.as_bytes(), now)
                    .await
                    .map_err(unkept)?;
                format!("{base_url}/images/{id}")
            }
        });
    }
    let content = images::markdown(&urls);
    let id = format!("chatcmpl-{}", question.id.as_str());
    let created = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let created = i64::try_from(created).unwrap_or(i64::MAX);
    let model = question.plan.model.as_str();
    Ok(if question.ask.stream {
        Body::Said(images::chunks(&id, created, model, &content).into())
    } else {
        let bytes = images::completion(&id, created, model, &content);
        // Addresses, and so little that it need not count.
        let bytes = Held::new(bytes, question.body.share_beside());
        Body::Whole {
            bytes,
            glance: Glance::of_ours(),
        }
    })
}

/// Where pictures that text models show are kept.
pub(super) struct Album {
    /// The store.
    pub(super) store: Arc<ImageStore>,
    /// What addresses begin with.
    pub(super) base_url: String,
}

impl Album {
    /// What was said, with the addresses of its pictures where they belong.
    ///
    /// # Errors
    /// Where one is none, or cannot be kept in time.
    pub(super) async fn fill(
        album: Option<&Self>,
        said: &[u8],
        pictures: &[dialect::Picture],
        deadline: Instant,
    ) -> Result<Bytes, AttemptError> {
        let album = album.ok_or_else(|| {
            AttemptError::Internal("a picture where none was reckoned with".to_owned())
        })?;
        let mut filled = Vec::with_capacity(said.len() + 128 * pictures.len());
        let mut rest = 0;
        for dialect::Picture { at, base64 } in pictures {
            let kept = album.store.put_base64(base64.as_bytes(), sys::now().wall);
            let id = until(deadline, pin!(kept))
                .await
                .ok_or_else(|| AttemptError::Internal("image not kept in time".to_owned()))?
                .map_err(unkept)?;
            let address = format!("{}/images/{id}", album.base_url);
            // It stands in a text of JSON.
            let address = serde_json::to_string(&address).unwrap_or_default();
            filled.extend_from_slice(said.get(rest..*at).unwrap_or_default());
            filled.extend_from_slice(address.trim_matches('"').as_bytes());
            rest = *at;
        }
        filled.extend_from_slice(said.get(rest..).unwrap_or_default());
        Ok(filled.into())
    }
}

fn unkept(error: ImageError) -> AttemptError {
    match error {
        ImageError::Store(error) => AttemptError::Internal(format!("image not kept: {error}")),
        ImageError::TooLarge { .. } => AttemptError::Invalid("an image that is too large"),
        ImageError::NotBase64(_) | ImageError::UnknownType => {
            AttemptError::Invalid("an image that is none")
        }
    }
}
