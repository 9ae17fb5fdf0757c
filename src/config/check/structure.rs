//! Are all keys known, and all values of their type?
//!
//! The walk follows the JSON Schema of the file, so that what is refused here and
//! what an editor underlines with that schema are the same. Texts are read by the
//! notation that their `format` names.

use serde_json::Value;
use toml::de::DeValue;

use super::Findings;
use super::node::Node;
use crate::config::file::keys_schema;
use crate::config::notation;

/// Walks the whole document.
pub(super) fn check(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    value(root, &crate::config::schema(), findings);
}

/// Walks a document that has keys of callers and nothing else.
pub(super) fn check_keys(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    value(root, &keys_schema(), findings);
}

fn value(node: &Node<'_, '_>, schema: &Value, findings: &mut Findings<'_>) {
    let alternatives = alternatives(schema);
    let Some(schema) = alternatives
        .iter()
        .copied()
        .find(|schema| accepts(schema, node.value()))
    else {
        findings.add(node, wrong_type(&alternatives, node));
        return;
    };
    match node.value() {
        DeValue::Table(_) => table(node, schema, findings),
        DeValue::Array(_) => list(node, schema, findings),
        DeValue::Integer(_) => number(node, schema, findings),
        DeValue::String(text) => words(text, schema, node, findings),
        DeValue::Datetime(moment) => {
            if let Some(reader) = format(schema) {
                report(reader(&moment.to_string()), node, findings);
            }
        }
        DeValue::Float(_) => fraction(node, schema, findings),
        DeValue::Boolean(_) => {}
    }
}

fn table(node: &Node<'_, '_>, schema: &Value, findings: &mut Findings<'_>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let Some((table, properties)) = node.table().zip(properties) else {
        return;
    };
    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
    for key in table.keys() {
        let name: &str = key.get_ref();
        if let Some((schema, child)) = properties.get(name).zip(node.get(name)) {
            value(&child, schema, findings);
        } else {
            let path = node.path_of(&printable(name));
            findings.add_at(&key.span(), &path, unknown_key(name, &known));
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    for name in required.filter(|name| !table.contains_key(*name)) {
        let message = match properties.get(name).and_then(example) {
            Some(example) => format!("is missing; add it, such as {name} = {example}"),
            None => format!("is missing; add at least one [[{name}]]"),
        };
        findings.add_at(&node.span(), &node.path_of(name), message);
    }
    // Only a reference to a secret bounds the number of its keys: one of two.
    let exactly_one = schema.get("maxProperties").and_then(Value::as_u64) == Some(1);
    let present = known.iter().filter(|name| table.contains_key(**name));
    if exactly_one && present.count() != 1 {
        let message = format!("must have exactly one of {}", known.join(" and "));
        findings.add(node, message);
    }
}

fn unknown_key(name: &str, known: &[&str]) -> String {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known here: {}", known.join(", ")),
    };
    format!("is not a known key; {hint}")
}

fn list(node: &Node<'_, '_>, schema: &Value, findings: &mut Findings<'_>) {
    let items = node.items();
    let items_min = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    if items_min > 0 && items.is_empty() {
        findings.add(node, "must not be empty; list at least one");
    }
    let Some(schema) = schema.get("items") else {
        return;
    };
    for item in &items {
        value(item, schema, findings);
    }
}

fn number(node: &Node<'_, '_>, schema: &Value, findings: &mut Findings<'_>) {
    if let Some(reader) = format(schema) {
        // What is too large to count is refused by the reader as what it is: no number to it.
        let digits = node.whole().map(|whole| whole.to_string());
        report(reader(&digits.unwrap_or_default()), node, findings);
        return;
    }
    if types(schema).contains(&"number") {
        fraction(node, schema, findings);
        return;
    }
    let bound = |name| schema.get(name).and_then(Value::as_i64);
    let min = bound("minimum").unwrap_or(i64::MIN);
    // What is wider than 32 bits has no maximum in the schema, and needs none.
    let max = bound("maximum").unwrap_or(i64::from(u32::MAX));
    let example = example(schema).unwrap_or_else(|| min.max(1).to_string());
    let fault = match node.whole() {
        Some(number) if number < min => format!("at least {min}"),
        Some(number) if number <= max => return,
        _ => format!("at most {max}"),
    };
    findings.add(
        node,
        format!("must be {fault}; write a whole number such as {example}"),
    );
}

/// A number that may have a fraction; what is none at all (`nan`) is within no bounds.
fn fraction(node: &Node<'_, '_>, schema: &Value, findings: &mut Findings<'_>) {
    let bound = |name| schema.get(name).and_then(Value::as_f64);
    let min = bound("minimum").unwrap_or(f64::MIN);
    let max = bound("maximum").unwrap_or(f64::MAX);
    let fits = |number: f64| (min..=max).contains(&number);
    if !node.number().is_some_and(fits) {
        findings.add(node, format!("must be a number from {min} to {max}"));
    }
}

fn words(text: &str, schema: &Value, node: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let allowed = choices(schema);
    if !allowed.is_empty() && !allowed.contains(&text) {
        let quoted: Vec<String> = allowed
            .iter()
            .map(|choice| format!("\"{choice}\""))
            .collect();
        findings.add(node, format!("must be one of {}", quoted.join(", ")));
    } else if let Some(reader) = format(schema) {
        report(reader(text), node, findings);
    }
}

fn report(result: Result<(), String>, node: &Node<'_, '_>, findings: &mut Findings<'_>) {
    if let Err(message) = result {
        findings.add(node, message);
    }
}

/// The name that was meant, if one is close.
pub(super) fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let name = name.to_lowercase();
    let edits = |known: &str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let (edits, near) = known.iter().map(|known| (edits(known), *known)).min()?;
    (edits <= 1.max(near.len() / 3)).then_some(near)
}

/// A key as it may be shown: what looks like no name may be a secret in the wrong place.
fn printable(name: &str) -> String {
    let letters = |character: char| character.is_ascii_alphabetic() || character == '_';
    let short = name.len() <= 16
        && name
            .chars()
            .all(|character| letters(character) || character.is_ascii_digit());
    let long = name.len() <= 32 && name.chars().all(letters);
    if short || long {
        name.to_owned()
    } else {
        "\"…\"".to_owned()
    }
}

/// The schema itself, or those of which one must hold.
fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(alternatives) => alternatives.iter().collect(),
        None => vec![schema],
    }
}

/// Whether a value is of the type of a schema.
fn accepts(schema: &Value, value: &DeValue<'_>) -> bool {
    let name = match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) if types(schema).contains(&"number") => "number",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
        DeValue::Datetime(_) => {
            return schema.get("format").and_then(Value::as_str) == Some("date");
        }
    };
    types(schema).contains(&name)
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name],
        // An enumeration whose words are described one by one.
        _ => vec!["string"],
    }
}

fn format(schema: &Value) -> Option<notation::Reader> {
    notation::reader(schema.get("format")?.as_str()?)
}

/// The words of an enumeration.
fn choices(schema: &Value) -> Vec<&str> {
    let list = |name| {
        schema
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let described = list("oneOf").filter_map(|choice| choice.get("const"));
    list("enum")
        .chain(described)
        .filter_map(Value::as_str)
        .collect()
}

fn wrong_type(alternatives: &[&Value], node: &Node<'_, '_>) -> String {
    let mut expected: Vec<String> = Vec::new();
    for schema in alternatives {
        let example = example(schema)
            .map(|example| format!(" such as {example}"))
            .unwrap_or_default();
        let names: Vec<&str> = types(schema).into_iter().map(type_in_words).collect();
        expected.push(format!("{}{example}", names.join(" or ")));
    }
    let found = match node.value() {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let secret = alternatives
        .iter()
        .any(|schema| schema.get("maxProperties").is_some());
    let advice = if secret {
        "; a secret never stands in this file, so take it out if it does".to_owned()
    } else if node.table().is_some() && alternatives.iter().any(|schema| is_of_tables(schema)) {
        format!("; begin each of its tables with [[{}]]", node.path())
    } else {
        String::new()
    };
    format!("must be {}, not {found}{advice}", expected.join(", or "))
}

/// Whether it is a list of tables, as `[[…]]` writes it.
fn is_of_tables(schema: &Value) -> bool {
    let items = schema.get("items");
    items.is_some_and(|items| types(items).contains(&"object"))
}

fn type_in_words(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

/// A right value, as it is written in the file.
fn example(schema: &Value) -> Option<String> {
    let choices = choices(schema);
    let given = schema.get("examples").and_then(|examples| examples.get(0));
    let teaches = |default: &&Value| !default.is_object() && !default.is_boolean();
    match given.or_else(|| schema.get("default").filter(teaches)) {
        Some(example) => in_toml(example),
        None if !choices.is_empty() => choices.first().map(|choice| format!("\"{choice}\"")),
        None => schema
            .get("items")
            .and_then(example)
            .map(|item| format!("[{item}]")),
    }
}

/// A JSON value as TOML writes it in one line; nothing for what would teach nothing.
fn in_toml(value: &Value) -> Option<String> {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            let entries: Option<Vec<String>> = entries
                .iter()
                .map(|(key, value)| Some(format!("{key} = {}", in_toml(value)?)))
                .collect();
            Some(format!("{{ {} }}", entries?.join(", ")))
        }
        Value::Array(items) if !items.is_empty() => {
            let items: Option<Vec<String>> = items.iter().map(in_toml).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        plain => Some(plain.to_string()),
    }
}
