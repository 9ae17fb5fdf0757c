//! What may an operator see of a pool?

use serde_json::{Value, json};

use crate::config::policy::{Balance, Check, Concurrency, Ejection, HashBy, Hedging};
use crate::config::units::duration_text;
use crate::config::{ApiKey, HttpVersion, Pool, Target, Timeouts};

/// A pool as JSON.
pub(super) fn pool(pool: &Pool) -> Value {
    let Pool {
        name,
        dialect,
        api_version,
        unsupported,
        stream_usage,
        targets,
        api_key,
        ca,
        http,
        traceparent,
        balance,
        slow_start,
        ejection,
        concurrency,
        hedging,
        check,
        timeouts,
    } = pool;
    let target = |Target { url, weight }: &Target| json!({ "url": url.as_str(), "weight": weight });
    json!({
        "name": name.as_str(),
        "dialect": dialect.as_str(),
        "api_version": api_version,
        "unsupported": unsupported.as_str(),
        "stream_usage": stream_usage.as_str(),
        "targets": targets.iter().map(target).collect::<Vec<_>>(),
        "api_key": self::api_key(api_key),
        "ca": ca.as_ref().map(|path| json!({ "file": path })),
        "http": match http {
            HttpVersion::Auto => "auto",
            HttpVersion::Http1 => "1.1",
            HttpVersion::Http2 => "2",
        },
        "traceparent": traceparent,
        "balance": balance.as_str(),
        "hash_by": hash_by(*balance),
        "slow_start": duration_text(*slow_start),
        "ejection": self::ejection(ejection),
        "concurrency": self::concurrency(concurrency),
        "hedging": self::hedging(hedging),
        "check": check.as_ref().map(self::check),
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

fn hash_by(balance: Balance) -> Option<&'static str> {
    match balance {
        Balance::Hash(HashBy::Client) => Some("client"),
        Balance::Hash(HashBy::User) => Some("user"),
        Balance::Hash(HashBy::PromptCacheKey) => Some("prompt_cache_key"),
        Balance::Hash(HashBy::Conversation) => Some("conversation"),
        Balance::RoundRobin | Balance::LeastRequests | Balance::PeakEwma => None,
    }
}

fn ejection(ejection: &Ejection) -> Value {
    let Ejection {
        failures,
        failure_percent,
        requests_min,
        window,
        latency,
        time,
        time_max,
        pool_percent_max,
    } = ejection;
    json!({
        "failures": failures,
        "failure_percent": failure_percent,
        "requests_min": requests_min,
        "window": duration_text(*window),
        "latency": latency.map(duration_text),
        "time": duration_text(*time),
        "time_max": duration_text(*time_max),
        "pool_percent_max": pool_percent_max,
    })
}

fn concurrency(concurrency: &Concurrency) -> Value {
    let Concurrency {
        target_max,
        pool_max,
        queue_max,
        queue_wait,
        adaptive,
    } = concurrency;
    json!({
        "target_max": target_max,
        "pool_max": pool_max,
        "queue_max": queue_max,
        "queue_wait": duration_text(*queue_wait),
        "adaptive": adaptive,
    })
}

fn hedging(hedging: &Hedging) -> Value {
    let Hedging {
        enabled,
        percent,
        after_min,
    } = hedging;
    json!({
        "enabled": enabled,
        "percent": percent,
        "after_min": duration_text(*after_min),
    })
}

fn check(check: &Check) -> Value {
    let Check {
        path,
        interval,
        timeout,
        healthy_after,
        unhealthy_after,
    } = check;
    json!({
        "path": path,
        "interval": duration_text(*interval),
        "timeout": duration_text(*timeout),
        "healthy_after": healthy_after,
        "unhealthy_after": unhealthy_after,
    })
}
