//! Which URLs, hosts and origins may stand in the file?
//!
//! The URL standard repairs much of what it reads: backslashes, blanks, a missing
//! slash. Here an operator hears of it instead, since what is repaired is seldom
//! what was meant.

use url::Url;

use super::Notation;

/// The base address of an upstream.
pub(in crate::config) enum TargetUrl {}

impl Notation for TargetUrl {
    type Value = Url;
    const FORMAT: &'static str = "target-url";
    const EXAMPLE: &'static str = "https://api.openai.com/v1";

    fn read(text: &str) -> Result<Url, String> {
        base_url(text, Self::EXAMPLE, "api_key")
    }

    fn write(value: &Url) -> String {
        value.as_str().trim_end_matches('/').to_owned()
    }
}

/// What the URLs of images begin with.
pub(in crate::config) enum PublicUrl {}

impl Notation for PublicUrl {
    type Value = String;
    const FORMAT: &'static str = "public-url";
    const EXAMPLE: &'static str = "https://llm.example.com";

    fn read(text: &str) -> Result<String, String> {
        base_url(text, Self::EXAMPLE, "api_key")
            .map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// Reads an absolute `http` or `https` address to which a path can be appended.
fn base_url(text: &str, example: &str, instead: &str) -> Result<Url, String> {
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
            "must hold neither user nor password; set {instead} instead, and {expected}"
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

/// Where a collector is.
pub(in crate::config) enum CollectorUrl {}

impl Notation for CollectorUrl {
    type Value = String;
    const FORMAT: &'static str = "collector-url";
    const EXAMPLE: &'static str = "http://127.0.0.1:4318";

    fn read(text: &str) -> Result<String, String> {
        base_url(text, Self::EXAMPLE, "headers")
            .map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// Where Redis is.
pub(in crate::config) enum RedisUrl {}

impl Notation for RedisUrl {
    type Value = String;
    const FORMAT: &'static str = "redis-url";
    const EXAMPLE: &'static str = "redis://127.0.0.1:6379";

    fn read(text: &str) -> Result<String, String> {
        let expected = format!("write one such as \"{}\"", Self::EXAMPLE);
        let url = Url::parse(text).map_err(|_| format!("is no URL; {expected}"))?;
        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err(format!(
                "must begin with redis://, or with rediss:// for TLS; {expected}"
            ));
        }
        if url.password().is_some() {
            return Err(format!(
                "must hold no password; set shared.password instead, and {expected}"
            ));
        }
        let number = url.path().trim_matches('/');
        let is_number = number.is_empty() || number.parse::<u16>().is_ok();
        if url.host_str().is_none_or(str::is_empty) || !is_number {
            return Err(format!(
                "must have a host and, if anything behind it, the number of a database; {expected}"
            ));
        }
        Ok(text.to_owned())
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// A path at an upstream.
pub(in crate::config) enum Path {}

impl Notation for Path {
    type Value = String;
    const FORMAT: &'static str = "url-path";
    const EXAMPLE: &'static str = "/health";

    fn read(text: &str) -> Result<String, String> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if plain && text.starts_with('/') {
            Ok(text.to_owned())
        } else {
            Err(format!(
                "is no path; begin it with a slash and write ASCII only, such as \"{}\"",
                Self::EXAMPLE
            ))
        }
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

/// A host that may be asked for.
pub(in crate::config) enum Host {}

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
pub(in crate::config) enum Origin {}

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
pub(in crate::config) enum Store {}

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
