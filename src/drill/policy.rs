//! What is drilled, and how long does it take?
//!
//! The operator's own policy, with its times made shorter: a drill that waits 120 seconds
//! for a silent upstream is run by nobody. All deadlines shrink by one factor, so that
//! their order stays, down to a least time that a busy machine needs for nothing at all.

use std::time::Duration;

use crate::config::{Config, Pool, Timeouts};

/// What all attempts of a request may take in a drill.
const REQUEST: Duration = Duration::from_secs(4);
/// What no deadline falls below.
const LEAST: Duration = Duration::from_millis(400);
/// What the time to the first comment does not fall below: comments come before deadlines.
const LEAST_COMMENT: Duration = Duration::from_millis(200);
/// How long a target rests in a drill, for the ten seconds of the default.
pub(super) const REST_FACTOR: f64 = 0.05;
/// What no rest falls below.
const LEAST_REST: Duration = Duration::from_millis(100);

/// The policy of one pool, its times made shorter.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    /// Everything but pools and models.
    pub config: Config,
    /// What every pool of the drill is like.
    pub pool: Pool,
    /// The deadlines as they are configured.
    pub told: Timeouts,
    /// One second of the configuration's in seconds of the drill's.
    pub factor: f64,
}

impl Policy {
    /// The policy of a pool, by its place in the configuration.
    pub(super) fn of(mut config: Config, pool: usize) -> Option<Self> {
        let mut pool = config.pools.get(pool)?.clone();
        let told = pool.timeouts;
        let factor = (REQUEST.as_secs_f64() / told.request.as_secs_f64()).min(1.0);
        let shorter_to =
            |least: Duration| move |time: Duration| time.mul_f64(factor).max(time.min(least));
        let shorter = shorter_to(LEAST);
        let Timeouts {
            connect,
            first_event,
            answer,
            event_gap,
            stream,
            request,
            idle,
        } = told;
        pool.timeouts = Timeouts {
            connect: shorter(connect),
            first_event: shorter(first_event),
            answer: shorter(answer),
            event_gap: shorter(event_gap),
            stream: shorter(stream),
            request: shorter(request),
            idle,
        };
        let rest = |time: Duration| time.mul_f64(REST_FACTOR).max(time.min(LEAST_REST));
        let ejection = &mut pool.ejection;
        ejection.time = rest(ejection.time);
        ejection.time_max = rest(ejection.time_max);
        ejection.window = rest(ejection.window);
        ejection.latency = ejection.latency.map(shorter);
        pool.slow_start = rest(pool.slow_start);
        // A drill's upstreams fail on purpose; nobody looks after them meanwhile.
        pool.check = None;
        let attempts = &mut config.attempts;
        attempts.comment_after = shorter_to(LEAST_COMMENT)(attempts.comment_after);
        config.pools = Vec::new();
        config.models = Vec::new();
        let mut policy = Self {
            config,
            pool,
            told,
            factor,
        };
        policy.open_the_door();
        Some(policy)
    }

    /// A time of the world outside, in the drill's.
    pub(super) fn scaled(&self, time: Duration) -> Duration {
        time.mul_f64(self.factor)
    }

    /// All callers of a drill are one client, and it is not the door that is drilled.
    fn open_the_door(&mut self) {
        let config = &mut self.config;
        config.server.allowed_hosts = Vec::new();
        config.server.tls = None;
        config.log.requests = crate::config::log::LogTarget::Off;
        let bounds = &mut config.bounds;
        for bound in [
            &mut bounds.in_flight_max,
            &mut bounds.in_flight_per_client_max,
            &mut bounds.connections_max,
            &mut bounds.connections_per_address_max,
        ] {
            *bound = (*bound).max(16_384);
        }
    }
}
