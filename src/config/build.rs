//! What does a checked file mean?
//!
//! Here nothing can go wrong any more: defaults are filled in and names become
//! indices. The only way to reach this is through a check without findings.

/// What is answered from memory.
mod cache;
/// What answers cost.
mod costs;
/// Who callers are, and what they may ask for.
mod clients;
/// How much they may ask for.
mod limits;
/// What is told of each request.
mod log;
/// `[otlp]`.
mod otlp;
/// `[server]`, `[reload]` and `[bounds]`.
mod server;
/// `[[pools]]` and what holds for all of them.
mod upstreams;

use super::check::Checked;
use super::dialect::Thinking;
use super::file;
use super::images::Images;
use super::metrics::Metrics;
use super::notation::name::ModelAlias;
use super::notation::{Length, Written};
use super::server::Cors;
use super::{Config, Modality, Model, ModelPool, TimeoutsOverride};
use crate::names::ModelId;
use crate::operation::Operation;

/// Makes the runtime configuration.
pub(super) fn build(checked: Checked, text: &str) -> Config {
    let Checked {
        file,
        keys_file,
        api_keys,
        shared,
        otlp_headers,
    } = checked;
    let mut version = blake3::Hasher::new();
    version.update(text.as_bytes());
    if let Some(file) = keys_file {
        version.update(file.text.as_bytes());
    }
    let defaults = upstreams::timeouts(&file.timeouts);
    let names: Vec<String> = file.pools.iter().map(|pool| pool.name.0.clone()).collect();
    let pools = file.pools.into_iter().zip(api_keys);
    Config {
        server: server::server(file.server),
        bounds: server::bounds(&file.bounds),
        clients: clients::clients(file.clients),
        anonymous: clients::anonymous(&file.anonymous),
        auth: clients::auth(file.auth),
        keys: file.keys.into_iter().map(clients::key).collect(),
        limits: file.limits.into_iter().map(limits::limit).collect(),
        limiter: limits::limiter(&file.limiter),
        shared: limits::shared(file.shared, shared),
        attempts: upstreams::attempts(file.attempts),
        dns: upstreams::dns(file.dns),
        reload: server::reload(&file.reload),
        cache: cache::cache(file.cache),
        costs: costs::costs(&file.costs),
        images: Images {
            store: file.images.store.0,
            store_bytes_max: file.images.store_bytes_max.0,
            image_bytes_max: bytes(file.images.image_bytes_max.0),
            age_max: file.images.age_max.0,
        },
        cors: Cors {
            origins: file
                .cors
                .origins
                .into_iter()
                .map(|origin| origin.0)
                .collect(),
        },
        log: log::log(file.log),
        metrics: Metrics {
            series_max: file.metrics.series_max,
        },
        otlp: file.otlp.map(|file| otlp::otlp(file, otlp_headers)),
        pools: pools
            .map(|(entry, api_key)| upstreams::pool(entry, api_key, defaults))
            .collect(),
        models: file
            .models
            .into_iter()
            .map(|entry| model(entry, &names))
            .collect(),
        version: version.finalize().to_hex().chars().take(12).collect(),
    }
}

fn model(file: file::model::Model, pool_names: &[String]) -> Model {
    let own = file.timeouts;
    let length = |own: Option<Written<Length>>| own.map(|length| length.0);
    let pools = file.pools.into_iter().filter_map(|reference| {
        let (pool, name, price) = match reference {
            file::model::PoolRef::Name(pool) => (pool.0, None, None),
            file::model::PoolRef::Renamed(renamed) => {
                let name = renamed.name.map(|name| name.0);
                (renamed.pool.0, name, renamed.price)
            }
        };
        let pool = pool_names.iter().position(|known| *known == pool)?;
        let price = price.as_ref().map(costs::price);
        Some(ModelPool { pool, name, price })
    });
    let pools: Vec<ModelPool> = pools.collect();
    let first_pool = pools
        .first()
        .and_then(|first| pool_names.get(first.pool))
        .cloned();
    let modality = match file.modality {
        file::model::Modality::Text => Modality::Text,
        file::model::Modality::Image => Modality::Image,
    };
    Model {
        id: ModelId::new(&file.id.0),
        is_pattern: file.id.0.ends_with('*'),
        aliases: names(file.aliases),
        pools,
        fallbacks: names(file.fallbacks),
        context_fallbacks: names(file.context_fallbacks),
        policy_fallbacks: names(file.policy_fallbacks),
        modality,
        operations: match file.endpoints {
            Some(endpoints) => endpoints.into_iter().map(operation).collect(),
            None => modality.operations(),
        },
        weight: file.weight,
        price: file.price.as_ref().map(costs::price),
        max_tokens_default: file.max_tokens_default,
        thinking: match file.thinking {
            file::model::Thinking::Budget => Thinking::Budget,
            file::model::Thinking::Adaptive => Thinking::Adaptive,
        },
        owned_by: file
            .owned_by
            .map(|owner| owner.0)
            .or(first_pool)
            .unwrap_or_default(),
        created: file.created.map_or(0, |day| day.0),
        timeouts: TimeoutsOverride {
            connect: length(own.connect),
            first_event: length(own.first_event),
            answer: length(own.answer),
            event_gap: length(own.event_gap),
            stream: length(own.stream),
            request: length(own.request),
        },
        cache: cache::own(&file.cache),
    }
}

fn operation(file: file::model::Endpoint) -> Operation {
    match file {
        file::model::Endpoint::Chat => Operation::Chat,
        file::model::Endpoint::Completions => Operation::Completions,
        file::model::Endpoint::Embeddings => Operation::Embeddings,
        file::model::Endpoint::Images => Operation::Images,
        file::model::Endpoint::Responses => Operation::Responses,
        file::model::Endpoint::Speech => Operation::Speech,
        file::model::Endpoint::Transcriptions => Operation::Transcriptions,
        file::model::Endpoint::Moderations => Operation::Moderations,
        file::model::Endpoint::Rerank => Operation::Rerank,
    }
}

fn names(file: Vec<Written<ModelAlias>>) -> Vec<String> {
    file.into_iter().map(|name| name.0).collect()
}

/// A size as this machine counts; on a machine of 32 bits a larger one is no bound.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// A number of things as this machine counts.
fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
