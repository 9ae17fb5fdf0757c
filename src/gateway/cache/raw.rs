//! How is JSON taken apart and put together without being read?
//!
//! An answer is taken apart into members whose values stay as the upstream wrote them, and
//! put together again from those. So numbers keep their digits, strings their escapes
//! (those that no text can hold, too: half a surrogate pair), and objects what we do
//! not know. What is inside a string's quotes is called its text here; any two may
//! be laid end to end, and an object's or a list's inside likewise.

use std::borrow::Cow;

use memchr::memchr2;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object with more members is not read: each name is compared with those before it. What
/// upstreams send has a dozen.
pub(super) const MEMBERS_MAX: usize = 64;

/// The members of an object in their order, values unread. No name stands twice: of two
/// values, one reader would take the first and another the last.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of this object; `None` where it is none.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The members of each of these objects; `None` where it is no list of objects.
    pub(super) fn list(json: &'a str) -> Option<Vec<Self>> {
        serde_json::from_str(json).ok()
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members: Vec<(Cow<'de, str>, _)> = Vec::new();
        while let Some((Key(name), value)) = map.next_entry()? {
            if members.len() == MEMBERS_MAX || members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("too many members, or one twice"));
            }
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text of a string.
pub(super) fn text(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix('"')?.strip_suffix('"')
}

/// What stands inside a list, without blanks around it.
pub(super) fn items(value: &RawValue) -> Option<&str> {
    let inside = value.get().strip_prefix('[')?.strip_suffix(']')?;
    Some(inside.trim_ascii())
}

/// The same JSON without line ends, which stand between its tokens and nowhere else: in an
/// event of a stream they would end the line.
pub(super) fn one_line(json: &str) -> Cow<'_, str> {
    if memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        return Cow::Borrowed(json);
    }
    Cow::Owned(json.replace(['\n', '\r'], ""))
}

/// Whether it is `null`.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Whether it says nothing: `null`, or a string, list or object with nothing inside.
pub(super) fn is_empty(value: &RawValue) -> bool {
    let inside = value.get().strip_prefix('{');
    let inside = inside.and_then(|rest| rest.strip_suffix('}'));
    is_null(value)
        || text(value).is_some_and(str::is_empty)
        || items(value).is_some_and(str::is_empty)
        || inside.is_some_and(|inside| inside.trim_ascii().is_empty())
}

/// An object that is being written, member by member.
#[derive(Debug)]
pub(super) struct Object(Vec<u8>);

impl Object {
    /// An object without members.
    pub(super) fn new() -> Self {
        Self(b"{".to_vec())
    }

    /// Adds a member whose value is JSON, in one line.
    pub(super) fn member(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.extend_from_slice(one_line(json).as_bytes());
    }

    /// Adds members as they were read.
    pub(super) fn members(&mut self, members: &Members<'_>) {
        for (name, value) in &members.0 {
            self.member(name, value.get());
        }
    }

    /// Adds a string with these texts in it, one behind the other.
    pub(super) fn texts(&mut self, name: &str, texts: &[&str]) {
        self.name(name);
        self.0.push(b'"');
        for text in texts {
            self.0.extend_from_slice(text.as_bytes());
        }
        self.0.push(b'"');
    }

    /// Adds an object.
    pub(super) fn object(&mut self, name: &str, object: Self) {
        self.name(name);
        self.0.extend_from_slice(&object.close());
    }

    /// Adds a list of objects.
    pub(super) fn objects(&mut self, name: &str, objects: impl IntoIterator<Item = Self>) {
        self.name(name);
        self.0.push(b'[');
        for (place, object) in objects.into_iter().enumerate() {
            if place > 0 {
                self.0.push(b',');
            }
            self.0.extend_from_slice(&object.close());
        }
        self.0.push(b']');
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    /// As bytes.
    pub(super) fn close(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    /// As bytes to which more members can be written; there must be one already.
    pub(super) fn unclosed(self) -> Vec<u8> {
        self.0
    }

    fn name(&mut self, name: &str) {
        if !self.is_empty() {
            self.0.push(b',');
        }
        // Writing a string to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
    }
}
