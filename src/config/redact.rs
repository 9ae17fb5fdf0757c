//! What may an operator see of the running configuration?
//!
//! Everything but the secrets, with all defaults filled in and in the words of the
//! file, so that what is shown can be compared with what was written. Each struct
//! is taken apart in full: a field that is added and forgotten here does not compile.

use std::time::Duration;

use serde_json::{Value, json};

use super::units::{duration_text, size_text};
use super::{
    ApiKey, Attempts, Config, Cors, Dialect, HttpVersion, Images, Limits, Log, LogFormat,
    LogTarget, Modality, Model, Pool, Server, Target, Timeouts, TimeoutsOverride, Tls,
};

/// The whole configuration as JSON.
pub(super) fn redacted(config: &Config) -> Value {
    let Config {
        server,
        limits,
        attempts,
        images,
        cors,
        log,
        pools,
        models,
        version,
    } = config;
    let Attempts { max, per_pool_max } = attempts;
    let Cors { origins } = cors;
    json!({
        "version": version,
        "server": self::server(server),
        "limits": self::limits(limits),
        "attempts": { "max": max, "per_pool_max": per_pool_max },
        "images": self::images(images),
        "cors": { "origins": origins },
        "log": self::log(log),
        "pools": pools.iter().map(pool).collect::<Vec<_>>(),
        "models": models.iter().map(|entry| model(entry, pools)).collect::<Vec<_>>(),
    })
}

fn server(server: &Server) -> Value {
    let Server {
        listen,
        tls,
        admin,
        admin_public,
        threads,
        public_url,
        allowed_hosts,
    } = server;
    let tls = tls.as_ref().map(|Tls { listen, cert, key }| {
        json!({ "listen": listen, "cert": { "file": cert }, "key": { "file": key } })
    });
    json!({
        "listen": listen,
        "tls": tls,
        "admin": admin,
        "admin_public": admin_public,
        "threads": threads,
        "public_url": public_url,
        "allowed_hosts": allowed_hosts,
    })
}

fn limits(limits: &Limits) -> Value {
    let Limits {
        head_timeout,
        keep_alive,
        next_head_timeout,
        requests_per_connection,
        request_line_bytes_max,
        head_bytes_max,
        head_fields_max,
        body_bytes_max,
        body_first_byte_timeout,
        body_rate_min,
        json_depth_max,
        json_keys_max,
        write_stall,
    } = limits;
    json!({
        "head_timeout": duration_text(*head_timeout),
        "keep_alive": duration_text(*keep_alive),
        "next_head_timeout": duration_text(*next_head_timeout),
        "requests_per_connection": requests_per_connection,
        "request_line_bytes_max": size_text(*request_line_bytes_max as u64),
        "head_bytes_max": size_text(*head_bytes_max as u64),
        "head_fields_max": head_fields_max,
        "body_bytes_max": size_text(*body_bytes_max as u64),
        "body_first_byte_timeout": duration_text(*body_first_byte_timeout),
        "body_rate_min": size_text(*body_rate_min as u64),
        "json_depth_max": json_depth_max,
        "json_keys_max": json_keys_max,
        "write_stall": duration_text(*write_stall),
    })
}

fn images(images: &Images) -> Value {
    let Images {
        store,
        store_bytes_max,
        image_bytes_max,
        age_max,
    } = images;
    json!({
        "store": store,
        "store_bytes_max": size_text(*store_bytes_max),
        "image_bytes_max": size_text(*image_bytes_max as u64),
        "age_max": duration_text(*age_max),
    })
}

fn log(log: &Log) -> Value {
    let Log { requests, format } = log;
    json!({
        "requests": match requests {
            LogTarget::Off => json!("off"),
            LogTarget::Stdout => json!("stdout"),
            LogTarget::File(path) => json!({ "file": path }),
        },
        "format": match format {
            LogFormat::Auto => "auto",
            LogFormat::Json => "json",
            LogFormat::Text => "text",
        },
    })
}

fn pool(pool: &Pool) -> Value {
    let Pool {
        name,
        dialect,
        targets,
        api_key,
        ca,
        http,
        timeouts,
    } = pool;
    let target = |Target { url, weight }: &Target| json!({ "url": url.as_str(), "weight": weight });
    json!({
        "name": name.as_str(),
        "dialect": match dialect {
            Dialect::OpenAi => "openai",
            Dialect::Images => "images",
        },
        "targets": targets.iter().map(target).collect::<Vec<_>>(),
        "api_key": self::api_key(api_key),
        "ca": ca.as_ref().map(|path| json!({ "file": path })),
        "http": match http {
            HttpVersion::Auto => "auto",
            HttpVersion::Http1 => "1.1",
            HttpVersion::Http2 => "2",
        },
        "timeouts": self::timeouts(timeouts),
    })
}

fn api_key(api_key: &ApiKey) -> Value {
    match api_key {
        ApiKey::None => Value::Null,
        ApiKey::Known(_) => json!("***"),
        ApiKey::Missing(place) => match place.strip_prefix("environment variable ") {
            Some(name) => json!(format!("missing: ${name}")),
            None => json!(format!("missing: {place}")),
        },
    }
}

fn timeouts(timeouts: &Timeouts) -> Value {
    let Timeouts {
        connect,
        first_event,
        answer,
        event_gap,
        stream,
        request,
        idle,
    } = *timeouts;
    json!({
        "connect": duration_text(connect),
        "first_event": duration_text(first_event),
        "answer": duration_text(answer),
        "event_gap": duration_text(event_gap),
        "stream": duration_text(stream),
        "request": duration_text(request),
        "idle": duration_text(idle),
    })
}

fn model(model: &Model, pools: &[Pool]) -> Value {
    let Model {
        id,
        is_pattern,
        aliases,
        pools: references,
        modality,
        owned_by,
        created,
        timeouts,
    } = model;
    let reference = |reference: &super::ModelPool| {
        let pool = pools.get(reference.pool).map(|pool| pool.name.as_str());
        json!({ "pool": pool, "name": reference.name })
    };
    let TimeoutsOverride {
        connect,
        first_event,
        answer,
        event_gap,
        stream,
        request,
    } = *timeouts;
    let text = |own: Option<Duration>| own.map(duration_text);
    json!({
        "id": id.as_str(),
        "is_pattern": is_pattern,
        "aliases": aliases,
        "pools": references.iter().map(reference).collect::<Vec<_>>(),
        "modality": match modality {
            Modality::Text => "text",
            Modality::Image => "image",
        },
        "owned_by": owned_by,
        "created": created,
        "timeouts": {
            "connect": text(connect),
            "first_event": text(first_event),
            "answer": text(answer),
            "event_gap": text(event_gap),
            "stream": text(stream),
            "request": text(request),
        },
    })
}
