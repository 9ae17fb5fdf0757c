//! Can a dashboard be read, and what does it ask?
//!
//! Read as Grafana would: each panel with its place, its unit and its queries. What makes
//! a page of panels readable is held here, since nobody looks at all of them each time.

use std::collections::BTreeSet;

use serde_json::Value;

use super::units;
use crate::kit::repository;

/// The span that rates are over in these tests.
pub(super) const WINDOW: &str = "10s";
/// How many columns Grafana has.
const COLUMNS: u64 = 24;
/// A shorter description says no more than the title.
const DESCRIPTION_CHARS_MIN: usize = 40;

/// A panel with queries.
pub(super) struct Panel {
    pub(super) file: String,
    pub(super) title: String,
    pub(super) queries: Vec<String>,
    unit: String,
    json: Value,
}

/// A file of `dashboards/`.
struct Dashboard {
    name: String,
    json: Value,
}

/// All panels of all dashboards, but for those that are headings.
pub(super) fn all() -> Vec<Panel> {
    dashboards().iter().flat_map(Dashboard::panels).collect()
}

/// A query as Grafana sends it where everything is chosen.
pub(super) fn filled_in(query: &str) -> String {
    let mut query = query
        .replace("$__rate_interval", WINDOW)
        .replace("$__range", WINDOW)
        .replace("$__interval", "1s");
    for variable in ["$instance", "$model", "$pool", "$key"] {
        query = query.replace(variable, ".*");
    }
    assert!(!query.contains('$'), "what is to stand in {query}?");
    query
}

fn dashboards() -> Vec<Dashboard> {
    let mut found: Vec<Dashboard> = std::fs::read_dir(repository("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let json = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Dashboard { name, json }
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!found.is_empty(), "there are no dashboards");
    found
}

impl Dashboard {
    fn panels(&self) -> Vec<Panel> {
        let panels = self.json["panels"].as_array().unwrap();
        let shown = panels.iter().filter(|panel| panel["type"] != "row");
        shown
            .map(|panel| Panel {
                file: self.name.clone(),
                title: text(panel, "/title"),
                unit: text(panel, "/fieldConfig/defaults/unit"),
                queries: targets(panel).map(|target| text(target, "/expr")).collect(),
                json: panel.clone(),
            })
            .collect()
    }

    /// What keeps it from being imported, found and gone on from.
    fn faults(&self, names: &BTreeSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{}: {what}", self.name));
            }
        };
        must(
            self.json["uid"] == format!("spafe-{}", self.name),
            "its uid is not its file's name",
        );
        must(self.json.get("id").is_none(), "an id is one Grafana's own");
        must(
            self.json["description"].as_str().is_some(),
            "no description",
        );
        let variables = self.json["templating"]["list"].as_array().unwrap();
        let has = |name: &str| variables.iter().any(|variable| variable["name"] == name);
        must(has("datasource"), "no data source to choose");
        must(has("instance"), "no instance to choose");
        must(
            self.json.pointer("/links/0/tags/0") == Some(&Value::from("spafe"))
                && self.json.pointer("/tags/0") == Some(&Value::from("spafe")),
            "no links to the others",
        );
        let text = self.json.to_string();
        for variable in variables {
            let name = variable["name"].as_str().unwrap();
            let used = ["$", "${"].map(|sign| format!("{sign}{name}"));
            must(
                used.iter().any(|used| text.contains(used)),
                &format!("nothing asks for ${name}"),
            );
        }
        for rest in text.split("/d/spafe-").skip(1) {
            let name = rest.split(|c: char| c != '-' && !c.is_ascii_lowercase());
            let name = name.into_iter().next().unwrap_or_default();
            must(names.contains(name), &format!("a link to no {name}"));
        }
        faults
    }

    /// Where panels lie over each other, or leave a hole.
    fn gaps(&self) -> Vec<String> {
        let panels = self.json["panels"].as_array().unwrap();
        let mut cells = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut faults = Vec::new();
        let mut height = 0;
        for panel in panels {
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            let title = &panel["title"];
            if !ids.insert(panel["id"].as_u64().unwrap()) {
                faults.push(format!("{}: {title} has another's id", self.name));
            }
            height = height.max(at("y") + at("h"));
            let columns = at("x")..at("x") + at("w");
            let lines = at("y")..at("y") + at("h");
            let here = columns.flat_map(|x| lines.clone().map(move |y| (x, y)));
            let taken: Vec<_> = here
                .filter(|cell| cell.0 >= COLUMNS || !cells.insert(*cell))
                .collect();
            if let Some((x, y)) = taken.first() {
                faults.push(format!("{}: {title} lies at a taken {x},{y}", self.name));
            }
        }
        let free = (0..height).filter(|y| (0..COLUMNS).any(|x| !cells.contains(&(x, *y))));
        faults.extend(free.map(|y| format!("{}: a hole in line {y}", self.name)));
        faults
    }
}

impl Panel {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let description = self.json["description"].as_str().unwrap_or_default();
        if description.chars().count() < DESCRIPTION_CHARS_MIN {
            faults.push("its description says too little".to_owned());
        }
        if self.queries.is_empty() {
            faults.push("it asks for nothing".to_owned());
        }
        for query in &self.queries {
            if query.contains("spafe_") && !query.contains("$instance") {
                faults.push(format!("every instance is asked by {query}"));
            }
            if let Err(wanted) = units::fits(query, &self.unit) {
                faults.push(format!("{:?} is not {wanted}: {query}", self.unit));
            }
        }
        if self.queries.len() > 1 || self.queries.iter().any(|query| query.contains(" by ")) {
            let named = |target: &Value| target["legendFormat"].as_str().is_some();
            if !targets(&self.json).all(named) {
                faults.push("lines without a name".to_owned());
            }
        }
        if self.json["datasource"]["uid"] != "${datasource}" {
            faults.push("another data source than the chosen one".to_owned());
        }
        let place = |fault| format!("{}: {}: {fault}", self.file, self.title);
        faults.into_iter().map(place).collect()
    }
}

fn targets(panel: &Value) -> impl Iterator<Item = &Value> {
    panel["targets"].as_array().into_iter().flatten()
}

fn text(json: &Value, pointer: &str) -> String {
    json.pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_dashboard_can_be_imported_and_read() {
    let dashboards = dashboards();
    let names: BTreeSet<String> = dashboards.iter().map(|found| found.name.clone()).collect();
    let mut faults = Vec::new();
    for dashboard in &dashboards {
        faults.extend(dashboard.faults(&names));
        faults.extend(dashboard.gaps());
        faults.extend(dashboard.panels().iter().flat_map(Panel::faults));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
