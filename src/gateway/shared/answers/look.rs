//! How is an answer looked for?
//!
//! In one question, with the era that it has to be of, and where that is wanted with the turn
//! to make it: Redis answers in the order in which it was asked. Whatever goes wrong, there is
//! no answer, and a word for why.

use blake3::Hash;
use redis::{Pipeline, Value};

use super::value::{self, Unread};
use super::writes::Job;
use super::{Deposit, Era, State, beside, millis};
use crate::gateway::record::outcome::Absence;
use crate::gateway::record::outcome::second::SecondRead;
use crate::gateway::shared::{Away, reach};
use crate::sys;

/// Bytes of answers that are on their way here at once, at most.
const ASKED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Looks at once, at most: at a millisecond each, 32,000 a second.
const ASKED_MAX: usize = 32;

/// What one question was answered with.
pub(super) struct Looked {
    /// Whether the turn to make the answer is ours now; `None`: nobody has asked for it, or
    /// nobody has said.
    pub(super) is_leased: Option<bool>,
    /// The answer; or why there is none, which is never a hit.
    pub(super) answer: Result<Deposit, SecondRead>,
}

/// How many may look at once where answers have so many bytes.
pub(super) fn at_once_max(body_bytes_max: usize) -> usize {
    (ASKED_BYTES_MAX / value::length_max(body_bytes_max)).clamp(1, ASKED_MAX)
}

impl State {
    /// Looks once, and takes the turn to make the answer by this token where that is wanted
    /// and nobody has it.
    pub(super) async fn look(&self, name: &Hash, key: &[u8; 32], token: Option<&str>) -> Looked {
        let none = |result| Looked {
            is_leased: None,
            answer: Err(result),
        };
        let Ok(_asking) = self.asking.try_acquire() else {
            return none(SecondRead::Busy);
        };
        let Some(line) = self.reach.line() else {
            return none(SecondRead::Away);
        };
        let mut question = Pipeline::new();
        if let Some(token) = token {
            let lease = question.cmd("SET").arg(self.lease_name(name)).arg(token);
            lease.arg("NX").arg("PX").arg(millis(self.lease));
        }
        // Never more than an answer can have, whatever lies there.
        let end = value::length_max(self.body_bytes_max);
        let look = question.cmd("GETRANGE").arg(self.answer_name(name));
        look.arg(0).arg(end);
        let era = question.cmd("GETRANGE").arg(self.era_name());
        era.arg(0).arg(size_of::<Era>() - 1);
        let began = sys::instant();
        let told = match reach::ask(self, &line, line.link.all(&question)).await {
            Ok(told) => told,
            Err(Away(Absence::Slow)) => return none(SecondRead::Late),
            Err(_) => return none(SecondRead::Failed),
        };
        let took = sys::instant().saturating_duration_since(began);
        self.metrics.read_duration.observe(took.as_secs_f64());
        let mut told = told.into_iter();
        let is_leased = token.map(|_| matches!(told.next(), Some(Value::Okay)));
        let (Some(value), Some(era)) = (told.next(), told.next()) else {
            reach::failed(self, &line, Absence::Garbage);
            return none(SecondRead::Failed);
        };
        let answer = self.answer(key, value, self.heard(&era)).await;
        if answer == Err(SecondRead::Garbage) {
            self.queue.add(Job::Remove(*name));
        }
        Looked { is_leased, answer }
    }

    /// What a value says that was found under the name of this key.
    async fn answer(
        &self,
        key: &[u8; 32],
        value: Value,
        era: Option<Era>,
    ) -> Result<Deposit, SecondRead> {
        let value = match value {
            Value::BulkString(value) if value.is_empty() => return Err(SecondRead::Miss),
            Value::BulkString(value) => value,
            _ => return Err(SecondRead::Garbage),
        };
        let (seal, key, bytes_max) = (self.seal.clone(), *key, self.body_bytes_max);
        let opened = beside(value.len(), move || seal.open(&key, value, bytes_max)).await;
        let opened = opened.unwrap_or(Err(Unread::Garbage));
        let era = era.ok_or(SecondRead::Miss)?;
        let answer = opened.and_then(|opened| opened.at(sys::now().wall, era));
        answer.map_err(|unread| match unread {
            Unread::Garbage => SecondRead::Garbage,
            Unread::Ahead => SecondRead::Ahead,
            Unread::Removed | Unread::Over => SecondRead::Miss,
        })
    }
}
