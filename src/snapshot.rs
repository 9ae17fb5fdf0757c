//! What is in force?
//!
//! The configuration compiled once. A request takes the snapshot that is current
//! when it begins and keeps it to its end. It holds no counters: what is counted
//! or learned lives beside it and survives its replacement.

use std::sync::Arc;

use http::HeaderValue;
use thiserror::Error;

use crate::config::Config;
use crate::config::bounds::Attempts;
use crate::gateway::client::Clients;
use crate::gateway::door::Rules;
use crate::gateway::inspect::Bounds;
use crate::gateway::limit::Limits;
use crate::gateway::models::ModelList;
use crate::gateway::pages::Pages;
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::{Pool, PoolError};
use crate::gateway::record::metrics::Metrics;
use crate::gateway::record::policy::LogPolicy;
use crate::gateway::route::Router;
use crate::gateway::shared::answers::Answers;
use crate::gateway::shared::{Shared, SharedError};
use crate::otlp::{CollectorError, Otlp};

/// Why a configuration cannot be made ready.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// A pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// What replicas share.
    #[error("what replicas share {0}")]
    Shared(#[from] SharedError),
    /// What a collector is told.
    #[error("the collector {0}")]
    Otlp(#[from] CollectorError),
}

/// A configuration, ready for requests.
#[derive(Debug)]
pub struct Snapshot {
    /// What it was made from.
    pub config: Config,
    /// What a head is held against.
    pub rules: Rules,
    /// How callers are told apart.
    pub clients: Clients,
    /// How much they may ask for.
    pub limits: Limits,
    /// Where limits of all replicas are counted, where there are some.
    pub shared: Option<Arc<Shared>>,
    /// The answers of all replicas, where they share them.
    pub answers: Option<Arc<Answers>>,
    /// What a collector is told, where there is one.
    pub otlp: Option<Arc<Otlp>>,
    /// What a body is held against.
    pub bounds: Bounds,
    /// How often a request is tried.
    pub attempts: Arc<Attempts>,
    /// Its pools, in the order of the configuration.
    pub pools: Vec<Arc<Pool>>,
    /// Who answers for which model.
    pub router: Router,
    /// The list of models.
    pub models: ModelList,
    /// What is here for people.
    pub pages: Pages,
    /// What is told of requests.
    pub log: LogPolicy,
    /// The configuration's version, where answers shall tell it.
    pub version_header: Option<HeaderValue>,
}

impl Snapshot {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Where a file that it names cannot be used.
    pub fn new(
        config: Config,
        registry: &Registry,
        metrics: &Metrics,
    ) -> Result<Self, SnapshotError> {
        let pools = config
            .pools
            .iter()
            .map(|pool| Pool::new(pool, registry).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        // Before the first of its series is made.
        metrics.bound_series(config.metrics.series_max);
        Ok(Self {
            rules: Rules::new(&config),
            clients: Clients::new(&config),
            limits: Limits::new(&config),
            shared: registry.shared.shared(config.shared.as_ref(), metrics)?,
            answers: registry.shared.answers(&config, metrics)?,
            otlp: registry
                .otlp
                .otlp(config.otlp.as_ref(), || metrics.exports.counts())?,
            bounds: Bounds {
                depth_max: config.bounds.json_depth_max,
                keys_max: config.bounds.json_keys_max,
            },
            attempts: Arc::new(config.attempts.clone()),
            router: Router::new(&config, &pools, metrics),
            models: ModelList::new(&config),
            pages: Pages::new(&config),
            log: LogPolicy::new(&config),
            version_header: config
                .server
                .config_header
                .then(|| HeaderValue::from_str(&config.version).ok())
                .flatten(),
            pools,
            config,
        })
    }
}
