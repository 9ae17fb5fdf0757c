//! Which models are there?
//!
//! The list changes only with the configuration, so it is written once, when a snapshot
//! is made, and handed out as it stands. Patterns are not listed: they are no model's
//! name. An alias is answered with its model's own entry, so that a caller learns the
//! name that metrics and answers use.

use std::collections::HashMap;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Config, Modality, Model};

/// The answers of `GET /models` and `GET /models/{id}`, ready to send.
#[derive(Debug, Clone)]
pub struct ModelList {
    list: Bytes,
    /// By id and by alias.
    entries: HashMap<String, Bytes>,
}

impl ModelList {
    /// Writes all answers, in the order of the configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut data = Vec::new();
        let mut entries = HashMap::new();
        for model in config.models.iter().filter(|model| !model.is_pattern) {
            let entry = json(&Entry::from(model));
            let aliases = model.aliases.iter().map(String::as_str);
            for name in aliases.chain([model.id.as_str()]) {
                entries.insert(name.to_owned(), entry.clone());
            }
            data.push(Entry::from(model));
        }
        let list = json(&List {
            object: "list",
            data,
        });
        Self { list, entries }
    }

    /// The body of `GET /models`.
    #[must_use]
    pub fn list(&self) -> &Bytes {
        &self.list
    }

    /// The body of `GET /models/{id}`, for an exact id or alias, slashes and all, with
    /// percent-encoding already undone.
    #[must_use]
    pub fn one(&self, id: &str) -> Option<&Bytes> {
        self.entries.get(id)
    }
}

/// The models.
///
/// Source: OpenAI's API reference, `GET /models`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelList")]
pub struct List<'a> {
    /// `list`
    object: &'static str,
    /// In the operator's order.
    data: Vec<Entry<'a>>,
}

/// A model.
///
/// Source: OpenAI's API reference, "The model object"; `modality` and `endpoints` are our
/// own.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelEntry")]
struct Entry<'a> {
    /// What it is asked for by.
    id: &'a str,
    /// `model`
    object: &'static str,
    /// Unix seconds.
    created: i64,
    /// Who made it.
    owned_by: &'a str,
    /// What it makes: `text` or `image`.
    modality: &'static str,
    /// What it can be asked for: `chat.completions`, `embeddings`, ….
    endpoints: Vec<&'static str>,
}

impl<'a> From<&'a Model> for Entry<'a> {
    fn from(model: &'a Model) -> Self {
        Self {
            id: model.id.as_str(),
            object: "model",
            created: model.created,
            owned_by: &model.owned_by,
            modality: match model.modality {
                Modality::Text => "text",
                Modality::Image => "image",
            },
            endpoints: model.operations.iter().map(|it| it.name()).collect(),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "structs of text and numbers always serialise, and writing to memory never fails"
)]
fn json(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("plain structs serialise"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TimeoutsOverride;
    use crate::names::ModelId;
    use crate::operation::Operation;

    fn model(id: &str, aliases: &[&str], modality: Modality) -> Model {
        Model {
            id: ModelId::new(id),
            is_pattern: id.ends_with('*'),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            pools: Vec::new(),
            fallbacks: Vec::new(),
            context_fallbacks: Vec::new(),
            policy_fallbacks: Vec::new(),
            modality,
            operations: vec![Operation::Chat],
            weight: 1,
            price: None,
            max_tokens_default: 1,
            thinking: crate::config::dialect::Thinking::Budget,
            owned_by: "a \"lab\"".to_owned(),
            created: 1_700_000_000,
            timeouts: TimeoutsOverride::default(),
            cache: crate::config::cache::CacheOverride::default(),
        }
    }

    /// A configuration in which only the models matter.
    fn config(models: Vec<Model>) -> Config {
        Config {
            models,
            ..crate::config::example("")
        }
    }

    #[test]
    fn the_list_has_every_model_but_patterns_in_the_order_of_the_file() {
        let list = ModelList::new(&config(vec![
            model("gpt-4o", &["gpt-4o-latest"], Modality::Text),
            model("meta-llama/*", &[], Modality::Text),
            model("flux", &[], Modality::Image),
        ]));
        assert_eq!(
            std::str::from_utf8(list.list()).unwrap(),
            concat!(
                r#"{"object":"list","data":["#,
                r#"{"id":"gpt-4o","object":"model","created":1700000000,"owned_by":"a \"lab\"","modality":"text","endpoints":["chat.completions"]},"#,
                r#"{"id":"flux","object":"model","created":1700000000,"owned_by":"a \"lab\"","modality":"image","endpoints":["chat.completions"]}]}"#,
            )
        );
        let empty = ModelList::new(&config(Vec::new()));
        assert_eq!(&empty.list()[..], br#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn one_model_is_found_by_its_id_and_its_aliases() {
        let list = ModelList::new(&config(vec![
            model(
                "meta-llama/Llama-3.3-70B",
                &["llama", "m/l"],
                Modality::Text,
            ),
            model("meta-llama/*", &[], Modality::Text),
        ]));
        let check = |name: &str, expected: Option<&str>| {
            let body = list.one(name).map(|body| {
                let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                body["id"].as_str().unwrap().to_owned()
            });
            assert_eq!(body.as_deref(), expected, "{name}");
        };
        check("meta-llama/Llama-3.3-70B", Some("meta-llama/Llama-3.3-70B"));
        check("llama", Some("meta-llama/Llama-3.3-70B"));
        check("m/l", Some("meta-llama/Llama-3.3-70B"));
        check("LLAMA", None);
        check("meta-llama/*", None);
        check("meta-llama/other", None);
        check("", None);
    }
}
