//! Which limits would count a request, and what would its answer be kept by?
//!
//! The limits and the key themselves are asked. A process that runs knows how much of a limit is
//! left and whether the answer is there: `GET /limits` and `GET /cache/key` of its admin listener
//! tell that.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::config::cache::Scope as Shared;
use crate::gateway::cache::key::{Ingredients, Key, Scope, explain};
use crate::gateway::client::Client;
use crate::gateway::inspect::Ask;
use crate::gateway::route::Plan;
use crate::snapshot::Snapshot;

/// Who asks: an address, or the name of a key; somebody without a key where neither is said.
pub(super) fn caller(
    address: Option<IpAddr>,
    key: Option<&str>,
    snapshot: &Snapshot,
) -> Result<Client, String> {
    let mut client = snapshot
        .clients
        .at(address.unwrap_or(Ipv4Addr::LOCALHOST.into()));
    if let Some(name) = key {
        let mut keys = snapshot.config.keys.iter();
        let key = keys.find(|key| key.name.as_str() == name);
        let key = key.ok_or_else(|| format!("spafe: no key is called {name}"))?;
        client.key = Some(Arc::new(key.clone()));
    }
    Ok(client)
}

/// Every limit that would count it, and by whom it is counted there.
pub(super) fn limits(snapshot: &Snapshot, plan: &Plan, client: &Client) -> Vec<String> {
    let concern = snapshot.limits.all(client, &plan.model);
    let told = concern.rules().map(|rule| {
        let mut kinds: Vec<&str> = rule
            .windows
            .iter()
            .map(|window| window.kind.as_str())
            .collect();
        kinds.extend(rule.concurrent.map(|_| "concurrent"));
        kinds.extend(rule.streams.map(|_| "streams"));
        let (name, by) = (rule.name.as_str(), rule.by.as_str());
        let shadow = if rule.shadow { ", refuses nobody" } else { "" };
        format!("{name} (by {by}: {}{shadow})", kinds.join(", "))
    });
    told.collect()
}

/// What its answer is kept by, and what that is made of. Of texts only hashes and lengths are told.
pub(super) fn key(
    snapshot: &Snapshot,
    plan: &Plan,
    (ask, body): (&Ask, &[u8]),
    client: &Client,
) -> Vec<(String, String)> {
    let base_url = snapshot.config.server.public_url.as_deref();
    let ingredients = Ingredients {
        endpoint: ask.operation.name(),
        scope: match plan.cache.scope {
            Shared::Shared => Scope::Shared,
            Shared::PerKey => Scope::by_key(client),
            Shared::PerClient => Scope::own(client),
        },
        plan,
        model: &ask.model,
        base_url: base_url.filter(|_| plan.shows_images),
        beta: None,
        body,
        ignored: &snapshot.config.cache.ignored_fields,
    };
    let mut told = vec![("cache key".to_owned(), Key::of(&ingredients).to_string())];
    let parts = explain(&ingredients).into_iter();
    told.extend(parts.map(|part| (format!("  {}", part.name), part.text)));
    told
}
