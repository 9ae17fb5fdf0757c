//! How do callers stand with their limits, and who asks for most?
//!
//! Read where somebody asks. Callers are told by their address here, as whoever asks already
//! has it, or needs it to help or to lock out somebody; it is written to no log.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Admin;
use crate::config;
use crate::gateway::client::Client;
use crate::gateway::limit::heaviest::{HALF_LIFE, Heavy};
use crate::gateway::limit::{Kind, Level, Standing};
use crate::gateway::record::millis::millis;
use crate::money::Usd;
use crate::snapshot::Snapshot;
use crate::sys;

/// How many of the heaviest callers are told.
const HEAVIEST: usize = 20;

/// What is asked about.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    client: Option<IpAddr>,
    key: Option<String>,
    model: Option<String>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It cannot be asked like that; these words say how.
    Question(&'static str),
    /// No key has this name.
    NoSuchKey,
}

/// `GET /limits`: what is in force and who asks for most; with `?client=ADDRESS` or `?key=NAME`
/// how that caller stands, with `&model=ID` only for that model and what counts all together.
pub(super) async fn limits(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let snapshot = admin.gateway.snapshot.load_full();
    match about(query.as_deref(), &snapshot) {
        Ok((asked, Some(client))) => standing(&admin, &snapshot, &asked, &client).into_response(),
        Ok((_, None)) => in_force(&admin, &snapshot).into_response(),
        Err(fault) => fault.into_response(),
    }
}

/// `DELETE /limits?client=ADDRESS` or `?key=NAME`: forgets what that caller has had of windows
/// that are its own, here and where replicas count together. What is in flight stays counted, and
/// so does what it shares with others. Other replicas may go on refusing it by what they were
/// told, until they are asked the same.
pub(super) async fn forgive(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let snapshot = admin.gateway.snapshot.load_full();
    let client = match about(query.as_deref(), &snapshot) {
        Ok((Asked { model: None, .. }, Some(client))) => client,
        Ok((Asked { model: Some(_), .. }, _)) => {
            return Fault::Question("a caller is forgiven for all models; leave out model")
                .into_response();
        }
        Ok((_, None)) => {
            return Fault::Question("say who, as ?client=ADDRESS or ?key=NAME").into_response();
        }
        Err(fault) => return fault.into_response(),
    };
    let (limiter, limits) = (&admin.gateway.limiter, &snapshot.limits);
    let together = match &snapshot.shared {
        Some(shared) => limiter.forgive_together(limits, &client, shared).await,
        None => Ok(0),
    };
    let windows = limiter.forgive(limits, &client, sys::instant());
    let shared = *together.as_ref().unwrap_or(&0);
    let policy = &snapshot.log;
    let client = (admin.gateway.journal).shown(&client, sys::now().wall, policy);
    tracing::info!(%client, windows, shared, "limits of a caller were forgiven");
    let forgiven = json!({ "windows": windows, "shared": shared });
    let Err(away) = together else {
        return Json(json!({ "forgiven": forgiven })).into_response();
    };
    let words = format!("{away}; nothing was forgiven of what replicas share: ask again");
    let told = json!({ "forgiven": forgiven, "error": words });
    (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
}

/// What is asked about, and the caller where it is one.
fn about(query: Option<&str>, snapshot: &Snapshot) -> Result<(Asked, Option<Client>), Fault> {
    let asked = read(query.unwrap_or_default()).map_err(Fault::Question)?;
    let client = match (&asked.client, &asked.key) {
        (Some(_), Some(_)) => {
            return Err(Fault::Question(
                "a caller is its key or its address; ask for one of them",
            ));
        }
        (Some(address), None) => Some(snapshot.clients.at(*address)),
        (None, Some(name)) => Some(with_key(name, snapshot).ok_or(Fault::NoSuchKey)?),
        (None, None) if asked.model.is_some() => {
            return Err(Fault::Question("say whose, as ?client=ADDRESS&model=ID"));
        }
        (None, None) => None,
    };
    Ok((asked, client))
}

fn read(query: &str) -> Result<Asked, &'static str> {
    let mut asked = Asked::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "client" => {
                let address = value
                    .parse()
                    .map_err(|_| "client is no IP address; write 203.0.113.7 or 2001:db8::1")?;
                asked.client = Some(address);
            }
            "key" => asked.key = Some(value.into_owned()),
            "model" => asked.model = Some(value.into_owned()),
            _ => return Err("only client, key and model can be asked for"),
        }
    }
    Ok(asked)
}

/// The caller of this address or with the key of this name; without either an anonymous one.
pub(super) fn caller(
    address: Option<&str>,
    key: Option<&str>,
    snapshot: &Snapshot,
) -> Result<Client, &'static str> {
    match (address, key) {
        (Some(_), Some(_)) => Err("a caller is its key or its address; ask for one of them"),
        (None, Some(name)) => with_key(name, snapshot).ok_or("no key has this name"),
        (Some(address), None) => {
            let address = address.parse();
            let address =
                address.map_err(|_| "client is no IP address; write 203.0.113.7 or 2001:db8::1")?;
            Ok(snapshot.clients.at(address))
        }
        (None, None) => Ok(snapshot.clients.at(Ipv4Addr::LOCALHOST.into())),
    }
}

/// Whoever shows this key.
fn with_key(name: &str, snapshot: &Snapshot) -> Option<Client> {
    let mut keys = snapshot.config.keys.iter();
    let key = keys.find(|key| key.name.as_str() == name)?;
    let mut client = Client::new(Some(Ipv4Addr::UNSPECIFIED.into()));
    client.key = Some(Arc::new(key.clone()));
    Some(client)
}

fn standing(admin: &Admin, snapshot: &Snapshot, asked: &Asked, client: &Client) -> Json<Value> {
    let limiter = &admin.gateway.limiter;
    let all = limiter.standing(&snapshot.limits, client, sys::instant());
    let concerns = |standing: &&Standing| match (&asked.model, &standing.model) {
        (Some(asked), Some(counted)) => asked == counted.as_str(),
        _ => true,
    };
    let told: Vec<Value> = all.iter().filter(concerns).map(one).collect();
    Json(json!({ "limits": told }))
}

/// How a caller stands with one limit.
fn one(standing: &Standing) -> Value {
    let Standing {
        limit,
        kind,
        counted,
        model,
        level,
        in_flight,
    } = standing;
    let mut told = json!({
        "limit": limit.as_str(),
        "kind": kind.as_str(),
        "counted": counted,
    });
    let mut fields = told.as_object_mut();
    let mut put = |name: &str, value: Value| {
        if let Some(fields) = &mut fields {
            fields.insert(name.to_owned(), value);
        }
    };
    if let Some(model) = model {
        put("model", json!(model.as_str()));
    }
    if let Some(Level {
        limit,
        remaining,
        reset,
    }) = level
    {
        let told = |count: u64| match kind {
            Kind::Cost => json!(Usd::nanos(count)),
            _ => json!(count),
        };
        put("allowed", told(*limit));
        put("used", told(limit.saturating_sub(*remaining)));
        put("remaining", told(*remaining));
        put("reset_ms", json!(millis(*reset)));
    }
    if let Some((there, max)) = in_flight {
        put("allowed", json!(max));
        put("in_flight", json!(there));
    }
    told
}

fn in_force(admin: &Admin, snapshot: &Snapshot) -> Json<Value> {
    let mut config = config::redacted(&snapshot.config);
    let mut take = |name: &str| config.get_mut(name).map(Value::take);
    let (requests, tokens) = admin.gateway.heaviest.lists(HEAVIEST, sys::instant());
    Json(json!({
        "limits": take("limits"),
        "keys": take("keys"),
        "anonymous": take("anonymous"),
        "heaviest": {
            "half_life_s": HALF_LIFE.as_secs(),
            "by_requests": heavy(&requests),
            "by_tokens": heavy(&tokens),
        },
    }))
}

fn heavy(list: &[Heavy]) -> Vec<Value> {
    let told = |heavy: &Heavy| {
        let Heavy { who, count, doubt } = heavy;
        json!({ "caller": who.to_string(), "count": count, "at_most_too_many": doubt })
    };
    list.iter().map(told).collect()
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, words) = match self {
            Self::Question(words) => (StatusCode::BAD_REQUEST, words),
            Self::NoSuchKey => (
                StatusCode::NOT_FOUND,
                "no key of the configuration has this name",
            ),
        };
        (status, Json(json!({ "error": words }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_asked_for_by_address_or_by_key() {
        let asked = read("client=2001%3Adb8%3A%3A1&model=meta-llama%2F*").unwrap();
        assert_eq!(asked.client, "2001:db8::1".parse().ok());
        assert_eq!(asked.model.as_deref(), Some("meta-llama/*"));
        assert_eq!(read("key=team-a").unwrap().key.as_deref(), Some("team-a"));
        assert_eq!(read("").unwrap(), Asked::default());
        for wrong in [
            "client=somebody",
            "client=10.0.0.0/8",
            "clients=1.2.3.4",
            "client",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
