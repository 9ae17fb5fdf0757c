//! Where in the document are we?
//!
//! A value together with the path of keys that leads to it. Looking for what is not
//! there, or is of another type, yields nothing: that it is wrong was said by the
//! walk along the schema.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::notation::Notation;

/// A value and its path.
#[derive(Clone)]
pub(super) struct Node<'a, 'i> {
    path: String,
    value: &'a Spanned<DeValue<'i>>,
}

impl<'a, 'i> Node<'a, 'i> {
    /// The whole document.
    pub(super) fn root(value: &'a Spanned<DeValue<'i>>) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// Such as `pools[1].targets[0].weight`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of a key of this table.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Its bytes in the file.
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// The value itself.
    pub(super) fn value(&self) -> &'a DeValue<'i> {
        self.value.get_ref()
    }

    /// Its entries, if it is a table.
    pub(super) fn table(&self) -> Option<&'a DeTable<'i>> {
        self.value().as_table()
    }

    /// One of its entries.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.table()?.get(key)?;
        Some(Self {
            path: self.path_of(key),
            value,
        })
    }

    /// Its elements, if it is a list.
    pub(super) fn items(&self) -> Vec<Self> {
        let elements = self.value().as_array().map_or(&[][..], AsRef::as_ref);
        let item = |(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            value,
        };
        elements.iter().enumerate().map(item).collect()
    }

    /// The elements of the list at a key.
    pub(super) fn items_of(&self, key: &str) -> Vec<Self> {
        self.get(key).map(|list| list.items()).unwrap_or_default()
    }

    /// Its text, if it is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.value().as_str()
    }

    /// The text at a key.
    pub(super) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.table()?.get(key)?.get_ref().as_str()
    }

    /// What its text, or its whole number, means.
    pub(super) fn read<K: Notation>(&self) -> Option<K::Value> {
        match self.value() {
            DeValue::String(text) => K::read(text).ok(),
            DeValue::Integer(_) if K::WHOLE_NUMBERS => K::read(&self.whole()?.to_string()).ok(),
            _ => None,
        }
    }

    /// The whole number it is.
    pub(super) fn whole(&self) -> Option<i64> {
        let number = self.value().as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// The number it is, whole or not.
    pub(super) fn number(&self) -> Option<f64> {
        match self.value() {
            DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
            DeValue::Integer(_) => i32::try_from(self.whole()?).ok().map(f64::from),
            _ => None,
        }
    }
}
