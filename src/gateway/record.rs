//! What happened?
//!
//! The steps return facts, and this step alone turns them into metrics and the
//! one line a request leaves in the log. Nothing is counted or logged per chunk.

/// What is counted of a request?
mod count;
/// Is it being served, and was there a panic?
pub mod witness;
/// What is left of it?
pub mod ended;
/// What of it is told?
pub mod policy;
/// What does its line in the log say?
mod line;
/// How does a text of somebody else's stand there?
pub mod text;
/// How many milliseconds did it take?
pub mod millis;
/// Where is it written down?
pub mod journal;
/// What is a request called?
pub mod id;
/// What did a request cost, and whom?
pub mod spend;
/// Who has used how much, hour by hour?
pub mod usage;
/// What happened last?
pub mod recent;
/// Which trace does it belong to?
pub mod trace;
/// What does a trace tell of a conversation?
pub mod transcript;
/// Which spans does it leave?
pub mod spans;
/// The metrics, by name.
pub mod metrics;
/// What is counted apart.
pub mod outcome;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::gateway::cache::status::CacheStatus;
use crate::gateway::client::Client;
use crate::gateway::limit::Kind;
use crate::gateway::route::Plan;
use crate::money::Usd;
use crate::names::{LimitName, ModelId, PoolName};
use crate::sys::Now;
use id::RequestId;
use journal::Journal;
use metrics::{LegMetrics, Metrics};
use outcome::called::Called;
use outcome::{AttemptOutcome, Shed};
use policy::LogPolicy;
use spans::AttemptSpan;
use spend::Served;
use trace::Trace;
use transcript::Transcript;

/// How a stream broke of which nothing but its head had left.
pub const BEFORE_FIRST_EVENT: &str = "before_first_event";

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered as asked.
    Served,
    /// Refused here, or by the upstream for the caller's own fault.
    Refused,
    /// No attempt succeeded.
    UpstreamFailed,
    /// A stream ended before its time; the word says how.
    StreamBroken(&'static str),
    /// The caller left.
    ClientGone,
}

impl Outcome {
    /// The word for metrics and log lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::StreamBroken(_) => "stream_broken",
            Self::ClientGone => "client_gone",
        }
    }
}

/// What an attempt says of itself that was answered.
const ANSWERED: &str = AttemptOutcome::Answered.as_str();

/// One attempt, for the log line.
#[derive(Debug, Clone)]
pub struct AttemptRecord {
    /// The pool that was asked.
    pub pool: PoolName,
    /// The target in it.
    pub target: String,
    /// What came of it.
    pub outcome: &'static str,
    /// The upstream's status, where there was one.
    pub status: Option<u16>,
    /// When it began.
    pub began: Instant,
    /// From there to its end, or to its commit.
    pub duration: Duration,
    /// Whether it went over a connection that was there; `None`: over none.
    pub reused: Option<bool>,
    /// The error's own words.
    pub cause: Option<String>,
    /// Whether it was given up while its target may have been at work.
    pub cut_off: bool,
    /// What its span tells, where there is one.
    pub span: Option<AttemptSpan>,
}

/// The facts of one request, gathered on its way.
#[derive(Debug)]
pub struct RequestRecord {
    began: Now,
    /// Its id.
    pub id: RequestId,
    /// Who asked.
    pub client: Client,
    /// The program that the caller says it uses, in short, where that is told.
    pub user_agent: Option<Box<str>>,
    /// What was called.
    pub endpoint: &'static str,
    /// The same, as it is counted.
    pub called: Called,
    /// Method and path of a request that the door refused, at most 128 characters.
    pub refused: Option<String>,
    /// Who might have answered.
    pub plan: Option<Arc<Plan>>,
    /// Who did, counted by pool.
    pub leg: Option<Arc<LegMetrics>>,
    /// Who is paid for its answer; `None`: nobody was asked for it.
    pub served: Option<Arc<Served>>,
    /// Every attempt in order.
    pub attempts: Vec<AttemptRecord>,
    /// Time spent with upstreams before the first byte of the answer.
    pub upstream: Duration,
    /// Time spent waiting for the request's body.
    pub body: Duration,
    /// The status the caller saw; 499 where the caller left before one was sent.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Which error the caller saw.
    pub code: Option<String>,
    /// Which bound on what is done at once it met.
    pub shed: Option<Shed>,
    /// Which limit it met, and of what.
    pub limited: Option<(LimitName, Kind)>,
    /// Whether its limits had room for it.
    pub admitted: bool,
    /// What memory had to do with its answer, where that was asked.
    pub cache: Option<CacheStatus>,
    /// Which limits it would have met if they were no shadows, and of what.
    pub shadowed: Vec<(LimitName, Kind)>,
    /// When the first byte of the answer was handed to the connection.
    pub first_byte: Option<Instant>,
    /// Since when its answer is handed on as it comes from an upstream.
    pub passing_since: Option<Instant>,
    /// When the first event was handed to the connection.
    pub first_event: Option<Instant>,
    /// Events of the answer.
    pub events: u64,
    /// Whether events were asked for.
    pub stream: bool,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Tokens of the prompt, where the upstream told.
    pub tokens_in: Option<u64>,
    /// Tokens of the answer, where the upstream told.
    pub tokens_out: Option<u64>,
    /// Of those of the prompt, what the upstream remembered.
    pub tokens_cached: Option<u64>,
    /// Of both, where it did not.
    pub estimated: Option<(u64, u64)>,
    /// What that cost, where whoever answered has a price.
    pub cost: Option<Usd>,
    /// The trace it belongs to, where there is one.
    pub trace: Option<Arc<Trace>>,
    /// The pool whose answer this is, where another request asked it: now, or before it was kept.
    pub source: Option<PoolName>,
    /// The model that answered, where it is another than was asked for or a trace wants to know.
    pub answered: Option<ModelId>,
    /// What its span tells of the conversation, where it leaves one.
    pub heard: Option<Box<Transcript>>,
}

impl RequestRecord {
    /// A record that begins now.
    #[must_use]
    pub fn begin(now: Now, id: RequestId, client: Client) -> Self {
        Self {
            began: now,
            id,
            client,
            user_agent: None,
            endpoint: "none",
            called: Called::Nothing,
            refused: None,
            plan: None,
            leg: None,
            served: None,
            attempts: Vec::new(),
            upstream: Duration::ZERO,
            body: Duration::ZERO,
            status: 0,
            outcome: Outcome::Served,
            code: None,
            shed: None,
            limited: None,
            admitted: false,
            cache: None,
            shadowed: Vec::new(),
            first_byte: None,
            passing_since: None,
            first_event: None,
            events: 0,
            stream: false,
            bytes_in: 0,
            bytes_out: 0,
            tokens_in: None,
            tokens_out: None,
            tokens_cached: None,
            estimated: None,
            cost: None,
            trace: None,
            source: None,
            answered: None,
            heard: None,
        }
    }

    /// When the request began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began.instant
    }

    /// The time of day when it began.
    #[must_use]
    pub fn began_wall(&self) -> std::time::SystemTime {
        self.began.wall
    }

    /// The attempt that was answered; the last one, where none was.
    #[must_use]
    pub fn telling_attempt(&self) -> Option<&AttemptRecord> {
        let mut attempts = self.attempts.iter();
        let answered = attempts.find(|attempt| attempt.outcome == ANSWERED);
        answered.or(self.attempts.last())
    }

    /// The pool that answered, whoever asked it; the last one asked, where none did.
    #[must_use]
    pub fn pool(&self) -> Option<&PoolName> {
        let asked = self.telling_attempt().map(|attempt| &attempt.pool);
        asked.or(self.source.as_ref())
    }

    /// The tokens it used, as far as that is known.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let told = self.tokens_in.into_iter().chain(self.tokens_out);
        told.fold(0, u64::saturating_add)
    }

    /// Counts the request and writes down what happened.
    pub fn finish(self, now: Instant, metrics: &Metrics, journal: &Journal, policy: &LogPolicy) {
        self.count(now, metrics);
        journal.note(self, now, metrics, policy);
    }
}

impl fmt::Display for AttemptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.pool, self.target, self.outcome)?;
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}
