//! What may stand in a text of the file?
//!
//! Each kind of text (a length of time, an address, a pool's name …) is one
//! [`Notation`]: how it is read, how it is written, what the JSON Schema says of
//! it. The check reads a text with it to find problems with their place, and serde
//! reads the same text with it into a value; so the two cannot disagree.
//! A message never repeats the text: it may be a secret in the wrong place.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use super::units;

/// One kind of text.
pub(super) trait Notation {
    /// What the text means.
    type Value;
    /// Its `format` in the JSON Schema; the check finds the notation by it.
    const FORMAT: &'static str;
    /// A text that is right.
    const EXAMPLE: &'static str;
    /// Whether a bare whole number may stand for the text.
    const WHOLE_NUMBERS: bool = false;

    /// The meaning, or what is wrong, in words that follow the key.
    fn read(text: &str) -> Result<Self::Value, String>;
    /// The text that means it.
    fn write(value: &Self::Value) -> String;
}

/// A value of the file, read by its notation.
pub(super) struct Written<K: Notation>(pub(super) K::Value);

/// A reader that keeps only what is wrong.
pub(super) type Reader = fn(&str) -> Result<(), String>;

/// The reader for a `format` of the schema.
pub(super) fn reader(format: &str) -> Option<Reader> {
    fn of<K: Notation>(text: &str) -> Result<(), String> {
        K::read(text).map(|_| ())
    }
    let readers: [(&str, Reader); 15] = [
        (Length::FORMAT, of::<Length>),
        (Size::FORMAT, of::<Size>),
        (Address::FORMAT, of::<Address>),
        (TargetUrl::FORMAT, of::<TargetUrl>),
        (PublicUrl::FORMAT, of::<PublicUrl>),
        (Host::FORMAT, of::<Host>),
        (Origin::FORMAT, of::<Origin>),
        (Store::FORMAT, of::<Store>),
        (File::FORMAT, of::<File>),
        (Variable::FORMAT, of::<Variable>),
        (PoolLabel::FORMAT, of::<PoolLabel>),
        (ModelPattern::FORMAT, of::<ModelPattern>),
        (ModelAlias::FORMAT, of::<ModelAlias>),
        (Words::FORMAT, of::<Words>),
        (Day::FORMAT, of::<Day>),
    ];
    readers
        .into_iter()
        .find(|(name, _)| *name == format)
        .map(|(_, reader)| reader)
}

/// A length of time.
pub(super) enum Length {}

impl Notation for Length {
    type Value = Duration;
    const FORMAT: &'static str = "duration";
    const EXAMPLE: &'static str = "30s";

    fn read(text: &str) -> Result<Duration, String> {
        units::duration(text)
    }

    fn write(value: &Duration) -> String {
        units::duration_text(*value)
    }
}

/// An amount of bytes.
pub(super) enum Size {}

impl Notation for Size {
    type Value = u64;
    const FORMAT: &'static str = "size";
    const EXAMPLE: &'static str = "10MiB";
    const WHOLE_NUMBERS: bool = true;

    fn read(text: &str) -> Result<u64, String> {
        units::size(text)
    }

    fn write(value: &u64) -> String {
        units::size_text(*value)
    }
}

/// An address to listen on.
pub(super) enum Address {}

impl Notation for Address {
    type Value = SocketAddr;
    const FORMAT: &'static str = "address";
    const EXAMPLE: &'static str = "127.0.0.1:8080";

    fn read(text: &str) -> Result<SocketAddr, String> {
        text.parse().map_err(|_| {
            "is no address; write an IP address and a port such as \"0.0.0.0:8080\" or \"[::]:8080\"".to_owned()
        })
    }

    fn write(value: &SocketAddr) -> String {
        value.to_string()
    }
}

/// The base address of an upstream.
pub(super) enum TargetUrl {}

impl Notation for TargetUrl {
    type Value = Url;
    const FORMAT: &'static str = "target-url";
    const EXAMPLE: &'static str = "https://api.openai.com/v1";

    fn read(text: &str) -> Result<Url, String> {
        base_url(text, Self::EXAMPLE)
    }

    fn write(value: &Url) -> String {
        value.as_str().trim_end_matches('/').to_owned()
    }
}

/// What the URLs of images begin with.
pub(super) enum PublicUrl {}

impl Notation for PublicUrl {
    type Value = String;
    const FORMAT: &'static str = "public-url";
    const EXAMPLE: &'static str = "https://llm.example.com";

    fn read(text: &str) -> Result<String, String> {
        base_url(text, Self::EXAMPLE).map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// Reads an absolute `http` or `https` address to which a path can be appended.
fn base_url(text: &str, example: &str) -> Result<Url, String> {
    let expected = format!("write one such as \"{example}\"");
    // The URL standard repairs what follows; an operator wants to hear of it instead.
    let repaired =
        |character: char| character.is_whitespace() || character.is_control() || character == '\\';
    if text.contains(repaired) {
        return Err(format!(
            "contains a blank, a control character or a backslash; {expected}"
        ));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("is no absolute URL; {expected}"));
    };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(format!("must begin with https:// or http://; {expected}"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return Err(format!("names no host; {expected}"));
    }
    if authority.contains('@') {
        return Err(format!(
            "must hold neither user nor password; set api_key instead, and {expected}"
        ));
    }
    if text.contains(['?', '#']) {
        return Err(format!("must have neither query nor fragment; {expected}"));
    }
    let mut url = Url::parse(text).map_err(|error| format!("is no URL ({error}); {expected}"))?;
    if url.port() == Some(0) {
        return Err(format!("must not have port 0; {expected}"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// A host that may be asked for.
pub(super) enum Host {}

impl Notation for Host {
    type Value = String;
    const FORMAT: &'static str = "host";
    const EXAMPLE: &'static str = "llm.example.com";

    fn read(text: &str) -> Result<String, String> {
        let plain = !text
            .contains(|character: char| character.is_whitespace() || "*/@%".contains(character));
        let host = url::Host::parse(text).ok().filter(|_| plain);
        host.map(|host| host.to_string()).ok_or_else(|| {
            "is no host; write a name or an IP address without port, such as \"llm.example.com\" or \"[::1]\"".to_owned()
        })
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// The origin of a web page.
pub(super) enum Origin {}

impl Notation for Origin {
    type Value = String;
    const FORMAT: &'static str = "origin";
    const EXAMPLE: &'static str = "https://app.example.com";

    fn read(text: &str) -> Result<String, String> {
        let expected = "write scheme, host and port if any, such as \"https://app.example.com\" or \"http://localhost:3000\"";
        if text == "*" {
            return Err("must not be *; leave the list empty to let every origin call".to_owned());
        }
        let plain = text.split_once("://").is_some_and(|(_, authority)| {
            !authority.is_empty()
                && !authority.contains(|character: char| {
                    "/?#@\\*".contains(character) || character.is_whitespace()
                })
        });
        let url = Url::parse(text).ok().filter(|url| plain && url.has_host());
        let url = url.ok_or_else(|| format!("is no origin; {expected}"))?;
        if matches!(url.scheme(), "http" | "https") {
            // Browsers leave out the scheme's own port, and so does this.
            return Ok(url.origin().ascii_serialization());
        }
        Ok(text.to_ascii_lowercase())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// Where images are kept.
pub(super) enum Store {}

impl Notation for Store {
    type Value = String;
    const FORMAT: &'static str = "store";
    const EXAMPLE: &'static str = "s3://bucket/prefix";

    fn read(text: &str) -> Result<String, String> {
        let expected = "write a folder, or a URL such as \"file:///var/lib/spafe/images\", \"s3://bucket/prefix\" or \"gs://bucket/prefix\"";
        if text.trim().is_empty() || text.contains(char::is_control) {
            return Err(format!("is no place to store in; {expected}"));
        }
        match text.split_once("://") {
            None => Ok(text.to_owned()),
            Some(("file", path)) if path.starts_with('/') => Ok(text.to_owned()),
            Some(("file", _)) => Err(format!(
                "must give an absolute path after file://; {expected}"
            )),
            Some(("s3" | "gs", place)) if place.contains(['?', '#', '@']) => Err(format!(
                "must have neither user, query nor fragment; {expected}"
            )),
            Some(("s3" | "gs", place)) if !place.is_empty() && !place.starts_with('/') => {
                Ok(text.to_owned())
            }
            Some(("s3" | "gs", _)) => Err(format!("names no bucket; {expected}")),
            Some(_) => Err(format!("has an unknown scheme; {expected}")),
        }
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// The path of a file.
pub(super) enum File {}

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
pub(super) enum Variable {}

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

/// The name of a pool: it stands in metrics and in a header.
pub(super) enum PoolLabel {}

impl Notation for PoolLabel {
    type Value = String;
    const FORMAT: &'static str = "pool-name";
    const EXAMPLE: &'static str = "openai";

    fn read(text: &str) -> Result<String, String> {
        let plain = text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._-".contains(character));
        if !plain || !(1..=64).contains(&text.len()) {
            return Err("is no name of a pool; write 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', such as \"openai\"".to_owned());
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// The id of a model, or a pattern of ids.
pub(super) enum ModelPattern {}

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
pub(super) enum ModelAlias {}

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
pub(super) enum Words {}

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

/// A day, at its beginning in UTC, in Unix seconds.
pub(super) enum Day {}

impl Notation for Day {
    type Value = i64;
    const FORMAT: &'static str = "date";
    const EXAMPLE: &'static str = "2024-05-13";

    fn read(text: &str) -> Result<i64, String> {
        let date = text
            .parse::<jiff::civil::Date>()
            .ok()
            .filter(|_| text.len() == Self::EXAMPLE.len());
        let zoned = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let seconds = zoned
            .map(|zoned| zoned.timestamp().as_second())
            .filter(|seconds| *seconds >= 0);
        seconds.ok_or_else(|| {
            "is no day since 1970; write year, month and day such as 2024-05-13".to_owned()
        })
    }

    fn write(value: &i64) -> String {
        jiff::Timestamp::from_second(*value)
            .map(|timestamp| {
                timestamp
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .date()
                    .to_string()
            })
            .unwrap_or_default()
    }
}

impl<'de, K: Notation> Deserialize<'de> for Written<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Text(String),
            Whole(u64),
            Moment(toml::value::Datetime),
        }
        let text = match Raw::deserialize(deserializer)? {
            Raw::Text(text) => text,
            Raw::Whole(number) => number.to_string(),
            Raw::Moment(moment) => moment.to_string(),
        };
        K::read(&text).map(Self).map_err(de::Error::custom)
    }
}

impl<K: Notation> Serialize for Written<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&K::write(&self.0))
    }
}

impl<K: Notation> JsonSchema for Written<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed(K::FORMAT)
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        if K::WHOLE_NUMBERS {
            return json_schema!({ "type": ["string", "integer"], "format": K::FORMAT, "examples": [K::EXAMPLE] });
        }
        json_schema!({ "type": "string", "format": K::FORMAT, "examples": [K::EXAMPLE] })
    }
}
