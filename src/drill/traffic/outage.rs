//! What do callers see while upstreams are away?

use std::time::Duration;

use bytes::Bytes;

use crate::drill::DrillError;
use crate::drill::policy::{Policy, REST_FACTOR};
use crate::drill::said::{FIRST, SPARE};
use crate::drill::stage::Stage;
use crate::drill::traffic::{Caller, Played, Tally, crowd, set};
use crate::drill::verdict::SLACK;
use crate::simulator::Simulator;
use crate::simulator::script::Script;
use crate::sys;

/// How long the primary is away, outside of a drill.
const AWAY: Duration = Duration::from_mins(1);
/// Callers that ask at the same time, where as many may.
const CALLERS: usize = 4;
/// Between two requests of a caller.
const PAUSE: Duration = Duration::from_millis(10);

/// Away for a minute, and back.
pub(super) async fn primary_down(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    let policy = stage.policy.clone();
    let ejection = &policy.pool.ejection;
    let away = AWAY.mul_f64(REST_FACTOR);
    let (running, upstreams) = set(stage, &[1, 1]).await?;
    let (Some(first), Some(spare)) = (one(&upstreams, 0), one(&upstreams, 1)) else {
        return Err(DrillError::unset());
    };
    let answers = [FIRST.answer(stream).1, SPARE.answer(stream).1];
    spare.default(SPARE.answer(stream).0);
    first.default(FIRST.answer(stream).0);
    let caller = caller(running.address, stream, &answers);
    let mut all = asking_for(&caller, away / 10, &policy).await;
    first.default(Script::reset());
    all.add(asking_for(&caller, away, &policy).await);
    first.default(FIRST.answer(stream).0);
    let seen_before = first.requests().len();
    // A rest is not longer than what went before it, or than the longest there is.
    let allowed = ejection.time_max.min(away + ejection.time) + SLACK;
    let back_by = sys::instant() + allowed;
    let back = || first.requests().len() > seen_before;
    all.add(caller.go_on(|| !back() && sys::instant() < back_by).await);
    if !back() {
        all.fault(format!(
            "not asked again within {} ms of its return",
            allowed.as_millis()
        ));
    }
    all.all_served(&policy);
    let requests = first.requests().len() + spare.requests().len();
    Ok(all.play("pool", requests))
}

/// There for a moment, away for a moment.
pub(super) async fn flapping(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    const TURNS: u32 = 20;
    let turn = Duration::from_secs(1).mul_f64(2.0 * REST_FACTOR);
    let policy = stage.policy.clone();
    let (running, upstreams) = set(stage, &[1, 1]).await?;
    let (Some(first), Some(spare)) = (one(&upstreams, 0), one(&upstreams, 1)) else {
        return Err(DrillError::unset());
    };
    let answers = [FIRST.answer(stream).1, SPARE.answer(stream).1];
    spare.default(SPARE.answer(stream).0);
    let caller = caller(running.address, stream, &answers);
    let mut all = Tally::default();
    for number in 0..TURNS {
        first.default(if number % 2 == 0 {
            FIRST.answer(stream).0
        } else {
            Script::reset()
        });
        all.add(asking_for(&caller, turn, &policy).await);
    }
    all.all_served(&policy);
    let requests = first.requests().len() + spare.requests().len();
    Ok(all.play("pool", requests))
}

/// All targets fail: a pool is then asked hardly more often than its callers ask.
pub(super) async fn all_down(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    let policy = stage.policy.clone();
    let attempts = &policy.config.attempts;
    let (running, upstreams) = set(stage, &[2]).await?;
    let targets = every(&upstreams);
    for target in &targets {
        target.default(Script::json(503, r#"{"error":{"message":"Too busy."}}"#));
    }
    let answers: [Bytes; 0] = [];
    let caller = caller(running.address, stream, &answers);
    let began = sys::instant();
    let mut all = crowd(callers(&policy), &caller, 75).await;
    let seconds = (sys::instant() - began).as_secs_f64();
    let asked: usize = targets.iter().map(|target| target.requests().len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let (requests, callers) = (asked as f64, all.asked as f64);
    let earned = callers * (1.0 + f64::from(attempts.budget_percent) / 100.0);
    let free = f64::from(attempts.budget_per_second) * (seconds + 1.0);
    if requests > earned + free {
        all.faults.insert(
            0,
            format!("{requests} upstream requests for {callers} callers in {seconds:.1} s"),
        );
    }
    if all.slowest > SLACK {
        all.fault(format!("a refusal took {} ms", all.slowest.as_millis()));
    }
    Ok(all.play("nobody", asked))
}

/// One of two targets fails, and callers do not notice.
pub(super) async fn half_down(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    let policy = stage.policy.clone();
    let (running, upstreams) = set(stage, &[2, 1]).await?;
    let targets = every(&upstreams);
    let (script, first) = FIRST.answer(stream);
    let (behind, spare) = SPARE.answer(stream);
    for (target, script) in targets.iter().zip([script, Script::reset(), behind]) {
        target.default(script);
    }
    let answers = [first, spare];
    let caller = caller(running.address, stream, &answers);
    let mut all = crowd(callers(&policy), &caller, 75).await;
    all.all_served(&policy);
    let asked = targets.iter().map(|target| target.requests().len()).sum();
    Ok(all.play("pool", asked))
}

/// An upstream that says for how long it wants to be left alone.
pub(super) async fn limited(stage: Stage, stream: bool) -> Result<Played, DrillError> {
    let (running, upstreams) = set(stage, &[1]).await?;
    let Some(first) = one(&upstreams, 0) else {
        return Err(DrillError::unset());
    };
    let limited = Script::json(429, r#"{"error":{"message":"Slow down."}}"#);
    first.default(limited.header("Retry-After", "30"));
    let answers: [Bytes; 0] = [];
    let caller = caller(running.address, stream, &answers);
    let mut all = crowd(1, &caller, 20).await;
    let asked = first.requests().len();
    if asked > all.asked {
        all.fault(format!(
            "{asked} upstream requests for {} callers",
            all.asked
        ));
    }
    Ok(all.play("nobody", asked))
}

fn caller(gateway: std::net::SocketAddr, stream: bool, answers: &[Bytes]) -> Caller<'_> {
    Caller {
        gateway,
        stream,
        answers,
        pause: PAUSE,
    }
}

/// As many callers as may ask at the same time.
fn callers(policy: &Policy) -> usize {
    let concurrency = &policy.pool.concurrency;
    CALLERS
        .min(concurrency.target_max)
        .min(concurrency.pool_max)
}

/// Several callers for so long.
async fn asking_for(caller: &Caller<'_>, time: Duration, policy: &Policy) -> Tally {
    let until = sys::instant() + time;
    let each = (0..callers(policy)).map(|_| caller.go_on(|| sys::instant() < until));
    let mut all = Tally::default();
    for tally in futures_util::future::join_all(each).await {
        all.add(tally);
    }
    all
}

/// The only upstream of a pool.
fn one(upstreams: &[Vec<Simulator>], pool: usize) -> Option<&Simulator> {
    upstreams.get(pool)?.first()
}

/// All upstreams in order.
fn every(upstreams: &[Vec<Simulator>]) -> Vec<&Simulator> {
    upstreams.iter().flatten().collect()
}
