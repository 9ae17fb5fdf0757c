//! Where does a key stand?
//!
//! Some faults show only when a checked file is made to run: a certificate that does
//! not fit its key, an address that a running process cannot leave. They are told in
//! the same way as all others, so their place is looked up here afterwards.

use toml::de::{DeTable, DeValue};

use super::Source;
use super::check::place;
use super::problem::Problem;

/// A problem of a key such as `pools[1].ca.file`, at the place of it, or of what it
/// would stand in where it is not there.
#[must_use]
pub fn problem(source: Source<'_>, key: &str, message: impl Into<String>) -> Problem {
    let (line, column) = place(source.text, offset(source.text, key));
    Problem {
        source: source.name.to_owned(),
        line,
        column,
        key: key.to_owned(),
        message: message.into(),
    }
}

/// The first byte of the value, or of the nearest thing around it.
fn offset(text: &str, key: &str) -> usize {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut found = 0;
    let mut value = DeValue::Table(table.into_inner());
    for step in key.split(['.', '[']) {
        let next = match (value, step.strip_suffix(']')) {
            (DeValue::Array(items), Some(index)) => index
                .parse()
                .ok()
                .and_then(|index: usize| items.into_iter().nth(index)),
            (DeValue::Table(table), None) => table
                .into_iter()
                .find(|(name, _)| name.get_ref() == step)
                .map(|(_, value)| value),
            _ => None,
        };
        let Some(next) = next else { break };
        found = next.span().start;
        value = next.into_inner();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[server]
listen = [\"127.0.0.1:1\"]
tls = { cert = { file = \"a\" } }

[[pools]]
name = \"a\"

[[pools]]
name = \"b\"
ca = { file = \"x\" }
";

    #[test]
    fn a_key_is_found_or_what_it_would_stand_in() {
        #[track_caller]
        fn check(key: &str, place: (usize, usize)) {
            let source = Source {
                name: "f.toml",
                text: TEXT,
            };
            let found = problem(source, key, "needs a restart");
            assert_eq!((found.line, found.column), place, "{found}");
        }
        check("server.listen", (2, 10));
        check("server.tls.cert.file", (3, 25));
        check("server.threads", (1, 1));
        check("pools[1].ca.file", (10, 15));
        check("pools[1].name", (9, 8));
        check("pools[0].ca.file", (5, 1));
        check("images.store", (1, 1));
    }
}
