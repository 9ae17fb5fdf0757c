//! How are the members of one object joined?
//!
//! By the rule that whoever adds a member names. Nothing is decoded or copied until all is
//! written: a draft holds where the parts stand.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::AssemblyError;
use crate::gateway::cache::raw::{MEMBERS_MAX, Object, is_null, items, text};

/// An object whose members come part by part.
#[derive(Debug, Default)]
pub(super) struct Draft<'a>(Vec<(Cow<'a, str>, Told<'a>)>);

/// How a member that is said again is joined with what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// What was said first stays.
    First,
    /// What is said last stays.
    Last,
    /// It must be the same.
    Same,
    /// Strings and lists are laid end to end, anything else must be the same.
    Parts,
}

/// What was said of one member.
#[derive(Debug)]
enum Told<'a> {
    Value(&'a RawValue),
    /// The texts of strings.
    Texts(Vec<&'a str>),
    /// What stands inside of lists, none empty.
    Items(Vec<&'a str>),
}

impl<'a> Draft<'a> {
    /// Adds what is said of a member. What says nothing never stands against what does.
    pub(super) fn add(
        &mut self,
        name: Cow<'a, str>,
        value: &'a RawValue,
        rule: Rule,
    ) -> Result<(), AssemblyError> {
        let told = Told::read(value, rule);
        if let Some((_, before)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            return before.join(told, rule);
        }
        if self.0.len() == MEMBERS_MAX {
            return Err(AssemblyError::TooMany);
        }
        self.0.push((name, told));
        Ok(())
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the member of this name, if there is one.
    pub(super) fn write_one(&self, object: &mut Object, name: &str) {
        for (known, told) in self.0.iter().filter(|(known, _)| known == name) {
            told.write(object, known);
        }
    }

    /// Writes all members but those of these names, in the order in which they were first said.
    pub(super) fn write_but(&self, object: &mut Object, names: &[&str]) {
        for (known, told) in &self.0 {
            if !names.contains(&&**known) {
                told.write(object, known);
            }
        }
    }

    /// An object with all members.
    pub(super) fn written(&self) -> Object {
        let mut object = Object::new();
        self.write_but(&mut object, &[]);
        object
    }
}

impl<'a> Told<'a> {
    fn read(value: &'a RawValue, rule: Rule) -> Self {
        let parts = (rule == Rule::Parts).then_some(value);
        if let Some(text) = parts.and_then(text) {
            Self::Texts(vec![text])
        } else if let Some(items) = parts.and_then(items) {
            let items = Some(items).filter(|items| !items.is_empty());
            Self::Items(items.into_iter().collect())
        } else {
            Self::Value(value)
        }
    }

    fn join(&mut self, next: Self, rule: Rule) -> Result<(), AssemblyError> {
        match (&mut *self, next) {
            (_, Self::Value(next)) if is_null(next) => {}
            (Self::Value(before), next) if is_null(before) => *self = next,
            (Self::Texts(before), Self::Texts(next)) | (Self::Items(before), Self::Items(next)) => {
                before.extend(next);
            }
            (Self::Value(before), Self::Value(next)) => {
                let is_weaker = says_nothing(next) && !says_nothing(before);
                let is_stronger = says_nothing(before) && !says_nothing(next);
                let is_same = before.get() == next.get();
                match rule {
                    _ if is_weaker => {}
                    _ if is_stronger => *before = next,
                    Rule::First => {}
                    Rule::Last => *before = next,
                    Rule::Same | Rule::Parts if is_same => {}
                    Rule::Same | Rule::Parts => return Err(AssemblyError::Apart),
                }
            }
            _ => return Err(AssemblyError::Apart),
        }
        Ok(())
    }

    fn write(&self, object: &mut Object, name: &str) {
        match self {
            Self::Value(value) => object.member(name, value.get()),
            Self::Texts(texts) => object.texts(name, texts),
            Self::Items(items) => object.member(name, &format!("[{}]", items.join(","))),
        }
    }
}

/// Whether it is what Azure's first chunk says instead of nothing.
fn says_nothing(value: &RawValue) -> bool {
    matches!(value.get(), "null" | "\"\"" | "0")
}
