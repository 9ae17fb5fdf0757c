//! What is answered without asking anybody?
//!
//! The list of models, images that are kept, pages for people, and what browsers ask before
//! they ask.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH};

use super::shown::{NotShown, Shown};
use super::{Unanswered, Visit};
use crate::gateway::body::Budget;
use crate::gateway::images::ImageStore;
use crate::gateway::pages::asset::Asset;
use crate::gateway::pages::{self, Page};
use crate::gateway::record::outcome::Shed;
use crate::gateway::refusal::Refusal;
use crate::gateway::relay::head::page::Paper;
use crate::sys;

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
        (images, shown): (&ImageStore, &Shown),
        name: &str,
        bodies: &Arc<Budget>,
    ) -> Result<(), Unanswered> {
        let bytes_max = self.snapshot.config.bounds.bodies_bytes_max;
        let share = bodies.share(bytes_max).for_answer();
        let show = shown.show(images, name, self.record.began_wall(), share);
        let showing = match tokio::time::timeout(IMAGE_READ_TIMEOUT, show).await {
            Ok(Ok(showing)) => showing,
            Ok(Err(NotShown::None)) => return Err(Refusal::UnknownImage.into()),
            Ok(Err(NotShown::NoRoom)) => {
                self.record.shed = Some(Shed::Bodies);
                return Err(Refusal::Overloaded.into());
            }
            Ok(Err(NotShown::Store(error))) => {
                tracing::error!(%error, "image not read");
                return Err(Refusal::Internal.into());
            }
            Err(_) => {
                tracing::error!(name, "image not read within {IMAGE_READ_TIMEOUT:?}");
                return Err(Refusal::Internal.into());
            }
        };
        let image = &showing.image;
        let asked = self.session.get_header(IF_NONE_MATCH);
        let known = asked.is_some_and(|tags| lists_tag(tags.as_bytes(), &image.etag));
        let head = self
            .common
            .image(image.content_type, &image.etag, image.bytes.len(), known);
        let body = if known {
            Bytes::new()
        } else {
            image.bytes.clone()
        };
        self.whole(head, body).await;
        Ok(())
    }

    pub(in crate::gateway) async fn page(&mut self, page: Page) -> Result<(), Unanswered> {
        let snapshot = self.snapshot.clone();
        if let Some(asset) = snapshot.pages.asset(page) {
            self.asset(asset, StatusCode::OK).await;
            return Ok(());
        }
        let models = pages::state::models(&snapshot.config, &snapshot.router, sys::instant());
        self.own_json(models).await
    }

    /// Tells a person that a page is not here; false where it is no person who asks.
    pub(super) async fn page_is_not_here(&mut self) -> bool {
        let head = self.session.req_header();
        let accept = head.headers.get(ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let is_person =
            !pages::is_of_the_api(head.uri.path()) && accept.is_some_and(pages::prefers_html);
        let Some(asset) = pages::not_found().filter(|_| is_person) else {
            return false;
        };
        self.asset(asset, StatusCode::NOT_FOUND).await;
        true
    }

    async fn asset(&mut self, asset: &Asset, status: StatusCode) {
        let asked = |name| self.session.get_header(name);
        let accept_encoding = asked(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let form = asset.form(accept_encoding);
        let is_known = status == StatusCode::OK
            && asked(IF_NONE_MATCH).is_some_and(|tags| lists_tag(tags.as_bytes(), &form.etag));
        let paper = Paper {
            status: if is_known {
                StatusCode::NOT_MODIFIED
            } else {
                status
            },
            kind: asset.kind,
            etag: &form.etag,
            is_gzip: form.is_gzip,
            varies: asset.varies(),
            length: form.bytes.len(),
            policy: asset.is_page().then_some(pages::CONTENT_POLICY),
        };
        let head = self.common.paper(&paper);
        let body = if is_known {
            Bytes::new()
        } else {
            form.bytes.clone()
        };
        self.whole(head, body).await;
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
