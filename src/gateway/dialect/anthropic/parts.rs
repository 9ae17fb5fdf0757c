//! How do parts of a message become blocks?
//!
//! Texts go on as they were written, escapes and all. Pictures and documents are looked at as
//! far as their data URI says what they are.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_null, is_text, list, text};

/// A part of a turn.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    /// A text, not empty.
    Text {
        text: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    /// A picture.
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    /// A document.
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    /// A call that was made.
    ToolUse {
        id: Cow<'a, RawValue>,
        name: &'a RawValue,
        input: Box<RawValue>,
    },
    /// What came of one.
    ToolResult {
        tool_use_id: Cow<'a, RawValue>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
}

/// Where a picture or a document is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    /// Here.
    Base64 {
        media_type: String,
        data: Cow<'a, str>,
    },
    /// There.
    Url { url: Cow<'a, str> },
}

/// The pictures that are understood.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const PDF: &str = "application/pdf";

/// The blocks of a message's `content`: a text, or a list of parts. Texts of nothing but blanks
/// are left out, which the upstream would refuse.
pub(super) fn blocks<'a>(
    content: &'a RawValue,
    path: &str,
    drops: bool,
) -> Result<Vec<Block<'a>>, Inexpressible> {
    if is_text(content) {
        return Ok(said(content, None).into_iter().collect());
    }
    let parts = list(content)
        .ok_or_else(|| Inexpressible::malformed(path, "must be a text or a list of parts"))?;
    let mut blocks = Vec::with_capacity(parts.len());
    for (place, part) in parts.into_iter().enumerate() {
        let path = format!("{path}[{place}]");
        blocks.extend(block(part, &path, drops)?);
    }
    Ok(blocks)
}

fn said<'a>(text: &'a RawValue, cache_control: Option<&'a RawValue>) -> Option<Block<'a>> {
    (!is_blank(text)).then_some(Block::Text {
        text,
        cache_control,
    })
}

/// Whether a text is nothing but blanks, written as such or with escapes.
fn is_blank(written: &RawValue) -> bool {
    let inside = written.get().trim_matches('"').trim_start();
    match inside.bytes().next() {
        None => true,
        Some(b'\\') => text(written).is_some_and(|text| text.trim().is_empty()),
        Some(_) => false,
    }
}

fn block<'a>(
    part: &'a RawValue,
    path: &str,
    drops: bool,
) -> Result<Option<Block<'a>>, Inexpressible> {
    let members = Members::at(part, path)?;
    let kind = members.text("type");
    let kind = kind.as_deref().unwrap_or_default();
    let cache_control = members.member("cache_control");
    let own = match kind {
        "text" | "image_url" | "file" | "refusal" => kind,
        // What a message says is never left out.
        _ => {
            return Err(Inexpressible::value(
                path,
                "must be a text, an image_url or a file",
            ));
        }
    };
    for (name, value) in &members.0 {
        let is_known = name == own || matches!(&**name, "type" | "cache_control");
        if !is_known && !is_null(value) && !drops {
            return Err(Inexpressible::unknown(format!("{path}.{name}")));
        }
    }
    let path = format!("{path}.{own}");
    let value = members
        .member(own)
        .ok_or_else(|| Inexpressible::malformed(&*path, "must be there"))?;
    match own {
        "image_url" => image(value, &path, drops, cache_control).map(Some),
        "file" => document(value, &path, drops, cache_control).map(Some),
        _ if is_text(value) => Ok(said(value, cache_control)),
        _ => Err(Inexpressible::malformed(path, "must be a text")),
    }
}

fn image<'a>(
    value: &'a RawValue,
    path: &str,
    drops: bool,
    cache_control: Option<&'a RawValue>,
) -> Result<Block<'a>, Inexpressible> {
    let members = Members::at(value, path)?;
    for (name, value) in &members.0 {
        let neutral =
            name == "url" || is_null(value) || (name == "detail" && value.get() == "\"auto\"");
        if !neutral && !drops {
            return Err(Inexpressible::unknown(format!("{path}.{name}")));
        }
    }
    let path = format!("{path}.url");
    let url = members
        .text("url")
        .ok_or_else(|| Inexpressible::malformed(&*path, "must be a text"))?;
    let source = match data_uri(&url) {
        Some((media_type, data)) if PICTURES.contains(&&*media_type) => Source::Base64 {
            media_type,
            data: Cow::Owned(data.to_owned()),
        },
        None if url.starts_with("https://") || url.starts_with("http://") => Source::Url { url },
        _ => {
            return Err(Inexpressible::value(
                path,
                "must be an address, or a data URI of a PNG, JPEG, GIF or WebP image in base64",
            ));
        }
    };
    Ok(Block::Image {
        source,
        cache_control,
    })
}

fn document<'a>(
    value: &'a RawValue,
    path: &str,
    drops: bool,
    cache_control: Option<&'a RawValue>,
) -> Result<Block<'a>, Inexpressible> {
    let members = Members::at(value, path)?;
    for (name, value) in &members.0 {
        // A file that is kept elsewhere is what the message says.
        let is_dropped = drops && name != "file_id";
        let is_known = matches!(&**name, "file_data" | "filename");
        if !is_known && !is_dropped && !is_null(value) {
            return Err(Inexpressible::unknown(format!("{path}.{name}")));
        }
    }
    let must = "must be a data URI of a PDF in base64";
    let at = format!("{path}.file_data");
    let data = members.member("file_data").and_then(text);
    let source = match data.as_deref().and_then(data_uri) {
        Some((media_type, data)) if media_type == PDF => Source::Base64 {
            media_type,
            data: Cow::Owned(data.to_owned()),
        },
        _ => return Err(Inexpressible::value(at, must)),
    };
    Ok(Block::Document {
        source,
        title: members.member("filename").filter(|name| is_text(name)),
        cache_control,
    })
}

/// Media type and base64 of `data:TYPE;base64,…`.
fn data_uri(uri: &str) -> Option<(String, &str)> {
    let rest = uri.strip_prefix("data:")?;
    let (head, data) = rest.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    // What many write, and nobody means otherwise.
    let media_type = if media_type == "image/jpg" {
        "image/jpeg".to_owned()
    } else {
        media_type
    };
    Some((media_type, data))
}
