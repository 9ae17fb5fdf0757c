//! Can a collector be told what it is to be told?
//!
//! Where its place fits its protocol, and every field that is sent with an export says something.
//! A field whose secret is not there would have every export refused, at a time when nobody looks.

use std::collections::HashSet;

use super::node::Node;
use super::pools::words_of_secret;
use super::{Findings, Outside};
use crate::config::ApiKey;
use crate::config::notation::Size;
use crate::config::notation::name::Label;
use crate::config::notation::place::CollectorUrl;
use crate::config::units;
use crate::names::Secret;

/// What one span may carry of a question: a collector takes 4 MiB in one export, unless told
/// otherwise.
const CONTENT_BYTES_CEILING: u64 = 256 * 1024;
/// What an export says by itself.
const OURS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Checks `[otlp]` and looks up what its headers say, in order.
pub(super) fn check(
    root: &Node<'_, '_>,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> Vec<(String, Secret)> {
    let Some(otlp) = root.get("otlp") else {
        return Vec::new();
    };
    place_fits(&otlp, findings);
    let content = otlp.get("content_bytes_max");
    if let Some(node) = content
        && node
            .read::<Size>()
            .is_some_and(|bytes| bytes > CONTENT_BYTES_CEILING)
    {
        let most = units::size_text(CONTENT_BYTES_CEILING);
        findings.add(&node, format!("must be at most {most}"));
    }
    named_once(&otlp.items_of("attributes"), "attribute", findings);
    let headers = otlp.items_of("headers");
    named_once(&headers, "header", findings);
    headers
        .iter()
        .filter_map(|header| {
            let name = header.get("name")?;
            let text = name.read::<Label>()?.to_ascii_lowercase();
            if OURS.contains(&text.as_str()) {
                findings.add(&name, "is set by each export itself; take it out");
            }
            match words_of_secret(header, "value", outside, findings) {
                ApiKey::Known(value) => Some((text, value)),
                ApiKey::Missing(place) => {
                    if let Some(node) = header.get("value") {
                        findings.add(&node, format!("leads to nothing; set the {place}"));
                    }
                    None
                }
                ApiKey::None => None,
            }
        })
        .collect()
}

/// gRPC has its paths, and none before them.
fn place_fits(otlp: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let Some(node) = otlp.get("endpoint") else {
        return;
    };
    let Some(endpoint) = node.read::<CollectorUrl>() else {
        return;
    };
    let has_path = url::Url::parse(&endpoint).is_ok_and(|url| url.path() != "/");
    if has_path && otlp.text_of("protocol") == Some("grpc") {
        findings.add(
            &node,
            "must have no path with protocol = \"grpc\"; take it out, or write \"http\"",
        );
    }
}

fn named_once(owners: &[Node<'_, '_>], kind: &str, findings: &mut Findings<'_>) {
    let mut known = HashSet::new();
    for node in owners.iter().filter_map(|owner| owner.get("name")) {
        let Some(name) = node.read::<Label>() else {
            continue;
        };
        if !known.insert(name.to_ascii_lowercase()) {
            findings.add(
                &node,
                format!("is the name of an earlier {kind}; give each {kind} a name of its own"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load, redacted};

    const TAIL: &str = "\n[[pools]]\nname = \"p\"\ntargets = [{ url = \"http://127.0.0.1:1\" }]\n[[models]]\nid = \"m\"\npools = [\"p\"]\n";

    fn loaded(keys: &str) -> Result<serde_json::Value, String> {
        let text = format!("[otlp]\n{keys}{TAIL}");
        let source = Source {
            name: "t.toml",
            text: &text,
        };
        let env = |name: &str| (name == "SET").then(|| "Bearer very-secret".to_owned());
        let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let config = load(source, &env, &nothing).map_err(|problems| problems.to_string())?;
        let shown = redacted(&config);
        assert!(!shown.to_string().contains("very-secret"));
        assert!(!format!("{config:?}").contains("very-secret"));
        Ok(shown["otlp"].clone())
    }

    #[track_caller]
    fn check(keys: &str, expected: &str) {
        let said = loaded(keys).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn what_cannot_be_told_is_refused_with_its_place() {
        check("traces = 1", "otlp.endpoint");
        check("endpoint = \"127.0.0.1:4318\"", "is no absolute URL");
        check("endpoint = \"http://u:p@127.0.0.1:4318\"", "set headers");
        check(
            "endpoint = \"http://127.0.0.1:4317/v1\"\nprotocol = \"grpc\"",
            "must have no path",
        );
        let there = "endpoint = \"http://127.0.0.1:4318\"\n";
        check(&format!("{there}traces = 1.5"), "from 0 to 1");
        check(&format!("{there}traces = nan"), "from 0 to 1");
        check(
            &format!("{there}content_bytes_max = \"1MiB\""),
            "at most 256KiB",
        );
        check(
            &format!("{there}headers = [{{ name = \"a\", value = {{ env = \"UNSET\" }} }}]"),
            "leads to nothing; set the environment variable UNSET",
        );
        check(
            &format!("{there}headers = [{{ name = \"TE\", value = {{ env = \"SET\" }} }}]"),
            "is set by each export itself",
        );
        check(
            &format!(
                "{there}attributes = [{{ name = \"a\", value = \"1\" }}, {{ name = \"a\", value = \"2\" }}]"
            ),
            "is the name of an earlier attribute",
        );
    }

    #[test]
    fn what_is_left_out_has_its_default_and_secrets_are_not_shown() {
        let shown = loaded(
            "endpoint = \"http://127.0.0.1:4318/\"\nheaders = [{ name = \"Authorization\", value = { env = \"SET\" } }]",
        );
        let expected = serde_json::json!({
            "endpoint": "http://127.0.0.1:4318",
            "protocol": "http",
            "headers": [{ "name": "authorization", "value": "***" }],
            "timeout": "10s",
            "traces": 0.0,
            "parent": "ignore",
            "metrics": false,
            "interval": "1m",
            "service_name": "spafe",
            "attributes": [],
            "content": false,
            "content_bytes_max": null,
        });
        assert_eq!(shown.unwrap(), expected);
    }
}
