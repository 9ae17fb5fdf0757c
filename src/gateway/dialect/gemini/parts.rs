//! How do parts of a message become parts of a turn?
//!
//! Texts go on as they were written, escapes and all. What has bytes is looked at as far as
//! its data URI says what it is; which kinds a model takes, the upstream knows. The name of a
//! file is not told: there is no place for it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_text, list};

/// A part of a turn. What few parts have is boxed: of small ones a body holds very many.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    /// A text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a RawValue>,
    /// It was thought and not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<Box<Blob<'a>>>,
    /// Bytes that are elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<Box<FileData<'a>>>,
    /// A call that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<Box<FunctionCall<'a>>>,
    /// What came of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_response: Option<Box<FunctionResponse<'a>>>,
    /// What the model wants to see again with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<Box<Cow<'a, str>>>,
}

/// Bytes, in base64.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    mime_type: String,
    data: Cow<'a, str>,
}

/// Where bytes are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
    file_uri: Cow<'a, str>,
}

/// A call.
#[derive(Debug, Serialize)]
pub(super) struct FunctionCall<'a> {
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub args: Box<RawValue>,
}

/// What came of a call.
#[derive(Debug, Serialize)]
pub(super) struct FunctionResponse<'a> {
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub response: Response<'a>,
}

/// An object: the result itself, or one around it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Response<'a> {
    Itself(Box<RawValue>),
    Text { output: &'a RawValue },
    Texts { output: Vec<&'a RawValue> },
}

/// What an address ends with, and what is there then.
const ENDINGS: [(&str, &str); 8] = [
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".webp", "image/webp"),
    (".gif", "image/gif"),
    (".heic", "image/heic"),
    (".heif", "image/heif"),
    (".pdf", "application/pdf"),
];

/// The parts of a message's `content`: a text, or a list of parts.
pub(super) fn parts<'a>(
    content: &'a RawValue,
    path: &str,
    drops: bool,
) -> Result<Vec<Part<'a>>, Inexpressible> {
    if is_text(content) {
        return Ok(vec![said(content)]);
    }
    let values = list(content)
        .ok_or_else(|| Inexpressible::malformed(path, "must be a text or a list of parts"))?;
    let mut parts = Vec::with_capacity(values.len());
    for (place, value) in values.into_iter().enumerate() {
        parts.push(part(value, &format!("{path}[{place}]"), drops)?);
    }
    // Beside anything else an empty text says nothing, and some models refuse it.
    if parts.iter().any(|part| !is_blank(part)) {
        parts.retain(|part| !is_blank(part));
    }
    Ok(parts)
}

/// As [`parts`], where there is a place for texts only.
pub(super) fn texts<'a>(
    content: &'a RawValue,
    path: &str,
    drops: bool,
) -> Result<Vec<&'a RawValue>, Inexpressible> {
    let parts = parts(content, path, drops)?;
    let texts: Option<Vec<&RawValue>> = parts.into_iter().map(|part| part.text).collect();
    texts.ok_or_else(|| Inexpressible::value(path, "must be a text, or parts that are texts"))
}

/// A part that is a text.
pub(super) fn said(text: &RawValue) -> Part<'_> {
    Part {
        text: Some(text),
        ..Part::default()
    }
}

fn is_blank(part: &Part<'_>) -> bool {
    part.text.is_some_and(|text| text.get() == "\"\"")
}

fn part<'a>(value: &'a RawValue, path: &str, drops: bool) -> Result<Part<'a>, Inexpressible> {
    let members = Members::at(value, path)?;
    let kind = members.text("type").unwrap_or_default();
    if !matches!(
        &*kind,
        "text" | "refusal" | "image_url" | "input_audio" | "file"
    ) {
        // What a message says is never left out.
        let must = "must be a text, an image_url, an input_audio or a file";
        return Err(Inexpressible::value(path, must));
    }
    members.only(&["type", &kind], path, drops)?;
    let path = format!("{path}.{kind}");
    let value = members
        .member(&kind)
        .ok_or_else(|| Inexpressible::malformed(&*path, "must be there"))?;
    match &*kind {
        "image_url" => image(&Members::at(value, &path)?, &path, drops),
        "input_audio" => audio(&Members::at(value, &path)?, &path, drops),
        "file" => file(&Members::at(value, &path)?, &path, drops),
        _ if is_text(value) => Ok(said(value)),
        _ => Err(Inexpressible::malformed(path, "must be a text")),
    }
}

fn image<'a>(members: &Members<'a>, path: &str, drops: bool) -> Result<Part<'a>, Inexpressible> {
    let detail = members.text("detail");
    if !drops && detail.is_some_and(|detail| detail != "auto") {
        return Err(Inexpressible::value(
            format!("{path}.detail"),
            "must be auto",
        ));
    }
    members.only(&["url", "detail"], path, drops)?;
    let path = format!("{path}.url");
    let url = members
        .text("url")
        .ok_or_else(|| Inexpressible::malformed(&*path, "must be a text"))?;
    somewhere(url, path)
}

fn audio<'a>(members: &Members<'a>, path: &str, drops: bool) -> Result<Part<'a>, Inexpressible> {
    members.only(&["data", "format"], path, drops)?;
    let data = members
        .text("data")
        .ok_or_else(|| Inexpressible::malformed(format!("{path}.data"), "must be a text"))?;
    let mime_type = match members.text("format").as_deref() {
        Some("wav") => "audio/wav",
        Some("mp3") => "audio/mp3",
        _ => {
            let path = format!("{path}.format");
            return Err(Inexpressible::value(path, "must be wav or mp3"));
        }
    };
    Ok(inline(mime_type.to_owned(), data))
}

fn file<'a>(members: &Members<'a>, path: &str, drops: bool) -> Result<Part<'a>, Inexpressible> {
    members.only(&["file_data", "file_id", "filename"], path, drops)?;
    if let Some(uri) = members.text("file_id") {
        return somewhere(uri, format!("{path}.file_id"));
    }
    let path = format!("{path}.file_data");
    let uri = members
        .text("file_data")
        .ok_or_else(|| Inexpressible::malformed(&*path, "must be a text"))?;
    somewhere(uri, path)
}

/// What a data URI holds, or what is at an address.
fn somewhere(uri: Cow<'_, str>, path: String) -> Result<Part<'_>, Inexpressible> {
    let schemes = ["https://", "http://", "gs://"];
    if schemes.iter().any(|scheme| uri.starts_with(scheme)) {
        let end = uri.find(['?', '#']).unwrap_or(uri.len());
        let address = uri.get(..end).unwrap_or_default().to_ascii_lowercase();
        let known = ENDINGS.iter().find(|(ending, _)| address.ends_with(ending));
        return Ok(Part {
            file_data: Some(Box::new(FileData {
                mime_type: known.map(|(_, mime_type)| *mime_type),
                file_uri: uri,
            })),
            ..Part::default()
        });
    }
    let Some((mime_type, length)) = data_uri(&uri) else {
        let must = "must be an address, or a data URI in base64";
        return Err(Inexpressible::value(path, must));
    };
    let data = match uri {
        Cow::Borrowed(uri) => uri.get(length..).unwrap_or_default().into(),
        Cow::Owned(mut uri) => uri.split_off(length).into(),
    };
    Ok(inline(mime_type, data))
}

fn inline(mime_type: String, data: Cow<'_, str>) -> Part<'_> {
    Part {
        inline_data: Some(Box::new(Blob { mime_type, data })),
        ..Part::default()
    }
}

/// The media type of `data:TYPE;base64,…`, and how long all is before the base64.
fn data_uri(uri: &str) -> Option<(String, usize)> {
    let (head, _) = uri.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    let media_type = match &*media_type.trim().to_ascii_lowercase() {
        "" => return None,
        // What many write, and nobody means otherwise.
        "image/jpg" => "image/jpeg".to_owned(),
        media_type => media_type.to_owned(),
    };
    Some((media_type, "data:".len() + head.len() + ",".len()))
}
