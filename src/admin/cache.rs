//! What is kept of answers, for whom, and by which key?
//!
//! Read where somebody asks, and never what an answer or a question says: of both only names,
//! lengths and hashes are told.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Admin, limits};
use crate::config::cache::Scope as Shared;
use crate::gateway::cache::control::{Allowed, Bypass, Facts};
use crate::gateway::cache::key::{Ingredients, Key, Scope, explain};
use crate::gateway::cache::store::{Found, State as Freshness};
use crate::gateway::inspect::{self, Ask, Within};
use crate::gateway::record::millis::millis;
use crate::gateway::refusal::Refusal;
use crate::gateway::route::Plan;
use crate::names::ModelId;
use crate::operation::Operation;
use crate::snapshot::Snapshot;
use crate::sys;

/// How many of the heaviest answers are told.
const HEAVIEST: usize = 20;

/// `GET /cache`: how much is kept, how often it was of use for each model, and what weighs most.
pub(super) async fn cache(State(admin): State<Admin>) -> Json<Value> {
    let snapshot = admin.gateway.snapshot.load_full();
    let store = &admin.gateway.cache.store;
    let sizes = store.sizes();
    let now = sys::instant();
    let models = snapshot.config.models.iter().map(|model| {
        let counted = admin.gateway.metrics.model(&model.id).cache.counted();
        let told = json!({
            "from_memory": counted.from_memory,
            "asked": counted.asked,
            "hit_ratio": counted.ratio(),
        });
        (model.id.as_str().to_owned(), told)
    });
    let models: serde_json::Map<String, Value> = models.collect();
    let heaviest = store.heaviest(HEAVIEST).into_iter().map(|heavy| {
        let entry = &heavy.entry;
        json!({
            "key": heavy.key.to_string(),
            "model": entry.model.as_str(),
            "pool": entry.pool.as_str(),
            "bytes": heavy.bytes,
            "age_ms": millis(entry.age(now)),
        })
    });
    Json(json!({
        "entries": sizes.entries,
        "bytes": sizes.bytes,
        "bytes_max": sizes.bytes_max,
        "flights": admin.gateway.flights_open(),
        "second_tier": snapshot.answers.as_ref().map(|answers| json!({ "up": answers.is_up() })),
        "models": models,
        "heaviest": heaviest.collect::<Vec<_>>(),
    }))
}

/// `DELETE /cache`: forgets every answer, here and where replicas share them; with `?model=ID`
/// those of one model here, and all that are shared, whose names there do not say of which model
/// they are. Answers on their way are not answers yet.
pub(super) async fn forget(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::read(query.as_deref(), &["model"]) {
        Ok(asked) => asked,
        Err(fault) => return fault.into_response(),
    };
    let snapshot = admin.gateway.snapshot.load_full();
    let store = &admin.gateway.cache.store;
    let mut models = snapshot.config.models.iter();
    let model = match &asked.model {
        None => None,
        Some(id) => match models.find(|model| model.id.as_str() == id) {
            Some(model) => Some(&model.id),
            None => return Fault::NoSuchModel.into_response(),
        },
    };
    // The others first: what they have left would come back from there.
    let shared = match &snapshot.answers {
        Some(answers) => answers.remove_all().await.map(|()| true),
        None => Ok(false),
    };
    let entries = match model {
        Some(model) => store.remove_model(model),
        None => store.remove_all(),
    };
    let model = model.map(ModelId::as_str);
    tracing::info!(model, entries, "kept answers were forgotten");
    let told = json!({ "entries": entries, "shared": *shared.as_ref().unwrap_or(&false) });
    let Err(away) = shared else {
        return Json(json!({ "forgotten": told })).into_response();
    };
    let words = format!("{away}; nothing was forgotten of what replicas share: ask again");
    let told = json!({ "forgotten": told, "error": words });
    (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
}

/// `GET /cache/key`, or `POST`, with a body as a caller sends it: what its answer is kept by, what
/// that is made of, and whether it is there. With `?client=ADDRESS` or `?key=NAME` for whom, and
/// with `&endpoint=NAME` at which endpoint, with `&base_url=URL` at which address, which tells for images.
pub(super) async fn key(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let snapshot = admin.gateway.snapshot.load_full();
    let told = Asked::read(query.as_deref(), &["client", "key", "base_url", "endpoint"])
        .and_then(|asked| key_told(&admin, &snapshot, &asked, &body));
    told.into_response()
}

fn key_told(
    admin: &Admin,
    snapshot: &Snapshot,
    asked: &Asked,
    body: &Bytes,
) -> Result<Json<Value>, Fault> {
    let refused = |refusal| Fault::Refused(Box::new(refusal));
    let within = Within {
        bounds: &snapshot.bounds,
        inputs_max: snapshot.config.bounds.inputs_max,
        caps: None,
    };
    let ask = inspect::inspect_for(operation(asked)?, body, &within);
    let ask = ask.map_err(|error| refused(Refusal::Body(error)))?;
    let plan = snapshot.router.route(&ask.model);
    let plan = plan.ok_or_else(|| refused(Refusal::unknown_model(&ask.model)))?;
    let client = limits::caller(asked.client.as_deref(), asked.key.as_deref(), snapshot)
        .map_err(Fault::Question)?;
    let base_url = base_url(plan, asked, snapshot)?;
    let ingredients = Ingredients {
        endpoint: ask.operation.name(),
        scope: match plan.cache.scope {
            Shared::Shared => Scope::Shared,
            Shared::PerKey => Scope::by_key(&client),
            Shared::PerClient => Scope::own(&client),
        },
        plan,
        model: &ask.model,
        base_url: base_url.as_deref(),
        beta: None,
        body,
        ignored: &snapshot.config.cache.ignored_fields,
    };
    let key = Key::of(&ingredients);
    let found = admin.gateway.cache.store.get(&key, sys::instant());
    let parts = explain(&ingredients).into_iter();
    let parts = parts.map(|part| json!({ "name": part.name, "text": part.text }));
    Ok(Json(json!({
        "key": key.to_string(),
        "model": plan.model.as_str(),
        "bypass": bypass(snapshot, plan, &ask, client.key.is_none()),
        "kept": found.as_ref().map(kept),
        "made_of": parts.collect::<Vec<_>>(),
    })))
}

/// What a model is asked for: chats, where it is not said.
fn operation(asked: &Asked) -> Result<Operation, Fault> {
    let Some(name) = asked.endpoint.as_deref() else {
        return Ok(Operation::Chat);
    };
    let kept = |operation: &Operation| operation.name() == name && operation.is_kept();
    Operation::ALL.into_iter().find(kept).ok_or(Fault::Question(
        "endpoint must be chat.completions, completions, embeddings, responses, moderations or rerank",
    ))
}

/// What addresses of images begin with, where images are asked for.
fn base_url(plan: &Plan, asked: &Asked, snapshot: &Snapshot) -> Result<Option<String>, Fault> {
    if !plan.shows_images {
        return Ok(None);
    }
    let configured = snapshot.config.server.public_url.clone();
    let base_url = configured.or_else(|| asked.base_url.clone());
    base_url.map(Some).ok_or(Fault::Question(
        "images are kept by the address that they are asked at; add &base_url=https://HOST",
    ))
}

/// Why memory would not be asked, whatever the caller says of it.
fn bypass(snapshot: &Snapshot, plan: &Plan, ask: &Ask, is_anonymous: bool) -> Option<&'static str> {
    let facts = Facts {
        config: &snapshot.config.cache,
        policy: &plan.cache,
        ask,
        is_anonymous,
    };
    let allowed = Allowed::of(&facts, &axum::http::HeaderMap::new());
    allowed.bypass.map(Bypass::as_str)
}

fn kept(found: &Found) -> Value {
    json!({
        "bytes": found.entry.body.len(),
        "pool": found.entry.pool.as_str(),
        "age_ms": millis(found.age),
        "state": match found.state {
            Freshness::Fresh { .. } => "fresh",
            Freshness::StaleRevalidate => "stale_while_revalidate",
            Freshness::StaleIfError => "stale_if_error",
        },
    })
}

/// What is asked about.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    client: Option<String>,
    key: Option<String>,
    model: Option<String>,
    base_url: Option<String>,
    endpoint: Option<String>,
}

impl Asked {
    fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Fault> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let place = match &*name {
                _ if !known.contains(&&*name) => {
                    let words = "this cannot be asked for; see the operators' part of the README";
                    return Err(Fault::Question(words));
                }
                "client" => &mut asked.client,
                "key" => &mut asked.key,
                "model" => &mut asked.model,
                "endpoint" => &mut asked.endpoint,
                _ => &mut asked.base_url,
            };
            *place = Some(value.into_owned());
        }
        Ok(asked)
    }
}

/// Why a question has no answer, and what to do.
#[derive(Debug)]
enum Fault {
    /// It cannot be asked like that; these words say how.
    Question(&'static str),
    /// No model has this id.
    NoSuchModel,
    /// The body would be refused.
    Refused(Box<Refusal>),
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, words) = match self {
            Self::Question(words) => (StatusCode::BAD_REQUEST, words),
            Self::NoSuchModel => (
                StatusCode::NOT_FOUND,
                "no model has this id; GET /cache lists them",
            ),
            Self::Refused(refusal) => {
                let envelope = refusal.envelope();
                return (envelope.status, envelope.json()).into_response();
            }
        };
        (status, Json(json!({ "error": words }))).into_response()
    }
}
