//! Each case of `bad.txt` is a file and, below `---`, everything that is told of it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use crate::config::problem::Problems;
use crate::config::{ApiKey, Config, Modality, Source, load, redacted, schema};
use crate::names::Secret;

const SHIPPED: &str = include_str!("../../../conf/spafe.toml");
const REFERENCE: &str = include_str!("../../../conf/reference.toml");
const BAD: &str = include_str!("bad.txt");

/// What a case that is about something else ends with.
const POOLS_AND_MODELS: &str = r#"
[[pools]]
name = "openai"
targets = [{ url = "https://api.openai.com/v1" }]
[[models]]
id = "gpt-4o"
pools = ["openai"]
"#;

fn env(name: &str) -> Option<String> {
    match name {
        "BROKEN_KEY" => Some("sk-secret\nsk-secret".to_owned()),
        "EMPTY_KEY" => Some(String::new()),
        "UNSET_KEY" => None,
        _ => Some(format!("sk-secret-of-{name}")),
    }
}

fn read(path: &Path) -> io::Result<String> {
    match path.to_str().unwrap() {
        path if path.ends_with("pem") && !path.starts_with("/nowhere") => {
            Ok("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n".to_owned())
        }
        "/secret" | "/run/secrets/openrouter" => Ok("sk-secret-in-a-file\n".to_owned()),
        "/key" => Ok("-----BEGIN CERTIFICATE-----\n".to_owned()),
        "/keys" => Ok("[[keys]]\nname = \"b\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\nrequests = { count = 5, per = \"1m\" }\n".to_owned()),
        "/bad-keys" => Ok("[server]\n[[keys]]\nname = \"a\"\nsha256 = \"sk-secret\"\nlimit = 5\n".to_owned()),
        "/etc/spafe/keys.toml" => Ok(String::new()),
        "/no-toml" => Ok("[[keys]\nsk-secret".to_owned()),
        "/broken-secret" => Ok("sk-secret sk-secret".to_owned()),
        "/forbidden" => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn load_text(text: &str) -> Result<Config, Problems> {
    load(
        Source {
            name: "bad.toml",
            text,
        },
        &env,
        &read,
    )
}

fn with_pool(api_key: &str) -> Result<Config, Problems> {
    load_text(&POOLS_AND_MODELS.replace("[[models]]", &format!("api_key = {api_key}\n[[models]]")))
}

/// Title, file, and what is told of it.
fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    let case = |case: &'static str| {
        let (title, rest) = case.split_once('\n').unwrap();
        let (text, told) = rest.split_once("---\n").unwrap();
        (title, text, told.trim_end())
    };
    BAD.split("=== ")
        .filter(|case| !case.is_empty())
        .map(case)
        .collect()
}

fn told_of(text: &str) -> String {
    let has_models = text.contains("models") || text.contains("pools");
    let text = if has_models {
        text.to_owned()
    } else {
        format!("{text}{POOLS_AND_MODELS}")
    };
    load_text(&text).map_or_else(|problems| problems.to_string(), |_| "loads".to_owned())
}

#[test]
fn every_problem_is_told_with_its_place() {
    assert!(cases().len() >= 40);
    let differing: Vec<String> = cases()
        .iter()
        .filter(|(_, text, told)| told_of(text) != *told)
        .map(|(title, text, _)| format!("=== {title}\n{text}---\n{}\n", told_of(text)))
        .collect();
    assert!(
        differing.is_empty(),
        "told otherwise than in bad.txt:\n{}",
        differing.concat()
    );
}

#[test]
fn no_message_holds_a_secret() {
    for (title, text, _) in cases() {
        assert!(!told_of(text).contains("sk-secret"), "{title}");
    }
}

#[test]
fn an_empty_file_lacks_pools_and_models() {
    let told = load_text("").unwrap_err().to_string();
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn a_file_with_any_line_missing_is_judged_within_its_bounds() {
    let whole = uncommented(REFERENCE);
    let lines: Vec<&str> = whole.lines().collect();
    for missing in 0..lines.len() {
        let text = [&lines[..missing], &lines[missing + 1..]]
            .concat()
            .join("\n");
        let problems = load_text(&text).err();
        for problem in problems.iter().flatten() {
            assert!((1..=lines.len()).contains(&problem.line), "{problem}");
            assert!(!problem.message.is_empty(), "{problem}");
        }
    }
}

#[test]
fn fewer_attempts_in_all_are_fewer_in_a_pool() {
    let config = load_text(&format!("[attempts]\nmax = 1\n{POOLS_AND_MODELS}")).unwrap();
    assert_eq!((config.attempts.max, config.attempts.per_pool_max), (1, 1));
}

#[test]
fn secrets_come_from_the_environment_or_a_file() {
    let key = |reference| with_pool(reference).unwrap().pools[0].api_key.clone();
    assert_eq!(
        key(r#"{ env = "KEY" }"#),
        ApiKey::Known(Secret::new("sk-secret-of-KEY"))
    );
    assert_eq!(
        key(r#"{ file = "/secret" }"#),
        ApiKey::Known(Secret::new("sk-secret-in-a-file"))
    );
    let missing = |place: &str| ApiKey::Missing(place.to_owned());
    assert_eq!(
        key(r#"{ env = "UNSET_KEY" }"#),
        missing("environment variable UNSET_KEY")
    );
    assert_eq!(
        key(r#"{ env = "EMPTY_KEY" }"#),
        missing("environment variable EMPTY_KEY")
    );
    assert_eq!(key(r#"{ file = "/nowhere" }"#), missing("file /nowhere"));
    assert_eq!(
        load_text(POOLS_AND_MODELS).unwrap().pools[0].api_key,
        ApiKey::None
    );
}

#[test]
fn what_is_shown_of_a_configuration_has_no_secret() {
    let shown = |reference| redacted(&with_pool(reference).unwrap());
    assert_eq!(shown(r#"{ env = "KEY" }"#)["pools"][0]["api_key"], "***");
    assert_eq!(
        shown(r#"{ env = "UNSET_KEY" }"#)["pools"][0]["api_key"],
        "missing: $UNSET_KEY"
    );
    assert_eq!(
        shown(r#"{ file = "/nowhere" }"#)["pools"][0]["api_key"],
        "missing: file /nowhere"
    );
    assert!(
        !shown(r#"{ file = "/secret" }"#)
            .to_string()
            .contains("sk-secret")
    );
    let whole = format!("{:?}", with_pool(r#"{ env = "KEY" }"#).unwrap());
    assert!(!whole.contains("sk-secret"));
}

#[test]
fn values_arrive_as_they_were_written() {
    let text = r#"
[server]
listen = ["127.0.0.1:0", "[::1]:0"]
threads = 3
public_url = "https://LLM.example.com/base/"
allowed_hosts = ["LLM.example.com", "[::1]"]
[timeouts]
answer = "2m"
[cors]
origins = ["HTTPS://App.example.com:443", "http://localhost:3000"]
[log]
requests = { file = "/var/log/spafe" }
[bounds]
body_bytes_max = 4096
[[pools]]
name = "a"
targets = [{ url = "https://a.example/v1/" }, { url = "http://[::1]:8000", weight = 2 }]
http = "1.1"
timeouts = { first_event = "5m" }
[[models]]
id = "meta-llama/*"
aliases = ["llama"]
pools = [{ pool = "a", name = "b" }]
created = 2024-05-13
timeouts = { connect = "1500ms" }
"#;
    let config = load_text(text).unwrap();
    assert_eq!(config.server.threads, 3);
    assert_eq!(
        config.server.public_url.as_deref(),
        Some("https://llm.example.com/base")
    );
    assert_eq!(config.server.allowed_hosts, ["llm.example.com", "[::1]"]);
    assert_eq!(
        config.cors.origins,
        ["https://app.example.com", "http://localhost:3000"]
    );
    assert_eq!(config.bounds.body_bytes_max, 4096);
    let pool = &config.pools[0];
    assert_eq!(pool.targets[0].url.as_str(), "https://a.example/v1");
    assert_eq!((pool.targets[0].weight, pool.targets[1].weight), (1, 2));
    assert_eq!(pool.timeouts.first_event, Duration::from_mins(5));
    assert_eq!(pool.timeouts.answer, Duration::from_mins(2));
    let model = &config.models[0];
    assert!(model.is_pattern);
    assert_eq!(model.pools[0].name.as_deref(), Some("b"));
    assert_eq!(
        (model.owned_by.as_str(), model.created),
        ("a", 1_715_558_400)
    );
    assert_eq!(model.timeouts.connect, Some(Duration::from_millis(1500)));
    assert_eq!(model.timeouts.answer, None);
    let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
    assert!(hash.starts_with(&config.version) && config.version.len() == 12);
}

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
    shown.extend(["shared.password.file", "shared.secret.file"].map(str::to_owned));
    let mut known = BTreeSet::new();
    keys_of_the_schema(&schema(), "", &mut known);
    assert_eq!(shown, known);
    assert!(known.len() > 70, "the walk has lost its way");
}

/// The reference with its examples switched on: they follow their `#` without a blank.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(example)
            if example.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') =>
        {
            example
        }
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
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
        if let Some(format) = schema["format"]
            .as_str()
            .filter(|_| schema["type"] != "integer" && schema["type"] != "boolean")
        {
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
