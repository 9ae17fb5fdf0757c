//! How do answers get there?
//!
//! Behind the backs of those who asked: one task seals and writes one answer after the other.
//! What waits for it is bounded, in number and in bytes, and what has no room is not written.
//! An answer that nobody shares costs a question to an upstream; one that everybody waits for
//! would cost more.

use std::sync::Arc;
use std::time::Duration;

use blake3::Hash;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Deposit, Era, State, beside, by_chance};
use crate::gateway::record::metrics::SecondMetrics;
use crate::gateway::record::outcome::Absence;
use crate::gateway::record::outcome::second::SecondWrite;
use crate::gateway::shared::{reach, script};
use crate::sys;

/// How long a write may take: nobody waits for it but the next one.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
/// Answers, and turns to be given back, that wait at most.
const WAITING_MAX: usize = 1024;
/// Bytes of answers that wait at most, or one of the longest. Most of them are kept here as
/// well, and take no more memory for it.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What room is given out in.
const PART_BYTES: usize = 1024;

/// What the task has to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Write an answer.
    Write(Box<Write>),
    /// Give the turn to make this answer back that was had by this token.
    Release(Hash, String),
    /// Remove what is no answer.
    Remove(Hash),
}

/// An answer to be written.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) key: [u8; 32],
    /// The one in which it began to be made.
    pub(super) era: Era,
    pub(super) deposit: Deposit,
    /// Given back when it is written, or is not.
    room: Room,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    waiting_bytes: IntGauge,
}

/// Bytes that wait.
#[derive(Debug)]
struct Room {
    bytes: i64,
    waiting_bytes: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Queue {
    /// One with room for answers of so many bytes.
    pub(super) fn new(
        body_bytes_max: usize,
        metrics: &SecondMetrics,
    ) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, work) = mpsc::channel(WAITING_MAX);
        let bytes = WAITING_BYTES_MAX.max(body_bytes_max);
        let queue = Self {
            jobs,
            room: Arc::new(Semaphore::new(parts(bytes) as usize)),
            waiting_bytes: metrics.waiting_bytes.clone(),
        };
        (queue, work)
    }

    /// Lets an answer be written; false: there is no room.
    pub(super) fn write(&self, key: [u8; 32], era: Era, deposit: Deposit) -> bool {
        let Some(room) = self.room(deposit.body.len()) else {
            return false;
        };
        let write = Write {
            key,
            era,
            deposit,
            room,
        };
        self.add(Job::Write(Box::new(write)))
    }

    /// Lets something be done; false: too much waits.
    pub(super) fn add(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    fn room(&self, bytes: usize) -> Option<Room> {
        let permit = Arc::clone(&self.room).try_acquire_many_owned(parts(bytes));
        let permit = permit.ok()?;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.waiting_bytes.add(bytes);
        Some(Room {
            bytes,
            waiting_bytes: self.waiting_bytes.clone(),
            _permit: permit,
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting_bytes.sub(self.bytes);
    }
}

/// An answer of no bytes takes room, too.
fn parts(bytes: usize) -> u32 {
    u32::try_from(bytes / PART_BYTES + 1).unwrap_or(u32::MAX)
}

/// Does what there is to be done, for as long as anybody may want something.
pub(super) async fn work(state: Arc<State>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Write(write) => {
                let result = put(&state, *write).await;
                state.metrics.written(result);
            }
            Job::Release(name, token) => {
                let key = state.lease_name(&name);
                let question = state.release.question(key, token.as_bytes(), Vec::new());
                if let Some(line) = state.reach.line() {
                    let _ = state.reach.in_time(line.link.ask(&question)).await;
                }
            }
            Job::Remove(name) => {
                let mut remove = redis::cmd("UNLINK");
                remove.arg(state.answer_name(&name));
                if let Some(line) = state.reach.line() {
                    let _ = state.reach.in_time(line.link.tell(&remove)).await;
                }
            }
        }
    }
}

/// Seals an answer and writes it.
async fn put(state: &Arc<State>, write: Write) -> SecondWrite {
    let Some(line) = state.reach.line() else {
        return SecondWrite::Away;
    };
    let left = write.deposit.left(sys::now().wall);
    if left.is_zero() {
        return SecondWrite::Dropped;
    }
    let name = state.name(&write.key);
    let (seal, salt) = (state.seal.clone(), by_chance());
    let sealed = beside(write.deposit.body.len(), move || {
        let Write {
            key,
            era,
            deposit,
            room,
        } = write;
        let value = seal.close(&key, era, &deposit, salt);
        (value, room)
    });
    let Some((Some(value), _room)) = sealed.await else {
        return SecondWrite::Failed;
    };
    let numbers = vec![i64::try_from(left.as_millis()).unwrap_or(i64::MAX).max(1)];
    let question = state
        .put
        .question(state.answer_name(&name), &value, numbers);
    let answer = tokio::time::timeout(TIMEOUT, line.link.ask(&question)).await;
    let absence = match answer.unwrap_or(Err(Absence::Slow)) {
        Ok(answer) => match script::done(&answer) {
            Some(true) => return SecondWrite::Written,
            Some(false) => return SecondWrite::Full,
            None => Absence::Garbage,
        },
        Err(absence) => absence,
    };
    match absence {
        // What is there can be read all the same.
        Absence::OutOfMemory | Absence::ReadOnly | Absence::Unauthorized => {
            state.reach.count(absence);
        }
        _ => {
            reach::failed(&**state, &line, absence);
        }
    }
    SecondWrite::Failed
}
