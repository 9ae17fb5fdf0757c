//! What does an operator see who comes with a browser?
//!
//! A page that asks this listener for what any program may ask it for, and shows it.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::gateway::pages::asset::Asset;
use crate::gateway::pages::{self};

/// As for callers' pages, and no image of anybody else's.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

static FILES: [(&str, &str, &[u8]); 7] = [
    (
        "",
        "text/html; charset=utf-8",
        include_bytes!("public/operator.html"),
    ),
    ("operator.css", STYLE, include_bytes!("public/operator.css")),
    ("operator.js", SCRIPT, include_bytes!("public/operator.js")),
    ("charts.js", SCRIPT, include_bytes!("public/charts.js")),
    ("numbers.js", SCRIPT, include_bytes!("public/numbers.js")),
    ("requests.js", SCRIPT, include_bytes!("public/requests.js")),
    ("tables.js", SCRIPT, include_bytes!("public/tables.js")),
];

static ASSETS: LazyLock<Vec<(&'static str, Asset)>> = LazyLock::new(|| {
    let made = |(name, kind, bytes): &(&'static str, &'static str, &'static [u8])| {
        (*name, Asset::new(kind, Bytes::from_static(bytes)))
    };
    FILES.iter().map(made).collect()
});

/// `GET /`
pub(super) async fn home(headers: HeaderMap) -> Response {
    given(own(""), &headers)
}

/// `GET /page/NAME`
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    // What looks the same everywhere stands in the same file.
    let shared = || pages::file(&format!("/pages/{name}")).filter(|_| name == "base.css");
    given(
        own(&name).filter(|_| !name.is_empty()).or_else(shared),
        &headers,
    )
}

/// `GET /favicon.svg`
pub(super) async fn icon(headers: HeaderMap) -> Response {
    given(pages::file("/favicon.svg"), &headers)
}

fn own(name: &str) -> Option<&'static Asset> {
    let mut assets = ASSETS.iter();
    assets
        .find(|(known, _)| *known == name)
        .map(|(_, asset)| asset)
}

fn given(asset: Option<&Asset>, asked: &HeaderMap) -> Response {
    let Some(asset) = asset else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok());
    let form = asset.form(text(header::ACCEPT_ENCODING));
    let is_known = text(header::IF_NONE_MATCH).is_some_and(|tags| {
        let mut tags = tags.split(',').map(str::trim);
        tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == form.etag)
    });
    let mut response = Response::new(if is_known {
        Body::empty()
    } else {
        Body::from(form.bytes.clone())
    });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    if let Ok(etag) = HeaderValue::from_str(&form.etag) {
        headers.insert(header::ETAG, etag);
    }
    if form.is_gzip && !is_known {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
