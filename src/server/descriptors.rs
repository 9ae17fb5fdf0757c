//! How many files may the process open?
//!
//! Each connection of a client is one, and each request on it another toward its
//! upstream, where it stays for a while when the request is over. A process without descriptors can accept nothing and look nothing up, so
//! where there are few, it takes fewer connections rather than fail on each.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::bounds::Bounds;
use crate::gateway::exchange::Exchange;

/// For all that is no client's and no upstream's: listeners, the admin listener's
/// connections, logs, images, look-ups, the runtime's own.
const RESERVED: u64 = 64;

/// Idle upstream connections of both versions of HTTP, where there are enough descriptors.
const IDLE_MAX: u64 = 2 * Exchange::IDLE_CONNECTIONS_MAX as u64;

/// Takes as many descriptors as the system allows, and tells how many; `None`: any number.
pub(super) fn take_all() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            limit.current
        }
    }
}

/// How many there are; `None`: any number.
pub(super) fn allowed() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Keeps connections and requests within the descriptors there are.
///
/// A request needs one toward its client and one toward its upstream, and that one is kept
/// for another request to the same. Where they run out nobody can be accepted, and whoever
/// was accepted cannot be answered; so it is the caps that are met first. Whatever
/// configuration is used is to be fitted.
pub(super) fn fit(bounds: &mut Bounds, descriptors: Option<u64>) {
    let Some(descriptors) = descriptors else {
        return;
    };
    let each = (free(descriptors) - idle(descriptors)) / 2;
    let each = usize::try_from(each).unwrap_or(usize::MAX).max(1);
    for (name, max) in [
        ("connections_max", &mut bounds.connections_max),
        ("in_flight_max", &mut bounds.in_flight_max),
    ] {
        if *max > each {
            let wanted = *max as u64;
            tracing::warn!(
                descriptors,
                "bounds.{name} is {each} and not {max}: there are too few descriptors; raise the limit of open files to {}",
                RESERVED + 2 * wanted + wanted.min(IDLE_MAX)
            );
            *max = each;
        }
    }
}

/// How many idle upstream connections of each version of HTTP may be kept.
pub(super) fn idle_max(descriptors: Option<u64>) -> usize {
    let idle = descriptors.map_or(IDLE_MAX, idle) / 2;
    usize::try_from(idle).unwrap_or(usize::MAX).max(1)
}

/// What there is for connections of all kinds.
fn free(descriptors: u64) -> u64 {
    descriptors.saturating_sub(RESERVED)
}

/// What of it may be idle: a third, until it is enough.
fn idle(descriptors: u64) -> u64 {
    (free(descriptors) / 3).min(IDLE_MAX)
}

/// Says that nothing here needs to be root.
pub(super) fn warn_if_root() {
    if rustix::process::geteuid().is_root() {
        tracing::warn!("running as root, which is not needed: give the process a user of its own");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_requests_leave_descriptors_for_each_other() {
        let bounds = crate::config::example("").bounds;
        for (descriptors, connections, in_flight, idle) in [
            (None, 4_096, 2_048, 1_024),
            (Some(10_304), 4_096, 2_048, 1_024),
            (Some(10_302), 4_095, 2_048, 1_024),
            (Some(256), 64, 64, 32),
            (Some(10), 1, 1, 1),
        ] {
            let mut bounds = bounds.clone();
            fit(&mut bounds, descriptors);
            let fitted = (bounds.connections_max, bounds.in_flight_max);
            assert_eq!(fitted, (connections, in_flight), "{descriptors:?}");
            assert_eq!(idle_max(descriptors), idle, "{descriptors:?}");
        }
    }
}
