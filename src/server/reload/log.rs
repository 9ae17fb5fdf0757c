//! Where does the request log go on?
//!
//! What a new configuration names is opened before anything comes into force, since that may
//! fail. And whoever asks for a reload may have moved the log's file away: so it is opened again
//! whatever becomes of the configuration.

use std::sync::Arc;

use super::{ReloadError, Reloader};
use crate::config::problem::Problems;
use crate::config::{Config, Source, locate};
use crate::snapshot::Snapshot;
use crate::telemetry::Sink;

/// What lines go to from now on, where that is another place than before.
pub(super) type Move = Option<Option<Sink>>;

impl Reloader {
    /// Opens what the configuration names for lines, where that is not what they go to already.
    pub(super) async fn open_log(
        self: &Arc<Self>,
        config: &Config,
        text: &str,
    ) -> Result<Move, ReloadError> {
        let wanted = config.log.requests.clone();
        if wanted == self.gateway.snapshot.load().config.log.requests {
            return Ok(None);
        }
        let opened = tokio::task::spawn_blocking(move || Sink::open(&wanted)).await?;
        opened.map(Some).map_err(|error| {
            let name = self.origin.name();
            let source = Source { name: &name, text };
            let kind = error.kind();
            let words = format!("cannot be opened ({kind}); make its folder, or name another");
            Problems::from(locate::problem(source, "log.requests", words)).into()
        })
    }

    /// Lets lines go there, and as many requests be kept in mind as is said now.
    pub(super) fn move_log(&self, to: Move, snapshot: &Snapshot) {
        let journal = &self.gateway.journal;
        if let Some(sink) = to {
            journal.log.turn_to(&snapshot.config.log.requests, sink);
        }
        journal.apply(&snapshot.log);
    }
}
