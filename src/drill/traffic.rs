//! What takes more than one request to see?
//!
//! Scenes with a gateway of their own and callers that go on asking: an upstream that is
//! away for a while, a pool that fails wholly, connections that die between two requests,
//! callers that leave.

/// Upstreams that are away while callers ask.
mod outage;
/// A target that is slower than others.
mod slow;
/// What is left on a connection for the next request.
mod connection;
/// Callers that do not wait for the end.
mod departure;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use crate::drill::DrillError;
use crate::drill::card::{Row, ms};
use crate::drill::cast::is_whole;
use crate::drill::client::{Seen, ask};
use crate::drill::fault::Wire;
use crate::drill::policy::Policy;
use crate::drill::stage::{Running, Stage};
use crate::drill::verdict::{SLACK, check_refusal};
use crate::simulator::Simulator;
use crate::sys;

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// The first pool is away for 60 seconds, and comes back.
    PrimaryDown,
    /// The first pool comes and goes.
    Flapping,
    /// Every target of a pool fails, and nobody is behind it.
    AllDown,
    /// One of two targets fails.
    HalfDown,
    /// An upstream that is asked too much, for a while.
    Limited,
    /// One of two targets is slow, and another is asked beside it.
    Hedged,
    /// Connections close unannounced between two requests.
    Stale,
    /// Bytes follow an answer that belong to no request.
    Unsolicited,
    /// A caller leaves while its upstream is silent.
    LeavesWaiting,
    /// A caller leaves in the middle of a stream.
    LeavesInStream,
}

impl Scene {
    /// All of them.
    pub(super) const ALL: [Self; 10] = [
        Self::PrimaryDown,
        Self::Flapping,
        Self::AllDown,
        Self::HalfDown,
        Self::Limited,
        Self::Hedged,
        Self::Stale,
        Self::Unsolicited,
        Self::LeavesWaiting,
        Self::LeavesInStream,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PrimaryDown => "primary-down-60s",
            Self::Flapping => "primary-flapping",
            Self::AllDown => "all-targets-down",
            Self::HalfDown => "half-of-the-targets-down",
            Self::Limited => "429-lasting",
            Self::Hedged => "slow-target-hedged",
            Self::Stale => "stale-connections",
            Self::Unsolicited => "unsolicited-bytes",
            Self::LeavesWaiting => "caller-leaves-waiting",
            Self::LeavesInStream => "caller-leaves-in-stream",
        }
    }

    /// Plays it, with a stream or without.
    pub(super) async fn play(
        self,
        stream: bool,
        policy: &Policy,
        temporary: &Path,
    ) -> Result<Row, DrillError> {
        let stage = Stage::new(policy.clone(), temporary)?;
        let began = sys::instant();
        let scene = match self {
            Self::PrimaryDown => outage::primary_down(stage, stream).await?,
            Self::Flapping => outage::flapping(stage, stream).await?,
            Self::AllDown => outage::all_down(stage, stream).await?,
            Self::HalfDown => outage::half_down(stage, stream).await?,
            Self::Limited => outage::limited(stage, stream).await?,
            Self::Hedged => slow::hedged(stage, stream).await?,
            Self::Stale => Box::pin(connection::stale(stage, stream)).await?,
            Self::Unsolicited => Box::pin(connection::unsolicited(stage, stream)).await?,
            Self::LeavesWaiting => departure::waiting(stage, stream).await?,
            Self::LeavesInStream => departure::in_stream(stage).await?,
        };
        Ok(scene.row(self, stream, sys::instant() - began))
    }

    /// Whether it can be played with a stream, or without, under this policy.
    pub(super) fn is_for(self, stream: bool, policy: &Policy) -> bool {
        match self {
            Self::LeavesInStream => stream,
            Self::Hedged => policy.config.attempts.max > 1,
            _ => true,
        }
    }
}

/// What a scene came to.
pub(super) struct Played {
    behind: &'static str,
    saw: String,
    upstream_requests: usize,
    faults: Vec<String>,
}

impl Played {
    fn row(self, scene: Scene, stream: bool, took: Duration) -> Row {
        Row {
            scenario: scene.name().to_owned(),
            stream,
            http: Wire::Http1.as_str(),
            behind: self.behind,
            saw: self.saw,
            attempts: None,
            upstream_requests: self.upstream_requests,
            ms: ms(took),
            passed: self.faults.is_empty(),
            why: (!self.faults.is_empty()).then(|| self.faults.join("; ")),
        }
    }
}

/// What all callers of a scene saw.
#[derive(Debug, Default)]
struct Tally {
    asked: usize,
    served: usize,
    /// What was neither an answer nor a refusal, and the first few of those that were long.
    faults: Vec<String>,
    slowest: Duration,
}

impl Tally {
    /// Takes down what a caller saw, who must see one of these answers or a refusal.
    fn note(&mut self, seen: &Seen, stream: bool, answers: &[Bytes]) {
        self.asked += 1;
        self.slowest = self.slowest.max(seen.took);
        if answers.iter().any(|answer| is_whole(seen, stream, answer)) {
            self.served += 1;
            return;
        }
        let refused = match seen.status {
            _ if seen.gave_up => Err("no end".to_owned()),
            Some(429 | 500..) => check_refusal(seen),
            Some(200) if stream && is_refusal_by_event(seen) => Ok(()),
            status => Err(format!("{status:?}, and neither an answer nor a refusal")),
        };
        if let Err(fault) = refused {
            self.fault(fault);
        }
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < 3 {
            self.faults.push(fault);
        }
    }

    fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.served += other.served;
        self.slowest = self.slowest.max(other.slowest);
        for fault in other.faults {
            self.fault(fault);
        }
    }

    /// Everybody must have been served, where a failed attempt may be replaced at all.
    fn all_served(&mut self, policy: &Policy) {
        if self.served < self.asked && policy.config.attempts.max > 1 {
            self.fault(format!(
                "{} of {} were not served",
                self.asked - self.served,
                self.asked
            ));
        }
    }

    fn play(self, behind: &'static str, upstream_requests: usize) -> Played {
        Played {
            behind,
            saw: format!(
                "{} of {} served, slowest {} ms",
                self.served,
                self.asked,
                ms(self.slowest)
            ),
            upstream_requests,
            faults: self.faults,
        }
    }
}

/// Whether a stream that had only comments tells of an error, and of nothing else.
fn is_refusal_by_event(seen: &Seen) -> bool {
    let stream = seen.stream();
    seen.whole && stream.events.is_empty() && !stream.done && stream.error.is_some()
}

/// The model that callers ask for, and the one before whom they stand.
const MODEL: &str = "drilled";

/// A caller: asks so often, with a pause between.
struct Caller<'a> {
    gateway: SocketAddr,
    stream: bool,
    answers: &'a [Bytes],
    pause: Duration,
}

impl Caller<'_> {
    async fn ask(&self) -> Seen {
        ask(self.gateway, MODEL, self.stream, 4 * SLACK).await
    }

    /// Asks as long as `goes_on` says so.
    async fn go_on(&self, mut goes_on: impl FnMut() -> bool) -> Tally {
        let mut tally = Tally::default();
        while goes_on() {
            let seen = self.ask().await;
            tally.note(&seen, self.stream, self.answers);
            tokio::time::sleep(self.pause).await;
        }
        tally
    }
}

/// Several of the same at the same time.
async fn crowd(callers: usize, caller: &Caller<'_>, requests: usize) -> Tally {
    let each = (0..callers).map(|_| {
        let mut left = requests;
        caller.go_on(move || {
            let goes_on = left > 0;
            left = left.saturating_sub(1);
            goes_on
        })
    });
    let mut all = Tally::default();
    for tally in futures_util::future::join_all(each).await {
        all.add(tally);
    }
    all
}

/// A model over pools in this order, each with these upstreams.
async fn set(
    mut stage: Stage,
    pools: &[usize],
) -> Result<(Running, Vec<Vec<Simulator>>), DrillError> {
    let mut upstreams = Vec::new();
    let mut legs = Vec::new();
    for (place, count) in pools.iter().enumerate() {
        let mut targets = Vec::new();
        for _ in 0..*count {
            targets.push(stage.upstream(Wire::Http1).await?);
        }
        let urls: Vec<String> = targets.iter().map(Simulator::url).collect();
        let pool = stage.pool(&format!("pool-{place}"), &urls, None)?;
        legs.push((pool, None));
        upstreams.push(targets);
    }
    stage.model(MODEL, &legs, |_| ());
    Ok((stage.open()?, upstreams))
}
