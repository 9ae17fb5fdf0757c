//! Are the rules right, and can each of them be told from silence?
//!
//! promtool reads the files as Prometheus would, and plays the series of `dashboards/tests`
//! to them. For a test that has seconds, each span of time in them is made shorter.

use std::fmt::Write as _;

use serde_json::Value;

use crate::kit::prometheus::promtool;
use crate::kit::repository;

/// Files of rules below `dashboards/`.
const FILES: [&str; 2] = ["alerts.yml", "rules.yml"];
/// What is played to them, below `dashboards/tests/`.
const PLAYED: [&str; 2] = ["alerts.yml", "budgets.yml"];
/// The longest window of a copy, and the shortest that still has some samples.
const WINDOW_S: std::ops::RangeInclusive<u64> = 3..=12;

/// The files, with each minute a second, and nobody waiting longer than for one.
pub(super) fn scaled() -> Vec<(&'static str, String)> {
    FILES.map(|name| (name, shortened(&read(name)))).to_vec()
}

/// What an alert asks, for every series that it would ask about: not whether something is
/// too much, but how that comparison ends. Whom it leaves out does not matter for that.
pub(super) fn asked_of_everything(rule: &Value) -> String {
    let query = rule["query"].as_str().unwrap();
    let query = query.split(" unless ").next().unwrap();
    let left_open = query.matches('(').count() - query.matches(')').count();
    let query = &*format!("{query}{}", ")".repeat(left_open));
    let mut query = match query.strip_prefix("absent(") {
        Some(rest) => rest.trim_end_matches(')').to_owned(),
        None => query.to_owned(),
    };
    for sign in [">", "<", "==", "!=", ">=", "<="] {
        query = query.replace(&format!(" {sign} "), &format!(" {sign} bool "));
    }
    query
}

pub(super) fn read(name: &str) -> String {
    std::fs::read_to_string(repository("dashboards").join(name)).unwrap()
}

fn shortened(text: &str) -> String {
    let mut short = String::new();
    for line in text.lines() {
        let line = if line.trim_start().starts_with("for: ") {
            let (indent, _) = line.split_once("for: ").unwrap();
            format!("{indent}for: 1s")
        } else if line.trim_start().starts_with("interval: ") {
            continue;
        } else {
            windows(line)
        };
        short.push_str(&line);
        short.push('\n');
    }
    short
}

/// A line with shorter windows, such as `[5m]`.
fn windows(line: &str) -> String {
    let mut parts = line.split('[');
    let mut short = parts.next().unwrap().to_owned();
    for part in parts {
        let (window, rest) = part.split_once(']').unwrap_or((part, ""));
        let seconds = seconds(window).map(|seconds| seconds / 60);
        let window = match seconds {
            Some(seconds) => format!("{}s", seconds.clamp(*WINDOW_S.start(), *WINDOW_S.end())),
            None => window.to_owned(),
        };
        write!(short, "[{window}]{rest}").unwrap();
    }
    short
}

fn seconds(window: &str) -> Option<u64> {
    let unit = window.chars().next_back()?;
    let times = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return None,
    };
    let number: u64 = window.strip_suffix(unit)?.parse().ok()?;
    Some(number * times)
}

#[test]
fn promtool_takes_every_rule() {
    let mut arguments = vec!["check", "rules", "--lint=all", "--lint-fatal"];
    arguments.extend(FILES);
    let output = promtool(&repository("dashboards"), &arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}

#[test]
fn promtool_sees_each_alert_keep_quiet_and_fire() {
    let mut arguments = vec!["test", "rules"];
    arguments.extend(PLAYED);
    let output = promtool(&repository("dashboards/tests"), &arguments);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    let played = PLAYED.map(|file| read(&format!("tests/{file}"))).concat();
    let faults: Vec<String> = alerts()
        .into_iter()
        .filter(|name| !played.contains(&format!("alertname=\"{name}\"}}'\n        eval_time")))
        .collect();
    assert!(faults.is_empty(), "not played: {faults:?}");
}

#[test]
fn whoever_is_woken_finds_what_to_do() {
    let runbook = std::fs::read_to_string(repository("docs/runbook.md")).unwrap();
    let mut faults = Vec::new();
    for alert in read("alerts.yml").split("- alert: ").skip(1) {
        let name = alert.lines().next().unwrap();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{name}: {what}"));
            }
        };
        let anchor = format!("runbook: docs/runbook.md#{}\n", name.to_lowercase());
        must(alert.contains(&anchor), "does not lead to its section");
        let severity = ["critical", "warning", "info"]
            .iter()
            .any(|severity| alert.contains(&format!("severity: {severity}\n")));
        must(severity, "is neither critical, warning nor info");
        let heading = format!("\n### {name}\n");
        let section = runbook.split(&heading).nth(1).unwrap_or_default();
        let section = section.split("\n#").next().unwrap();
        for part in ["**Means.**", "**Look.**", "**Do.**"] {
            must(
                section.contains(part),
                &format!("its section has no {part}"),
            );
        }
    }
    for section in runbook.split("\n### Spafe").skip(1) {
        let name = format!("Spafe{}", section.lines().next().unwrap());
        if !alerts().contains(&name) {
            faults.push(format!("{name}: a section without an alert"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The names of all alerts.
fn alerts() -> Vec<String> {
    let text = read("alerts.yml");
    let names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(!names.is_empty(), "no alert was found");
    names
}

#[test]
fn a_minute_of_a_rule_is_a_second_here() {
    let check = |long: &str, short: &str| assert_eq!(shortened(long), format!("{short}\n"));
    check("  for: 15m", "  for: 1s");
    check("a[5m] / b[6h]", "a[5s] / b[12s]");
    check("a[1m] # is {{ $labels.a }}", "a[3s] # is {{ $labels.a }}");
    assert_eq!(shortened("interval: 1m"), "");
}
