//! What holds for all upstreams?
//!
//! `[timeouts]` and `[attempts]`, and three tables that every pool inherits key by
//! key (`check/inherit.rs`): what a pool does not say itself, it reads there.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seconds;
use crate::config::notation::{Address, Length, Written};

/// Deadlines toward upstreams, for every pool that sets none of its own.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Timeouts {
    /// TCP and TLS together.
    pub(in crate::config) connect: Written<Length>,
    /// From the request to the first event of a stream.
    pub(in crate::config) first_event: Written<Length>,
    /// From the request to the end of an answer that is no stream.
    pub(in crate::config) answer: Written<Length>,
    /// Between two reads of a stream.
    pub(in crate::config) event_gap: Written<Length>,
    /// A whole stream.
    pub(in crate::config) stream: Written<Length>,
    /// All attempts of a request together.
    pub(in crate::config) request: Written<Length>,
    /// How long an unused upstream connection is kept.
    pub(in crate::config) idle: Written<Length>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: seconds(2),
            first_event: seconds(30),
            answer: seconds(300),
            event_gap: seconds(60),
            stream: seconds(900),
            request: seconds(600),
            idle: seconds(30),
        }
    }
}

/// How often a request is tried.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Attempts {
    /// Attempts of one request over all pools.
    #[schemars(range(min = 1, max = 20))]
    pub(in crate::config) max: usize,
    /// Attempts of one request inside one pool; at most `max`, as by default it is.
    #[schemars(range(min = 1, max = 20))]
    pub(in crate::config) per_pool_max: usize,
    /// Statuses of an upstream after which nobody else is asked; 401 always is one.
    #[schemars(inner(range(min = 400, max = 599)))]
    pub(in crate::config) final_statuses: Vec<u16>,
    /// The longest wait before the second attempt inside a pool, doubled for each further one; how long exactly is chance.
    pub(in crate::config) backoff: Written<Length>,
    /// The longest such wait at all; at least `backoff`.
    pub(in crate::config) backoff_max: Written<Length>,
    /// Attempts beyond the first that a pool gets, in percent of its requests.
    #[schemars(range(max = 1000))]
    pub(in crate::config) budget_percent: u32,
    /// Attempts beyond the first that a pool gets each second besides.
    #[schemars(range(max = 10000))]
    pub(in crate::config) budget_per_second: u32,
    /// How long a stream is silent before a comment tells its caller that work goes on.
    pub(in crate::config) comment_after: Written<Length>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            max: 3,
            per_pool_max: 2,
            final_statuses: vec![400, 404, 409, 413, 415, 422],
            backoff: Written(Duration::from_millis(25)),
            backoff_max: seconds(1),
            budget_percent: 20,
            budget_per_second: 3,
            comment_after: seconds(15),
        }
    }
}

/// When a target rests because of how it answers.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Ejection {
    /// Failures in a row after which a target rests.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) failures: u32,
    /// Failures in percent of the attempts in `window` after which it does, too.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) failure_percent: u32,
    /// Attempts in `window` before `failure_percent` is looked at.
    #[schemars(range(min = 1))]
    pub(in crate::config) requests_min: u32,
    /// How far back attempts are counted.
    pub(in crate::config) window: Written<Length>,
    /// Time to the first event, or to the answer, from which an attempt counts as a failure; unset: none.
    pub(in crate::config) latency: Option<Written<Length>>,
    /// How long it rests the first time; each further time in a row takes as long again.
    pub(in crate::config) time: Written<Length>,
    /// The longest rest; at least `time`.
    pub(in crate::config) time_max: Written<Length>,
    /// Targets of a pool that may rest at the same time, in percent.
    #[schemars(range(max = 100))]
    pub(in crate::config) pool_percent_max: u32,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 3,
            failure_percent: 50,
            requests_min: 20,
            window: seconds(30),
            latency: None,
            time: seconds(10),
            time_max: seconds(300),
            pool_percent_max: 50,
        }
    }
}

/// How much is asked at once.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Concurrency {
    /// Requests in flight at one target.
    #[schemars(range(min = 1))]
    pub(in crate::config) target_max: u32,
    /// Requests in flight at all targets of a pool.
    #[schemars(range(min = 1))]
    pub(in crate::config) pool_max: u32,
    /// Requests that may wait for one of them to end; 0: none.
    pub(in crate::config) queue_max: u32,
    /// How long they wait at most.
    pub(in crate::config) queue_wait: Written<Length>,
    /// Whether a target's own bound is found, up to `target_max`, by how it answers.
    pub(in crate::config) adaptive: bool,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            target_max: 512,
            pool_max: 1_024,
            queue_max: 256,
            queue_wait: seconds(1),
            adaptive: false,
        }
    }
}

/// Asking a second target where the first is slow.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Hedging {
    /// Whether that is done.
    pub(in crate::config) enabled: bool,
    /// How many more attempts it may cost, in percent of the pool's requests.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) percent: u32,
    /// The least time before the second is asked, even where 95 of 100 answers came sooner.
    pub(in crate::config) after_min: Written<Length>,
}

impl Default for Hedging {
    fn default() -> Self {
        Self {
            enabled: false,
            percent: 5,
            after_min: Written(Duration::from_millis(50)),
        }
    }
}

/// How names of targets are looked up.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Dns {
    /// Name servers to ask; empty: the system's.
    pub(in crate::config) servers: Vec<Written<Address>>,
    /// The least time an answer is used, whatever it says.
    pub(in crate::config) ttl_min: Written<Length>,
    /// The longest time an answer is used before it is asked for again; at least `ttl_min`.
    pub(in crate::config) ttl_max: Written<Length>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ttl_min: seconds(5),
            ttl_max: seconds(300),
        }
    }
}
