//! Who looks after pools where no request does?
//!
//! Tasks in the background, one for each target whose name is looked up, one for each
//! that is checked, and one that feels the pulse of the process. They belong to the pools
//! in force: new ones end the old ones, at once and whatever they wait for, so a thousand
//! reloads leave as many tasks as the first start. Requests wait for none of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::policy::Dns;
use crate::gateway::pools::Pool;
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::resolve::Search;
use crate::gateway::pools::{check, pulse, resolve};
use crate::sys;

/// How long the start waits for names. An answer takes milliseconds; who has none then has
/// none soon, and other pools are to serve.
const FIRST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

/// That every name has been looked up once.
#[derive(Debug)]
pub struct FirstAnswers(mpsc::Receiver<()>);

impl FirstAnswers {
    /// Waits for it, or for two seconds.
    pub async fn wait(mut self) {
        // Nothing is ever sent: the channel ends when the last look-up has dropped its half.
        let answered = tokio::time::timeout(FIRST_ANSWERS_TIMEOUT, self.0.recv()).await;
        if answered.is_err() {
            tracing::warn!("some names of targets are not resolved yet; serving without them");
        }
    }
}

/// Looks after these pools from now on, and no longer after those before.
pub fn spawn(pools: &[Arc<Pool>], dns: &Dns, registry: &Arc<Registry>) -> FirstAnswers {
    let mut tasks = JoinSet::new();
    let (looked_up, first_answers) = mpsc::channel(1);
    let dns = Arc::new(dns.clone());
    for pool in pools {
        for index in 0..pool.targets.len() {
            let name = pool.targets.get(index).and_then(|target| target.name());
            if name.is_some() {
                let search = Search {
                    pool: Arc::downgrade(pool),
                    target: index,
                    registry: Arc::downgrade(registry),
                    dns: Arc::clone(&dns),
                };
                tasks.spawn(resolve::keep_located(search, looked_up.clone()));
            }
        }
    }
    check::spawn(pools, &mut tasks);
    let pulse = registry.pulse();
    tasks.spawn(async move {
        loop {
            pulse.beat(sys::instant());
            tokio::time::sleep(pulse::BEAT).await;
        }
    });
    registry.tend(tasks);
    FirstAnswers(first_answers)
}
