//! What becomes of the upstream's work when its caller leaves?

use std::time::Duration;

use crate::drill::DrillError;
use crate::drill::client::Asked;
use crate::drill::said::{FIRST, SPARE};
use crate::drill::stage::Stage;
use crate::drill::traffic::{MODEL, Played, set};
use crate::drill::verdict::SLACK;
use crate::simulator::script::Script;
use crate::sys;

/// Within which the upstream must be let go.
const SOON: Duration = Duration::from_secs(1);

/// Its upstream says nothing.
pub(super) async fn waiting(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    leave(stage, stream, Script::stall(), false).await
}

/// A stream has begun.
pub(super) async fn in_stream(stage: Stage) -> Result<Played, DrillError> {
    let (script, bytes) = FIRST.answer(true);
    leave(stage, true, script.stall_after(bytes.len() / 2), true).await
}

async fn leave(
    stage: Stage,
    stream: bool,
    script: Script,
    begun: bool,
) -> Result<Played, DrillError> {
    let (running, upstreams) = set(stage, &[1, 1]).await?;
    let mut every = upstreams.iter().flatten();
    let (Some(first), Some(spare)) = (every.next(), every.next()) else {
        return Err(DrillError::unset());
    };
    first.default(script);
    spare.default(SPARE.answer(stream).0);
    let mut faults = Vec::new();
    let mut asked = Asked::send(running.address, MODEL, stream).await?;
    let arrived = first.next_request().await;
    if begun
        && tokio::time::timeout(SLACK, asked.first_event())
            .await
            .is_err()
    {
        faults.push("the stream did not begin".to_owned());
    }
    let left = sys::instant();
    drop(asked);
    match arrived {
        Ok(request) => match first.aborted(request.number).await {
            Ok(aborted) if aborted.saturating_duration_since(left) <= SOON => {}
            Ok(aborted) => faults.push(format!(
                "the upstream was let go after {} ms",
                aborted.saturating_duration_since(left).as_millis()
            )),
            Err(error) => faults.push(error.to_string()),
        },
        Err(error) => faults.push(error.to_string()),
    }
    let requests = first.requests().len() + spare.requests().len();
    if requests != 1 {
        faults.push(format!("{requests} upstream requests"));
    }
    Ok(Played {
        behind: "pool",
        saw: "left".to_owned(),
        upstream_requests: requests,
        faults,
    })
}
