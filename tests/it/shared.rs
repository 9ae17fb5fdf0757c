//! What have all replicas together let in?
//!
//! A real Redis decides. It is asked by the program's own step where a test is about one
//! decision, and by whole gateways where it is about callers.

/// One decision: exact, whole, true.
mod decisions;
/// What was used in the end.
mod settled;
/// Which answers have all replicas?
mod answers;
/// Redis hurt, in every way.
mod faults;
/// Whole gateways over one Redis, and what their callers see.
mod gateways;
/// Redis as it is run: with a password, with TLS, as a cluster, with others.
mod servers;

use std::sync::Arc;
use std::time::Duration;

use spafe::config::limits;
use spafe::gateway::record::metrics::Metrics;
use spafe::gateway::shared::{Shared, Window};
use spafe::names::Secret;

use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::soon;

/// `[shared]` as it is where nothing is said but this address. It may take longer here than
/// by default: a test's machine is busy.
fn settings(redis: &str) -> limits::Shared {
    limits::Shared {
        redis: redis.to_owned(),
        password: None,
        ca: None,
        cluster: false,
        secret: Secret::new("a secret of tests"),
        hash_tag: "spafe".to_owned(),
        replicas: None,
        timeout: Duration::from_millis(500),
        failures: 5,
        rest: Duration::from_secs(1),
    }
}

/// A replica that has found Redis.
async fn replica(name: &str, settings: &limits::Shared) -> Arc<Shared> {
    let shared = Shared::new(settings, name, &Metrics::new()).unwrap();
    shared.start();
    is_up(&shared, true).await;
    Arc::new(shared)
}

async fn is_up(shared: &Shared, expected: bool) {
    soon("what is shared", async {
        while shared.is_up() != expected {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// A window of so many in this time, and as many at once; a request takes one.
fn window(shared: &Shared, name: &str, count: u32, per: Duration) -> Window {
    Window {
        key: shared.key(&[name.as_bytes()]),
        count: count.into(),
        per,
        burst: count.into(),
        times: 1,
        calendar: false,
        cost: 1,
        shadow: false,
        personal: false,
    }
}

/// What an operator would read.
fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.text()).unwrap()
}
