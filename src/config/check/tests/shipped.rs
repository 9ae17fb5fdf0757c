//! Do the files that are shipped, and the schema, say what is so?

use super::*;

#[test]
fn the_shipped_file_serves_exactly_the_47_models() {
    let config = load_text(SHIPPED).unwrap();
    let served: BTreeSet<&str> = config
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    assert_eq!(served, BTreeSet::from(MODELS));
    assert_eq!((config.models.len(), MODELS.len()), (47, 47));
    for model in &config.models {
        let expected = if model.id.as_str() == "flux" {
            Modality::Image
        } else {
            Modality::Text
        };
        assert_eq!(model.modality, expected, "{}", model.id);
        assert!(!model.is_pattern && model.created > 0, "{}", model.id);
    }
}

#[test]
fn the_shipped_file_loads_without_a_single_secret() {
    let source = Source {
        name: "spafe.toml",
        text: SHIPPED,
    };
    let config = load(source, &|_| None, &|_| Err(io::ErrorKind::NotFound.into())).unwrap();
    assert!(
        config
            .pools
            .iter()
            .all(|pool| !matches!(pool.api_key, ApiKey::Known(_)))
    );
}

#[test]
fn the_reference_shows_the_defaults() {
    let bare = r#"
[[pools]]
name = "openai"
targets = [{ url = "https://api.openai.com/v1" }]
[[pools]]
name = "openrouter"
targets = [{ url = "https://openrouter.ai/api/v1" }]
[[models]]
id = "gpt-4o"
pools = ["openai", { pool = "openrouter", name = "openai/gpt-4o" }]
"#;
    let shown = |text| {
        let mut shown = redacted(&load_text(text).unwrap());
        shown["version"] = json!("");
        shown
    };
    assert_eq!(shown(REFERENCE), shown(bare));
}

#[test]
fn the_reference_has_every_key_of_the_schema_and_loads_with_all_of_them() {
    let whole = uncommented(REFERENCE);
    load_text(&whole).unwrap_or_else(|problems| panic!("{problems}"));
    let table = DeTable::parse(&whole).unwrap().into_inner();
    let mut shown = BTreeSet::new();
    keys_of_a_file(&DeValue::Table(table), "", &mut shown);
    // The one table that cannot stand beside the text it replaces.
    shown.insert("log.requests.file".to_owned());
    // A secret stands in one place.
    shown.extend(
        [
            "shared.password.file",
            "shared.secret.file",
            "otlp.headers.value.file",
        ]
        .map(str::to_owned),
    );
    let mut known = BTreeSet::new();
    keys_of_the_schema(&schema(), "", &mut known);
    assert_eq!(shown, known);
    assert!(known.len() > 70, "the walk has lost its way");
}

fn keys_of_a_file(value: &DeValue<'_>, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(table) = value.as_table() {
        for (key, value) in table {
            let path = joined(path, key.get_ref());
            keys_of_a_file(value.get_ref(), &path, keys);
            keys.insert(path);
        }
    }
    for item in value.as_array().map_or(&[][..], AsRef::as_ref) {
        keys_of_a_file(item.get_ref(), path, keys);
    }
}

fn keys_of_the_schema(schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = joined(path, key);
        keys_of_the_schema(schema, &path, keys);
        keys.insert(path);
    }
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    for schema in alternatives.chain(schema.get("items")) {
        keys_of_the_schema(schema, path, keys);
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[test]
fn every_text_of_the_schema_has_a_reader_and_every_key_a_description() {
    fn walk(schema: &Value, path: &str) {
        if let Some(format) = schema["format"].as_str().filter(|_| {
            !["integer", "number", "boolean"]
                .map(Value::from)
                .contains(&schema["type"])
        }) {
            let reader = crate::config::notation::reader(format)
                .unwrap_or_else(|| panic!("{path}: {format}"));
            assert_eq!(
                reader(schema["examples"][0].as_str().unwrap()),
                Ok(()),
                "{path}"
            );
        }
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{path}.{key}");
            walk(schema, &joined(path, key));
        }
        let alternatives = schema["anyOf"].as_array().into_iter().flatten();
        alternatives
            .chain(schema.get("items"))
            .for_each(|schema| walk(schema, path));
    }
    let schema = schema();
    walk(&schema, "");
    assert!(!schema.to_string().contains("null"), "TOML knows no null");
}

#[rustfmt::skip]
const MODELS: [&str; 47] = [
    "gpt-4o",
    "o1-preview",
    "flux",
    "01-ai/Yi-34B-Chat",
    "glm4-9B-chat",
    "blackbox",
    "claude-sonnet-3.5",
    "gemini-pro",
    "llama-3.1-405b",
    "llama-3.1-70b",
    "llama-3.1-8b",
    "gemini-1.5-flash",
    "google/codegemma-7b-it",
    "google/gemma-1.1-7b-it",
    "google/gemma-2-27b-it",
    "google/gemma-2-9b-it",
    "llama3.1-8b",
    "llama3.1-70b",
    "meta-llama/Llama-3.2-90B-Vision-Instruct",
    "codellama/CodeLlama-34b-Instruct-hf",
    "codellama/CodeLlama-70b-Instruct-hf",
    "meta-llama/Llama-2-70b-chat-hf",
    "meta-llama/Llama-2-7b-chat-hf",
    "meta-llama/Meta-Llama-3-8B-Instruct",
    "meta-llama/Meta-Llama-3.1-70B-Instruct",
    "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "bigcode/starcoder2-15b",
    "bigcode/starcoder2-15b-instruct-v0.1",
    "cognitivecomputations/dolphin-2.6-mixtral-8x7b",
    "cognitivecomputations/dolphin-2.9.1-llama-3-70b",
    "databricks/dbrx-instruct",
    "mattshumer/Reflection-Llama-3.1-70B",
    "microsoft/Phi-3-medium-4k-instruct",
    "microsoft/WizardLM-2-7B",
    "microsoft/WizardLM-2-8x22B",
    "mistralai/Mistral-7B-Instruct-v0.1",
    "mistralai/Mistral-7B-Instruct-v0.2",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "mistralai/Mistral-Nemo-Instruct-2407",
    "mistralai/Mixtral-8x22B-Instruct-v0.1",
    "mistralai/Mixtral-8x22B-v0.1",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "openchat/openchat-3.6-8b",
    "Phind/Phind-CodeLlama-34B-v2",
    "Qwen/Qwen2-72B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "Sao10K/L3-70B-Euryale-v2.1",
];
