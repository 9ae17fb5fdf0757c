//! Are the pools distinct, and where are their secrets?
//!
//! A secret that is not there is no problem of the file: the pool is reported and
//! not used, the others serve. A secret that cannot stand in a header is one: every
//! request with it would fail.

use std::io;

use super::node::Node;
use super::server::pem;
use super::{Findings, Outside};
use crate::config::ApiKey;
use crate::config::notation::Notation;
use crate::config::notation::name::{ApiVersion, File, Variable};
use crate::config::notation::place::TargetUrl;
use crate::names::Secret;

/// Checks `[[pools]]` and looks up the credential of each, in order.
pub(super) fn check(
    root: &Node<'_, '_>,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> Vec<ApiKey> {
    let pools = root.items_of("pools");
    let mut names: Vec<&str> = Vec::new();
    for pool in &pools {
        pem(pool, "ca", "CERTIFICATE", outside, findings);
        targets_are_distinct(pool, findings);
        version_fits(pool, findings);
        let Some(name) = pool.get("name") else {
            continue;
        };
        let Some(text) = name.text() else { continue };
        if names.contains(&text) {
            findings.add(
                &name,
                format!("is the name of an earlier pool, {text}; give each pool a name of its own"),
            );
        }
        names.push(text);
    }
    pools
        .iter()
        .map(|pool| secret(pool, "api_key", outside, findings))
        .collect()
}

/// A target named twice is a weight written in a way that health and breakers misread.
fn targets_are_distinct(pool: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let mut seen = Vec::new();
    for target in pool.items_of("targets") {
        let Some(url) = target.get("url") else {
            continue;
        };
        let Some(address) = url.read::<TargetUrl>() else {
            continue;
        };
        if seen.contains(&address) {
            findings.add(
                &url,
                "stands in this pool already; raise the weight of the first instead",
            );
        }
        seen.push(address);
    }
}

/// Azure wants to be told a version with each request; nobody else knows what that is.
fn version_fits(pool: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let dialect = pool.text_of("dialect").unwrap_or("openai");
    match (dialect, pool.get("api_version")) {
        ("azure", None) => findings.add_at(
            &pool.span(),
            &pool.path_of("api_version"),
            format!(
                "is missing; dialect = \"azure\" sends it with each request: add api_version = \"{}\"",
                ApiVersion::EXAMPLE
            ),
        ),
        ("azure", Some(_)) | (_, None) => {}
        (dialect, Some(version)) => findings.add(
            &version,
            format!(
                "is for dialect = \"azure\" only, and this pool speaks \"{dialect}\"; take it out"
            ),
        ),
    }
}

/// Looks up the secret that a key of a table names.
pub(super) fn secret(
    owner: &Node<'_, '_>,
    key: &str,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> ApiKey {
    look_up(owner, key, outside, findings, Shape::Word)
}

/// The same of one that may have blanks in it, as a whole field of a head has.
pub(super) fn words_of_secret(
    owner: &Node<'_, '_>,
    key: &str,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> ApiKey {
    look_up(owner, key, outside, findings, Shape::Words)
}

/// What a secret may look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Word,
    Words,
}

fn look_up(
    owner: &Node<'_, '_>,
    key: &str,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
    shape: Shape,
) -> ApiKey {
    let Some(reference) = owner.get(key) else {
        return ApiKey::None;
    };
    let env = reference
        .get("env")
        .and_then(|node| Some((node.read::<Variable>()?, node)));
    if let Some((name, node)) = env {
        let place = format!("environment variable {name}");
        let value = (outside.env)(&name);
        return known_or_missing(value, place, &node, findings, shape);
    }
    let file = reference
        .get("file")
        .and_then(|node| Some((node.read::<File>()?, node)));
    let Some((path, node)) = file else {
        return ApiKey::None;
    };
    let place = format!("file {}", path.display());
    match (outside.read)(&path) {
        Ok(value) => known_or_missing(Some(value), place, &node, findings, shape),
        Err(error) if error.kind() == io::ErrorKind::NotFound => ApiKey::Missing(place),
        Err(error) => {
            findings.add(
                &node,
                format!("cannot be read ({error}); make the file readable for this process"),
            );
            ApiKey::Missing(place)
        }
    }
}

fn known_or_missing(
    value: Option<String>,
    place: String,
    node: &Node<'_, '_>,
    findings: &mut Findings<'_>,
    shape: Shape,
) -> ApiKey {
    let value = value.unwrap_or_default();
    let value = value.trim_end();
    if value.is_empty() {
        return ApiKey::Missing(place);
    }
    let fits = |c: char| c.is_ascii_graphic() || (shape == Shape::Words && c == ' ');
    if !value.chars().all(fits) {
        findings.add(node, format!("leads to a secret that cannot stand in a header; {place} must hold visible ASCII characters only, without blanks or quotes around them"));
    }
    ApiKey::Known(Secret::new(value))
}
