//! Which one is in force?
//!
//! A reload that leaves `[shared]` as it was keeps the connection, and what was learned
//! over it. One that changes it makes another: requests that began with the old one settle
//! with it, and it goes with the last of them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::answers::Answers;
use super::{Shared, SharedError};
use crate::config::{self, Config};
use crate::gateway::record::metrics::Metrics;
use crate::sys;

/// What replicas share, over all configurations.
#[derive(Debug)]
pub struct Kept {
    /// What this process is called in Redis; nobody else is.
    process: String,
    /// Those that are in use, the newest last.
    known: Mutex<Vec<Weak<Shared>>>,
    /// The same of answers.
    answers: Mutex<Vec<Weak<Answers>>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            process: format!("{:016x}{:016x}", sys::random(), sys::random()),
            known: Mutex::default(),
            answers: Mutex::default(),
        }
    }
}

impl Kept {
    /// What this configuration shares: the same as before, where it says the same.
    ///
    /// # Errors
    /// Where it cannot be followed.
    pub fn shared(
        &self,
        config: Option<&config::limits::Shared>,
        metrics: &Metrics,
    ) -> Result<Option<Arc<Shared>>, SharedError> {
        let Some(config) = config else {
            return Ok(None);
        };
        let shared = Shared::new(config, &self.process, metrics)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.strong_count() > 0);
        let mut before = known.iter().filter_map(Weak::upgrade);
        if let Some(same) = before.find(|before| before.is_as(&shared)) {
            return Ok(Some(same));
        }
        drop(before);
        if let Some(before) = known.last().and_then(Weak::upgrade) {
            shared.succeed(&before);
        }
        let shared = Arc::new(shared);
        known.push(Arc::downgrade(&shared));
        Ok(Some(shared))
    }
    /// The answers that replicas share by this configuration: the same as before, where it says
    /// the same.
    ///
    /// # Errors
    /// Where it cannot be followed.
    pub fn answers(
        &self,
        config: &Config,
        metrics: &Metrics,
    ) -> Result<Option<Arc<Answers>>, SharedError> {
        let Some(shared) = config.shared.as_ref().filter(|_| config.cache.second_tier) else {
            return Ok(None);
        };
        let answers = Answers::new(shared, &config.cache, metrics)?;
        let mut known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.strong_count() > 0);
        let mut before = known.iter().filter_map(Weak::upgrade);
        if let Some(same) = before.find(|before| before.is_as(&answers)) {
            return Ok(Some(same));
        }
        drop(before);
        let answers = Arc::new(answers);
        known.push(Arc::downgrade(&answers));
        Ok(Some(answers))
    }
}
