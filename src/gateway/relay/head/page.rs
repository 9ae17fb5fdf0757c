//! What is told of a page of ours?
//!
//! A browser keeps it and asks each time whether it is still the same: a page and its parts
//! have to fit each other, whichever process gave them out.

use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    VARY,
};
use http::{HeaderName, HeaderValue, StatusCode};
use pingora_http::ResponseHeader;

use super::{Common, put_text};
use crate::gateway::door::AllowOrigin;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A page, or a part of one, in one of its forms.
#[derive(Debug, Clone, Copy)]
pub struct Paper<'a> {
    /// 200, 304 or 404.
    pub status: StatusCode,
    /// Its `Content-Type`.
    pub kind: &'static str,
    /// The name of this form.
    pub etag: &'a str,
    /// Whether it is compressed.
    pub is_gzip: bool,
    /// Whether there are other forms.
    pub varies: bool,
    /// Its bytes.
    pub length: usize,
    /// What a browser may do with it, where it is a page.
    pub policy: Option<&'static str>,
}

impl Common {
    /// The head of a page.
    #[must_use]
    pub fn paper(&self, paper: &Paper<'_>) -> ResponseHeader {
        let mut head = self.begin(paper.status);
        let mut put = |name: HeaderName, value: &'static str| {
            head.headers.insert(name, HeaderValue::from_static(value));
        };
        if paper.status == StatusCode::NOT_FOUND {
            put(CACHE_CONTROL, "no-store");
        } else {
            put(CACHE_CONTROL, "no-cache");
        }
        match (paper.varies, &self.origin) {
            (true, AllowOrigin::Any) => put(VARY, "Accept-Encoding"),
            (true, _) => put(VARY, "Origin, Accept-Encoding"),
            (false, _) => {}
        }
        if let Some(policy) = paper.policy {
            put(CONTENT_SECURITY_POLICY, policy);
            put(REFERRER_POLICY, "no-referrer");
            put(OPENER_POLICY, "same-origin");
        }
        if paper.status != StatusCode::NOT_MODIFIED {
            put(CONTENT_TYPE, paper.kind);
            if paper.is_gzip {
                put(CONTENT_ENCODING, "gzip");
            }
        }
        if paper.status != StatusCode::NOT_FOUND {
            put_text(&mut head, ETAG, paper.etag);
        }
        if paper.status != StatusCode::NOT_MODIFIED {
            self.put_length(&mut head, Some(paper.length));
        }
        ResponseHeader::from(head)
    }
}
