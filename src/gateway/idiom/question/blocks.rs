//! What is one block of a turn?

use std::borrow::Cow;
use std::fmt;

use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::object;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_null, is_text, list};
use crate::gateway::dialect::original::Unsaid;

/// A block.
#[derive(Debug)]
pub(super) enum Block<'a> {
    /// Something that a message says.
    Part(Part<'a>),
    /// A call that was made.
    Call {
        id: &'a RawValue,
        name: &'a RawValue,
        input: &'a RawValue,
    },
    /// What came of one: nothing said, in parts that are none.
    Result {
        id: &'a RawValue,
        is_error: bool,
        parts: Vec<Part<'a>>,
    },
}

/// A part of a message.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    /// A text.
    Text { text: &'a RawValue },
    /// A picture.
    ImageUrl { image_url: Image<'a> },
    /// A document.
    File { file: File<'a> },
}

/// Where a picture is.
#[derive(Debug, serde::Serialize)]
pub(super) struct Image<'a> {
    url: Address<'a>,
}

/// A document.
#[derive(Debug, serde::Serialize)]
pub(super) struct File<'a> {
    filename: Name<'a>,
    file_data: Address<'a>,
}

#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
enum Name<'a> {
    Told(&'a RawValue),
    Made(&'static str),
}

/// An address that was told, or one that is all of it.
#[derive(Debug)]
enum Address<'a> {
    Told(&'a RawValue),
    Data(Base64<'a>),
}

/// What a source in base64 says of itself, and holds.
#[derive(Debug)]
struct Base64<'a> {
    media_type: Cow<'a, str>,
    data: Cow<'a, str>,
}

impl Serialize for Address<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Told(url) => url.serialize(serializer),
            Self::Data(data) => serializer.collect_str(data),
        }
    }
}

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { media_type, data } = self;
        write!(f, "data:{media_type};base64,{data}")
    }
}

/// One block; `None` where it says nothing that another model could use.
pub(super) fn block<'a>(
    value: &'a RawValue,
    path: &str,
    unsaid: &mut Unsaid,
) -> Result<Option<Block<'a>>, Inexpressible> {
    let members = object(value, path)?;
    let kind = members.text("type");
    let own: &[&str] = match kind.as_deref() {
        Some("text") => &["text"],
        Some("image") => &["source"],
        Some("document") => &["source", "title"],
        Some("tool_use") => &["id", "name", "input"],
        Some("tool_result") => &["tool_use_id", "content", "is_error"],
        // What a model thought is sealed by who made it.
        Some("thinking" | "redacted_thinking") => return Ok(None),
        Some(_) => {
            unsaid.content(Inexpressible::unknown(path));
            return Ok(None);
        }
        None => {
            let at = format!("{path}.type");
            return Err(Inexpressible::malformed(at, "must be a text"));
        }
    };
    for (name, value) in members.all().iter().filter(|(_, value)| !is_null(value)) {
        let is_known = own.contains(&&**name) || matches!(&**name, "type" | "cache_control");
        if !is_known && !is_neutral(name, value) {
            unsaid.content(Inexpressible::unknown(format!("{path}.{name}")));
        }
    }
    match kind.as_deref() {
        Some("text") => {
            let text = text(&members, "text", path)?;
            let is_empty = text.get() == "\"\"";
            Ok((!is_empty).then_some(Block::Part(Part::Text { text })))
        }
        Some("image") => Ok(image(&members, path, unsaid)?.map(Block::Part)),
        Some("document") => Ok(document(&members, path, unsaid)?.map(Block::Part)),
        Some("tool_use") => Ok(Some(call(&members, path)?)),
        _ => Ok(Some(result(&members, path, unsaid)?)),
    }
}

/// Whether it says what is meant anyway: no citations, a call that the model itself made.
fn is_neutral(name: &str, value: &RawValue) -> bool {
    let said = value.get();
    match name {
        "citations" => {
            let enabled = Members::of(value).and_then(|members| members.member("enabled"));
            said == "[]" || enabled.is_some_and(|enabled| enabled.get() == "false")
        }
        "caller" => {
            Members::of(value).is_some_and(|it| it.text("type").as_deref() == Some("direct"))
        }
        _ => false,
    }
}

fn text<'a>(members: &Members<'a>, name: &str, path: &str) -> Result<&'a RawValue, Inexpressible> {
    let text = members.member(name).filter(|text| is_text(text));
    text.ok_or_else(|| Inexpressible::malformed(format!("{path}.{name}"), "must be a text"))
}

fn base64<'a>(source: &Members<'a>, path: &str) -> Result<Address<'a>, Inexpressible> {
    let part = |name: &str| {
        let at = || format!("{path}.source.{name}");
        let text = source.text(name);
        text.ok_or_else(|| Inexpressible::malformed(at(), "must be a text"))
    };
    Ok(Address::Data(Base64 {
        media_type: part("media_type")?,
        data: part("data")?,
    }))
}

fn source<'a>(members: &Members<'a>, path: &str) -> Result<Members<'a>, Inexpressible> {
    let at = format!("{path}.source");
    let source = members.member("source");
    let source = source.ok_or_else(|| Inexpressible::malformed(&*at, "must be there"))?;
    object(source, &at)
}

fn image<'a>(
    members: &Members<'a>,
    path: &str,
    unsaid: &mut Unsaid,
) -> Result<Option<Part<'a>>, Inexpressible> {
    let source = source(members, path)?;
    let url = match source.text("type").as_deref() {
        Some("base64") => base64(&source, path)?,
        Some("url") => Address::Told(text(&source, "url", &format!("{path}.source"))?),
        _ => {
            unsaid.content(Inexpressible::unknown(format!("{path}.source.type")));
            return Ok(None);
        }
    };
    Ok(Some(Part::ImageUrl {
        image_url: Image { url },
    }))
}

fn document<'a>(
    members: &Members<'a>,
    path: &str,
    unsaid: &mut Unsaid,
) -> Result<Option<Part<'a>>, Inexpressible> {
    let source = source(members, path)?;
    let title = members.member("title").filter(|title| is_text(title));
    match source.text("type").as_deref() {
        Some("base64") => {
            let file = File {
                filename: title.map_or(Name::Made("document.pdf"), Name::Told),
                file_data: base64(&source, path)?,
            };
            return Ok(Some(Part::File { file }));
        }
        // Of plain text nothing but its title is lost.
        Some("text") if title.is_none() => {
            let text = text(&source, "data", &format!("{path}.source"))?;
            return Ok(Some(Part::Text { text }));
        }
        _ => unsaid.content(Inexpressible::unknown(format!("{path}.source.type"))),
    }
    Ok(None)
}

fn call<'a>(members: &Members<'a>, path: &str) -> Result<Block<'a>, Inexpressible> {
    let input = members.member("input");
    let input = input.filter(|input| input.get().starts_with('{'));
    Ok(Block::Call {
        id: text(members, "id", path)?,
        name: text(members, "name", path)?,
        input: input.ok_or_else(|| {
            Inexpressible::malformed(format!("{path}.input"), "must be an object")
        })?,
    })
}

/// What came of a call. A chat has no word for that it failed; what is said then tells of it.
fn result<'a>(
    members: &Members<'a>,
    path: &str,
    unsaid: &mut Unsaid,
) -> Result<Block<'a>, Inexpressible> {
    let id = text(members, "tool_use_id", path)?;
    let is_error = members.member("is_error");
    let is_error = is_error.is_some_and(|it| it.get() == "true");
    let mut parts = Vec::new();
    let at = format!("{path}.content");
    match members.member("content") {
        None => {}
        Some(text) if is_text(text) => {
            let is_empty = text.get() == "\"\"";
            parts.extend((!is_empty).then_some(Part::Text { text }));
        }
        Some(said) => {
            let blocks = list(said).ok_or_else(|| {
                Inexpressible::malformed(&*at, "must be a text or a list of blocks")
            })?;
            for (place, value) in blocks.into_iter().enumerate() {
                let at = format!("{at}[{place}]");
                match block(value, &at, unsaid)? {
                    Some(Block::Part(part)) => {
                        if !matches!(part, Part::Text { .. }) {
                            unsaid.shown(Inexpressible::value(
                                at,
                                "must be text: it is what came of a call",
                            ));
                        }
                        parts.push(part);
                    }
                    Some(_) => {
                        return Err(Inexpressible::malformed(at, "must be text or an image"));
                    }
                    None => {}
                }
            }
        }
    }
    Ok(Block::Result {
        id,
        is_error,
        parts,
    })
}
