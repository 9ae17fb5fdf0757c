//! What if one of two targets is slow, where a second may be asked beside it?
//!
//! Hedging is off by default; here it is on, within the budget that the policy gives it.

use std::time::Duration;

use crate::drill::DrillError;
use crate::drill::said::FIRST;
use crate::drill::stage::Stage;
use crate::drill::traffic::{Caller, Played, crowd, set};
use crate::drill::verdict::SLACK;
use crate::simulator::script::Script;
use crate::sys;

/// Requests from which a pool's usual time is known, and a hedge is earned.
const USUAL: usize = 150;
/// Requests among which each of two targets is asked.
const AMONG: usize = 12;
/// Within which a loser must be let go.
const AT_ONCE: Duration = Duration::from_millis(100);

/// One answer does not come; the other target's is taken.
pub(super) async fn hedged(mut stage: Stage, stream: bool) -> Result<Played, DrillError> {
    let pool = &mut stage.policy.pool;
    pool.hedging.enabled = true;
    // Longer than anything that a hedge needs, so that the two cannot be taken for another.
    let timeouts = &mut pool.timeouts;
    timeouts.first_event = timeouts.request;
    timeouts.answer = timeouts.request;
    let percent = pool.hedging.percent;
    let policy = stage.policy.clone();
    let (running, upstreams) = set(stage, &[2]).await?;
    let mut targets = upstreams.iter().flatten();
    let (Some(slow), Some(quick)) = (targets.next(), targets.next()) else {
        return Err(DrillError::unset());
    };
    let (script, body) = FIRST.answer(stream);
    slow.default(script.clone());
    quick.default(script);
    let answers = [body];
    let caller = Caller {
        gateway: running.address,
        stream,
        answers: &answers,
        pause: Duration::from_millis(1),
    };
    let mut all = crowd(1, &caller, USUAL).await;
    slow.push(Script::stall());
    let mut let_go = None;
    for _ in 0..AMONG {
        let seen = caller.ask().await;
        let answered = sys::instant();
        all.note(&seen, stream, &answers);
        let stalled = slow
            .requests()
            .into_iter()
            .find(|request| request.answered.is_none());
        if let Some(stalled) = stalled {
            let aborted = slow.aborted(stalled.number).await;
            let_go = aborted
                .ok()
                .map(|at| at.saturating_duration_since(answered));
            break;
        }
    }
    match let_go {
        None => all.fault("no second target was asked beside the slow one".to_owned()),
        Some(after) if after > AT_ONCE => {
            all.fault(format!(
                "the loser was let go after {} ms",
                after.as_millis()
            ));
        }
        Some(_) => {}
    }
    if all.slowest > SLACK {
        all.fault(format!("an answer took {} ms", all.slowest.as_millis()));
    }
    all.all_served(&policy);
    let asked = slow.requests().len() + quick.requests().len();
    let allowed = all.asked + all.asked * percent as usize / 100;
    if asked > allowed {
        all.fault(format!("{asked} upstream requests, allowed are {allowed}"));
    }
    Ok(all.play("nobody", asked))
}
