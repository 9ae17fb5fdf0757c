//! What is the API, for programs?
//!
//! OpenAPI 3.1, put together from what the program itself is made of: the shapes from the types
//! that are written and read, the errors from the refusals, word for word. It says nothing of a
//! configuration, so it is made once for the process.

/// What do requests and answers look like?
mod shapes;
/// What is a chat asked with?
mod chats;
/// What can be called?
mod operations;
/// And beside chats?
mod further;
/// And in Anthropic's words?
mod messages;
/// What can come back?
mod answers;

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::asset::Asset;
use operations::{OPERATIONS, Operation, Root};

static DOCUMENT: LazyLock<Asset> = LazyLock::new(|| {
    let text = serde_json::to_vec(&document());
    // A tree of texts and numbers always serialises.
    Asset::new("application/json", Bytes::from(text.unwrap_or_default()))
});

/// The document.
pub(super) fn asset() -> &'static Asset {
    &DOCUMENT
}

fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS
        .iter()
        .chain(&messages::MESSAGES)
        .chain(&further::FURTHER)
    {
        for prefix in operation.root.prefixes() {
            let path = format!("{prefix}{}", operation.path);
            paths.insert(path, item(operation, prefix));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "spafe",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "One address for many language models.",
            "description": "OpenAI's chat completions, for text and image models alike, the same in Anthropic's words, and what else models are called for. What stands under /api/v1 stands under /v1, too.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        // A key is needed only where the operator says so.
        "security": [{}, { "key": [] }],
        "tags": [
            { "name": "models", "description": "Asking models, and which there are." },
            { "name": "service", "description": "Images that were made, and what is told of this service." },
        ],
        "paths": paths,
        "components": {
            "schemas": shapes::all(),
            "headers": answers::headers(),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "A key that the operator gave out; also as x-api-key." },
            },
        },
    })
}

/// Everything that one path takes. `HEAD` is answered wherever `GET` is.
fn item(operation: &Operation, prefix: &str) -> Value {
    let mut item = Map::new();
    let parameters = operation.parameters();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), json!(parameters));
    }
    let method = if operation.asks.is_some() {
        "post"
    } else {
        "get"
    };
    item.insert(method.to_owned(), described(operation, prefix, method));
    if method == "get" {
        item.insert("head".to_owned(), described(operation, prefix, "head"));
    }
    Value::Object(item)
}

fn described(operation: &Operation, prefix: &str, method: &str) -> Value {
    let mut id = operation.id.to_owned();
    if prefix == "/v1" {
        id.push_str("_v1");
    }
    if method == "head" {
        id.push_str("_head");
    }
    let tag = match operation.root {
        Root::Api => "models",
        Root::Site => "service",
    };
    let mut described = json!({
        "operationId": id,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [tag],
        "responses": answers::of(operation, method == "head"),
    });
    if let (Some(asks), Some(fields)) = (&operation.asks, described.as_object_mut()) {
        let mut content = Map::new();
        content.insert(
            asks.kind.to_owned(),
            json!({ "schema": shapes::reference(asks.shape) }),
        );
        let body = json!({ "required": true, "content": content });
        fields.insert("requestBody".to_owned(), body);
        fields.insert(
            "parameters".to_owned(),
            json!(operations::request_headers()),
        );
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` of the document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(to) if name == "$ref" => found.push(to.to_owned()),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_part_is_used() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for to in &found {
            let pointer = to.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{to}");
        }
        for kind in ["schemas", "headers"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let to = format!("#/components/{kind}/{name}");
                assert!(found.contains(&to), "{to} is not used");
            }
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = document();
        let items = document["paths"].as_object().unwrap().values();
        let methods = items.flat_map(|item| item.as_object().unwrap().values());
        let mut ids: Vec<&str> = methods
            .filter_map(|operation| operation["operationId"].as_str())
            .collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn a_chat_completion_tells_every_status_that_it_can_end_with() {
        let document = document();
        let chat = &document["paths"]["/api/v1/chat/completions"]["post"]["responses"];
        for status in [
            200, 400, 401, 403, 404, 408, 409, 413, 414, 415, 417, 421, 422, 429, 431, 500, 502,
            503, 504,
        ] {
            assert!(chat.get(status.to_string()).is_some(), "{status}");
        }
        let message = &document["paths"]["/v1/messages"]["post"]["responses"];
        let statuses = |answers: &Value| -> Vec<String> {
            let answers = answers.as_object().unwrap();
            answers.keys().cloned().collect()
        };
        assert_eq!(statuses(message), statuses(chat));
        let told = &message["404"]["content"]["application/json"]["examples"]["model_not_found"];
        assert_eq!(told["value"]["error"]["type"], "not_found_error", "{told}");
        let retry = &chat["429"]["headers"]["retry-after"];
        assert!(retry.is_object(), "{chat:#}");
    }
}
