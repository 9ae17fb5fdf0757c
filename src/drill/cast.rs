//! Who plays in one way of meeting a fault?
//!
//! Each has upstreams, a pool and a model of its own in the one gateway, so that nothing
//! one of them does to a target's standing is seen by another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::drill::DrillError;
use crate::drill::card::{Row, ms, saw};
use crate::drill::client::{Seen, ask};
use crate::drill::fault::{Behind, Fault, Means, Tls, Upstream, Wire};
use crate::drill::policy::Policy;
use crate::drill::said::{FIRST, SPARE};
use crate::drill::stage::{Nobody, Pair, Stage, Vanished};
use crate::drill::verdict::{Case, Happened, SLACK};
use crate::simulator::Simulator;
use crate::simulator::script::Script;

/// The file with what a pool trusts by default.
pub(super) const TRUSTED: &str = "authority";

/// What a server without TLS says to a handshake.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/// The upstreams of a case.
pub(super) struct Cast {
    case: Case,
    first: First,
    spare: Option<Simulator>,
}

/// The upstream that is at fault.
enum First {
    Simulated(Simulator),
    Nobody(Nobody),
    Vanished(Vanished),
    /// It takes connections, and hardly more than that.
    Mute(Mute),
}

/// Takes connections, says the same to all, and closes them or keeps them.
struct Mute {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Cast {
    /// Brings the upstreams of a case to the stage.
    pub(super) async fn enter(case: Case, stage: &mut Stage) -> Result<Self, DrillError> {
        let first = First::enter(&case, stage).await?;
        let scheme = match case.wire {
            Wire::Http2 => "https",
            Wire::Http1 => "http",
        };
        let url = format!("{scheme}://{}", first.address());
        let authority = (case.wire == Wire::Http2).then(|| trusted(&case));
        let pool = stage.pool(&case.id, &[url], authority.as_deref())?;
        let spare = Self::behind(&case, pool, stage).await?;
        Ok(Self { case, first, spare })
    }

    /// Who stands behind the upstream, and the model with all of it.
    async fn behind(
        case: &Case,
        pool: usize,
        stage: &mut Stage,
    ) -> Result<Option<Simulator>, DrillError> {
        if case.behind == Behind::Nobody {
            stage.model(&case.id, &[(pool, None)], |_| ());
            return Ok(None);
        }
        let simulator = stage.upstream(Wire::Http1).await?;
        simulator.default(match case.behind {
            Behind::Refuser => refusal(),
            _ => SPARE.answer(case.stream).0,
        });
        let name = case.spare();
        let other = stage.pool(&name, &[simulator.url()], None)?;
        if case.behind == Behind::Pool {
            stage.model(&case.id, &[(pool, None), (other, Some(&name))], |_| ());
            return Ok(Some(simulator));
        }
        stage.model(&name, &[(other, None)], |_| ());
        stage.model(&case.id, &[(pool, None)], |model| {
            let fallbacks = match case.behind {
                Behind::Context => &mut model.context_fallbacks,
                Behind::Policy => &mut model.policy_fallbacks,
                _ => &mut model.fallbacks,
            };
            fallbacks.push(name);
        });
        Ok(Some(simulator))
    }

    /// Asks, and judges what was seen.
    pub(super) async fn play(&self, gateway: SocketAddr, policy: &Policy) -> Row {
        let case = &self.case;
        let patience = case.fault.costs + 2 * SLACK;
        let seen = ask(gateway, &case.id, case.stream, patience).await;
        let happened = Happened {
            at_first: self.first.requests(),
            at_spare: self.spare.as_ref().map(models).unwrap_or_default(),
            seen,
        };
        let mut faults = case.faults(&happened, policy);
        if case.fault.then_well
            && let First::Simulated(first) = &self.first
        {
            let (well, body) = FIRST.answer(case.stream);
            first.default(well);
            let next = ask(gateway, &case.id, case.stream, patience).await;
            if !is_whole(&next, case.stream, &body) && !self.is_behind(&next) {
                faults.push(format!("the next caller saw {}", saw(&next, case.stream)));
            }
        }
        Row {
            scenario: case.fault.name.clone(),
            stream: case.stream,
            http: case.wire.as_str(),
            behind: case.behind.as_str(),
            saw: saw(&happened.seen, case.stream),
            attempts: happened.seen.attempts(),
            upstream_requests: happened.at_first + happened.at_spare.len(),
            ms: ms(happened.seen.took),
            passed: faults.is_empty(),
            why: (!faults.is_empty()).then(|| faults.join("; ")),
        }
    }

    fn is_behind(&self, seen: &Seen) -> bool {
        let stream = self.case.stream;
        self.spare.is_some() && is_whole(seen, stream, &SPARE.answer(stream).1)
    }
}

/// What the pool trusts: an impostor's own certificate where only something else is wrong
/// with it.
fn trusted(case: &Case) -> String {
    match case.fault.upstream {
        Upstream::Tls(Tls::Expired | Tls::OtherName) => case.id.clone(),
        _ => TRUSTED.to_owned(),
    }
}

/// Whether this whole answer was seen, and nothing else.
pub(super) fn is_whole(seen: &Seen, stream: bool, body: &[u8]) -> bool {
    let same = if stream {
        seen.stream().events == body
    } else {
        seen.body == body
    };
    seen.status == Some(200) && seen.whole && same
}

/// The model's name in each request that came.
fn models(upstream: &Simulator) -> Vec<String> {
    let requests = upstream.requests();
    let model = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).ok()?;
        body.get("model")?.as_str().map(str::to_owned)
    };
    requests
        .iter()
        .map(|request| model(&request.body).unwrap_or_default())
        .collect()
}

fn refusal() -> Script {
    let error = serde_json::json!({"error": {
        "message": "What is this?", "type": "invalid_request_error", "param": null, "code": "no_such_field",
    }});
    Script::json(400, error.to_string())
}

impl First {
    async fn enter(case: &Case, stage: &Stage) -> Result<Self, DrillError> {
        Ok(match &case.fault.upstream {
            Upstream::Says(script) => {
                let simulator = stage.upstream(case.wire).await?;
                simulator.default(script.clone());
                Self::Simulated(simulator)
            }
            Upstream::SaysOnce(script) => {
                let simulator = stage.upstream(case.wire).await?;
                simulator.push(script.clone());
                simulator.default(FIRST.answer(case.stream).0);
                Self::Simulated(simulator)
            }
            Upstream::Refuses => Self::Nobody(Nobody::new()?),
            Upstream::Vanishes => Self::Vanished(Vanished::new().await?),
            Upstream::Tls(tls) => Self::with_tls(*tls, case, stage).await?,
        })
    }

    async fn with_tls(tls: Tls, case: &Case, stage: &Stage) -> Result<Self, DrillError> {
        let simulator = match tls {
            Tls::Closes => return Ok(Self::Mute(Mute::new(false, b"").await?)),
            Tls::Silent => return Ok(Self::Mute(Mute::new(true, b"").await?)),
            Tls::Plain => return Ok(Self::Mute(Mute::new(true, PLAIN).await?)),
            Tls::Expired => {
                let expired = Pair::new("127.0.0.1", |params| {
                    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
                    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
                })?;
                stage.impostor(&expired, Some(&case.id)).await?
            }
            Tls::OtherName => {
                let other = Pair::new("other.example", |_| ())?;
                stage.impostor(&other, Some(&case.id)).await?
            }
            Tls::Unknown => {
                let unknown = Pair::new("127.0.0.1", |_| ())?;
                stage.impostor(&unknown, None).await?
            }
        };
        simulator.default(FIRST.answer(case.stream).0);
        Ok(Self::Simulated(simulator))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Simulated(simulator) => simulator.addr(),
            Self::Nobody(nobody) => nobody.address,
            Self::Vanished(vanished) => vanished.address,
            Self::Mute(mute) => mute.address,
        }
    }

    /// Requests that came.
    fn requests(&self) -> usize {
        match self {
            Self::Simulated(simulator) => simulator.requests().len(),
            Self::Nobody(_) | Self::Vanished(_) | Self::Mute(_) => 0,
        }
    }
}

impl Mute {
    async fn new(keeps: bool, says: &'static [u8]) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                // Whether anyone still listens does not matter.
                let _ = connection.write_all(says).await;
                // A drill makes few connections, and all of them end with it.
                kept.extend(keeps.then_some(connection));
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Every way of meeting a fault.
pub(super) fn cases(fault: &Fault, stream: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for behind in fault.behind {
        for wire in fault.wires {
            let kind = if stream { "stream" } else { "json" };
            let id = format!(
                "{}-{kind}-{}-{}",
                fault.name,
                wire.as_str(),
                behind.as_str()
            );
            cases.push(Case {
                fault: fault.clone(),
                stream,
                wire: *wire,
                behind: *behind,
                id,
            });
        }
    }
    cases
}

impl Case {
    /// The same with an expectation that cannot be met, to see a drill fail.
    pub(super) fn spoiled(mut self) -> Self {
        self.fault.means = Means::Good(bytes::Bytes::from_static(b"what nobody says"));
        self
    }
}
