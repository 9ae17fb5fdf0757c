//! Which one is in force?
//!
//! A reload that leaves `[otlp]` as it was keeps what waits and what was measured. One that changes
//! it begins anew; what waits in the one before is still sent, and its thread ends with the last
//! request that began with it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{CollectorError, Counts, Otlp};
use crate::config::otlp::Otlp as Config;
use crate::sys;

/// What collectors are told, over all configurations.
#[derive(Debug)]
pub struct Kept {
    /// What this process is called there; nobody else is.
    process: String,
    /// Those that are in use.
    known: Mutex<Vec<Weak<Otlp>>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            process: format!("{:016x}{:016x}", sys::random(), sys::random()),
            known: Mutex::default(),
        }
    }
}

impl Kept {
    /// What this configuration tells: the same as before, where it says the same.
    ///
    /// # Errors
    /// Where it cannot be followed.
    pub fn otlp(
        &self,
        config: Option<&Config>,
        counts: impl FnOnce() -> (Counts, Counts),
    ) -> Result<Option<Arc<Otlp>>, CollectorError> {
        let Some(config) = config else {
            return Ok(None);
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.strong_count() > 0);
        let mut before = known.iter().filter_map(Weak::upgrade);
        let same = before.find(|before| before.config == *config);
        if same.is_some() {
            return Ok(same);
        }
        drop(before);
        let otlp = Arc::new(Otlp::new(config, counts(), &self.process)?);
        known.push(Arc::downgrade(&otlp));
        Ok(Some(otlp))
    }
}
