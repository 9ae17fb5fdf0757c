//! Can the limits be told apart, and can they be kept?
//!
//! What replicas share needs a place to be shared in and a secret to hash with, and a
//! limit needs something to limit. A name stands in messages and metrics, so it means
//! one limit only.

use std::collections::HashSet;
use std::time::Duration;

use super::models::hint;
use super::node::Node;
use super::pools::secret;
use super::server::pem;
use super::{Findings, Outside};
use crate::config::ApiKey;
use crate::config::file::clients::Clients;
use crate::config::limits::lists;
use crate::config::notation::{Length, Network};
use crate::config::units;
use crate::names::Secret;

/// The longest span of a window: a month, so that what is owed fits a count of nanoseconds.
const SPAN_CEILING: Duration = Duration::from_hours(31 * 24);

/// The shortest span of a budget: below it a limit of requests is what is meant.
const BUDGET_SPAN_FLOOR: Duration = Duration::from_mins(1);

/// What limits of one owner limit.
const ALLOWANCE: [&str; 5] = ["requests", "tokens", "cost", "concurrent", "streams"];

/// The secrets of `[shared]`.
#[derive(Default)]
pub(in crate::config) struct SharedSecrets {
    /// The password of Redis.
    pub(in crate::config) password: Option<Secret>,
    /// What names of callers are hashed with.
    pub(in crate::config) secret: Option<Secret>,
}

/// Checks `[[limits]]`, `[clients]` and `[shared]`.
pub(super) fn check(
    root: &Node<'_, '_>,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> SharedSecrets {
    wider_networks_have_more(root, findings);
    somebody_is_not_trusted(root, findings);
    let is_shared = root
        .get("shared")
        .is_some_and(|shared| shared.get("redis").is_some());
    named_once(
        &root.items_of("limits"),
        "limit",
        &mut HashSet::new(),
        findings,
    );
    for limit in root.items_of("limits") {
        windows(&limit, findings);
        limits_something(&limit, findings);
        concerns_somebody(root, &limit, findings);
        if let Some(scope) = limit.get("scope") {
            let wants = scope.text() == Some("shared");
            if wants && !is_shared {
                findings.add(
                    &scope,
                    "has nothing to be shared over; set shared.redis, or write \"local\"",
                );
            }
        }
    }
    shared(root, outside, findings)
}

/// A /48 holds its /56s, and those their /64s.
fn wider_networks_have_more(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let Some(clients) = root.get("clients") else {
        return;
    };
    let default = Clients::default();
    let times = |key, default: u32| {
        let own = clients.get(key);
        own.map_or(Some(i64::from(default)), |node| node.whole())
    };
    let pair =
        times("v6_56_times", default.v6_56_times).zip(times("v6_48_times", default.v6_48_times));
    if let Some((narrow, wide)) = pair.filter(|(narrow, wide)| narrow > wide) {
        let written = clients
            .get("v6_56_times")
            .or_else(|| clients.get("v6_48_times"));
        if let Some(node) = written {
            let message = format!(
                "v6_56_times must not be more than v6_48_times, and {narrow} is more than {wide}"
            );
            findings.add(&node, message);
        }
    }
}

/// Whoever is trusted chooses the address that it is counted as.
fn somebody_is_not_trusted(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let clients = root.get("clients");
    let trusted = clients.map(|clients| clients.items_of("trusted_proxies"));
    for node in trusted.unwrap_or_default() {
        let network = node.read::<Network>();
        if network.is_some_and(|network| network.prefix_len() == 0) {
            findings.add(
                &node,
                "trusts everybody, so that anybody could be whoever they like; name the networks of your proxies",
            );
        }
    }
}

/// Each name is given once, and none of those that are `known` already.
pub(super) fn named_once(
    owners: &[Node<'_, '_>],
    kind: &str,
    known: &mut HashSet<String>,
    findings: &mut Findings<'_>,
) {
    for node in owners.iter().filter_map(|owner| owner.get("name")) {
        let Some(name) = node.text() else { continue };
        if !known.insert(name.to_owned()) {
            let message = format!(
                "is the name of an earlier {kind}, {name}; give each {kind} a name of its own"
            );
            findings.add(&node, message);
        }
    }
}

/// The spans of an owner's windows.
pub(super) fn windows(owner: &Node<'_, '_>, findings: &mut Findings<'_>) {
    for kind in ["requests", "tokens", "cost"] {
        let per = owner.get(kind).and_then(|window| window.get("per"));
        let Some(node) = per else { continue };
        let floor = if kind == "cost" {
            BUDGET_SPAN_FLOOR
        } else {
            Duration::ZERO
        };
        within(&node, floor, SPAN_CEILING, findings);
    }
}

/// A length of time is not out of these bounds.
pub(super) fn within(
    node: &Node<'_, '_>,
    floor: Duration,
    ceiling: Duration,
    findings: &mut Findings<'_>,
) {
    let Some(length) = node.read::<Length>() else {
        return;
    };
    let (least, most) = (units::duration_text(floor), units::duration_text(ceiling));
    if length > ceiling {
        findings.add(node, format!("must be at most {most}"));
    } else if length < floor {
        findings.add(node, format!("must be at least {least}"));
    }
}

fn limits_something(limit: &Node<'_, '_>, findings: &mut Findings<'_>) {
    if ALLOWANCE.iter().all(|key| limit.get(key).is_none()) {
        let message = format!(
            "limits nothing; give it at least one of {}, such as requests = {{ count = 60, per = \"1m\" }}",
            ALLOWANCE.join(", ")
        );
        findings.add(limit, message);
    }
}

/// A limit of nobody would be met by nobody, and nobody would notice.
fn concerns_somebody(root: &Node<'_, '_>, limit: &Node<'_, '_>, findings: &mut Findings<'_>) {
    if limit.text_of("by") == Some("key")
        && let Some(callers) = limit.get("callers")
        && callers.text() == Some("anonymous")
    {
        let message = "leaves nobody whom a limit by key could concern: whoever shows one is not anonymous; write by = \"client\", or leave callers out";
        findings.add(&callers, message);
    }
    let models = root.items_of("models");
    let ids: Vec<&str> = models
        .iter()
        .filter_map(|model| model.text_of("id"))
        .collect();
    for listed in limit.items_of("models") {
        let Some(name) = listed.text() else { continue };
        let one = [name.to_owned()];
        if ids.is_empty() || ids.iter().any(|id| lists(&one, id)) {
            continue;
        }
        let message = format!(
            "concerns no model: limits know models by their `id`, or what a pattern of models is written as; {}",
            hint(name, &ids)
        );
        findings.add(&listed, message);
    }
}

fn shared(
    root: &Node<'_, '_>,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> SharedSecrets {
    let Some(shared) = root.get("shared") else {
        return SharedSecrets::default();
    };
    pem(&shared, "ca", "CERTIFICATE", outside, findings);
    if shared.get("redis").is_some() && shared.get("secret").is_none() {
        let message = "is missing; it is what names of callers are hashed with, the same in all replicas: add secret = { env = \"SPAFE_SHARED_SECRET\" }";
        findings.add_at(&shared.span(), &shared.path_of("secret"), message);
    }
    SharedSecrets {
        password: present(&shared, "password", outside, findings),
        secret: present(&shared, "secret", outside, findings),
    }
}

/// Unlike a pool, what is shared cannot do without.
fn present(
    shared: &Node<'_, '_>,
    key: &str,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> Option<Secret> {
    match secret(shared, key, outside, findings) {
        ApiKey::None => None,
        ApiKey::Known(secret) => Some(secret),
        ApiKey::Missing(place) => {
            if let Some(node) = shared.get(key) {
                findings.add(&node, format!("leads to nothing; set the {place}"));
            }
            None
        }
    }
}
