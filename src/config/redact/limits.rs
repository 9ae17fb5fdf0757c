//! What may an operator see of limits, and of who is limited?

use serde_json::{Value, json};

use crate::config::clients::{Anonymous, Auth, Clients, ForwardedHeader, Key, KeyUse, Share};
use crate::config::limits::{Allowance, Callers, Limit, Limiter, Scope, Shared, Window};
use crate::config::units::duration_text;
use crate::money::Usd;

pub(super) fn clients(clients: &Clients) -> Value {
    let Clients {
        trusted_proxies,
        forwarded_header,
        allow,
        deny,
        v6_56_times,
        v6_48_times,
        shares,
    } = clients;
    let texts =
        |networks: &[ipnet::IpNet]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    let share =
        |Share { networks, times }: &Share| json!({ "networks": texts(networks), "times": times });
    json!({
        "trusted_proxies": texts(trusted_proxies),
        "forwarded_header": match forwarded_header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        },
        "allow": texts(allow),
        "deny": texts(deny),
        "v6_56_times": v6_56_times,
        "v6_48_times": v6_48_times,
        "shares": shares.iter().map(share).collect::<Vec<_>>(),
    })
}

pub(super) fn anonymous(anonymous: Anonymous) -> Value {
    let Anonymous {
        n_max,
        best_of_max,
        max_tokens_max,
        top_logprobs_max,
        tools_max,
        image_side_max,
        unknown_fields_refused,
    } = anonymous;
    json!({
        "n_max": n_max,
        "best_of_max": best_of_max,
        "max_tokens_max": max_tokens_max,
        "top_logprobs_max": top_logprobs_max,
        "tools_max": tools_max,
        "image_side_max": image_side_max,
        "unknown_fields": if unknown_fields_refused { "refuse" } else { "pass" },
    })
}

pub(super) fn auth(auth: &Auth) -> Value {
    let Auth { keys, keys_file } = auth;
    json!({
        "keys": match keys {
            KeyUse::Off => "off",
            KeyUse::Optional => "optional",
            KeyUse::Required => "required",
        },
        "keys_file": keys_file,
    })
}

/// Its hash is no secret that opens anything, but nobody needs to see it either.
pub(super) fn key(key: &Key) -> Value {
    let Key {
        name,
        sha256: _,
        expires,
        models,
        allowance,
    } = key;
    let mut shown = json!({
        "name": name.as_str(),
        "sha256": "***",
        "expires": expires,
        "models": models,
    });
    add(&mut shown, allowance);
    shown
}

pub(super) fn limit(limit: &Limit) -> Value {
    let Limit {
        name,
        by,
        callers,
        models,
        allowance,
        scope,
        shadow,
    } = limit;
    let mut shown = json!({
        "name": name.as_str(),
        "by": by.as_str(),
        "callers": match callers {
            Callers::All => "all",
            Callers::Anonymous => "anonymous",
            Callers::Keys => "keys",
        },
        "models": models,
        "scope": match scope {
            Scope::Local => "local",
            Scope::Shared => "shared",
        },
        "shadow": shadow,
    });
    add(&mut shown, allowance);
    shown
}

/// The keys of an allowance stand beside those of what has it.
fn add(shown: &mut Value, allowance: &Allowance) {
    let Allowance {
        requests,
        tokens,
        cost,
        concurrent,
        streams,
    } = *allowance;
    let window = |window: Option<Window>| {
        let told = |Window {
                        count,
                        per,
                        burst,
                        calendar: _,
                    }| json!({ "count": count, "per": duration_text(per), "burst": burst });
        window.map(told)
    };
    let budget = cost.map(
        |Window { count, per, .. }| json!({ "usd": Usd::nanos(count), "per": duration_text(per) }),
    );
    if let Value::Object(entries) = shown {
        entries.insert("cost".to_owned(), json!(budget));
        entries.insert("requests".to_owned(), json!(window(requests)));
        entries.insert("tokens".to_owned(), json!(window(tokens)));
        entries.insert("concurrent".to_owned(), json!(concurrent));
        entries.insert("streams".to_owned(), json!(streams));
    }
}

pub(super) fn limiter(limiter: Limiter) -> Value {
    let Limiter {
        keys_max,
        bytes_per_token,
        output_tokens,
    } = limiter;
    json!({
        "keys_max": keys_max,
        "bytes_per_token": bytes_per_token,
        "output_tokens": output_tokens,
    })
}

pub(super) fn shared(shared: &Shared) -> Value {
    let Shared {
        redis,
        password,
        ca,
        cluster,
        secret: _,
        hash_tag,
        replicas,
        timeout,
        failures,
        rest,
    } = shared;
    json!({
        "redis": redis,
        "password": password.as_ref().map(|_| "***"),
        "ca": ca.as_ref().map(|path| json!({ "file": path })),
        "cluster": cluster,
        "secret": "***",
        "hash_tag": hash_tag,
        "replicas": replicas,
        "timeout": duration_text(*timeout),
        "failures": failures,
        "rest": duration_text(*rest),
    })
}
