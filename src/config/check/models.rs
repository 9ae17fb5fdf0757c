//! Is every model's name its own, and can its pools answer for it?

use std::collections::HashMap;

use super::Findings;
use super::node::Node;
use super::structure::nearest;
use crate::config::dialect::Dialect;
use crate::operation::Operation;

/// Checks `[[models]]`.
pub(super) fn check(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let pools = root.items_of("pools");
    // A pool whose name is missing may be the one that is meant.
    let pools: Option<Vec<Pool<'_>>> = pools.iter().map(Pool::of).collect();
    let pools = pools.filter(|pools| !pools.is_empty());
    let models = root.items_of("models");
    let mut names: HashMap<&str, String> = HashMap::new();
    for model in &models {
        for name in model.get("id").into_iter().chain(model.items_of("aliases")) {
            let Some(text) = name.text() else { continue };
            if let Some(first) = names.get(text) {
                findings.add(
                    &name,
                    format!("is a name that {first} has already; give each model names of its own"),
                );
            } else {
                names.insert(text, name.path().to_owned());
            }
        }
        pools_can_answer(model, pools.as_deref(), findings);
        endpoints_are_answered(model, pools.as_deref(), findings);
    }
    let known = Known::of(&models);
    for model in &models {
        for list in ["fallbacks", "context_fallbacks", "policy_fallbacks"] {
            fallbacks_can_answer(model, list, &known, findings);
        }
    }
}

/// Names that are routed, each with what its model makes.
struct Known<'a> {
    exact: HashMap<&'a str, &'a str>,
    prefixes: Vec<(&'a str, &'a str)>,
}

impl<'a> Known<'a> {
    fn of(models: &[Node<'a, '_>]) -> Self {
        let mut known = Self {
            exact: HashMap::new(),
            prefixes: Vec::new(),
        };
        for model in models {
            let modality = model.text_of("modality").unwrap_or("text");
            for name in model.get("id").into_iter().chain(model.items_of("aliases")) {
                let Some(text) = name.text() else { continue };
                match text.strip_suffix('*') {
                    Some(prefix) => known.prefixes.push((prefix, modality)),
                    None => {
                        known.exact.insert(text, modality);
                    }
                }
            }
        }
        known
    }

    fn modality(&self, name: &str) -> Option<&'a str> {
        let fits = |(prefix, _): &&(&str, &str)| name.starts_with(prefix);
        let exact = self.exact.get(name).copied();
        exact.or_else(|| {
            self.prefixes
                .iter()
                .find(fits)
                .map(|(_, modality)| *modality)
        })
    }
}

/// What to do about a name of a model that is not there.
pub(super) fn hint(name: &str, known: &[&str]) -> String {
    nearest(name, known).map_or_else(
        || "add it to [[models]] or name one that is there".to_owned(),
        |near| format!("did you mean {near}?"),
    )
}

fn fallbacks_can_answer(
    model: &Node<'_, '_>,
    list: &str,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) {
    let modality = model.text_of("modality").unwrap_or("text");
    let mut seen = Vec::new();
    for fallback in model.items_of(list) {
        let Some(name) = fallback.text() else {
            continue;
        };
        if model.text_of("id") == Some(name) {
            findings.add(&fallback, "is this model itself; name another one");
        } else if seen.contains(&name) {
            findings.add(
                &fallback,
                format!("names the model {name} a second time; name it once"),
            );
        } else {
            match known.modality(name) {
                None => {
                    let names: Vec<&str> = known.exact.keys().copied().collect();
                    let hint = hint(name, &names);
                    findings.add(
                        &fallback,
                        format!("names a model that does not exist; {hint}"),
                    );
                }
                Some(other) if other != modality => findings.add(
                    &fallback,
                    format!(
                        "makes {other}, and this model {modality}; name one that makes the same"
                    ),
                ),
                Some(_) => {}
            }
        }
        seen.push(name);
    }
}

/// What a model needs to know of a pool.
struct Pool<'a> {
    name: &'a str,
    dialect: &'a str,
}

impl<'a> Pool<'a> {
    fn of(node: &Node<'a, '_>) -> Option<Self> {
        Some(Self {
            name: node.text_of("name")?,
            dialect: node.text_of("dialect").unwrap_or("openai"),
        })
    }
}

fn pools_can_answer(model: &Node<'_, '_>, pools: Option<&[Pool<'_>]>, findings: &mut Findings<'_>) {
    let modality = model.text_of("modality").unwrap_or("text");
    let mut seen = Vec::new();
    for reference in model.items_of("pools") {
        let named = reference.get("pool").unwrap_or_else(|| reference.clone());
        let Some(name) = named.text() else { continue };
        let renamed = reference.text_of("name");
        if seen.contains(&(name, renamed)) {
            findings.add(
                &named,
                format!("names the pool {name} a second time; name it once"),
            );
        }
        seen.push((name, renamed));
        let Some(pools) = pools else { continue };
        let Some(pool) = pools.iter().find(|pool| pool.name == name) else {
            findings.add(&named, unknown_pool(name, pools));
            continue;
        };
        if let Some(message) = misfit(modality, pool) {
            findings.add(&named, message);
        }
    }
}

/// Each is one that a pool of the model's can be asked for.
fn endpoints_are_answered(
    model: &Node<'_, '_>,
    pools: Option<&[Pool<'_>]>,
    findings: &mut Findings<'_>,
) {
    let references = model.items_of("pools");
    let mut dialects = Vec::new();
    for reference in &references {
        let named = reference.text().or_else(|| reference.text_of("pool"));
        let known = pools.unwrap_or_default().iter();
        let Some(pool) = known.clone().find(|pool| Some(pool.name) == named) else {
            // It is told elsewhere, and may be the one that answers.
            return;
        };
        dialects.push(pool.dialect);
    }
    let mut seen = Vec::new();
    for endpoint in model.items_of("endpoints") {
        let Some(name) = endpoint.text() else {
            continue;
        };
        // What is no endpoint, or no dialect, was said by the walk along the schema.
        let operation = Operation::ALL.into_iter().find(|it| it.name() == name);
        let answers = |dialect: &&str| match (Dialect::named(dialect), operation) {
            (Some(dialect), Some(operation)) => dialect.answers(operation),
            _ => true,
        };
        if seen.contains(&name) {
            findings.add(
                &endpoint,
                format!("names {name} a second time; name it once"),
            );
        } else if !dialects.iter().any(answers) {
            findings.add(
                &endpoint,
                format!(
                    "is answered by no pool of this model: {name} goes through as it came; name a pool with dialect = \"openai\", or leave it out"
                ),
            );
        }
        seen.push(name);
    }
}

fn unknown_pool(name: &str, pools: &[Pool<'_>]) -> String {
    let known: Vec<&str> = pools.iter().map(|pool| pool.name).collect();
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are: {}", known.join(", ")),
    };
    format!("names a pool that does not exist; {hint}")
}

fn misfit(modality: &str, pool: &Pool<'_>) -> Option<String> {
    let name = pool.name;
    match (modality, pool.dialect) {
        ("image", dialect) if dialect != "images" => Some(format!(
            "makes text, and this model images; name a pool with dialect = \"images\" instead of {name}"
        )),
        ("text", "images") => Some(format!(
            "makes images, and this model text; name a pool with dialect = \"openai\" instead of {name}, or set modality = \"image\""
        )),
        _ => None,
    }
}
