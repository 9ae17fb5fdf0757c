//! What do two configurations say otherwise?
//!
//! Of both only what operators are shown anyway, without secrets. Lists of things that have names
//! are compared by these, so that a pool that moves up is not every pool below it.

use serde_json::{Map, Value, json};

/// How many changes are told; a whole other file has thousands.
const CHANGES_MAX: usize = 200;

/// Every key that has another value, as far as they are told, and how many more there are.
pub(super) fn changes(before: &Value, after: &Value) -> (Vec<Value>, usize) {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    let more = found.len().saturating_sub(CHANGES_MAX);
    found.truncate(CHANGES_MAX);
    (found, more)
}

fn compare(key: &str, before: &Value, after: &Value, found: &mut Vec<Value>) {
    if before == after {
        return;
    }
    if let (Value::Object(before), Value::Object(after)) = (before, after) {
        return members(key, before, after, found);
    }
    if let (Some(before), Some(after)) = (named(before), named(after)) {
        let shared = |one: &Map<String, Value>, other: &Map<String, Value>| {
            let names = one.keys().filter(|name| other.contains_key(*name));
            names.cloned().collect::<Vec<_>>()
        };
        if shared(&before.1, &after.1) != shared(&after.1, &before.1) {
            let order = |names: &[String]| json!(names.join(", "));
            let (was, is) = (order(&before.0), order(&after.0));
            found
                .push(json!({ "key": format!("{key} (their order)"), "before": was, "after": is }));
        }
        return each(key, &before.1, &after.1, found);
    }
    found.push(json!({ "key": key, "before": before, "after": after }));
}

fn members(
    key: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<Value>,
) {
    for name in union(before, after) {
        let path = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };
        compare(&path, of(before, name), of(after, name), found);
    }
}

fn each(
    key: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<Value>,
) {
    for name in union(before, after) {
        compare(
            &format!("{key}[{name}]"),
            of(before, name),
            of(after, name),
            found,
        );
    }
}

fn of<'v>(values: &'v Map<String, Value>, name: &str) -> &'v Value {
    values.get(name).unwrap_or(&Value::Null)
}

fn union<'v>(before: &'v Map<String, Value>, after: &'v Map<String, Value>) -> Vec<&'v String> {
    let new = after.keys().filter(|name| !before.contains_key(*name));
    before.keys().chain(new).collect()
}

/// A list of things with names, in order and by name; an empty one is such a list, too.
fn named(list: &Value) -> Option<(Vec<String>, Map<String, Value>)> {
    let items = list.as_array()?;
    let mut names = Vec::new();
    let mut values = Map::new();
    for item in items {
        let name = item.get("name").or_else(|| item.get("id"))?.as_str()?;
        names.push(name.to_owned());
        // A name that stands twice names nothing.
        if values.insert(name.to_owned(), item.clone()).is_some() {
            return None;
        }
    }
    Some((names, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((before, after): (Value, Value), expected: &[&str]) {
        let (found, more) = changes(&before, &after);
        let keys: Vec<&str> = found
            .iter()
            .map(|one| one["key"].as_str().unwrap())
            .collect();
        assert_eq!((keys.as_slice(), more), (expected, 0));
    }

    #[test]
    fn a_change_is_told_by_its_key() {
        check((json!({"a": 1}), json!({"a": 1})), &[]);
        check(
            (
                json!({"a": {"b": 1, "c": 2}, "gone": 1}),
                json!({"a": {"b": 1, "c": 3}, "new": 1}),
            ),
            &["a.c", "gone", "new"],
        );
        check((json!({"a": [1, 2]}), json!({"a": [1, 3]})), &["a"]);
        let pool = |name: &str, weight: u32| json!({"name": name, "weight": weight});
        check(
            (
                json!({"pools": [pool("x", 1), pool("y", 1)]}),
                json!({"pools": [pool("x", 2), pool("z", 1)]}),
            ),
            &["pools[x].weight", "pools[y]", "pools[z]"],
        );
        check(
            (json!({"pools": []}), json!({"pools": [pool("x", 1)]})),
            &["pools[x]"],
        );
    }

    #[test]
    fn no_more_is_told_than_anybody_reads() {
        let file = |value: u32| {
            let keys = (0..1000).map(|key| (key.to_string(), json!(value)));
            Value::Object(keys.collect())
        };
        let (found, more) = changes(&file(1), &file(2));
        assert_eq!((found.len(), more), (CHANGES_MAX, 1000 - CHANGES_MAX));
    }
}
