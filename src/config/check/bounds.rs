//! Do the bounds fit one another?
//!
//! A contradiction is told at a key that the operator wrote, and only once: where
//! both sides are defaults, or both are inherited, there is none to tell.

use std::time::Duration;

use super::Findings;
use super::node::Node;
use crate::config::file::Images;
use crate::config::file::bounds::Bounds;
use crate::config::file::cache::Cache;
use crate::config::file::server::Reload;
use crate::config::file::upstreams::{Attempts, Dns, Ejection, Timeouts};
use crate::config::notation::{Length, Size};
use crate::config::units;

/// Checks `[bounds]`, `[attempts]`, `[images]` and all tables of deadlines.
pub(super) fn check(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    room_in_memory(root, findings);
    if let Some(bounds) = root.get("bounds") {
        bounds_of_a_head(&bounds, findings);
    }
    if let Some(attempts) = root.get("attempts") {
        attempts_in_a_pool(&attempts, findings);
    }
    spans(root, findings);
    for pool in root.items_of("pools") {
        spans_of_a_pool(&pool, findings);
    }
    if let Some(images) = root.get("images") {
        let default = Images::default();
        let one = size(&images, "image_bytes_max", default.image_bytes_max.0);
        let all = size(&images, "store_bytes_max", default.store_bytes_max.0);
        not_larger(
            &images,
            ("image_bytes_max", one),
            ("store_bytes_max", all),
            findings,
        );
        at_most(&images, "image_bytes_max", IMAGE_BYTES_CEILING, findings);
    }
    all_deadlines(root, findings);
}

/// What may be held of bodies and answers has to fit into what the process may have.
fn room_in_memory(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let written = |table, key| root.get(table).and_then(|table| table.get(key));
    let size_of = |table: &str, key: &str, default: u64| {
        root.get(table)
            .map_or(Some(default), |table| size(&table, key, default))
    };
    let default = Bounds::default();
    let cache = size_of("cache", "max_bytes", Cache::default().max_bytes.0);
    let bodies = size_of("bounds", "bodies_bytes_max", default.bodies_bytes_max.0);
    let memory = size_of("bounds", "memory_max", default.memory_max.0);
    let (Some(cache), Some(bodies), Some(memory)) = (cache, bodies, memory) else {
        return;
    };
    let node = written("bounds", "memory_max")
        .or_else(|| written("cache", "max_bytes"))
        .or_else(|| written("bounds", "bodies_bytes_max"));
    if let Some(node) = node.filter(|_| bodies.saturating_add(cache) >= memory) {
        let [cache, bodies, memory] = [cache, bodies, memory].map(units::size_text);
        let message = format!(
            "bounds.memory_max must be more than bounds.bodies_bytes_max and cache.max_bytes together, and {memory} is not more than {bodies} and {cache}"
        );
        findings.add(&node, message);
    }
}

/// Only where it is written: the default gives way to a smaller `max`.
fn attempts_in_a_pool(attempts: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let default = i64::try_from(Attempts::default().max).ok();
    let max = attempts.get("max").map_or(default, |node| node.whole());
    let Some(node) = attempts.get("per_pool_max") else {
        return;
    };
    if let Some((per_pool, max)) = node
        .whole()
        .zip(max)
        .filter(|(per_pool, max)| per_pool > max)
    {
        let message =
            format!("per_pool_max must not be more than max, and {per_pool} is more than {max}");
        findings.add(&node, message);
    }
}

/// Lengths of time outside of `[timeouts]` of which one must not outlast the other.
fn spans(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let (attempts, dns, reload) = (Attempts::default(), Dns::default(), Reload::default());
    let pairs = [
        (
            "attempts",
            "backoff",
            attempts.backoff.0,
            "backoff_max",
            attempts.backoff_max.0,
        ),
        ("dns", "ttl_min", dns.ttl_min.0, "ttl_max", dns.ttl_max.0),
        (
            "reload",
            "debounce",
            reload.debounce.0,
            "poll",
            reload.poll.0,
        ),
    ];
    for (table, short, short_default, long, long_default) in pairs {
        if let Some(table) = root.get(table) {
            ordered(
                &table,
                (short, short_default),
                (long, long_default),
                findings,
            );
        }
    }
}

/// The same inside one pool, whose tables hold what it inherits, too.
fn spans_of_a_pool(pool: &Node<'_, '_>, findings: &mut Findings<'_>) {
    if let Some(ejection) = pool.get("ejection") {
        let default = Ejection::default();
        let times = (("time", default.time.0), ("time_max", default.time_max.0));
        ordered(&ejection, times.0, times.1, findings);
    }
    if let Some(check) = pool.get("check") {
        let (timeout, interval) = (Duration::from_secs(2), Duration::from_secs(10));
        ordered(
            &check,
            ("timeout", timeout),
            ("interval", interval),
            findings,
        );
    }
    if let Some(hash_by) = pool.get("hash_by")
        && pool.text_of("balance") != Some("hash")
    {
        findings.add(
            &hash_by,
            "is read with balance = \"hash\" only; add that or leave this out",
        );
    }
}

/// Tells where the first length is written or meant longer than the second.
fn ordered(
    table: &Node<'_, '_>,
    (short_key, short_default): (&str, Duration),
    (long_key, long_default): (&str, Duration),
    findings: &mut Findings<'_>,
) {
    let short = length(table, short_key, short_default);
    let long = length(table, long_key, long_default);
    not_longer(table, (short_key, short), (long_key, long), findings);
}

/// An image is held in memory while it is stored.
const IMAGE_BYTES_CEILING: u64 = 1 << 30;

/// pingora reads a head into one buffer and gives up at 1 MiB.
const HEAD_BYTES_CEILING: u64 = 512 << 10;

/// A body is held in memory while its request lasts.
const BODY_BYTES_CEILING: u64 = 1 << 30;

fn bounds_of_a_head(bounds: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let default = Bounds::default();
    at_most(bounds, "head_bytes_max", HEAD_BYTES_CEILING, findings);
    at_most(bounds, "body_bytes_max", BODY_BYTES_CEILING, findings);
    at_most(bounds, "form_bytes_max", BODY_BYTES_CEILING, findings);
    let line = size(
        bounds,
        "request_line_bytes_max",
        default.request_line_bytes_max.0,
    );
    let head = size(bounds, "head_bytes_max", default.head_bytes_max.0);
    not_larger(
        bounds,
        ("request_line_bytes_max", line),
        ("head_bytes_max", head),
        findings,
    );
    at_most(
        bounds,
        "h2_header_list_bytes_max",
        HEAD_BYTES_CEILING,
        findings,
    );
    let all = size(bounds, "bodies_bytes_max", default.bodies_bytes_max.0);
    // That of forms gives way to a smaller one of all, unless it is written.
    let form = bounds.get("form_bytes_max").and(Some("form_bytes_max"));
    for key in ["body_bytes_max"].into_iter().chain(form) {
        let one = size(bounds, key, default.body_bytes_max.0);
        not_larger(bounds, (key, one), ("bodies_bytes_max", all), findings);
    }
    ordered(
        bounds,
        ("keep_alive", default.keep_alive.0),
        ("next_head_timeout", default.next_head_timeout.0),
        findings,
    );
    clients_in_flight(bounds, findings);
}

fn clients_in_flight(bounds: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let default = Bounds::default();
    let number = |key, default: u32| {
        bounds
            .get(key)
            .map_or(Some(default.into()), |node| node.whole())
    };
    let one = number("in_flight_per_client_max", default.in_flight_per_client_max);
    let all = number("in_flight_max", default.in_flight_max);
    if let Some((one, all)) = one.zip(all).filter(|(one, all)| one > all) {
        let message = format!(
            "in_flight_per_client_max must not be more than in_flight_max, and {one} is more than {all}"
        );
        at_written(
            bounds,
            "in_flight_per_client_max",
            "in_flight_max",
            message,
            findings,
        );
    }
}

/// `[timeouts]`, then each pool's over it, then each model's over its first pool's.
fn all_deadlines(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let defaults = Deadlines::from_default(&Timeouts::default());
    let global = deadlines(root, defaults, findings);
    let mut pools: Vec<(&str, Deadlines)> = Vec::new();
    for pool in root.items_of("pools") {
        let own = deadlines(&pool, global, findings);
        pools.extend(pool.text_of("name").map(|name| (name, own)));
    }
    for model in root.items_of("models") {
        for reference in model.items_of("pools") {
            let name = reference.text().or_else(|| reference.text_of("pool"));
            let inherited = pools.iter().find(|(known, _)| Some(*known) == name);
            deadlines(
                &model,
                inherited.map_or(global, |(_, deadlines)| *deadlines),
                findings,
            );
        }
    }
}

/// Those deadlines of which one must not outlast another; `None` where a text is wrong.
#[derive(Clone, Copy)]
struct Deadlines {
    connect: Option<Duration>,
    first_event: Option<Duration>,
    answer: Option<Duration>,
    event_gap: Option<Duration>,
    stream: Option<Duration>,
    request: Option<Duration>,
}

impl Deadlines {
    fn from_default(default: &Timeouts) -> Self {
        Self {
            connect: Some(default.connect.0),
            first_event: Some(default.first_event.0),
            answer: Some(default.answer.0),
            event_gap: Some(default.event_gap.0),
            stream: Some(default.stream.0),
            request: Some(default.request.0),
        }
    }
}

/// What holds for an owner of a `timeouts` table, after telling its contradictions.
fn deadlines(owner: &Node<'_, '_>, inherited: Deadlines, findings: &mut Findings<'_>) -> Deadlines {
    let Some(table) = owner.get("timeouts") else {
        return inherited;
    };
    let own = |key, inherited| {
        table
            .get(key)
            .map_or(inherited, |node| node.read::<Length>())
    };
    let all = Deadlines {
        connect: own("connect", inherited.connect),
        first_event: own("first_event", inherited.first_event),
        answer: own("answer", inherited.answer),
        event_gap: own("event_gap", inherited.event_gap),
        stream: own("stream", inherited.stream),
        request: own("request", inherited.request),
    };
    let pairs = [
        (("connect", all.connect), ("first_event", all.first_event)),
        (("connect", all.connect), ("answer", all.answer)),
        (("first_event", all.first_event), ("request", all.request)),
        (("first_event", all.first_event), ("stream", all.stream)),
        (("answer", all.answer), ("request", all.request)),
        (("event_gap", all.event_gap), ("stream", all.stream)),
    ];
    for (short, long) in pairs {
        not_longer(&table, short, long, findings);
    }
    all
}

fn length(table: &Node<'_, '_>, key: &str, default: Duration) -> Option<Duration> {
    table
        .get(key)
        .map_or(Some(default), |node| node.read::<Length>())
}

pub(super) fn size(table: &Node<'_, '_>, key: &str, default: u64) -> Option<u64> {
    table
        .get(key)
        .map_or(Some(default), |node| node.read::<Size>())
}

fn not_longer(
    table: &Node<'_, '_>,
    (short_key, short): (&str, Option<Duration>),
    (long_key, long): (&str, Option<Duration>),
    findings: &mut Findings<'_>,
) {
    let Some((short, long)) = short.zip(long).filter(|(short, long)| short > long) else {
        return;
    };
    let (short, long) = (units::duration_text(short), units::duration_text(long));
    let message = format!(
        "{short_key} must not be longer than {long_key}, and {short} is longer than {long}"
    );
    at_written(table, short_key, long_key, message, findings);
}

pub(super) fn not_larger(
    table: &Node<'_, '_>,
    (small_key, small): (&str, Option<u64>),
    (large_key, large): (&str, Option<u64>),
    findings: &mut Findings<'_>,
) {
    let Some((small, large)) = small.zip(large).filter(|(small, large)| small > large) else {
        return;
    };
    let (small, large) = (units::size_text(small), units::size_text(large));
    let message = format!(
        "{small_key} must not be larger than {large_key}, and {small} is more than {large}"
    );
    at_written(table, small_key, large_key, message, findings);
}

pub(super) fn at_most(table: &Node<'_, '_>, key: &str, ceiling: u64, findings: &mut Findings<'_>) {
    let Some(node) = table.get(key) else { return };
    if node.read::<Size>().is_some_and(|bytes| bytes > ceiling) {
        findings.add(
            &node,
            format!("must be at most {}", units::size_text(ceiling)),
        );
    }
}

/// Tells a contradiction at whichever of its two keys is written here.
fn at_written(
    table: &Node<'_, '_>,
    key: &str,
    other: &str,
    message: String,
    findings: &mut Findings<'_>,
) {
    if let Some(node) = table.get(key).or_else(|| table.get(other)) {
        findings.add(&node, message);
    }
}
