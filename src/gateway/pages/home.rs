//! What does the documentation say of this configuration?
//!
//! Its text stands in a file; what follows the configuration is put in here: models, limits,
//! bounds, and examples with names that exist. It is whole without scripts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::config::clients::KeyUse;
use crate::config::limits::{By, Callers, Limit, Scope, Window};
use crate::config::units::{duration_text, size_text};
use crate::config::{Config, Modality, Model};
use crate::gateway::pages::state::modality;
use crate::gateway::pages::template::{Value, escaped, filled};
use crate::gateway::refusal::listed::{Listed, Of, listed};

const HOME: &str = include_str!("public/home.html");

/// A model's name for examples where there is none of its kind.
const SOME_MODEL: &str = "MODEL";

/// The documentation, as HTML.
pub(super) fn written(config: &Config) -> Bytes {
    Bytes::from(filled(HOME, &values(config)))
}

fn values(config: &Config) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let keys = config.auth.keys;
    let first = |modality: Modality| {
        let mut models = listed_models(config);
        models.find(|model| model.modality == modality)
    };
    let image = first(Modality::Image);
    let flag = |is: bool| text(if is { "yes" } else { "" });
    let [curl, python, javascript, header] = shown_keys(keys);
    vec![
        ("base", Value::Text(base(config))),
        ("model", text(name(first(Modality::Text)))),
        ("image_model", text(name(image))),
        ("images", flag(image.is_some())),
        ("keys", flag(keys != KeyUse::Off)),
        ("keys_required", flag(keys == KeyUse::Required)),
        ("keys_optional", flag(keys == KeyUse::Optional)),
        ("no_keys", flag(keys != KeyUse::Required)),
        ("curl_key", Value::Markup(curl.to_owned())),
        ("python_key", Value::Markup(python.to_owned())),
        ("javascript_key", Value::Markup(javascript.to_owned())),
        ("javascript_header", Value::Markup(header.to_owned())),
        ("models", Value::Markup(models(config))),
        ("limits", Value::Markup(limits(config))),
        ("weights", Value::Markup(weights(config))),
        ("bounds", Value::Markup(bounds(config))),
        ("errors", Value::Markup(errors())),
        ("cache", flag(config.cache.policy.enabled)),
        (
            "cache_ttl",
            Value::Text(duration_text(config.cache.policy.ttl)),
        ),
        ("version", text(env!("CARGO_PKG_VERSION"))),
    ]
}

fn name(model: Option<&Model>) -> &str {
    model.map_or(SOME_MODEL, |model| model.id.as_str())
}

/// How the key is given in each of the examples' languages.
fn shown_keys(keys: KeyUse) -> [&'static str; 4] {
    match keys {
        KeyUse::Required => [
            "  -H \"Authorization: Bearer $API_KEY\" \\\n",
            "os.environ[\"API_KEY\"]",
            "process.env.API_KEY",
            "authorization: `Bearer ${process.env.API_KEY}`, ",
        ],
        KeyUse::Off | KeyUse::Optional => ["", "\"none\"", "'none'", ""],
    }
}

/// Where callers come, as far as the configuration knows; a script says it exactly.
fn base(config: &Config) -> String {
    let server = &config.server;
    let listens = || {
        let port = server
            .listen
            .first()
            .map_or(8080, std::net::SocketAddr::port);
        format!("http://localhost:{port}")
    };
    server.public_url.clone().unwrap_or_else(listens)
}

fn listed_models(config: &Config) -> impl Iterator<Item = &Model> {
    config.models.iter().filter(|model| !model.is_pattern)
}

fn models(config: &Config) -> String {
    let mut rows = String::new();
    // Whoever has no key is not told the list, here as little as there.
    if config.auth.keys == KeyUse::Required {
        return rows;
    }
    for model in listed_models(config) {
        let id = escaped(model.id.as_str());
        let made = modality(model.modality);
        let owner = escaped(&model.owned_by);
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\"><code>{id}</code></th><td>{made}</td><td>{owner}</td><td class=\"state\"></td></tr>"
        );
    }
    rows
}

/// The limits that concern who reads this; those of single keys are their owners' matter.
fn limits(config: &Config) -> String {
    let mut rows = String::new();
    for limit in config.limits.iter().filter(|limit| !limit.shadow) {
        if limit.callers == Callers::Keys && config.auth.keys == KeyUse::Off {
            continue;
        }
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            allowance(limit),
            escaped(&counted(limit)),
            escaped(&concerned(limit)),
        );
    }
    rows
}

/// Which models count as more than one request, the lightest first.
fn weights(config: &Config) -> String {
    let mut heavy: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let is_told = config.auth.keys != KeyUse::Required;
    for model in listed_models(config).filter(|model| is_told && model.weight > 1) {
        let id = format!("<code>{}</code>", escaped(model.id.as_str()));
        heavy.entry(model.weight).or_default().push(id);
    }
    let told = heavy
        .iter()
        .map(|(weight, ids)| format!("as {weight}: {}", ids.join(", ")));
    told.collect::<Vec<_>>().join("; ")
}

/// A line for each thing that is counted.
fn allowance(limit: &Limit) -> String {
    let allowance = &limit.allowance;
    let mut parts = Vec::new();
    let window = |window: Window, what: &str| {
        let per = duration_text(window.per);
        let mut told = format!("{} {what} each {per}", grouped(window.count));
        if window.burst != window.count {
            let _ = write!(told, ", {} at once", grouped(window.burst));
        }
        told
    };
    parts.extend(allowance.requests.map(|of| window(of, "requests")));
    parts.extend(allowance.tokens.map(|of| window(of, "tokens")));
    let places = |count: u32, what: &str| format!("{} {what} in progress", grouped(count.into()));
    parts.extend(allowance.concurrent.map(|count| places(count, "requests")));
    parts.extend(allowance.streams.map(|count| places(count, "streams")));
    let parts: Vec<_> = parts.iter().map(|part| escaped(part)).collect();
    parts.join("<br>")
}

fn counted(limit: &Limit) -> String {
    let by = match limit.by {
        By::Client => "each caller",
        By::Key => "each key",
        By::Model => "each model, everybody together",
        By::ClientModel => "each caller and model",
        By::Global => "everybody together",
    };
    let whose = match limit.callers {
        Callers::All => "",
        Callers::Anonymous => ", without a key",
        Callers::Keys => ", with a key",
    };
    let scope = match limit.scope {
        Scope::Local => "",
        Scope::Shared => ", on all servers",
    };
    format!("{by}{whose}{scope}")
}

fn concerned(limit: &Limit) -> String {
    if limit.models.is_empty() {
        "all".to_owned()
    } else {
        limit.models.join(", ")
    }
}

/// What one request may be at most.
fn bounds(config: &Config) -> String {
    let anonymous = &config.anonymous;
    let size = |bytes: usize| size_text(bytes as u64);
    let timeout = config.pools.iter().map(|pool| pool.timeouts.request).max();
    let mut told = vec![
        ("A request's body", size(config.bounds.body_bytes_max)),
        (
            "Requests in progress, each caller",
            grouped(config.bounds.in_flight_per_client_max as u64),
        ),
        (
            "Time until an answer or its first token, all attempts together",
            timeout.map_or_else(String::new, duration_text),
        ),
    ];
    if config.auth.keys != KeyUse::Required {
        told.extend([
            (
                "max_tokens, without a key",
                grouped(anonymous.max_tokens_max),
            ),
            ("n, without a key", grouped(anonymous.n_max.into())),
            ("tools, without a key", grouped(anonymous.tools_max.into())),
        ]);
    }
    let mut rows = String::new();
    for (what, most) in told.iter().filter(|(_, most)| !most.is_empty()) {
        let (what, most) = (escaped(what), escaped(most));
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{what}</th><td>{most}</td></tr>"
        );
    }
    rows
}

/// Every error of the API, by status.
fn errors() -> String {
    let mut all = listed();
    all.sort_by_key(Listed::status);
    let mut rows = String::new();
    for listed in all.iter().filter(|listed| listed.of != Of::Path) {
        let status = listed.status().as_u16();
        let code = escaped(listed.code());
        let message = escaped(&listed.envelope.message);
        let _ = writeln!(
            rows,
            "<tr><td>{status}</td><th scope=\"row\"><code>{code}</code></th><td>{message}</td></tr>"
        );
    }
    rows
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn home(tables: &str) -> String {
        let written = written(&crate::config::example(tables));
        let home = String::from_utf8(written.to_vec()).unwrap();
        assert!(!home.contains("{{"), "a name is left: {home}");
        home
    }

    #[test]
    fn the_limits_in_force_are_told() {
        let home = home(
            "[bounds]\nbody_bytes_max = \"3MiB\"\n\
             [[limits]]\nname = \"a\"\nby = \"client\"\nrequests = { count = 1234, per = \"1m\", burst = 7 }\n\
             [[limits]]\nname = \"b\"\nby = \"global\"\nshadow = true\nrequests = { count = 4321, per = \"1m\" }",
        );
        assert!(home.contains("1,234 requests each 1m, 7 at once"), "{home}");
        assert!(!home.contains("4,321"), "{home}");
        assert!(home.contains("3MiB"), "{home}");
    }

    #[test]
    fn models_that_count_as_several_requests_are_told() {
        let limit =
            "[[limits]]\nname = \"a\"\nby = \"client\"\nrequests = { count = 9, per = \"1m\" }";
        assert!(!home(limit).contains("several requests"));
        let model = |id: &str, weight: u32| {
            format!("\n[[models]]\nid = \"{id}\"\npools = [\"p\"]\nweight = {weight}")
        };
        let heavy = [model("x", 10), model("y", 3), model("z", 3)].concat();
        let told = "several requests, as 3: <code>y</code>, <code>z</code>; as 10: <code>x</code>.";
        let home = home(&format!("{limit}{heavy}"));
        assert!(home.contains(told), "{home}");
    }

    #[test]
    fn where_keys_are_required_models_are_not_listed_and_examples_show_one() {
        let open = home("");
        assert!(open.contains("<code>m</code>") && !open.contains("API_KEY"));
        let closed = home(
            "[auth]\nkeys = \"required\"\n[[keys]]\nname = \"k\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        );
        assert!(!closed.contains("<code>m</code>"), "{closed}");
        assert!(closed.contains("Bearer $API_KEY"), "{closed}");
    }
}
