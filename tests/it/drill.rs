//! Does `spafe drill` try out every fault, and can it fail?
//!
//! The program itself is run, as an operator would. What its table holds against the
//! gateway is held against it here too: a fault that breaks what was promised turns
//! `make test` red.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::TempDir;

use crate::kit::program::{Ended, spafe_within};
use crate::kit::repository;

/// A drill takes half a minute on a quiet machine.
const PATIENCE_S: u64 = 150;

/// Faults that must be tried out, whatever else is.
const FAULTS: [&str; 16] = [
    "429-retry-after-2",
    "429-lasting",
    "500-once",
    "503-lasting",
    "reset",
    "silence-120s",
    "first-token-after-20s",
    "cut-after-40-of-60",
    "stall",
    "malformed-chunk",
    "no-done",
    "context-length-exceeded",
    "content-policy",
    "fallback-refuses",
    "primary-down-60s",
    "usage-and-model-after-fallback",
];

async fn drill(folder: &TempDir, arguments: &[&str]) -> Ended {
    let arguments: Vec<&str> = [&["drill"], arguments].concat();
    let temporary = folder.path().to_str().unwrap();
    let environment = [("TMPDIR", temporary)];
    spafe_within(PATIENCE_S, folder.path(), &arguments, &environment).await
}

fn rows(ended: &Ended) -> Vec<Value> {
    let card: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    card["rows"].as_array().unwrap().clone()
}

/// The names of scenarios that did not pass.
fn failed(rows: &[Value]) -> BTreeSet<&str> {
    let failed = rows.iter().filter(|row| row["passed"] != true);
    failed
        .map(|row| row["scenario"].as_str().unwrap())
        .collect()
}

fn folder() -> TempDir {
    TempDir::with_prefix("spafe-test-").unwrap()
}

#[tokio::test]
async fn every_fault_is_served_or_told_honestly() {
    let folder = folder();
    let ended = drill(&folder, &["--json"]).await;
    let rows = rows(&ended);
    let wrong: Vec<&Value> = rows.iter().filter(|row| row["passed"] != true).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let tried: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["scenario"].as_str().unwrap())
        .collect();
    for fault in FAULTS {
        assert!(tried.contains(fault), "{fault} was not tried out");
    }
    assert!(rows.len() > 500, "{} rows", rows.len());
    for (key, values) in [
        ("stream", [Value::from(false), Value::from(true)]),
        ("http", ["1.1".into(), "2".into()]),
        ("behind", ["nobody".into(), "pool".into()]),
    ] {
        for value in values {
            let of_this = rows.iter().filter(|row| row[key] == value).count();
            assert!(of_this > 100, "{of_this} rows with {key} {value}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[tokio::test]
async fn a_drill_that_finds_something_says_where_and_fails() {
    let ended = drill(
        &folder(),
        &["--only", "reset", "--spoil", "reset", "--json"],
    )
    .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(failed(&rows(&ended)), BTreeSet::from(["reset"]));
    let ended = drill(&folder(), &["--only", "reset", "--spoil", "reset"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.contains("FAILED"));
    assert!(
        line.is_some_and(|line| line.starts_with("reset ")),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stdout
            .contains("not served but 502 upstream_unavailable"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn the_policy_of_a_file_is_what_is_drilled() {
    let folder = folder();
    let path = folder.path().join("spafe.toml");
    let policy = "[attempts]\nmax = 1\nfinal_statuses = [400, 503]\n";
    let pool = "[[pools]]\nname = \"p\"\ntargets = [{ url = \"https://llm.invalid/v1\" }]\napi_key = { env = \"NOT_SET\" }\n";
    let model = "[[models]]\nid = \"m\"\npools = [\"p\"]\n";
    std::fs::write(&path, format!("{policy}{pool}{model}")).unwrap();
    let config = ["--json", "--config", path.to_str().unwrap()];
    let ended = drill(&folder, &[&config[..], &["--only", "50"]].concat()).await;
    let rows = rows(&ended);
    assert_eq!(
        (failed(&rows), ended.code),
        (BTreeSet::new(), Some(0)),
        "{rows:#?}"
    );
    // Nobody may be asked a second time, so that nothing else can answer.
    for row in &rows {
        assert_eq!(row["upstream_requests"], 1, "{row}");
        assert!(row["saw"].as_str().unwrap().starts_with("50"), "{row}");
    }
    let shipped = repository("conf/spafe.toml");
    let shipped = ["--json", "--config", shipped.to_str().unwrap()];
    let ended = drill(
        &folder,
        &[&shipped[..], &["--pool", "openrouter", "--only", "cut"]].concat(),
    )
    .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn what_is_not_there_is_not_drilled() {
    let ended = drill(&folder(), &["--only", "no-such-fault"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("cut-after-40-of-60"),
        "{}",
        ended.stderr
    );
    let shipped = repository("conf/spafe.toml");
    let arguments = ["--config", shipped.to_str().unwrap(), "--pool", "nobody's"];
    let ended = drill(&folder(), &arguments).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("nobody's"), "{}", ended.stderr);
}
