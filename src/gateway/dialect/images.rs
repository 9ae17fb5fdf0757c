//! How does an image generation look like a chat completion?
//!
//! A caller asks an image model through the same call as any other and is answered in
//! the same shape, its content Markdown that shows the image. What an upstream says is
//! text of a stranger that lands in Markdown on someone's page: an address is only
//! passed on where it is plain `http` or `https`, and no character of it can end the
//! link.

/// Is anything asked that a picture would be made without?
pub mod asked;

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::gateway::inspect::image::ImageAsk;

/// Pictures of one answer. OpenAI makes at most ten.
const PICTURES_MAX: usize = 16;

/// Bytes of a picture's address. Signed addresses of object stores take up to two or
/// three thousand; browsers and proxies stop at about eight.
const URL_BYTES_MAX: usize = 8192;

/// One picture as the upstream answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture<'a> {
    /// An address, safe inside Markdown.
    Url(String),
    /// Base64 of its bytes, neither decoded nor looked at yet.
    Base64(Cow<'a, str>),
}

/// Why an upstream's answer is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// It is not JSON of the expected shape.
    #[error("the upstream's answer is no list of images: {0}")]
    Shape(#[from] serde_json::Error),
    /// There is no picture in it.
    #[error("the upstream's answer has no image in it")]
    Empty,
    /// There are more pictures than anyone asks for.
    #[error("the upstream answered {count} images, more than {PICTURES_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A picture has neither an address nor bytes.
    #[error("an image of the upstream's answer has neither url nor b64_json")]
    NoPicture,
    /// A picture would decode to more bytes than are kept.
    #[error("an image of the upstream's answer has more than {bytes_max} bytes")]
    TooLarge {
        /// What is allowed.
        bytes_max: usize,
    },
    /// An address cannot be passed on.
    #[error("an image's address in the upstream's answer is refused: {reason}")]
    Url {
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The body of `images/generations` for an upstream that calls the model
/// `upstream_model`: what the caller gave, and nothing else.
///
/// Source: OpenAI's API reference, `POST /images/generations`; `seed` is what servers
/// of open models add.
#[must_use]
pub fn request(ask: &ImageAsk, upstream_model: &str) -> Bytes {
    // Taken apart in full: a field that is added is one that must be sent.
    let ImageAsk {
        prompt,
        n,
        size,
        quality,
        style,
        seed,
    } = ask;
    json(&Generate {
        model: upstream_model,
        prompt,
        n: *n,
        size: size.as_deref(),
        quality: quality.as_deref(),
        style: style.as_deref(),
        seed: *seed,
    })
}

/// The pictures of an upstream's answer, in its order.
///
/// Shape: OpenAI's `data`, a list of objects with `url` or `b64_json`; or what other servers
/// answer at the same place: a list `images` of such objects, or of texts that are an address, a
/// data URI or base64; or one `url` at the top. The first of these that is there counts.
///
/// Where a picture has both, its address is preferred: it costs nobody anything more.
/// A data URI in `url` is what some servers write for `b64_json`, and is read as such.
///
/// # Errors
///
/// [`ImagesError`]; one bad picture spoils the answer, so that a caller never gets
/// fewer than the upstream charged for without a word.
pub fn parse(body: &[u8], image_bytes_max: usize) -> Result<Vec<Picture<'_>>, ImagesError> {
    let Generations { data, images, url } = serde_json::from_slice(body)?;
    let url = url.map(|Text(url)| vec![Generation::Text(url)]);
    let found = data.or(images).or(url);
    // No list at all is no answer of images, an error for one.
    let found = found.ok_or_else(|| serde::de::Error::missing_field("data"));
    let found: Vec<Generation<'_>> = found.map_err(ImagesError::Shape)?;
    match found.len() {
        0 => Err(ImagesError::Empty),
        count if count > PICTURES_MAX => Err(ImagesError::TooMany { count }),
        _ => found
            .into_iter()
            .map(|generation| picture(generation, image_bytes_max))
            .collect(),
    }
}

/// The content of an answer: one image a line.
#[must_use]
pub fn markdown(urls: &[String]) -> String {
    let lines: Vec<String> = urls
        .iter()
        .map(|url| format!("![Generated Image]({url})"))
        .collect();
    lines.join("\n")
}

/// A whole answer, not streamed.
///
/// Shape: `chat.completion` with one choice. Units: `created` in Unix seconds.
#[must_use]
pub fn completion(id: &str, created: i64, model: &str, content: &str) -> Bytes {
    json(&Completion {
        id,
        object: "chat.completion",
        created,
        model,
        choices: [Choice {
            index: 0,
            message: Some(Message {
                role: "assistant",
                content,
            }),
            delta: None,
            finish_reason: Some("stop"),
        }],
        usage: None,
    })
}

/// The same answer as the three events of a stream: the content, the stop, the end.
///
/// Shape: `chat.completion.chunk`, each with its `data: ` and its blank line.
#[must_use]
pub fn chunks(id: &str, created: i64, model: &str, content: &str) -> [Bytes; 3] {
    let chunk = |content, role, finish_reason| {
        event(&Completion {
            id,
            object: "chat.completion.chunk",
            created,
            model,
            choices: [Choice {
                index: 0,
                message: None,
                delta: Some(Delta { content, role }),
                finish_reason,
            }],
            usage: None,
        })
    };
    [
        chunk(content, Some("assistant"), None),
        chunk("", None, Some("stop")),
        Bytes::from_static(b"data: [DONE]\n\n"),
    ]
}

/// A request of `images/generations`; what is `None` is left to the upstream.
#[derive(Serialize)]
struct Generate<'a> {
    model: &'a str,
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
}

/// An answer of `images/generations`, as much of it as is read.
#[derive(Deserialize)]
struct Generations<'a> {
    #[serde(borrow)]
    data: Option<Vec<Generation<'a>>>,
    #[serde(borrow)]
    images: Option<Vec<Generation<'a>>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
}

/// One picture, as an object or as a text.
enum Generation<'a> {
    Object(Object<'a>),
    Text(Cow<'a, str>),
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    url: Option<Text<'a>>,
    #[serde(borrow, default)]
    b64_json: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Generation<'a> {
    /// By what it begins with: serde's way to try one form and then the other would copy it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?.get();
        let read = if value.starts_with('"') {
            serde_json::from_str(value).map(|Text(text)| Self::Text(text))
        } else {
            serde_json::from_str(value).map(Self::Object)
        };
        read.map_err(serde::de::Error::custom)
    }
}

/// A string, borrowed from the body where it has no escapes: megabytes of base64 are
/// not copied.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// `chat.completion` and its chunk, with the fields in the order of the public contract.
#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    /// Always `null`: upstreams count images, not tokens.
    usage: Option<()>,
}

/// Exactly one of `message` and `delta` is there.
#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Delta<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Delta<'a> {
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

fn json(value: &impl Serialize) -> Bytes {
    Bytes::from(to_vec(Vec::new(), value))
}

fn event(value: &impl Serialize) -> Bytes {
    let mut event = to_vec(b"data: ".to_vec(), value);
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}

#[expect(
    clippy::expect_used,
    reason = "structs of text and numbers always serialise, and writing to memory never fails"
)]
fn to_vec(mut start: Vec<u8>, value: &impl Serialize) -> Vec<u8> {
    serde_json::to_writer(&mut start, value).expect("plain structs serialise");
    start
}

fn picture(generation: Generation<'_>, image_bytes_max: usize) -> Result<Picture<'_>, ImagesError> {
    let (url, base64) = match generation {
        Generation::Object(Object { url, b64_json }) => (url, b64_json),
        // No base64 has a colon in it, and no address is without.
        Generation::Text(text) if text.contains(':') => (Some(Text(text)), None),
        Generation::Text(text) => (None, Some(Text(text))),
    };
    match (url, base64) {
        (Some(Text(url)), _) if !url.is_empty() => match data_uri(&url) {
            Some(base64) => picture_base64(Cow::Owned(base64.to_owned()), image_bytes_max),
            None => link(&url).map(Picture::Url),
        },
        (_, Some(Text(base64))) if !base64.is_empty() => {
            // Some write a data URI here, too.
            let inside = data_uri(&base64).map(str::to_owned);
            picture_base64(inside.map_or(base64, Cow::Owned), image_bytes_max)
        }
        _ => Err(ImagesError::NoPicture),
    }
}

fn picture_base64(base64: Cow<'_, str>, bytes_max: usize) -> Result<Picture<'_>, ImagesError> {
    // Four characters are three bytes, and up to two of the last three are padding.
    if base64.len() / 4 * 3 > bytes_max.saturating_add(2) {
        return Err(ImagesError::TooLarge { bytes_max });
    }
    Ok(Picture::Base64(base64))
}

/// The base64 of a data URI.
fn data_uri(url: &str) -> Option<&str> {
    let (kind, base64) = url.strip_prefix("data:")?.split_once(',')?;
    kind.ends_with(";base64").then_some(base64)
}

/// An upstream's address as it may stand in Markdown: unchanged where it is clean, with
/// what could end the link, or could be read in two ways, percent-encoded after the host.
fn link(url: &str) -> Result<String, ImagesError> {
    let refused = |reason| Err(ImagesError::Url { reason });
    if url.len() > URL_BYTES_MAX {
        return refused("it is longer than 8 KiB");
    }
    if url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return refused("it has control characters or blanks in it");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return refused("it is neither http nor https");
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return refused("it is neither http nor https");
    }
    let (authority, path) = rest
        .find(['/', '?', '#'])
        .and_then(|end| rest.split_at_checked(end))
        .unwrap_or((rest, ""));
    // No user names, no backslashes and no look-alike letters: the host a person reads
    // is the host a browser asks.
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if authority.is_empty() || !authority.chars().all(is_host) {
        return refused("its host is no plain name or address");
    }
    let mut link = format!("{}://{authority}", scheme.to_ascii_lowercase());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&*+,;=%".contains(&byte) {
            link.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(link, "%{byte:02X}");
        }
    }
    match url::Url::parse(&link) {
        Ok(parsed) if parsed.has_host() => Ok(link),
        _ => refused("it is no valid address"),
    }
}

#[cfg(test)]
mod tests;
