//! How many files may the process open?
//!
//! Each connection of a client is one, and each request on it another toward its
//! upstream. A process without descriptors can accept nothing and look nothing up, so
//! where there are few, it takes fewer connections rather than fail on each.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::bounds::Limits;

/// Listeners, logs, the image store, look-ups.
const RESERVED: u64 = 128;

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

/// Lowers what would need more descriptors than there are.
pub(super) fn fit(limits: &mut Limits, descriptors: Option<u64>) {
    let Some(descriptors) = descriptors else {
        return;
    };
    let pairs = usize::try_from(descriptors.saturating_sub(RESERVED) / 2).unwrap_or(usize::MAX);
    let room = pairs.max(1);
    if limits.connections_max > room {
        tracing::warn!(
            "{descriptors} open files are allowed, which is enough for {room} connections and not for connections_max = {}: it is lowered; raise the limit (ulimit -n, LimitNOFILE)",
            limits.connections_max
        );
        limits.connections_max = room;
        limits.in_flight_max = limits.in_flight_max.min(room);
    }
}

/// Says that nothing here needs to be root.
pub(super) fn warn_if_root() {
    if rustix::process::geteuid().is_root() {
        tracing::warn!("running as root, which is not needed: give the process a user of its own");
    }
}
