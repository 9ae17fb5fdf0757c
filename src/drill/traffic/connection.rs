//! What is left on an upstream's connection for the next request?

use std::time::Duration;

use bytes::Bytes;

use crate::drill::DrillError;
use crate::drill::said::{FIRST, SPARE};
use crate::drill::stage::Stage;
use crate::drill::traffic::{Caller, Played, Tally, set};
use crate::simulator::Simulator;
use crate::simulator::script::Script;

/// Requests one after the other.
const REQUESTS: usize = 60;

/// The upstream closes an idle connection at the very moment at which it is used again.
pub(super) async fn stale(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    let (script, body) = FIRST.answer(stream);
    let pauses = [0, 1, 2, 3];
    let scripts: Vec<Script> = pauses
        .into_iter()
        .map(|ms| script.clone().then_close(Duration::from_millis(ms)))
        .collect();
    one_after_the_other(stage, stream, &body, &scripts).await
}

/// An answer, and behind it another that nobody asked for.
pub(super) async fn unsolicited(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    let (_, body) = FIRST.answer(stream);
    let script = Script::raw([raw(&body, stream), raw(&SPARE.answer(stream).1, stream)].concat());
    one_after_the_other(stage, stream, &body, &[script]).await
}

/// Each request must be answered with this, at its first attempt.
async fn one_after_the_other(
    stage: Stage,
    stream: bool,
    body: &Bytes,
    scripts: &[Script],
) -> Result<Played, DrillError> {
    let policy = stage.policy.clone();
    let (running, upstreams) = set(stage, &[1]).await?;
    let Some(first) = upstreams.first().and_then(|pool| pool.first()) else {
        return Err(DrillError::unset());
    };
    let answers = [body.clone()];
    let caller = Caller {
        gateway: running.address,
        stream,
        answers: &answers,
        pause: Duration::from_millis(1),
    };
    let mut all = Tally::default();
    for (_, script) in (0..REQUESTS).zip(scripts.iter().cycle()) {
        first.default(script.clone());
        let seen = caller.ask().await;
        // Not told where the head of a stream left early.
        if seen.attempts().is_some_and(|attempts| attempts > 1) {
            all.fault(format!("{:?} attempts", seen.attempts()));
        }
        all.note(&seen, stream, &answers);
        tokio::time::sleep(caller.pause).await;
    }
    all.all_served(&policy);
    Ok(all.play("nobody", requests(first)))
}

fn requests(upstream: &Simulator) -> usize {
    upstream.requests().len()
}

/// An answer with its length, byte by byte.
fn raw(body: &[u8], stream: bool) -> Vec<u8> {
    let kind = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
