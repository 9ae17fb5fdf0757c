//! Each case of `bad.txt` is a file and, below `---`, everything that is told of it.

/// What is shipped, and the schema.
mod shipped;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use crate::config::cache::{CachePolicy, Scope};
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
fn a_model_says_for_itself_how_its_answers_are_kept() {
    let text = r#"
[cache]
ttl = "1h"
scope = "shared"
temperature_max = 1
stale_if_error = "2h"
ignored_fields = ["seed", "metadata", "seed"]
[[pools]]
name = "a"
targets = [{ url = "https://a.example/v1/" }]
[[models]]
id = "as-all"
pools = ["a"]
[[models]]
id = "own"
pools = ["a"]
cache = { enabled = false, ttl = "1s", scope = "per_client", temperature_max = 0.5, stale_while_revalidate = "3s", stale_if_error = "0s", store_streams = true, collapse = false }
"#;
    let config = load_text(text).unwrap();
    let policy = config.cache.policy;
    let [as_all, own] = [0, 1].map(|model| policy.overridden(&config.models[model].cache));
    assert_eq!(as_all, policy);
    assert_eq!(
        policy,
        CachePolicy {
            enabled: true,
            ttl: Duration::from_hours(1),
            scope: Scope::Shared,
            temperature_max: Some(1.0),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_hours(2),
            store_streams: false,
            collapse: true,
        }
    );
    assert_eq!(
        own,
        CachePolicy {
            enabled: false,
            ttl: Duration::from_secs(1),
            scope: Scope::PerClient,
            temperature_max: Some(0.5),
            stale_while_revalidate: Duration::from_secs(3),
            stale_if_error: Duration::ZERO,
            store_streams: true,
            collapse: false,
        }
    );
    let ignored: Vec<&str> = config
        .cache
        .ignored_fields
        .iter()
        .map(|name| &**name)
        .collect();
    assert_eq!(ignored, ["metadata", "seed"]);
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
