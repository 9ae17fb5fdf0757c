//! What does an object say, member by member?
//!
//! A body is put into other words member by member, so that none is passed over unseen: each
//! is known, or is what the other side has no words for. Values stay as the caller wrote
//! them and are read one by one; texts go on with the escapes they came with.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Inexpressible;

/// The members of an object in their order. That no name stands twice, inspection has seen to.
#[derive(Debug)]
pub struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

/// A text, its escapes decoded.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    /// Those of this value; `None` where it is no object.
    #[must_use]
    pub fn of(value: &'a RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    /// Those of what must be an object, and stands at this place of the caller's body.
    ///
    /// # Errors
    /// Where it is none.
    pub fn at(value: &'a RawValue, path: &str) -> Result<Self, Inexpressible> {
        Self::of(value).ok_or_else(|| Inexpressible::malformed(path, "must be an object"))
    }

    /// Sees to it that nothing but these members says something.
    ///
    /// # Errors
    /// The first other one, unless such are left out.
    pub fn only(&self, known: &[&str], path: &str, drops: bool) -> Result<(), Inexpressible> {
        let mut said = self.0.iter().filter(|(_, value)| !is_null(value));
        match said.find(|(name, _)| !known.contains(&&**name)) {
            Some((name, _)) if !drops => Err(Inexpressible::unknown(format!("{path}.{name}"))),
            _ => Ok(()),
        }
    }

    /// Each name with its value, as they came.
    #[must_use]
    pub fn all(&self) -> &[(Cow<'a, str>, &'a RawValue)] {
        &self.0
    }

    /// The value of a member that says something.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&'a RawValue> {
        let mut members = self.0.iter();
        let found = members.find(|(known, _)| known == name);
        found
            .map(|(_, value)| *value)
            .filter(|value| !is_null(value))
    }

    /// The text of a member; `None` where it is none.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.member(name)?)
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

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Text(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// A text; `None` where the value is none.
#[must_use]
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(value.get())
        .ok()
        .map(|Text(text)| text)
}

/// The values of a list; `None` where it is none.
#[must_use]
pub fn list(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// Whether it is a text, whatever it says.
#[must_use]
pub fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// Whether it is `null`.
#[must_use]
pub fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Whether it says nothing: `null`, or a text, list or object with nothing inside.
#[must_use]
pub fn is_empty(value: &RawValue) -> bool {
    let inside = value.get();
    let pairs = [('"', '"'), ('[', ']'), ('{', '}')];
    is_null(value)
        || pairs.iter().any(|(open, close)| {
            let inside = inside.strip_prefix(*open);
            let inside = inside.and_then(|inside| inside.strip_suffix(*close));
            inside.is_some_and(|inside| {
                inside.trim_ascii().is_empty() && (*open != '"' || inside.is_empty())
            })
        })
}

/// Whether a member of a body asks for nothing: most do where they are empty, and one asks by
/// being there.
#[must_use]
pub fn says_nothing(name: &str, value: &RawValue) -> bool {
    if name == "web_search_options" {
        is_null(value)
    } else {
        is_empty(value)
    }
}

/// The number; `None` where it is none.
#[must_use]
pub fn number(value: &RawValue) -> Option<f64> {
    serde_json::from_str(value.get()).ok()
}
