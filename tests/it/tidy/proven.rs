//! Are the tests there that `docs/reliability.md` names?
//!
//! A row whose test was renamed or removed is a promise that nobody keeps.

use std::collections::BTreeSet;

use super::{Source, assert_none, committed, rust};

/// Where promises stand beside their tests.
const PAGE: &str = "docs/reliability.md";

#[test]
fn every_test_that_a_promise_names_is_there() {
    let page = committed().find(|file| file.path == PAGE);
    let page = page.expect("the page of promises");
    let tests: BTreeSet<String> = rust().flat_map(|file| tests_of(&file)).collect();
    let named: Vec<(usize, &str)> = named(&page.text).collect();
    assert!(named.len() > 100, "the check is blind: {}", named.len());
    let faults = named
        .iter()
        .filter(|(_, name)| !tests.contains(*name))
        .map(|(start, name)| page.fault(*start, &format!("there is no test {name}")));
    assert_none(faults);
}

/// What stands between backticks and is a path of modules.
fn named(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    text.match_indices('`').filter_map(move |(start, _)| {
        let (name, _) = text[start + 1..].split_once('`')?;
        (name.contains("::") && !name.ends_with(':') && name.chars().all(is_part))
            .then_some((start, name))
    })
}

/// The tests of a file, as the runner calls them; those of `tests/soak/` begin with `soak::`.
fn tests_of(file: &Source) -> Vec<String> {
    let path = file.path.strip_suffix(".rs").unwrap_or(&file.path);
    let modules = match path.split_once('/') {
        Some(("src", rest)) => rest.to_owned(),
        Some(("tests", rest)) => rest.strip_prefix("it/").unwrap_or(rest).to_owned(),
        _ => return Vec::new(),
    };
    let modules = modules.replace('/', "::");
    let mut found = Vec::new();
    let mut is_test = false;
    let mut inner = "";
    for line in file.text.lines().map(str::trim_start) {
        if line.starts_with("mod tests {") {
            inner = "tests::";
        }
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(name) = line.strip_prefix("fn ").filter(|_| is_test) {
            let name = name.split('(').next().unwrap_or(name);
            found.push(format!("{modules}::{inner}{name}"));
            is_test = false;
        }
    }
    found
}
