//! Which paths and names may stand in the file?
//!
//! Names of pools and models travel on into metrics and headers, so each is held
//! to what is harmless there.

use std::path::PathBuf;

use super::Notation;

/// The path of a file.
pub(in crate::config) enum File {}

impl Notation for File {
    type Value = PathBuf;
    const FORMAT: &'static str = "path";
    const EXAMPLE: &'static str = "/etc/spafe/file";

    fn read(text: &str) -> Result<PathBuf, String> {
        // Control characters also catch a certificate or key pasted in place of its path.
        if text.is_empty() || text.contains(char::is_control) {
            return Err(
                "is no path; write the path of a file such as \"/etc/spafe/file\"".to_owned(),
            );
        }
        Ok(PathBuf::from(text))
    }

    fn write(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// The name of an environment variable.
pub(in crate::config) enum Variable {}

impl Notation for Variable {
    type Value = String;
    const FORMAT: &'static str = "environment-variable";
    const EXAMPLE: &'static str = "OPENAI_API_KEY";

    fn read(text: &str) -> Result<String, String> {
        let name = !text.is_empty()
            && text
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || character == '_');
        if !name || text.starts_with(|character: char| character.is_ascii_digit()) {
            return Err("is no name of an environment variable; write the name, not the secret itself, such as \"OPENAI_API_KEY\"".to_owned());
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// The name of a limit or of a key: it stands in metrics, logs and messages.
pub(in crate::config) enum Label {}

impl Notation for Label {
    type Value = String;
    const FORMAT: &'static str = "name";
    const EXAMPLE: &'static str = "per-client";

    fn read(text: &str) -> Result<String, String> {
        if !is_label(text) {
            return Err("is no name; write 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', such as \"per-client\"".to_owned());
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

fn is_label(text: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    (1..=64).contains(&text.len()) && text.chars().all(plain)
}

/// The name of a top-level member of a body that is none of [`DECIDING`].
pub(in crate::config) enum Member {}

/// Members that decide what is asked, who answers, or how an answer is made up: requests that
/// differ in one of them are never the same. How it is drawn (`temperature`, `seed`, …) is not
/// among them, nor is what only speaks of a request.
const DECIDING: [&str; 35] = [
    "model",
    "models",
    "messages",
    "prompt",
    "provider",
    "stream",
    "stream_options",
    "n",
    "best_of",
    "user",
    "store",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "modalities",
    "audio",
    "prediction",
    "web_search_options",
    "reasoning",
    "reasoning_effort",
    "verbosity",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "size",
    "quality",
    "style",
    "suffix",
    "input",
];

impl Notation for Member {
    type Value = String;
    const FORMAT: &'static str = "member";
    const EXAMPLE: &'static str = "metadata";

    fn read(text: &str) -> Result<String, String> {
        if DECIDING.contains(&text) {
            return Err(format!(
                "decides what is answered, so that requests which differ in {text} are not the same; take it out"
            ));
        }
        if !(1..=128).contains(&text.len()) || text.contains(char::is_control) {
            return Err(
                "is no name of a member; write 1 to 128 printable characters such as \"metadata\""
                    .to_owned(),
            );
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// The name of a pool: it stands in metrics and in a header.
pub(in crate::config) enum PoolLabel {}

impl Notation for PoolLabel {
    type Value = String;
    const FORMAT: &'static str = "pool-name";
    const EXAMPLE: &'static str = "openai";

    fn read(text: &str) -> Result<String, String> {
        if !is_label(text) {
            return Err("is no name of a pool; write 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', such as \"openai\"".to_owned());
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// The version of an upstream's API. It stands in the query of each request as it is.
pub(in crate::config) enum ApiVersion {}

impl Notation for ApiVersion {
    type Value = String;
    const FORMAT: &'static str = "api-version";
    const EXAMPLE: &'static str = "2024-10-21";

    fn read(text: &str) -> Result<String, String> {
        if !is_label(text) {
            return Err("is no version; write it as the vendor does, such as \"2024-10-21\" or \"2025-04-01-preview\"".to_owned());
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// The id of a model, or a pattern of ids.
pub(in crate::config) enum ModelPattern {}

impl Notation for ModelPattern {
    type Value = String;
    const FORMAT: &'static str = "model-id";
    const EXAMPLE: &'static str = "gpt-4o";

    fn read(text: &str) -> Result<String, String> {
        let prefix = text.strip_suffix('*').unwrap_or(text);
        if prefix.contains('*') {
            return Err("must have its * at the end, and one only; write a prefix pattern such as \"meta-llama/*\"".to_owned());
        }
        model_name(text)
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// Another exact name of a model.
pub(in crate::config) enum ModelAlias {}

impl Notation for ModelAlias {
    type Value = String;
    const FORMAT: &'static str = "model-alias";
    const EXAMPLE: &'static str = "gpt-4o-latest";

    fn read(text: &str) -> Result<String, String> {
        if text.contains('*') {
            return Err(
                "must be an exact name; write the pattern as the id of a model of its own"
                    .to_owned(),
            );
        }
        model_name(text)
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// A name that callers send and that stands in metrics and in a header.
fn model_name(text: &str) -> Result<String, String> {
    if !(1..=128).contains(&text.len())
        || !text.chars().all(|character| character.is_ascii_graphic())
    {
        return Err(
            "is no name of a model; write 1 to 128 visible ASCII characters such as \"gpt-4o\""
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A short text that is passed on as it is.
pub(in crate::config) enum Words {}

impl Notation for Words {
    type Value = String;
    const FORMAT: &'static str = "words";
    const EXAMPLE: &'static str = "openai/gpt-4o";

    fn read(text: &str) -> Result<String, String> {
        if text.trim().is_empty() || text.len() > 256 || text.contains(char::is_control) {
            return Err(
                "is no name; write 1 to 256 printable characters such as \"openai/gpt-4o\""
                    .to_owned(),
            );
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}
