//! What would a reload change?
//!
//! Everything that a reload does before anything comes into force, with state of its own: so
//! what it finds is what a reload would find, and nobody notices.

use std::sync::Arc;

use super::{NEEDS_RESTART, ReloadError, Reloader};
use crate::config::problem::{Problem, Problems};
use crate::config::{Config, Source, locate};
use crate::gateway::pools::registry::Registry;
use crate::gateway::record::metrics::Metrics;
use crate::server::compile::{Compiled, compile};
use crate::server::{bounds, restart};

impl Reloader {
    /// The configuration that would come into force.
    ///
    /// # Errors
    /// Why none would.
    pub async fn preview(self: &Arc<Self>) -> Result<Config, ReloadError> {
        let reloader = Arc::clone(self);
        let look = async move { reloader.look().await };
        self.runtime.spawn(look).await?
    }

    async fn look(self: Arc<Self>) -> Result<Config, ReloadError> {
        let mut player = self.turn.lock().await;
        let origin = self.origin.clone();
        let reading = tokio::task::spawn_blocking(move || origin.read()).await?;
        let mut config = reading.config?;
        bounds::fit(&mut config.bounds);
        player.play(&mut config).await.map_err(ReloadError::Demo)?;
        let reloader = Arc::clone(&self);
        let (text, whole) = (reading.text, config.clone());
        let check = move || {
            let (registry, metrics) = (Registry::default(), Metrics::new());
            reloader
                .compile(whole, &text, (&registry, &metrics))
                .map(drop)
        };
        tokio::task::spawn_blocking(check).await??;
        Ok(config)
    }

    /// Makes what was read ready to serve, over this state, or finds everything that is in its
    /// way.
    pub(super) fn compile(
        &self,
        config: Config,
        text: &str,
        (registry, metrics): (&Registry, &Metrics),
    ) -> Result<Compiled, Problems> {
        let name = self.origin.name();
        let source = Source { name: &name, text };
        let mut problems: Vec<Problem> = restart::needed(&self.first, &config)
            .into_iter()
            .map(|key| locate::problem(source, key, NEEDS_RESTART))
            .collect();
        let compiled = compile(source, config, registry, metrics);
        problems.extend(compiled.as_ref().err().into_iter().flatten().cloned());
        match Problems::of(problems) {
            Some(problems) => Err(problems),
            None => compiled,
        }
    }
}
