//! What is wrong with a file, where, and what to do about it?
//!
//! One line a problem, beginning with file, line and column as compilers write
//! them, so that editors jump there. No line holds a value of the file: it could
//! be a secret in the wrong place.

use std::fmt;

/// Everything that is wrong with a file, in its order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub(super) Vec<Problem>);

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub source: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// Such as `pools[1].targets[0].weight`; empty where the text is no TOML.
    pub key: String,
    /// In words that follow the key. Holds no value of the file, so no secret.
    pub message: String,
}

impl Problems {
    /// What was found, file by file and in the order of each, if there is anything.
    #[must_use]
    pub fn of(mut found: Vec<Problem>) -> Option<Self> {
        let place = |problem: &Problem| (problem.line, problem.column);
        found.sort_by(|a, b| {
            let by_file = a.source.cmp(&b.source);
            by_file.then_with(|| (place(a), &a.key).cmp(&(place(b), &b.key)))
        });
        found.dedup();
        (!found.is_empty()).then_some(Self(found))
    }

    /// One by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(only: Problem) -> Self {
        Self(vec![only])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            line,
            column,
            key,
            message,
        } = self;
        let colon = if key.is_empty() { "" } else { ": " };
        write!(f, "{source}:{line}:{column}: {key}{colon}{message}")
    }
}

impl std::error::Error for Problems {}
