//! What is wrong with the file, all of it?
//!
//! serde stops at the first fault, and an operator who learns of them one start at
//! a time is badly served. So the spanned document is walked before it is
//! deserialised: first along the JSON Schema (`structure.rs`), then for what no
//! schema can say (the other files, one for what belongs together). Each of them
//! looks at what it can make sense of and leaves the rest to the first walk, so one
//! mistake is told once.

/// A place in the document, and how to look around from it.
mod node;

/// Keys, types and texts: what the schema says.
mod structure;

/// What pools take from tables at the top.
mod inherit;

/// Listeners that get in each other's way.
mod server;

/// Limits and deadlines that contradict one another.
mod bounds;

/// Limits that cannot be told apart or kept.
mod limits;

/// Answers that cannot be kept, or shared.
mod cache;

/// Prices that say half of what they should.
mod costs;

/// Keys that cannot be told apart, here and in a file of their own.
mod keys;
/// What a collector cannot be told.
mod otlp;

/// Pools, and the secrets they name.
mod pools;

/// Models, and the pools they name.
mod models;

use std::io;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use self::keys::KeysFile;
pub(super) use self::limits::SharedSecrets;
use self::node::Node;
use super::file::{self, File};
use super::problem::{Problem, Problems};
use super::{ApiKey, Source};
use crate::names::Secret;

/// What lies outside the file and is looked at for it.
pub(super) struct Outside<'a> {
    /// The value of an environment variable.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file.
    pub(super) read: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// A file without a problem, and the secrets that it names.
pub(super) struct Checked {
    /// The file as serde reads it, with the keys of the other file among its own.
    pub(super) file: File,
    /// The file that those came from.
    pub(super) keys_file: Option<KeysFile>,
    /// The credential of each pool, in the order of the file.
    pub(super) api_keys: Vec<ApiKey>,
    /// What `[shared]` needs.
    pub(super) shared: SharedSecrets,
    /// What is sent with each export.
    pub(super) otlp_headers: Vec<(String, Secret)>,
}

/// Finds every problem, or none.
pub(super) fn check(source: Source<'_>, outside: &Outside<'_>) -> Result<Checked, Problems> {
    let mut findings = Findings {
        source,
        problems: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(source.text);
    for error in &errors {
        findings.syntax(error);
    }
    // What was recovered from is not what was meant: judging it would mislead.
    findings.none_or_all()?;

    let whole_file = 0..source.text.len();
    let mut document = Spanned::new(whole_file, DeValue::Table(table.into_inner()));
    structure::check(&Node::root(&document), &mut findings);
    inherit::inherit(&mut document);
    let root = Node::root(&document);
    server::check(&root, outside, &mut findings);
    bounds::check(&root, &mut findings);
    let shared = limits::check(&root, outside, &mut findings);
    cache::check(&root, &mut findings);
    let keys_file = keys::check(&root, outside, &mut findings);
    let otlp_headers = otlp::check(&root, outside, &mut findings);
    let api_keys = pools::check(&root, outside, &mut findings);
    models::check(&root, &mut findings);
    costs::check(&root, &mut findings);
    findings.none_or_all()?;

    let deserializer = toml::de::ValueDeserializer::from(document);
    let mut file = File::deserialize(deserializer).map_err(|error| findings.fault(&error))?;
    if let Some(more) = &keys_file {
        let more: file::KeysFile =
            toml::from_str(&more.text).map_err(|error| findings.fault(&error))?;
        file.keys.extend(more.keys);
    }
    Ok(Checked {
        file,
        keys_file,
        api_keys,
        shared,
        otlp_headers,
    })
}

/// What was found so far.
struct Findings<'a> {
    source: Source<'a>,
    problems: Vec<Problem>,
}

impl Findings<'_> {
    /// Notes a problem of a value.
    fn add(&mut self, node: &Node<'_, '_>, message: impl Into<String>) {
        self.add_at(&node.span(), node.path(), message);
    }

    /// Notes a problem at a place of its own.
    fn add_at(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let (line, column) = place(self.source.text, span.start);
        self.problems.push(Problem {
            source: self.source.name.to_owned(),
            line,
            column,
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// Notes what the parser says. Its messages name what it expected, never what it read.
    fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        self.add_at(&span, "", error.message());
    }

    /// What the walk along the schema should have found.
    fn fault(&mut self, error: &toml::de::Error) -> Problems {
        self.syntax(error);
        Problems(std::mem::take(&mut self.problems))
    }

    /// Everything found, in the order of the file, if there is anything.
    fn none_or_all(&mut self) -> Result<(), Problems> {
        match Problems::of(std::mem::take(&mut self.problems)) {
            None => Ok(()),
            Some(problems) => Err(problems),
        }
    }
}

/// Line and column of a byte, both counted from 1, columns in characters.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    (line, last_line.chars().count() + 1)
}

#[cfg(test)]
mod tests;
