//! What would happen to one request?
//!
//! The very steps that serve requests are asked, and their answers printed
//! instead of acted upon: inspection, routing, the order of targets, deadlines.

/// Which limits would count it, and what would its answer be kept by?
mod counted;

use std::fmt::Write;
use std::net::IpAddr;

use bytes::Bytes;

use http::HeaderMap;

use crate::config::{Config, Modality};
use crate::gateway::cache::control::{Allowed, Facts};
use crate::gateway::client::Client;
use crate::gateway::inspect::image::image_ask;
use crate::gateway::inspect::{self, Ask, Within};
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::target::Target;
use crate::gateway::record::metrics::Metrics;
use crate::gateway::record::millis::millis;
use crate::gateway::refusal::Refusal;
use crate::gateway::route::{Fallbacks, Leg, Plan};
use crate::operation::{Operation, Question};
use crate::snapshot::Snapshot;

/// Who asks, and for what.
pub(super) struct Asked<'a> {
    /// What is called.
    pub endpoint: &'a str,
    /// Where the caller is.
    pub client: Option<IpAddr>,
    /// The name of the key that it shows.
    pub key: Option<&'a str>,
}

/// The explanation, and whether the request would get as far as an upstream.
pub(super) fn explain(
    config: Config,
    asked: &Asked<'_>,
    body: &Bytes,
) -> Result<(String, bool), String> {
    let operation = operation(asked.endpoint)?;
    let snapshot = Snapshot::new(config, &Registry::default(), &Metrics::new())
        .map_err(|error| format!("spafe: {error}"))?;
    let client = counted::caller(asked.client, asked.key, &snapshot)?;
    let mut text = String::new();
    let limit = snapshot.config.bounds.body_bytes_max;
    if body.len() > limit {
        return Ok((
            refused(
                &Refusal::BodyTooLarge,
                &format!("{} of {limit} bytes", body.len()),
            ),
            false,
        ));
    }
    let within = Within {
        bounds: &snapshot.bounds,
        inputs_max: snapshot.config.bounds.inputs_max,
        caps: client.key.is_none().then_some(&snapshot.config.anonymous),
    };
    let ask = match inspect::inspect_for(operation, body, &within) {
        Ok(ask) => ask,
        Err(error) => return Ok((refused(&Refusal::Body(error), &error.to_string()), false)),
    };
    read(&mut text, &ask, body.len());
    let Some(plan) = snapshot.router.route(&ask.model) else {
        text.push_str(&refused(
            &Refusal::UnknownModel(ask.model.to_string()),
            "no id, alias or pattern fits",
        ));
        return Ok((text, false));
    };
    if !plan.serves(operation) {
        let served = plan.operations.iter().map(|it| it.name());
        let served = served.collect::<Vec<_>>().join(", ");
        let why = format!("its endpoints are {served}");
        text.push_str(&refused(&Refusal::NotServed(operation), &why));
        return Ok((text, false));
    }
    if plan.modality == Modality::Image
        && operation == Operation::Chat
        && let Err(error) = image_ask(body, &ask)
    {
        let why = error.to_string();
        text.push_str(&refused(&Refusal::Body(error), &why));
        return Ok((text, false));
    }
    route(&mut text, plan, &ask);
    let usable = plan.legs.iter().any(|leg| leg.pool.unusable.is_none());
    if !usable {
        text.push_str(&refused(
            &Refusal::NoHealthyUpstream,
            "no pool of this model can be used",
        ));
    }
    rest(&mut text, &snapshot, plan, (&ask, &**body), &client);
    Ok((text, usable))
}

/// How often it is tried, what counts it, and what its answer is kept by.
fn rest(
    text: &mut String,
    snapshot: &Snapshot,
    plan: &Plan,
    (ask, body): (&Ask, &[u8]),
    client: &Client,
) {
    let attempts = &snapshot.config.attempts;
    let words = format!(
        "at most {} in all, {} in one pool",
        attempts.max, attempts.per_pool_max
    );
    line(text, "attempts", &words);
    for limit in counted::limits(snapshot, plan, client) {
        line(text, "limit", &limit);
    }
    let (words, is_kept) = cache(snapshot, plan, ask, client);
    line(text, "cache", &words);
    if is_kept {
        for (name, value) in counted::key(snapshot, plan, (ask, body), client) {
            line(text, &name, &value);
        }
    }
}

/// What a model is asked for, by its word.
fn operation(endpoint: &str) -> Result<Operation, String> {
    let known = |operation: &Operation| {
        operation.name() == endpoint && operation.question() == Question::Json
    };
    Operation::ALL.into_iter().find(known).ok_or_else(|| {
        let names = Operation::ALL
            .into_iter()
            .filter(|it| it.question() == Question::Json);
        let names: Vec<&str> = names.map(Operation::name).collect();
        format!(
            "spafe: there is no endpoint {endpoint} of JSON; name one of {}",
            names.join(", ")
        )
    })
}

/// What memory would have to do with it, for a caller who says nothing of that, and whether
/// anything.
fn cache(snapshot: &Snapshot, plan: &Plan, ask: &Ask, client: &Client) -> (String, bool) {
    let policy = &plan.cache;
    let facts = Facts {
        config: &snapshot.config.cache,
        policy,
        ask,
        is_anonymous: client.key.is_none(),
    };
    match Allowed::of(&facts, &HeaderMap::new()) {
        Allowed {
            bypass: Some(bypass),
            ..
        } => {
            let words = format!("bypass: {}; it always goes upstream", bypass.as_str());
            (words, false)
        }
        Allowed { write: false, .. } => {
            let words = "answered from memory if it is there; a stream is not kept itself";
            (words.to_owned(), true)
        }
        Allowed { .. } => {
            let (ttl, scope) = (policy.ttl.as_secs_f64(), policy.scope.as_str());
            let words =
                format!("answered from memory if it is there, else kept for {ttl} s ({scope})");
            (words, true)
        }
    }
}

fn read(text: &mut String, ask: &Ask, bytes: usize) {
    line(text, "body", &format!("{bytes} bytes, one JSON object"));
    line(
        text,
        "model",
        &format!(
            "{} (bytes {} to {})",
            ask.model, ask.model_span.start, ask.model_span.end
        ),
    );
    line(text, "stream", if ask.stream { "yes" } else { "no" });
    let mut optional = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            line(text, name, &value);
        }
    };
    optional("n", ask.n.map(|n| n.to_string()));
    optional(
        "max_tokens",
        ask.max_tokens
            .or(ask.max_completion_tokens)
            .map(|tokens| tokens.to_string()),
    );
    optional("user", ask.user.as_ref().map(ToString::to_string));
}

fn route(text: &mut String, plan: &Plan, ask: &Ask) {
    let modality = match plan.modality {
        Modality::Text => "text",
        Modality::Image => "image",
    };
    line(text, "route", &format!("{} ({modality})", plan.model));
    let legs = plan.legs.iter().filter(|leg| leg.answers(ask.operation));
    for (number, leg) in legs.enumerate() {
        let name = leg.name.as_deref().unwrap_or(&ask.model);
        let state = leg
            .pool
            .unusable
            .as_deref()
            .map_or(String::new(), |why| format!(", not used: {why}"));
        line(
            text,
            &format!("pool {}", number + 1),
            &format!("{} as {name}{state}", leg.pool.name),
        );
        line(text, "  balance", leg.pool.method.as_str());
        for target in &leg.pool.targets {
            line(text, "  target", &described(target));
        }
        line(text, "  deadlines", &deadlines(leg, ask.stream));
    }
    let Fallbacks {
        unavailable,
        context,
        policy,
    } = &plan.fallbacks;
    for (when, models) in [
        ("where none of these can", unavailable),
        ("where it is too long for them", context),
        ("where their policy forbids it", policy),
    ] {
        let names: Vec<&str> = models.iter().map(|model| &*model.name).collect();
        if !names.is_empty() {
            let names = names.join(", then ");
            line(text, "in its place", &format!("{names}, {when}"));
        }
    }
    line(
        text,
        "whole request",
        &format!("{} s", plan.request_timeout().as_secs_f64()),
    );
}

/// A target, and how far it is known before anything was asked.
fn described(target: &Target) -> String {
    let mut text = target.label.to_string();
    if target.weight > 1 {
        let _ = write!(text, ", weight {}", target.weight);
    }
    if target.endpoints().is_empty() {
        text.push_str(", looked up when it serves");
    }
    text
}

fn deadlines(leg: &Leg, stream: bool) -> String {
    let timeouts = &leg.timeouts;
    let seconds = |duration| format!("{} s", millis(duration) / 1000.0);
    if stream {
        format!(
            "connect {}, first event {}, between events {}, whole stream {}",
            seconds(timeouts.connect),
            seconds(timeouts.first_event),
            seconds(timeouts.event_gap),
            seconds(timeouts.stream)
        )
    } else {
        format!(
            "connect {}, answer {}",
            seconds(timeouts.connect),
            seconds(timeouts.answer)
        )
    }
}

fn refused(refusal: &Refusal, why: &str) -> String {
    let envelope = refusal.envelope();
    let mut text = String::new();
    let code = envelope.code.unwrap_or_default();
    line(
        &mut text,
        "refused",
        &format!("{} {code}: {}", envelope.status.as_u16(), envelope.message),
    );
    line(&mut text, "because", why);
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name:<15} {value}");
}
