//! Can a checked configuration serve?
//!
//! What only shows when it is made ready: a certificate that does not fit its key,
//! authorities that are no certificates. `check`, a start and a reload ask the same.

use crate::config::problem::{Problem, Problems};
use crate::config::{Config, Source, locate};
use crate::gateway::pools::PoolError;
use crate::gateway::pools::registry::Registry;
use crate::gateway::record::metrics::Metrics;
use crate::gateway::shared::SharedError;
use crate::server::certificate::Pair;
use crate::snapshot::{Snapshot, SnapshotError};

/// A configuration that is ready.
#[derive(Debug)]
pub struct Compiled {
    /// For requests.
    pub snapshot: Snapshot,
    /// For TLS listeners, where there are some.
    pub pair: Option<Pair>,
}

/// Makes a configuration ready; state that is known is taken from `registry`.
///
/// # Errors
/// Everything that is in its way, at its place in `source`.
pub fn compile(
    source: Source<'_>,
    config: Config,
    registry: &Registry,
    metrics: &Metrics,
) -> Result<Compiled, Problems> {
    let pair = config.server.tls.as_ref().map(Pair::read).transpose();
    let pair =
        pair.map_err(|error| locate::problem(source, "server.tls.cert.file", error.to_string()));
    let names: Vec<_> = config.pools.iter().map(|pool| pool.name.clone()).collect();
    let snapshot = Snapshot::new(config, registry, metrics).map_err(|error| {
        let key = match &error {
            SnapshotError::Pool(PoolError::CertificateAuthority { pool, .. }) => {
                let index = names.iter().position(|name| name == pool).unwrap_or(0);
                format!("pools[{index}].ca.file")
            }
            SnapshotError::Shared(SharedError::Address(_)) => "shared.redis".to_owned(),
            SnapshotError::Shared(SharedError::Authorities(_)) => "shared.ca.file".to_owned(),
            SnapshotError::Otlp(_) => "otlp.endpoint".to_owned(),
        };
        locate::problem(source, &key, error.to_string())
    });
    let problems: Vec<Problem> = pair
        .as_ref()
        .err()
        .into_iter()
        .chain(snapshot.as_ref().err())
        .cloned()
        .collect();
    match Problems::of(problems) {
        Some(problems) => Err(problems),
        None => Ok(Compiled {
            snapshot: snapshot?,
            pair: pair?,
        }),
    }
}
