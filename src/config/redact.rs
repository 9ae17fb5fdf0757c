//! What may an operator see of the running configuration?
//!
//! Everything but the secrets, with all defaults filled in and in the words of the
//! file, so that what is shown can be compared with what was written. Each struct
//! is taken apart in full: a field that is added and forgotten here does not compile.

use std::time::Duration;

use serde_json::{Value, json};

/// What is answered from memory.
mod cache;
/// What answers cost.
mod costs;
/// Limits, and who is limited.
mod limits;
/// What is told of each request.
mod log;
/// What a collector is told.
mod otlp;
/// Pools.
mod pool;

use super::bounds::{Attempts, Bounds};
use super::images::Images;
use super::metrics::Metrics;
use super::policy::{Dns, Reload};
use super::server::{Cors, Explain, Server, Tls};
use super::units::{duration_text, size_text};
use super::{Config, Modality, Model, Pool, TimeoutsOverride};

/// The whole configuration as JSON.
pub(super) fn redacted(config: &Config) -> Value {
    let Config {
        server,
        bounds,
        clients,
        anonymous,
        auth,
        keys,
        limits: every_limit,
        limiter,
        shared,
        attempts,
        dns,
        reload,
        cache: answers,
        costs,
        images,
        cors,
        log,
        metrics,
        otlp: collector,
        pools,
        models,
        version,
    } = config;
    let Cors { origins } = cors;
    json!({
        "version": version,
        "server": self::server(server),
        "bounds": self::bounds(bounds),
        "clients": limits::clients(clients),
        "anonymous": limits::anonymous(*anonymous),
        "auth": limits::auth(auth),
        "keys": keys.iter().map(limits::key).collect::<Vec<_>>(),
        "limits": every_limit.iter().map(limits::limit).collect::<Vec<_>>(),
        "limiter": limits::limiter(*limiter),
        "shared": shared.as_ref().map(limits::shared),
        "attempts": self::attempts(attempts),
        "dns": self::dns(dns),
        "reload": self::reload(reload),
        "cache": cache::cache(answers),
        "costs": costs::costs(*costs),
        "images": self::images(images),
        "cors": { "origins": origins },
        "log": self::log::log(log),
        "metrics": self::metrics(*metrics),
        "otlp": collector.as_ref().map(otlp::otlp),
        "pools": pools.iter().map(pool::pool).collect::<Vec<_>>(),
        "models": models.iter().map(|entry| model(entry, pools)).collect::<Vec<_>>(),
    })
}

fn server(server: &Server) -> Value {
    let Server {
        listen,
        tls,
        admin,
        admin_public,
        admin_hosts,
        threads,
        public_url,
        allowed_hosts,
        drain_delay,
        drain_timeout,
        run_dir,
        config_header,
        ready_needs_pool,
        proxy_protocol,
        explain,
        core_dumps,
    } = server;
    let tls = tls.as_ref().map(|Tls { listen, cert, key }| {
        json!({ "listen": listen, "cert": { "file": cert }, "key": { "file": key } })
    });
    json!({
        "listen": listen,
        "tls": tls,
        "admin": admin,
        "admin_public": admin_public,
        "admin_hosts": admin_hosts,
        "threads": threads,
        "public_url": public_url,
        "allowed_hosts": allowed_hosts,
        "drain_delay": duration_text(*drain_delay),
        "drain_timeout": duration_text(*drain_timeout),
        "run_dir": run_dir,
        "config_header": config_header,
        "ready_needs_pool": ready_needs_pool,
        "proxy_protocol": proxy_protocol,
        "explain": match explain {
            Explain::Off => "off",
            Explain::Keys => "keys",
            Explain::All => "all",
        },
        "core_dumps": core_dumps,
    })
}

fn bounds(bounds: &Bounds) -> Value {
    let Bounds {
        head_timeout,
        keep_alive,
        next_head_timeout,
        requests_per_connection,
        request_line_bytes_max,
        head_bytes_max,
        head_fields_max,
        body_bytes_max,
        form_bytes_max,
        inputs_max,
        body_first_byte_timeout,
        body_rate_min,
        json_depth_max,
        json_keys_max,
        connections_max,
        accepts_per_second_max,
        connections_per_address_max,
        connections_per_v6_56_max,
        connections_per_v6_48_max,
        h2_streams_max,
        h2_header_list_bytes_max,
        h2_idle,
        in_flight_max,
        in_flight_per_client_max,
        bodies_bytes_max,
        memory_max,
        write_stall,
    } = bounds;
    json!({
        "head_timeout": duration_text(*head_timeout),
        "keep_alive": duration_text(*keep_alive),
        "next_head_timeout": duration_text(*next_head_timeout),
        "requests_per_connection": requests_per_connection,
        "request_line_bytes_max": size_text(*request_line_bytes_max as u64),
        "head_bytes_max": size_text(*head_bytes_max as u64),
        "head_fields_max": head_fields_max,
        "body_bytes_max": size_text(*body_bytes_max as u64),
        "form_bytes_max": size_text(*form_bytes_max as u64),
        "inputs_max": inputs_max,
        "body_first_byte_timeout": duration_text(*body_first_byte_timeout),
        "body_rate_min": size_text(*body_rate_min as u64),
        "json_depth_max": json_depth_max,
        "json_keys_max": json_keys_max,
        "connections_max": connections_max,
        "accepts_per_second_max": accepts_per_second_max,
        "connections_per_address_max": connections_per_address_max,
        "connections_per_v6_56_max": connections_per_v6_56_max,
        "connections_per_v6_48_max": connections_per_v6_48_max,
        "h2_streams_max": h2_streams_max,
        "h2_header_list_bytes_max": size_text(*h2_header_list_bytes_max as u64),
        "h2_idle": duration_text(*h2_idle),
        "in_flight_max": in_flight_max,
        "in_flight_per_client_max": in_flight_per_client_max,
        "bodies_bytes_max": size_text(*bodies_bytes_max as u64),
        "memory_max": size_text(*memory_max as u64),
        "write_stall": duration_text(*write_stall),
    })
}

fn attempts(attempts: &Attempts) -> Value {
    let Attempts {
        max,
        per_pool_max,
        final_statuses,
        backoff,
        backoff_max,
        budget_percent,
        budget_per_second,
        comment_after,
    } = attempts;
    json!({
        "max": max,
        "per_pool_max": per_pool_max,
        "final_statuses": final_statuses,
        "backoff": duration_text(*backoff),
        "backoff_max": duration_text(*backoff_max),
        "budget_percent": budget_percent,
        "budget_per_second": budget_per_second,
        "comment_after": duration_text(*comment_after),
    })
}

fn dns(dns: &Dns) -> Value {
    let Dns {
        servers,
        ttl_min,
        ttl_max,
    } = dns;
    json!({
        "servers": servers,
        "ttl_min": duration_text(*ttl_min),
        "ttl_max": duration_text(*ttl_max),
    })
}

fn reload(reload: &Reload) -> Value {
    let Reload {
        watch,
        debounce,
        poll,
    } = reload;
    json!({
        "watch": watch,
        "debounce": duration_text(*debounce),
        "poll": duration_text(*poll),
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

fn metrics(metrics: Metrics) -> Value {
    let Metrics { series_max } = metrics;
    json!({ "series_max": series_max })
}

fn model(model: &Model, pools: &[Pool]) -> Value {
    let Model {
        id,
        is_pattern,
        aliases,
        pools: references,
        fallbacks,
        context_fallbacks,
        policy_fallbacks,
        modality,
        operations,
        weight,
        price,
        max_tokens_default,
        thinking,
        owned_by,
        created,
        timeouts,
        cache: answers,
    } = model;
    let reference = |reference: &super::ModelPool| {
        let pool = pools.get(reference.pool).map(|pool| pool.name.as_str());
        let price = reference.price.map(costs::price);
        json!({ "pool": pool, "name": reference.name, "price": price })
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
        "fallbacks": fallbacks,
        "context_fallbacks": context_fallbacks,
        "policy_fallbacks": policy_fallbacks,
        "modality": match modality {
            Modality::Text => "text",
            Modality::Image => "image",
        },
        "endpoints": operations.iter().map(|operation| operation.name()).collect::<Vec<_>>(),
        "weight": weight,
        "price": price.map(costs::price),
        "max_tokens_default": max_tokens_default,
        "thinking": thinking.as_str(),
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
        "cache": cache::own(answers),
    })
}
