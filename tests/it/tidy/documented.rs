//! Do the documents and the program say the same?
//!
//! An operator finds a key or a metric by reading; one that is not written down
//! does not exist, and one that is written down and gone costs an evening.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{Source, assert_none, committed, rust};

/// Where metrics are documented.
const METRICS_DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "docs/metrics.md"];

/// Where configuration keys are documented.
const KEYS_DOCUMENTS: [&str; 2] = ["conf/spafe.toml", "conf/reference.toml"];

/// Where panels are led to.
const PANELS_DOCUMENTS: [&str; 2] = ["docs/runbook.md", "docs/observability.md"];

/// What Prometheus adds to a histogram's name.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

#[test]
fn every_configuration_key_is_in_an_example_file() {
    let output = Command::new(env!("CARGO_BIN_EXE_spafe"))
        .arg("schema")
        .output()
        .unwrap();
    assert!(output.status.success(), "spafe schema: {}", output.status);
    let mut keys = BTreeSet::new();
    collect_keys(&serde_json::from_slice(&output.stdout).unwrap(), &mut keys);
    assert!(
        keys.contains("listen") && keys.contains("targets"),
        "the schema lacks what must be there: {keys:?}"
    );

    let text: String = files(&KEYS_DOCUMENTS).map(|file| file.text).collect();
    let faults = keys
        .into_iter()
        .filter(|key| !text.lines().any(|line| line_has_key(line, key)))
        .map(|key| format!("{key}: is in none of {KEYS_DOCUMENTS:?}"));
    assert_none(faults);
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let registered = registered_metrics();
    assert!(
        !registered.is_empty(),
        "no metric was found: the check is blind"
    );
    let documents: Vec<Source> = files(&METRICS_DOCUMENTS).collect();
    let documented: BTreeSet<String> = documents
        .iter()
        .flat_map(|file| metric_names(&file.text))
        .map(|(_, name)| name)
        .collect();

    let missing = registered
        .iter()
        .filter(|(name, _)| !documented.contains(*name))
        .map(|(name, place)| format!("{place}: {name} is in none of {METRICS_DOCUMENTS:?}"));
    let invented = documents
        .iter()
        .flat_map(|file| unknown_metrics(file, &registered));
    assert_none(missing.chain(invented));
}

#[test]
fn dashboards_alerts_and_documents_name_metrics_that_exist() {
    let registered = registered_metrics();
    let faults = committed()
        .filter(|file| {
            ["dashboards/", "docs/", "deploy/"]
                .iter()
                .any(|at| file.path.starts_with(at))
        })
        .flat_map(|file| unknown_metrics(&file, &registered));
    assert_none(faults);
}

#[test]
fn every_metric_is_on_a_dashboard_or_in_a_rule() {
    let mut shown = BTreeSet::new();
    for file in committed() {
        let Some(name) = file.path.strip_prefix("dashboards/") else {
            continue;
        };
        // What is played to alerts is not what anybody sees.
        if !name.contains('/') {
            shown.extend(metric_names(&file.text).into_iter().map(|(_, name)| name));
        }
    }
    let is_shown = |name: &str| {
        let mut names = SUFFIXES.iter().map(|suffix| format!("{name}{suffix}"));
        shown.contains(name) || names.any(|name| shown.contains(&name))
    };
    let faults = registered_metrics()
        .into_iter()
        .filter(|(name, _)| !is_shown(name))
        .map(|(name, place)| format!("{place}: {name} is on no dashboard and in no rule"));
    assert_none(faults);
}

#[test]
fn a_panel_that_a_document_leads_to_is_there() {
    let mut panels = BTreeSet::new();
    for file in committed() {
        let name = file.path.strip_prefix("dashboards/");
        let Some(name) = name.and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        let dashboard: Value = serde_json::from_str(&file.text).unwrap();
        let titles = dashboard["panels"].as_array().unwrap().iter();
        panels.extend(titles.map(|panel| format!("{name}: {}", panel["title"].as_str().unwrap())));
    }
    let mut faults = Vec::new();
    let mut seen = 0;
    for file in files(&PANELS_DOCUMENTS) {
        // `*overview: Errors by code*`, perhaps over a line's end.
        for (start, _) in file.text.match_indices('*') {
            let words = file.text[start + 1..].split('*').next().unwrap_or_default();
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            let names = words.split(": ").next().unwrap_or_default();
            let is_one = panels
                .iter()
                .any(|panel| panel.starts_with(&format!("{names}: ")));
            if is_one && words.len() > names.len() {
                seen += 1;
                if !panels.contains(&words) {
                    faults.push(file.fault(start, &format!("there is no panel {words:?}")));
                }
            }
        }
    }
    assert!(seen > 50, "{seen} panels were found: the check is blind");
    assert_none(faults);
}

/// The metrics in the product's string literals, with the place of the first.
fn registered_metrics() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in rust().filter(|file| file.path.starts_with("src/")) {
        for (start, name) in metric_names(file.product()) {
            if file.text[..start].ends_with('"') {
                found
                    .entry(name)
                    .or_insert_with(|| file.fault(start, "").trim_end_matches(": ").to_owned());
            }
        }
    }
    found
}

fn unknown_metrics(file: &Source, registered: &BTreeMap<String, String>) -> Vec<String> {
    metric_names(&file.text)
        .into_iter()
        .filter(|(_, name)| {
            let base = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
            !registered.contains_key(name)
                && !base.is_some_and(|base| registered.contains_key(base))
        })
        .map(|(at, name)| file.fault(at, &format!("there is no metric {name}")))
        .collect()
}

/// Every word that begins as our metrics do.
fn metric_names(text: &str) -> Vec<(usize, String)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices("spafe_")
        .filter(|(start, _)| !text[..*start].ends_with(word))
        .map(|(start, _)| {
            let name: String = text[start..].chars().take_while(|c| word(*c)).collect();
            (start, name)
        })
        .filter(|(_, name)| name.len() > "spafe_".len())
        .collect()
}

/// The names of every `properties` object of a JSON Schema.
fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "properties" {
                    keys.extend(
                        value
                            .as_object()
                            .into_iter()
                            .flatten()
                            .map(|(key, _)| key.clone()),
                    );
                }
                collect_keys(value, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

/// Whether a line sets a key or opens its table; a commented one counts.
fn line_has_key(line: &str, key: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(key).any(|(start, _)| {
        let before = &line[..start];
        let after = line[start + key.len()..].trim_start();
        let header = before.trim_start_matches(['#', ' ']).starts_with('[');
        !before.ends_with(word)
            && (after.starts_with('=') || (header && after.starts_with([']', '.'])))
    })
}

fn files(paths: &[&str]) -> impl Iterator<Item = Source> {
    committed().filter(move |file| paths.contains(&file.path.as_str()))
}

#[test]
fn a_key_is_seen_where_it_is_set_or_opens_a_table() {
    assert!(line_has_key("listen = []", "listen"));
    assert!(line_has_key("# listen  = []", "listen"));
    assert!(line_has_key(
        "targets = [{ url = \"x\", weight = 1 }]",
        "weight"
    ));
    assert!(line_has_key("[[pools]]", "pools"));
    assert!(line_has_key("# [server.tls]", "tls"));
    assert!(!line_has_key("tls_listen = []", "listen"));
    assert!(!line_has_key("# where to listen", "listen"));
}
