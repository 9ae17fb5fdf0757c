//! Who may import whom?
//!
//! The way of a request is a line: each step takes what earlier steps answered
//! and knows no later one, and no step calls another; only `gateway.rs` does.
//! That is what keeps a step readable and testable by itself.

use std::collections::BTreeSet;

use super::{Source, assert_none, rust};

/// The steps in the order of a request. A step may import **types** of earlier ones.
const STEPS: [&str; 9] = [
    "door", "client", "limit", "body", "inspect", "route", "cache", "exchange", "relay",
];

/// What any step may import: what lies under all of them, and the two that
/// collect what steps give back, errors (`refusal`) and facts (`record`).
const UNDER_STEPS: [&str; 14] = [
    "fail_point",
    "deadline",
    "config",
    "names",
    "money",
    "operation",
    "openai",
    "snapshot",
    "sse",
    "pools",
    "phase",
    "sys",
    "refusal",
    "record",
];

/// What one step may import beside that.
const UNDER_ONE_STEP: [(&str, &[&str]); 5] = [
    // Which pages there are, as what can be called.
    ("door", &["pages", "idiom"]),
    ("limit", &["shared"]),
    ("cache", &["shared"]),
    ("exchange", &["dialect", "idiom", "splice", "images"]),
    // In which protocol everything is told.
    ("relay", &["idiom"]),
];

/// Who may import what, steps apart. `*` is everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["*"]),
    // A whole gateway with a whole world around it.
    ("drill", &["*"]),
    ("server", &["*"]),
    ("gateway", &["*"]),
    // The gateway's other half: it asks the steps, too.
    ("visit", &["*"]),
    // What both halves wait for.
    ("work", &["*"]),
    // `record` for what it counts of connections, `client` for what is one client, `relay` for
    // the watch over a client, which lasts as long as its connection, `pressure` for whether there
    // is memory, and `telemetry` for what must leave no line.
    (
        "ingress",
        &[
            "gateway",
            "refusal",
            "phase",
            "record",
            "client",
            "config",
            "names",
            "sys",
            "deadline",
            "relay",
            "pressure",
            "telemetry",
        ],
    ),
    (
        "admin",
        &[
            "money",
            "gateway",
            "server",
            "pools",
            "snapshot",
            "record",
            "config",
            "names",
            "phase",
            "sys",
            // Whoever is asked about, and how they stand.
            "client",
            "limit",
            // What is kept, and by which key: that is asked with a body.
            "cache",
            "inspect",
            "route",
            "refusal",
            "operation",
            // How files of ours are given out.
            "pages",
            // What is let into the log.
            "telemetry",
        ],
    ),
    // `route` for who could answer for a model, `models` and `openai` for what answers look like.
    (
        "pages",
        // `operation` for what can be called, as it is told to programs, `idiom` for the form of
        // its errors.
        &[
            "config",
            "names",
            "refusal",
            "openai",
            "route",
            "models",
            "operation",
            "idiom",
        ],
    ),
    // The configuration compiled for each step: their types and no more than that.
    (
        "snapshot",
        &[
            "config", "names", "door", "client", "limit", "inspect", "route", "models", "pages",
            "pools", "record", "shared", "otlp",
        ],
    ),
    (
        "refusal",
        &[
            "money",
            // `config` for how it writes a length of time, `openai` for what an error looks like.
            "door",
            "client",
            "limit",
            "body",
            "inspect",
            "route",
            "dialect",
            "exchange",
            "images",
            "config",
            "operation",
            "openai", // `names` for an example of what a limit is called.
            "names",
        ],
    ),
    (
        "record",
        &[
            "money",
            "cache",
            "client",
            "limit",
            "route",
            "names",
            "sys",
            "config",
            "telemetry",
            "otlp",
            "openai",
            "pools",
            // What was called, as it is counted.
            "door",
            "operation",
        ],
    ),
    (
        "dialect",
        // `sse` for where an upstream's events end.
        &[
            "config",
            "names",
            "operation",
            "openai",
            "inspect",
            "splice",
            "images",
            "sse",
        ],
    ),
    // `record` for the id of a request, `refusal` for what is told of one, `dialect` for what
    // another protocol looks like, and `sse` for where events end.
    ("idiom", &["dialect", "openai", "record", "refusal", "sse"]),
    ("splice", &["inspect"]),
    // `shared` and `otlp` for the registry of what outlives a configuration.
    (
        "pools",
        &["config", "names", "sys", "shared", "operation", "otlp"],
    ),
    ("shared", &["config", "names", "openai", "sys", "record"]),
    ("images", &["config", "names", "openai", "sys"]),
    ("models", &["config", "names", "openai", "route"]),
    ("simulator", &["openai", "sys"]),
    ("telemetry", &["config", "names", "sys"]),
    ("otlp", &["config", "names", "sys"]),
    ("sse", &["openai"]),
    ("operation", &[]),
    ("openai", &["names", "operation"]),
    ("config", &["names", "operation", "money"]),
    ("money", &[]),
    ("names", &[]),
    ("fail_point", &[]),
    ("phase", &[]),
    ("deadline", &[]),
    ("sys", &[]),
    ("sync", &[]),
];

#[test]
fn a_file_imports_only_what_lies_under_it() {
    let files: Vec<Source> = rust()
        .filter(|file| file.path.starts_with("src/") && file.path != "src/lib.rs")
        .collect();
    let modules: BTreeSet<Vec<String>> = files.iter().map(|file| module(&file.path)).collect();
    let mut faults = Vec::new();
    let mut imports_seen = 0;
    for file in files
        .iter()
        .filter(|file| !file.path.ends_with("/tests.rs"))
    {
        let importer = unit(&module(&file.path));
        for (at, imported) in imports(file) {
            let Some(target) = (1..=imported.len())
                .rev()
                .map(|length| &imported[..length])
                .find(|prefix| modules.contains(*prefix))
            else {
                continue;
            };
            imports_seen += 1;
            let item = imported.get(target.len()).map_or("", String::as_str);
            let target = unit(target);
            // `sync` stands in for the standard library.
            if target == importer || target == "sync" {
                continue;
            }
            if let Err(rule) = check(&importer, &target, item) {
                let path = imported.join("::");
                faults.push(file.fault(at, &format!("imports {path}: {rule}")));
            }
        }
    }
    assert!(imports_seen > 0, "no import was found: the check is blind");
    assert_none(faults);
}

/// Whether a unit may import this item of another.
fn check(importer: &str, target: &str, item: &str) -> Result<(), String> {
    let place = |name: &str| STEPS.iter().position(|step| *step == name);
    if let Some(here) = place(importer) {
        return match place(target) {
            Some(there) if there > here => Err(format!("{target} is a later step")),
            Some(_) if !item.starts_with(char::is_uppercase) => {
                Err("a step names types of other steps and calls none".to_owned())
            }
            Some(_) => Ok(()),
            None if UNDER_STEPS.contains(&target) || is_under(importer, target) => Ok(()),
            None => Err(format!("no step needs {target}")),
        };
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == importer) else {
        return Err(format!("{importer} has no line in MAY_IMPORT"));
    };
    if allowed.contains(&"*") || allowed.contains(&target) {
        Ok(())
    } else {
        Err(format!("{importer} may import {allowed:?}"))
    }
}

/// Whether one step alone stands on this unit.
fn is_under(step: &str, target: &str) -> bool {
    UNDER_ONE_STEP
        .iter()
        .any(|(name, units)| *name == step && units.contains(&target))
}

/// `src/gateway/exchange/attempt.rs` is `gateway::exchange::attempt`.
fn module(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').map(str::to_owned).collect()
}

/// What the rules speak of: a module of the crate, or one of the gateway's.
fn unit(module: &[String]) -> String {
    match module {
        [gateway, step, ..] if gateway == "gateway" => step.clone(),
        [first, ..] => first.clone(),
        [] => unreachable!("a module has a name"),
    }
}

/// The whole paths that a file's product code reaches through `crate::` and `super::`.
fn imports(file: &Source) -> Vec<(usize, Vec<String>)> {
    let text = file.product();
    let mut found = Vec::new();
    for word in ["crate::", "super::"] {
        for (at, _) in text.match_indices(word) {
            let line = text[..at].rsplit('\n').next().unwrap();
            let before = text[..at].chars().next_back();
            let inside_path = before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
            // `super::super::` is read from its first word on; prose is not code.
            if inside_path || line.trim_start().starts_with("//") {
                continue;
            }
            let mut base = Vec::new();
            if word == "super::" {
                base = module(&file.path);
                base.pop();
            }
            let mut rest = &text[at + word.len()..];
            while let Some(more) = rest.strip_prefix("super::") {
                base.pop();
                rest = more;
            }
            for leaf in leaves(rest) {
                let mut path = base.clone();
                path.extend(leaf);
                found.push((at, path));
            }
        }
    }
    found
}

/// The paths of a use tree: `a::{b, c::{d, e}}` has three.
fn leaves(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut groups: Vec<usize> = Vec::new();
    let mut name = String::new();
    for c in text.chars() {
        match c {
            '{' if name.is_empty() => groups.push(path.len()),
            '{' => break,
            _ if c.is_alphanumeric() || c == '_' => name.push(c),
            ':' => {
                if !name.is_empty() {
                    path.push(std::mem::take(&mut name));
                }
            }
            ' ' | '\n' if !groups.is_empty() => {}
            ',' | '}' if !groups.is_empty() => {
                if !name.is_empty() {
                    path.push(std::mem::take(&mut name));
                    found.push(path.clone());
                }
                path.truncate(*groups.last().unwrap());
                if c == '}' {
                    groups.pop();
                    path.truncate(groups.last().copied().unwrap_or(0));
                    if groups.is_empty() {
                        return found;
                    }
                }
            }
            _ => break,
        }
    }
    if !name.is_empty() {
        path.push(name);
    }
    found.push(path);
    found
}

#[test]
fn a_use_tree_is_read_to_its_leaves() {
    #[track_caller]
    fn check(tree: &str, expected: &[&str]) {
        let found: Vec<String> = leaves(tree).iter().map(|leaf| leaf.join("::")).collect();
        assert_eq!(found, expected, "{tree}");
    }
    check("a::B;", &["a::B"]);
    check("a::{B, C};", &["a::B", "a::C"]);
    check("{a::B, c::{D, e::F}};", &["a::B", "c::D", "c::e::F"]);
    check(
        "a::{\n    B,\n    c::{D, E},\n};",
        &["a::B", "a::c::D", "a::c::E"],
    );
    check("a::call(1)", &["a::call"]);
    check("a::B { x: 1 }", &["a::B"]);
}

#[test]
fn a_step_knows_no_later_one_and_calls_none() {
    assert!(check("route", "inspect", "Ask").is_ok());
    assert!(check("route", "inspect", "inspect").is_err());
    assert!(check("inspect", "route", "Plan").is_err());
    assert!(check("exchange", "splice", "Spliced").is_ok());
    assert!(check("route", "splice", "Spliced").is_err());
    assert!(check("exchange", "ingress", "Session").is_err());
    assert!(check("config", "gateway", "Plan").is_err());
}
