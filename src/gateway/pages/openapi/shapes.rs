//! What do requests and answers look like?
//!
//! Answers by the types that write them. Requests pass through as they are, and only what is
//! acted on is read; so what is said of a request here is what is promised of it: the fields that
//! are looked at, and that all others go to the model.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::further::sent;
use super::{chats, messages};
use crate::gateway::models::List;
use crate::gateway::pages::state::Told;
use crate::openai::{ChatChunk, ChatCompletion, ErrorEnvelope};

/// All shapes by their names.
pub(super) fn all() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    chats::declare(&mut generator);
    sent::declare(&mut generator);
    messages::declare(&mut generator);
    generator.subschema_for::<ChatCompletion>();
    generator.subschema_for::<ChatChunk>();
    generator.subschema_for::<ErrorEnvelope<'_>>();
    generator.subschema_for::<List<'_>>();
    generator.subschema_for::<Told<'_>>();
    generator.take_definitions(true)
}

/// A shape by its name, or one of those that are none of JSON's.
pub(super) fn reference(shape: &str) -> Value {
    match shape {
        "object" => json!({ "type": "object" }),
        "text" => json!({ "type": "string" }),
        "bytes" => json!({ "type": "string", "contentMediaType": "application/octet-stream" }),
        "events" => json!({
            "type": "string",
            "description": "Events whose data is a ChatChunk each, or an ErrorEnvelope where the answer breaks off; then [DONE].",
            "contentMediaType": "text/event-stream",
            "contentSchema": { "anyOf": [
                { "$ref": "#/components/schemas/ChatChunk" },
                { "$ref": "#/components/schemas/ErrorEnvelope" },
            ] },
        }),
        name => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}
