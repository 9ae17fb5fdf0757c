//! What can be wrong with an upstream, and what must a caller see of it?
//!
//! A fault is a value: what the upstream does, and what that means. What a caller must
//! then see follows from its meaning and the policy (`verdict.rs`), so that one table
//! serves every way of asking: streamed or not, over both versions of HTTP, with someone
//! behind the upstream and without.

use std::time::Duration;

use bytes::Bytes;

use crate::simulator::script::Script;

/// A fault.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// What it is called.
    pub name: String,
    /// What the upstream does.
    pub upstream: Upstream,
    /// What that means.
    pub means: Means,
    /// How long a caller waits at the upstream before it is known, at most.
    pub costs: Duration,
    /// Who may stand behind the upstream.
    pub behind: &'static [Behind],
    /// Which versions of HTTP the upstream can be at fault in.
    pub wires: &'static [Wire],
    /// Once the upstream is well, the next caller must be served.
    pub then_well: bool,
}

/// What an upstream does.
#[derive(Debug, Clone)]
pub(super) enum Upstream {
    /// It answers every request so.
    Says(Script),
    /// It answers the first request so, and is well then.
    SaysOnce(Script),
    /// Nobody listens.
    Refuses,
    /// Whoever connects hears nothing.
    Vanishes,
    /// Something is wrong with its TLS.
    Tls(Tls),
}

/// What can be wrong with an upstream's TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// Its certificate has expired.
    Expired,
    /// Its certificate is for another name.
    OtherName,
    /// Its certificate is from nobody that is trusted.
    Unknown,
    /// It speaks without.
    Plain,
    /// It closes the connection instead of shaking hands.
    Closes,
    /// It says nothing.
    Silent,
}

/// What a fault means.
#[derive(Debug, Clone)]
pub(super) enum Means {
    /// None: its answer is passed on, these bytes.
    Good(Bytes),
    /// A failed attempt, of which nothing reached the caller.
    Failed(Failed),
    /// A stream that broke after its first event.
    Broke {
        /// The code of the event that tells it.
        code: &'static str,
        /// The whole events that came before.
        events: Bytes,
        /// Whether all of them must have reached the caller: a reset overtakes them.
        all: bool,
    },
    /// A stream whose upstream tells of an error itself: these bytes, and no terminator.
    ToldItself(Bytes),
    /// An answer on its way through that cannot be completed: a part of these bytes, and
    /// framing that is broken off.
    Severed(Bytes),
}

/// A failed attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed {
    /// What the caller is told where nobody else answers.
    pub status: u16,
    /// With which code.
    pub code: &'static str,
    /// The upstream's status, where it had one.
    pub upstream_status: Option<u16>,
    /// Whether the same target may be asked once more.
    pub may_pass: bool,
    /// What a refusal is about.
    pub about: About,
    /// What the caller is told about coming back, in seconds, where that is certain.
    pub retry_after: Option<u64>,
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The request is too long for the model.
    Context,
    /// A policy forbids an answer.
    Policy,
    /// Anything else.
    Other,
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// HTTP/1.1, plaintext.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
}

/// Who stands behind the upstream that is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Nobody.
    Nobody,
    /// Another pool of the model, which calls it otherwise.
    Pool,
    /// Another model.
    Model,
    /// Another model, for requests that are too long.
    Context,
    /// Another model, for what a policy forbids.
    Policy,
    /// Another model, which refuses the request.
    Refuser,
}

/// Where there is another pool and where there is not.
pub(super) const WITH_AND_WITHOUT: &[Behind] = &[Behind::Nobody, Behind::Pool];
/// Over both versions.
pub(super) const BOTH: &[Wire] = &[Wire::Http1, Wire::Http2];

pub(super) const UNAVAILABLE: Failed = failed(502, "upstream_unavailable");
pub(super) const INVALID: Failed = failed(502, "upstream_invalid_response");
pub(super) const OVERLOADED: Failed = failed(503, "overloaded");
pub(super) const TIMEOUT: Failed = failed(504, "upstream_timeout");
pub(super) const LIMITED: Failed = failed(429, "upstream_rate_limited");

const fn failed(status: u16, code: &'static str) -> Failed {
    Failed {
        status,
        code,
        upstream_status: None,
        may_pass: false,
        about: About::Other,
        retry_after: None,
    }
}

impl Failed {
    /// With this status of the upstream's.
    pub(super) const fn from(self, upstream_status: u16) -> Self {
        Self {
            upstream_status: Some(upstream_status),
            ..self
        }
    }

    /// It may pass in a moment.
    pub(super) const fn passing(self) -> Self {
        Self {
            may_pass: true,
            ..self
        }
    }

    pub(super) const fn about(self, about: About) -> Self {
        Self { about, ..self }
    }

    pub(super) const fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

impl Fault {
    /// An upstream that always answers so, which fails the attempt.
    pub(super) fn says(name: impl Into<String>, script: Script, failed: Failed) -> Self {
        Self::new(name, Upstream::Says(script), Means::Failed(failed))
    }

    /// Any other.
    pub(super) fn new(name: impl Into<String>, upstream: Upstream, means: Means) -> Self {
        Self {
            name: name.into(),
            upstream,
            means,
            costs: Duration::ZERO,
            behind: WITH_AND_WITHOUT,
            wires: BOTH,
            then_well: false,
        }
    }

    /// It takes so long to be known.
    pub(super) fn costing(self, costs: Duration) -> Self {
        Self { costs, ..self }
    }

    pub(super) fn behind(self, behind: &'static [Behind]) -> Self {
        Self { behind, ..self }
    }

    /// Only HTTP/1.1 can be wrong like this.
    pub(super) fn http1(self) -> Self {
        let wires = &[Wire::Http1];
        Self { wires, ..self }
    }

    /// Only TLS can be wrong like this.
    pub(super) fn tls(self) -> Self {
        let wires = &[Wire::Http2];
        Self { wires, ..self }
    }

    /// And the next caller is served, once the upstream is well.
    pub(super) fn then_well(self) -> Self {
        Self {
            then_well: true,
            ..self
        }
    }
}

impl Wire {
    /// For people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}

impl Behind {
    /// For people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Pool => "pool",
            Self::Model => "model",
            Self::Context => "context",
            Self::Policy => "policy",
            Self::Refuser => "refuser",
        }
    }
}
