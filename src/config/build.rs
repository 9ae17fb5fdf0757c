//! What does a checked file mean?
//!
//! Here nothing can go wrong any more: defaults are filled in and names become
//! indices. The only way to reach this is through a check without findings.

use std::num::NonZeroUsize;

use super::file::{self, File};
use super::notation::{Length, Written};
use super::{
    ApiKey, Attempts, Config, Cors, Dialect, HttpVersion, Images, Limits, Log, LogFormat,
    LogTarget, Modality, Model, ModelPool, Pool, Server, Target, Timeouts, TimeoutsOverride, Tls,
};
use crate::names::{ModelId, PoolName};

/// Makes the runtime configuration; `api_keys` stand in the order of the file's pools.
pub(super) fn build(file: File, api_keys: Vec<ApiKey>, text: &str) -> Config {
    let defaults = timeouts(&file.timeouts);
    let names: Vec<String> = file.pools.iter().map(|pool| pool.name.0.clone()).collect();
    let pools = file.pools.into_iter().zip(api_keys);
    Config {
        server: server(file.server),
        limits: limits(&file.limits),
        attempts: Attempts {
            max: file.attempts.max,
            per_pool_max: file.attempts.per_pool_max.min(file.attempts.max),
        },
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
        log: log(file.log),
        pools: pools
            .map(|(entry, api_key)| pool(entry, api_key, defaults))
            .collect(),
        models: file
            .models
            .into_iter()
            .map(|entry| model(entry, &names))
            .collect(),
        version: blake3::hash(text.as_bytes())
            .to_hex()
            .chars()
            .take(12)
            .collect(),
    }
}

fn server(file: file::Server) -> Server {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Server {
        listen: file.listen.into_iter().map(|address| address.0).collect(),
        tls: file.tls.map(|tls| Tls {
            listen: tls.listen.into_iter().map(|address| address.0).collect(),
            cert: tls.cert.file.0,
            key: tls.key.file.0,
        }),
        admin: file.admin.0,
        admin_public: file.admin_public,
        threads: if file.threads == 0 {
            cores()
        } else {
            file.threads
        },
        public_url: file.public_url.map(|url| url.0),
        allowed_hosts: file.allowed_hosts.into_iter().map(|host| host.0).collect(),
    }
}

fn limits(file: &file::Limits) -> Limits {
    Limits {
        head_timeout: file.head_timeout.0,
        keep_alive: file.keep_alive.0,
        next_head_timeout: file.next_head_timeout.0,
        requests_per_connection: file.requests_per_connection,
        request_line_bytes_max: bytes(file.request_line_bytes_max.0),
        head_bytes_max: bytes(file.head_bytes_max.0),
        head_fields_max: file.head_fields_max,
        body_bytes_max: bytes(file.body_bytes_max.0),
        body_first_byte_timeout: file.body_first_byte_timeout.0,
        body_rate_min: bytes(file.body_rate_min.0),
        json_depth_max: file.json_depth_max,
        json_keys_max: file.json_keys_max,
        write_stall: file.write_stall.0,
    }
}

fn timeouts(file: &file::Timeouts) -> Timeouts {
    Timeouts {
        connect: file.connect.0,
        first_event: file.first_event.0,
        answer: file.answer.0,
        event_gap: file.event_gap.0,
        stream: file.stream.0,
        request: file.request.0,
        idle: file.idle.0,
    }
}

fn log(file: file::Log) -> Log {
    Log {
        requests: match file.requests {
            file::LogRequests::Word(file::LogWord::Off) => LogTarget::Off,
            file::LogRequests::Word(file::LogWord::Stdout) => LogTarget::Stdout,
            file::LogRequests::File(target) => LogTarget::File(target.file.0),
        },
        format: match file.format {
            file::LogFormat::Auto => LogFormat::Auto,
            file::LogFormat::Json => LogFormat::Json,
            file::LogFormat::Text => LogFormat::Text,
        },
    }
}

fn pool(file: file::pool::Pool, api_key: ApiKey, defaults: Timeouts) -> Pool {
    let own = file.timeouts;
    let or = |own: Option<Written<Length>>, default| own.map_or(default, |length| length.0);
    Pool {
        name: PoolName::new(&file.name.0),
        dialect: match file.dialect {
            file::pool::Dialect::OpenAi => Dialect::OpenAi,
            file::pool::Dialect::Images => Dialect::Images,
        },
        targets: file
            .targets
            .into_iter()
            .map(|target| Target {
                url: target.url.0,
                weight: target.weight,
            })
            .collect(),
        api_key,
        ca: file.ca.map(|ca| ca.file.0),
        http: match file.http {
            file::pool::HttpVersion::Auto => HttpVersion::Auto,
            file::pool::HttpVersion::Http1 => HttpVersion::Http1,
            file::pool::HttpVersion::Http2 => HttpVersion::Http2,
        },
        timeouts: Timeouts {
            connect: or(own.connect, defaults.connect),
            first_event: or(own.first_event, defaults.first_event),
            answer: or(own.answer, defaults.answer),
            event_gap: or(own.event_gap, defaults.event_gap),
            stream: or(own.stream, defaults.stream),
            request: or(own.request, defaults.request),
            idle: or(own.idle, defaults.idle),
        },
    }
}

fn model(file: file::model::Model, pool_names: &[String]) -> Model {
    let own = file.timeouts;
    let length = |own: Option<Written<Length>>| own.map(|length| length.0);
    let pools = file.pools.into_iter().filter_map(|reference| {
        let (pool, name) = match reference {
            file::model::PoolRef::Name(pool) => (pool.0, None),
            file::model::PoolRef::Renamed(renamed) => {
                (renamed.pool.0, renamed.name.map(|name| name.0))
            }
        };
        let pool = pool_names.iter().position(|known| *known == pool)?;
        Some(ModelPool { pool, name })
    });
    let pools: Vec<ModelPool> = pools.collect();
    let first_pool = pools
        .first()
        .and_then(|first| pool_names.get(first.pool))
        .cloned();
    Model {
        id: ModelId::new(&file.id.0),
        is_pattern: file.id.0.ends_with('*'),
        aliases: file.aliases.into_iter().map(|alias| alias.0).collect(),
        pools,
        modality: match file.modality {
            file::model::Modality::Text => Modality::Text,
            file::model::Modality::Image => Modality::Image,
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
    }
}

/// A size as this machine counts; on a machine of 32 bits a larger one is no bound.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
