//! What can come back?
//!
//! The answer itself and every refusal that may take its place, each with its headers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operations::{Envelope, Operation};
use super::shapes;
use crate::gateway::refusal::listed::{Listed, Of, listed};

/// What an upstream may say of the request itself, which is passed on.
const UPSTREAMS_OWN: [u16; 6] = [400, 404, 409, 413, 415, 422];

/// Headers with what they tell; the first of them stands in every answer.
const HEADERS: [(&str, &str, &str); 23] = [
    ("x-request-id", "string", "The request's name."),
    (
        "request-id",
        "string",
        "The same, where Anthropic's SDKs look for it.",
    ),
    ("etag", "string", "The name of these very bytes."),
    ("allow", "string", "The methods that this path takes."),
    ("www-authenticate", "string", "How a key is shown."),
    (
        "retry-after",
        "integer",
        "After how many seconds to come back, at least 1.",
    ),
    ("retry-after-ms", "integer", "The same in milliseconds."),
    (
        "x-should-retry",
        "string",
        "false where this was tried often enough here.",
    ),
    (
        "x-ratelimit-limit-requests",
        "integer",
        "What may be asked after a pause, of the limit that is nearest to its end.",
    ),
    (
        "x-ratelimit-remaining-requests",
        "integer",
        "How much of it is left.",
    ),
    (
        "x-ratelimit-reset-requests",
        "string",
        "After which time all of it may be asked again, such as 6m0s.",
    ),
    (
        "x-ratelimit-limit-tokens",
        "integer",
        "The same, of tokens.",
    ),
    (
        "x-ratelimit-remaining-tokens",
        "integer",
        "How many of them are left.",
    ),
    (
        "x-ratelimit-reset-tokens",
        "string",
        "After which time all of them may be used again.",
    ),
    (
        "x-ratelimit-limit-cost",
        "string",
        "The same, of the budget of whoever shows a key, in US dollars.",
    ),
    (
        "x-ratelimit-remaining-cost",
        "string",
        "How many of them are left.",
    ),
    (
        "x-ratelimit-reset-cost",
        "string",
        "After which time all of them may be spent again.",
    ),
    (
        "cache-status",
        "string",
        "What memory had to do with it (RFC 9211).",
    ),
    (
        "age",
        "integer",
        "For how many seconds memory has known the answer.",
    ),
    ("x-spafe-model", "string", "The model that answered."),
    ("x-spafe-upstream", "string", "The pool that answered."),
    ("x-spafe-attempts", "integer", "How many attempts it took."),
    (
        "server-timing",
        "string",
        "Milliseconds spent here and upstream.",
    ),
];

/// The headers as components.
pub(super) fn headers() -> Map<String, Value> {
    let header = |(name, kind, words): &(&str, &str, &str)| {
        let schema = json!({ "type": kind });
        let header = json!({ "description": words, "schema": schema });
        ((*name).to_owned(), header)
    };
    HEADERS.iter().map(header).collect()
}

/// Everything that an operation may be answered, by status.
pub(super) fn of(operation: &Operation, is_head: bool) -> Map<String, Value> {
    let mut answers = Map::new();
    answers.insert("200".to_owned(), success(operation, is_head));
    if operation.is_kept {
        let words = "It is still what you know.";
        let named = refer(&["x-request-id", "etag"]);
        let known = json!({ "description": words, "headers": named });
        answers.insert("304".to_owned(), known);
    }
    let mut by_status: BTreeMap<u16, Vec<Listed>> = BTreeMap::new();
    for listed in listed() {
        if operation.refuses.contains(&listed.of) {
            let status = listed.status().as_u16();
            by_status.entry(status).or_default().push(listed);
        }
    }
    if operation.asks_upstreams() {
        for status in UPSTREAMS_OWN {
            by_status.entry(status).or_default();
        }
    }
    for (status, all) in by_status {
        let refused = refusal(operation, (status, &all), is_head);
        answers.insert(status.to_string(), refused);
    }
    answers
}

/// What stands in every answer of an operation.
fn always(operation: &Operation) -> Vec<&'static str> {
    match operation.envelope {
        Envelope::OpenAi => vec!["x-request-id"],
        Envelope::Anthropic => vec!["x-request-id", "request-id"],
    }
}

fn success(operation: &Operation, is_head: bool) -> Value {
    let mut names = always(operation);
    if operation.is_kept {
        names.push("etag");
    }
    if operation.asks_upstreams() {
        names.extend(HEADERS.iter().map(|(name, ..)| *name).filter(|name| {
            let tells_of_models = name.starts_with("x-ratelimit") || name.starts_with("x-spafe");
            tells_of_models || ["cache-status", "age", "server-timing"].contains(name)
        }));
    }
    let mut success = json!({ "description": operation.summary, "headers": refer(&names) });
    if !is_head && let Some(fields) = success.as_object_mut() {
        let body = |body: &super::operations::Body| {
            let schema = shapes::reference(body.shape);
            (body.kind.to_owned(), json!({ "schema": schema }))
        };
        let content: Map<String, Value> = operation.answers.iter().map(body).collect();
        fields.insert("content".to_owned(), Value::Object(content));
    }
    success
}

fn refusal(operation: &Operation, (status, all): (u16, &[Listed]), is_head: bool) -> Value {
    let mut codes: Vec<&str> = all.iter().map(Listed::code).collect();
    codes.dedup();
    let mut words = codes.join(", ");
    if operation.asks_upstreams() && UPSTREAMS_OWN.contains(&status) {
        let or = if words.is_empty() { "" } else { "; or " };
        words.push_str(or);
        words.push_str("what an upstream says of this request");
    }
    let mut names = always(operation);
    if all.iter().any(|listed| listed.tells_when) {
        names.extend(["retry-after", "retry-after-ms"]);
    }
    if all.iter().any(|listed| listed.tells_methods) {
        names.push("allow");
    }
    if all.iter().any(|listed| listed.of == Of::Keyed) {
        names.push("www-authenticate");
    }
    if operation.asks_upstreams() && status >= 429 {
        names.extend(["x-should-retry", "x-spafe-attempts"]);
        let quota = HEADERS.iter().map(|(name, ..)| *name);
        names.extend(quota.filter(|name| name.starts_with("x-ratelimit")));
    }
    let mut refused = json!({ "description": words, "headers": refer(&names) });
    if !is_head && let Some(fields) = refused.as_object_mut() {
        let example = |listed: &Listed| {
            let told = operation.envelope.idiom().shown(&listed.envelope);
            let told: Value = serde_json::from_slice(&told).unwrap_or_default();
            (listed.code().to_owned(), json!({ "value": told }))
        };
        let examples: Map<String, Value> = all.iter().map(example).collect();
        let mut body = json!({ "schema": shapes::reference(operation.envelope.shape()) });
        if let (false, Some(body)) = (examples.is_empty(), body.as_object_mut()) {
            body.insert("examples".to_owned(), Value::Object(examples));
        }
        let content = json!({ "application/json": body });
        fields.insert("content".to_owned(), content);
    }
    refused
}

fn refer(names: &[&str]) -> Map<String, Value> {
    let refer = |name: &&str| {
        let to = format!("#/components/headers/{name}");
        ((*name).to_owned(), json!({ "$ref": to }))
    };
    names.iter().map(refer).collect()
}
