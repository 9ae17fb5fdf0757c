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
    // Nobody asks the others, so nobody needs to know where they are.
    for pool in pools.iter().filter(|pool| pool.unusable.is_none()) {
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
    check::spawn(pools, registry.connections(), &mut tasks);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// Pools of one that is named and one that is checked, compiled anew.
    fn pools(registry: &Registry) -> (Vec<Arc<Pool>>, Dns) {
        let mut config = config::example("");
        let mut named = config.pools[0].clone();
        named.targets[0].url = "http://localhost:1".parse().unwrap();
        let check = config::policy::Check {
            path: None,
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(1),
            healthy_after: 1,
            unhealthy_after: 1,
        };
        config.pools[0].check = Some(check);
        let both = [&named, &config.pools[0]];
        let pools = both.map(|pool| Arc::new(Pool::new(pool, registry).unwrap()));
        (pools.into(), config.dns)
    }

    #[tokio::test]
    async fn a_thousand_configurations_leave_the_tasks_of_one() {
        let registry = Arc::new(Registry::default());
        let alive = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let mut in_force = Vec::new();
        for round in 0..1_000 {
            let (pools, dns) = pools(&registry);
            assert_eq!(pools[0].is_usable(sys::instant()), round > 0);
            spawn(&pools, &dns, &registry).wait().await;
            in_force = pools;
            // A look-up, a check, the pulse; and what ends is let go of when it is polled.
            tokio::task::yield_now().await;
            assert!(alive() <= 6, "{} tasks after {round}", alive());
        }
        drop(in_force);
        assert_eq!(alive(), 3);
    }
}
