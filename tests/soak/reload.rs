//! Does a process that is reloaded all day stay what it was?

use std::time::Duration;

use crate::kit::gateway::Gateway;
use crate::kit::traffic::{Row, Seen};

/// What memory may grow by. An allocator keeps more than is asked of it.
const GROWTH_BYTES_MAX: u64 = 2 << 20;

/// Connections that are idle in one moment and not in another, and their tasks.
const SLACK: f64 = 4.0;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_a_hundred_reloads_within_a_hundred_thousand_requests() {
    const RELOADS: usize = 100;
    const REQUESTS: usize = 100_000;
    let row = Row::start(RELOADS).await;
    let idle = p99(&row.walk(0, 0, REQUESTS / 10).await);
    let seen = row.walk(0, RELOADS, REQUESTS).await;
    assert!(
        seen.answers.iter().all(|count| *count > 0),
        "{:?}",
        seen.answers
    );
    assert!(seen.took.len() >= REQUESTS);
    let p99 = p99(&seen);
    println!("p99 {idle:?} without reloads, {p99:?} with");
    assert!(p99 <= idle * 2, "p99 went from {idle:?} to {p99:?}");
}

/// What one of a hundred took longer than.
fn p99(seen: &Seen) -> Duration {
    seen.took[seen.took.len() * 99 / 100]
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    resident_bytes: u64,
    descriptors: f64,
    tasks: f64,
    series: usize,
}

impl Held {
    async fn of(gateway: &Gateway) -> Self {
        Self {
            resident_bytes: gateway.resident_bytes(),
            descriptors: gateway.metric("process_open_fds ").await,
            tasks: gateway.metric("spafe_tasks ").await,
            series: gateway.metrics().await.lines().count(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_leave_nothing() {
    // The allocator has what it wants after some hundred: from then on 3,000 more in a row
    // leave what is resident within a fifth of a MiB.
    const WARM_UP: usize = 1_000;
    const RELOADS: usize = 1_000;
    let row = Row::start(WARM_UP + RELOADS).await;
    row.walk(0, WARM_UP, WARM_UP).await;
    // What is no longer in force has had its time.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = Held::of(&row.gateway).await;
    row.walk(WARM_UP, WARM_UP + RELOADS, RELOADS * 2).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = Held::of(&row.gateway).await;
    println!("{before:?}\n{after:?}");
    assert!(
        after.resident_bytes <= before.resident_bytes + GROWTH_BYTES_MAX,
        "{before:?} {after:?}"
    );
    assert!(
        after.descriptors <= before.descriptors + SLACK,
        "{before:?} {after:?}"
    );
    assert!(after.tasks <= before.tasks + SLACK, "{before:?} {after:?}");
    assert_eq!(after.series, before.series);
}
