//! What does one event say?
//!
//! Nearly all events of a stream add a few letters to an answer, and of those the
//! relay needs nothing but that they are there. So after the first event, JSON is
//! read only where a string stands in it that a finish, an error or a count of tokens
//! cannot do without. Inside a text those strings cannot stand with both quotes, since
//! a text's quotes are escaped, so a chat about this protocol costs nothing more;
//! and where one stands as a whole text, the JSON reader that then looks is not fooled.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memchr2;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Choices;
use crate::openai::Usage;

/// What one event says.
#[derive(Debug, PartialEq)]
pub(super) enum Event<'a> {
    /// Nothing: empty lines, comments, or fields without data.
    Blank,
    /// `[DONE]`
    Done,
    /// A JSON object without an error, or one that was not looked at.
    Chunk(News),
    /// A JSON object that tells of an error; its bytes.
    Error(Cow<'a, [u8]>),
    /// Data that is no JSON object.
    NotJson,
}

/// What a chunk tells that the relay must know.
#[derive(Debug, Default, PartialEq)]
pub(super) struct News {
    /// Choices with a `finish_reason`.
    pub(super) finished: Choices,
    /// Counts of tokens.
    pub(super) usage: Option<Usage>,
}

/// Reads an event whole.
pub(super) fn read(event: &[u8]) -> Event<'_> {
    match data(event) {
        Data::Blank | Data::Comment => Event::Blank,
        Data::Text(text) if is_done(&text) => Event::Done,
        Data::Text(text) => parse(text),
    }
}

/// Reads an event as far as it may tell anything but more text.
pub(super) fn glance(event: &[u8]) -> Event<'_> {
    match data(event) {
        Data::Blank | Data::Comment => Event::Blank,
        Data::Text(text) if is_done(&text) => Event::Done,
        Data::Text(text) if may_tell(&text) => parse(text),
        Data::Text(_) => Event::Chunk(News::default()),
    }
}

/// Whether an event has no choices and counts tokens: the one that OpenAI sends last, to
/// who asks for it.
pub(super) fn only_tells_usage(event: &[u8]) -> bool {
    let Data::Text(text) = data(event) else {
        return false;
    };
    if !has_value(&text, &USAGE) || text.trim_ascii_start().first() != Some(&b'{') {
        return false;
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk>(&text) else {
        return false;
    };
    let choices: Option<Vec<IgnoredAny>> = member(chunk.choices);
    chunk.usage.is_some()
        && chunk.error.is_none()
        && choices.is_some_and(|choices| choices.is_empty())
}

pub(super) fn is_done(text: &[u8]) -> bool {
    text.trim_ascii() == b"[DONE]"
}

static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

/// Whether a text may hold a finish, an error or a count of tokens.
pub(super) fn may_tell(text: &[u8]) -> bool {
    [&FINISH, &USAGE, &ERROR]
        .into_iter()
        .any(|finder| has_value(text, finder))
}

/// Whether the string stands anywhere but as a key whose value is `null`.
fn has_value(text: &[u8], finder: &Finder<'static>) -> bool {
    finder.find_iter(text).any(|at| {
        let after = text.get(at + finder.needle().len()..).unwrap_or_default();
        let value = after.trim_ascii_start().strip_prefix(b":");
        !value.is_some_and(|value| value.trim_ascii_start().starts_with(b"null"))
    })
}

/// The members the relay needs, each to be read by itself, so that one of an
/// unexpected type does not hide the others.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

fn parse(text: Cow<'_, [u8]>) -> Event<'_> {
    // serde would also read an array as a struct.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Event::NotJson;
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk>(&text) else {
        return Event::NotJson;
    };
    // vLLM writes `"object":"error"` beside the error's own members.
    let is_error = chunk.error.is_some()
        || chunk
            .object
            .is_some_and(|object| object.get() == "\"error\"");
    if is_error {
        return Event::Error(text);
    }
    let choices: Vec<Choice<'_>> = member(chunk.choices).unwrap_or_default();
    let mut news = News {
        finished: Choices::default(),
        usage: member(chunk.usage),
    };
    for choice in choices {
        // An empty one is what some write where others write none.
        let finish = choice.finish_reason.map(RawValue::get);
        if finish.is_some_and(|finish| finish != "\"\"") {
            news.finished.insert(choice.index);
        }
    }
    Event::Chunk(news)
}

fn member<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// What an event consists of.
pub(super) enum Data<'a> {
    /// No data and no comment.
    Blank,
    /// A comment and no data.
    Comment,
    /// The data, its lines joined.
    Text(Cow<'a, [u8]>),
}

pub(super) fn data(event: &[u8]) -> Data<'_> {
    // A byte order mark may stand before the first line of a stream.
    let mut rest = event.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(event);
    let mut data = Data::Blank;
    while !rest.is_empty() {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        // A CRLF gives an empty line here, which says nothing.
        rest = after.get(1..).unwrap_or_default();
        match (field_of_data(line), &mut data) {
            (Some(value), Data::Text(text)) => {
                let text = text.to_mut();
                text.push(b'\n');
                text.extend_from_slice(value);
            }
            (Some(value), _) => data = Data::Text(Cow::Borrowed(value)),
            (None, Data::Blank) if line.starts_with(b":") => data = Data::Comment,
            (None, _) => {}
        }
    }
    data
}

/// The value of a line `data: value`.
fn field_of_data(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
