//! What do `[[pools]]` mean, and what holds for all of them?

use super::count;
use crate::config::bounds::Attempts;
use crate::config::dialect::{Dialect, StreamUsage, Unsupported};
use crate::config::file::{pool as file, upstreams};
use crate::config::notation::{Length, Written};
use crate::config::policy::{Balance, Check, Concurrency, Dns, Ejection, HashBy, Hedging};
use crate::config::{ApiKey, HttpVersion, Pool, Target, Timeouts};
use crate::names::PoolName;

pub(super) fn timeouts(file: &upstreams::Timeouts) -> Timeouts {
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

pub(super) fn attempts(file: upstreams::Attempts) -> Attempts {
    Attempts {
        max: file.max,
        per_pool_max: file.per_pool_max.min(file.max),
        final_statuses: file.final_statuses,
        backoff: file.backoff.0,
        backoff_max: file.backoff_max.0,
        budget_percent: file.budget_percent,
        budget_per_second: file.budget_per_second,
        comment_after: file.comment_after.0,
    }
}

pub(super) fn dns(file: upstreams::Dns) -> Dns {
    Dns {
        servers: file.servers.into_iter().map(|address| address.0).collect(),
        ttl_min: file.ttl_min.0,
        ttl_max: file.ttl_max.0,
    }
}

pub(super) fn pool(file: file::Pool, api_key: ApiKey, defaults: Timeouts) -> Pool {
    let own = file.timeouts;
    let or = |own: Option<Written<Length>>, default| own.map_or(default, |length| length.0);
    Pool {
        name: PoolName::new(&file.name.0),
        dialect: match file.dialect {
            file::Dialect::OpenAi => Dialect::OpenAi,
            file::Dialect::Azure => Dialect::Azure,
            file::Dialect::Images => Dialect::Images,
            file::Dialect::Anthropic => Dialect::Anthropic,
            file::Dialect::Gemini => Dialect::Gemini,
            file::Dialect::Responses => Dialect::Responses,
        },
        api_version: file.api_version.map(|version| version.0),
        stream_usage: match file.stream_usage {
            file::StreamUsage::Ask => StreamUsage::Ask,
            file::StreamUsage::Leave => StreamUsage::Leave,
        },
        unsupported: match file.unsupported {
            file::Unsupported::Refuse => Unsupported::Refuse,
            file::Unsupported::Drop => Unsupported::Drop,
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
            file::HttpVersion::Auto => HttpVersion::Auto,
            file::HttpVersion::Http1 => HttpVersion::Http1,
            file::HttpVersion::Http2 => HttpVersion::Http2,
        },
        traceparent: file.traceparent,
        balance: balance(file.balance, file.hash_by),
        slow_start: file.slow_start.0,
        ejection: ejection(&file.ejection),
        concurrency: concurrency(&file.concurrency),
        hedging: Hedging {
            enabled: file.hedging.enabled,
            percent: file.hedging.percent,
            after_min: file.hedging.after_min.0,
        },
        check: file.check.map(check),
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

fn balance(method: file::Balance, by: file::HashBy) -> Balance {
    match method {
        file::Balance::RoundRobin => Balance::RoundRobin,
        file::Balance::LeastRequests => Balance::LeastRequests,
        file::Balance::PeakEwma => Balance::PeakEwma,
        file::Balance::Hash => Balance::Hash(match by {
            file::HashBy::Client => HashBy::Client,
            file::HashBy::User => HashBy::User,
            file::HashBy::PromptCacheKey => HashBy::PromptCacheKey,
            file::HashBy::Conversation => HashBy::Conversation,
        }),
    }
}

fn ejection(file: &upstreams::Ejection) -> Ejection {
    Ejection {
        failures: file.failures,
        failure_percent: file.failure_percent,
        requests_min: file.requests_min,
        window: file.window.0,
        latency: file.latency.as_ref().map(|latency| latency.0),
        time: file.time.0,
        time_max: file.time_max.0,
        pool_percent_max: file.pool_percent_max,
    }
}

fn concurrency(file: &upstreams::Concurrency) -> Concurrency {
    Concurrency {
        target_max: count(file.target_max),
        pool_max: count(file.pool_max),
        queue_max: count(file.queue_max),
        queue_wait: file.queue_wait.0,
        adaptive: file.adaptive,
    }
}

fn check(file: file::Check) -> Check {
    Check {
        path: file.path.map(|path| path.0),
        interval: file.interval.0,
        timeout: file.timeout.0,
        healthy_after: file.healthy_after,
        unhealthy_after: file.unhealthy_after,
    }
}
