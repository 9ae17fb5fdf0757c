//! Which files are part of the program?
//!
//! Each stands beside this one as it is given out. A browser gets them by plain paths, so that
//! the policy of content needs no exception.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::gateway::pages::asset::Asset;

/// The page for who looks for one that is not here. It is not asked for by a path.
pub(super) const NOT_FOUND: &str = "not-found.html";

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A path, the type of what stands there, and what does.
type File = (&'static str, &'static str, &'static [u8]);

static FILES: [File; 13] = [
    ("/pages/base.css", STYLE, include_bytes!("public/base.css")),
    ("/pages/page.css", STYLE, include_bytes!("public/page.css")),
    ("/pages/page.js", SCRIPT, include_bytes!("public/page.js")),
    (
        "/pages/models.js",
        SCRIPT,
        include_bytes!("public/models.js"),
    ),
    (
        "/pages/playground.js",
        SCRIPT,
        include_bytes!("public/playground.js"),
    ),
    ("/pages/call.js", SCRIPT, include_bytes!("public/call.js")),
    (
        "/pages/transcript.js",
        SCRIPT,
        include_bytes!("public/transcript.js"),
    ),
    ("/pages/told.js", SCRIPT, include_bytes!("public/told.js")),
    ("/pages/words.js", SCRIPT, include_bytes!("public/words.js")),
    (
        "/favicon.svg",
        "image/svg+xml",
        include_bytes!("public/favicon.svg"),
    ),
    (
        "/favicon.ico",
        "image/x-icon",
        include_bytes!("public/favicon.ico"),
    ),
    (
        "/robots.txt",
        "text/plain; charset=utf-8",
        include_bytes!("public/robots.txt"),
    ),
    (
        NOT_FOUND,
        "text/html; charset=utf-8",
        include_bytes!("public/not-found.html"),
    ),
];

static ASSETS: LazyLock<Vec<(&'static str, Asset)>> = LazyLock::new(|| {
    let made = |(path, kind, bytes): &File| (*path, Asset::new(kind, Bytes::from_static(bytes)));
    FILES.iter().map(made).collect()
});

/// The path of the file that is asked for by this one.
pub(super) fn path(asked: &str) -> Option<&'static str> {
    let mut paths = FILES.iter().map(|(path, ..)| *path);
    paths.find(|path| *path == asked && path.starts_with('/'))
}

/// The file of this path.
pub(super) fn asset(path: &str) -> Option<&'static Asset> {
    let mut assets = ASSETS.iter();
    assets
        .find(|(known, _)| *known == path)
        .map(|(_, asset)| asset)
}
