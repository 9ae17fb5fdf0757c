//! Which answers have all replicas?
//!
//! What one of them was answered lies in Redis for the others, until its time is over. Nobody
//! waits for that: a look has `timeout`, and one that comes late is none; writes go behind, in
//! a queue with a bound. While Redis is away nobody asks it at all.
//!
//! Answers are long, and Redis sends one after the other. So they have a connection of their own
//! beside that of limits, with failures counted apart, so that no answer makes a decision late.
//! On it one answer is written at a time, and few are looked for at once.
//!
//! Redis is told nothing: a name there is a keyed hash, a value is sealed, and nothing is
//! believed that does not open. To remove them all, another era begins: each value says in
//! which one it was made, and none of an older one is ever given again, wherever it came from
//! and whenever it arrives. If Redis loses the era, a new one begins as well.

/// What does an answer look like in Redis?
mod value;
/// How is an answer looked for?
mod look;
/// How do answers get there?
mod writes;
/// Who makes an answer, where many replicas want it?
mod lease;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use blake3::Hash;
use bytes::Bytes;
use redis::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::heartbeat;
use super::link::{Link, Place};
use super::reach::{self, Purpose, Reach};
use super::script::Code;
use super::{Away, SharedError, authorities};
use crate::config;
use crate::gateway::record::metrics::{Metrics, SecondMetrics};
use crate::gateway::record::outcome::Absence;
use crate::gateway::record::outcome::second::SecondRead;
use crate::names::{ModelId, PoolName};
use crate::openai::Usage;
use crate::sys;
pub use lease::{Found, Lead};
use value::Seal;
use writes::{Job, Queue};

/// More than so many bytes are opened and sealed beside the threads that serve: it may take a
/// millisecond.
const INLINE_BYTES_MAX: usize = 256 * 1024;

/// The answers of all replicas.
#[derive(Debug)]
pub struct Answers {
    state: Arc<State>,
    /// Until the task that does them has begun.
    jobs: Mutex<Option<mpsc::Receiver<Job>>>,
    tasks: Mutex<Tasks>,
}

/// An answer that replicas share.
#[derive(Clone, PartialEq, Eq)]
pub struct Deposit {
    /// The answer, whole.
    pub body: Bytes,
    /// What it used, where its upstream told.
    pub usage: Option<Usage>,
    /// Which model answered. Another replica may have written it, with another configuration.
    pub model: ModelId,
    /// At which pool; the same holds.
    pub pool: PoolName,
    /// When the answer was complete, by the clock of the replica that made it.
    pub made: SystemTime,
    /// How long it is fresh.
    pub fresh: Duration,
    /// How long after that it is given while another is fetched.
    pub stale_while_revalidate: Duration,
    /// How long after that it is given where no upstream answers.
    pub stale_if_error: Duration,
}

#[derive(Debug, Default)]
struct Tasks {
    heartbeat: JoinSet<()>,
    writes: JoinSet<()>,
}

/// What all answers of a time are marked with, by chance.
type Era = [u8; 16];

/// What the tasks and the requests know.
#[derive(Debug)]
struct State {
    config: config::limits::Shared,
    authorities: Option<Vec<u8>>,
    /// Bytes of the longest answer that is shared.
    body_bytes_max: usize,
    /// How long one replica may make an answer for all; zero: each makes its own.
    lease: Duration,
    reach: Reach,
    /// What names are hashed with.
    names: [u8; 32],
    seal: Seal,
    /// What every name begins with.
    prefix: String,
    put: Code,
    release: Code,
    /// The one that was last heard of.
    era: ArcSwapOption<Era>,
    asking: Semaphore,
    queue: Queue,
    metrics: SecondMetrics,
}

impl Answers {
    /// What `[shared]` and `[cache]` say, with nobody spoken to yet.
    ///
    /// # Errors
    /// Where it cannot be followed.
    pub fn new(
        config: &config::limits::Shared,
        cache: &config::cache::Cache,
        metrics: &Metrics,
    ) -> Result<Self, SharedError> {
        let authorities = authorities(config)?;
        let metrics = metrics.second.clone();
        let body_bytes_max = cache.second_tier_bytes_max;
        let (queue, jobs) = Queue::new(body_bytes_max, &metrics);
        let longest = writes::TIMEOUT.max(config.timeout);
        let place = Place::new(config, authorities.as_deref(), longest)?;
        let secret = config.secret.expose().as_bytes();
        let state = State {
            reach: Reach::new(config, place, metrics.redis.clone()),
            names: blake3::derive_key("spafe: the names of answers that replicas share", secret),
            seal: Seal::new(secret),
            prefix: format!("{{{}}}:answer:", config.hash_tag),
            put: Code::new(include_str!("put.lua")),
            release: Code::new(include_str!("release.lua")),
            config: config.clone(),
            authorities,
            body_bytes_max,
            lease: cache.lease,
            era: ArcSwapOption::empty(),
            asking: Semaphore::new(look::at_once_max(body_bytes_max)),
            queue,
            metrics,
        };
        Ok(Self {
            state: Arc::new(state),
            jobs: Mutex::new(Some(jobs)),
            tasks: Mutex::default(),
        })
    }

    /// Whether another one would be the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let (state, other) = (&self.state, &other.state);
        !state.reach.is_retired()
            && state.config == other.config
            && state.authorities == other.authorities
            && (state.body_bytes_max, state.lease) == (other.body_bytes_max, other.lease)
    }

    /// Begins to look for Redis, once; whoever lets go of this ends it.
    pub fn start(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(jobs) = jobs.take() else {
            return;
        };
        let mut tasks = self.tasks();
        let state = Arc::clone(&self.state);
        tasks.heartbeat.spawn(heartbeat::keep(state));
        let state = Arc::clone(&self.state);
        tasks.writes.spawn(writes::work(state, jobs));
    }

    /// Leaves the stage to another one: what was begun is shared, and nothing told any more.
    pub fn retire(&self) {
        self.state.reach.retire();
        self.tasks().heartbeat.abort_all();
    }

    /// Whether Redis is there, as far as we know.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state.reach.is_up()
    }

    /// The answer that is kept by this key, where Redis says so in time. Whatever is wrong with
    /// it, or with Redis, there is none.
    pub async fn read(&self, key: &[u8; 32]) -> Option<Deposit> {
        let name = self.state.name(key);
        let looked = self.state.look(&name, key, None).await;
        self.state.count(&looked.answer);
        looked.answer.ok()
    }

    /// Lets none of the answers that any replica has left there be given again. What they take
    /// is free when their time is over.
    ///
    /// An operator asks for it, who is told what goes wrong. The memories of other replicas are
    /// their own.
    ///
    /// # Errors
    /// Where Redis has not done so within `timeout`.
    pub async fn remove_all(&self) -> Result<(), Away> {
        let state = &self.state;
        let line = state.reach.line().ok_or(Away(Absence::Resting))?;
        let era = new_era();
        let mut begin = redis::cmd("SET");
        begin.arg(state.era_name()).arg(&era);
        // Whatever comes of it: nothing that is being made now is of the next one.
        state.era.store(None);
        state
            .reach
            .in_time(line.link.tell(&begin))
            .await
            .map_err(Away)?;
        state.era.store(Some(Arc::new(era)));
        Ok(())
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What an answer is called there.
    fn name(&self, key: &[u8; 32]) -> Hash {
        blake3::keyed_hash(&self.names, key)
    }

    fn answer_name(&self, name: &Hash) -> String {
        format!("{}v1:{}", self.prefix, name.to_hex())
    }

    fn lease_name(&self, name: &Hash) -> String {
        format!("{}lease:{}", self.prefix, name.to_hex())
    }

    fn era_name(&self) -> String {
        format!("{}era", self.prefix)
    }

    /// Knows which era it is. Where Redis has lost it, nothing there counts, and the heartbeat
    /// begins another one at once.
    fn heard(&self, told: &Value) -> Option<Era> {
        let era = match told {
            Value::BulkString(bytes) => Era::try_from(bytes.as_slice()).ok(),
            _ => None,
        };
        let Some(era) = era else {
            self.era.store(None);
            self.reach.wake();
            return None;
        };
        if self.era.load().as_deref() != Some(&era) {
            self.era.store(Some(Arc::new(era)));
        }
        Some(era)
    }

    fn count(&self, answer: &Result<Deposit, SecondRead>) {
        let result = answer
            .as_ref()
            .map_or_else(|none| *none, |_| SecondRead::Hit);
        self.metrics.read(result);
    }
}

impl Purpose for State {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Learns which era it is, and begins one where there is none.
    ///
    /// A server that has one and takes no more, because it is full or may only be read from, is
    /// still good to be read from.
    async fn prove(&self, link: &Link) -> Result<(), Absence> {
        let mut ask = redis::cmd("GETRANGE");
        ask.arg(self.era_name()).arg(0).arg(size_of::<Era>() - 1);
        let mut begin = redis::cmd("SET");
        begin.arg(self.era_name()).arg(&new_era());
        // Of several replicas that begin one only the first does.
        begin.arg("NX");
        let told = link.tell(&ask).await?;
        if self.heard(&told).is_some() {
            return Ok(());
        }
        link.tell(&begin).await?;
        let told = link.tell(&ask).await?;
        self.heard(&told).map(|_| ()).ok_or(Absence::Failed)
    }

    fn tell_away(&self, absence: Absence) {
        tracing::warn!(
            kind = absence.as_str(),
            "shared answers: {}; until Redis is back each process has its own only",
            reach::reason(absence)
        );
    }

    fn tell_back(&self) {
        tracing::info!("shared answers: Redis is there; what one process was answered all have");
    }
}

impl Deposit {
    /// How long somebody may still be given it for something.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Duration {
        let stale = self.stale_while_revalidate.max(self.stale_if_error);
        let lifetime = self.fresh.saturating_add(stale);
        lifetime.saturating_sub(self.age(now))
    }

    /// Whether it is fresh.
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        self.age(now) < self.fresh
    }

    /// How old it is; nothing, where the clock of whoever made it is ahead of ours.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.made).unwrap_or_default()
    }
}

/// Does what takes long for so many bytes beside the threads that serve; `None`: it panicked.
async fn beside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if bytes <= INLINE_BYTES_MAX {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}

fn new_era() -> Era {
    by_chance().to_le_bytes()
}

fn by_chance() -> u128 {
    u128::from(sys::random()) << 64 | u128::from(sys::random())
}

/// At least one: nothing lasts no time at all.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Without its body: that is an answer to a caller.
impl fmt::Debug for Deposit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deposit")
            .field("bytes", &self.body.len())
            .field("model", &self.model)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
