//! Does anybody notice a reload?

use crate::kit::traffic::Row;

const RELOADS: usize = 10;
const REQUESTS: usize = 10_000;

/// Nothing is lost, and each answer is of one configuration: the pool and the upstream
/// that answered are those of the version that it tells.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_ten_reloads_within_ten_thousand_requests() {
    let row = Row::start(RELOADS).await;
    let seen = row.walk(0, RELOADS, REQUESTS).await;
    assert!(
        seen.answers.iter().all(|count| *count > 0),
        "{:?}",
        seen.answers
    );
    assert!(seen.took.len() >= REQUESTS);
}
