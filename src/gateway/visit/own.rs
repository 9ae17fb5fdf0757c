//! What is answered without asking anybody?
//!
//! The list of models, images that are kept, and what browsers ask before they ask.

use std::time::Duration;

use bytes::Bytes;
use http::header::IF_NONE_MATCH;

use super::{Unanswered, Visit};
use crate::gateway::images::ImageStore;
use crate::gateway::refusal::Refusal;

/// How long the image store may take.
const IMAGE_READ_TIMEOUT: Duration = Duration::from_secs(10);

impl Visit<'_> {
    pub(in crate::gateway) async fn models(&mut self) -> Result<(), Unanswered> {
        let list = self.snapshot.models.list().clone();
        self.own_json(list).await
    }

    pub(in crate::gateway) async fn model(&mut self, id: &str) -> Result<(), Unanswered> {
        let one = self.snapshot.models.one(id).cloned();
        let one = one.ok_or_else(|| Refusal::unknown_model(id))?;
        self.own_json(one).await
    }

    async fn own_json(&mut self, json: Bytes) -> Result<(), Unanswered> {
        let head = self.common.own_json(json.len());
        self.whole(head, json).await;
        Ok(())
    }

    pub(in crate::gateway) async fn image(
        &mut self,
        images: &ImageStore,
        id: &str,
    ) -> Result<(), Unanswered> {
        let read = images.read(id, self.record.began_wall());
        let stored = match tokio::time::timeout(IMAGE_READ_TIMEOUT, read).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => {
                tracing::error!(%error, "image not read");
                return Err(Refusal::Internal.into());
            }
            Err(_) => {
                tracing::error!(id, "image not read within {IMAGE_READ_TIMEOUT:?}");
                return Err(Refusal::Internal.into());
            }
        };
        let image = stored.ok_or(Refusal::UnknownImage)?;
        let asked = self.session.get_header(IF_NONE_MATCH);
        let known = asked.is_some_and(|tags| lists_tag(tags.as_bytes(), &image.etag));
        let head = self
            .common
            .image(image.content_type, &image.etag, image.bytes.len(), known);
        self.whole(head, if known { Bytes::new() } else { image.bytes })
            .await;
        Ok(())
    }

    pub(in crate::gateway) async fn preflight(
        &mut self,
        wished: Option<&http::HeaderValue>,
    ) -> Result<(), Unanswered> {
        let head = self.common.preflight(wished);
        self.whole(head, Bytes::new()).await;
        Ok(())
    }
}

/// Whether an `If-None-Match` names this tag.
fn lists_tag(tags: &[u8], etag: &str) -> bool {
    tags.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|tag| {
            let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
            tag == b"*" || tag == etag.as_bytes()
        })
}
