//! What becomes of a configuration that is no longer in force?
//!
//! Requests that began with it end with it: their streams go on, at pools that may be in
//! no file any more. Nothing new comes to those, so their idle connections are closed
//! as they fall idle, and with the last request everything goes that only they had.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;

use crate::gateway::pools::Pool;
use crate::gateway::pools::target::share_connections;
use crate::server::reload::Reloader;
use crate::snapshot::Snapshot;

/// Between two looks at what is left. A connection that nobody will use again may be
/// kept for so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Frees what only `old` had, as its requests end.
pub(super) async fn retire(reloader: Arc<Reloader>, old: Arc<Snapshot>) {
    reloader.sweep().await;
    let peers: Vec<Arc<HttpPeer>> = old.pools.iter().flat_map(|pool| pool.peers()).collect();
    let pools: Vec<Weak<Pool>> = old.pools.iter().map(Arc::downgrade).collect();
    drop(old);
    loop {
        let is_over = pools.iter().all(|pool| pool.strong_count() == 0);
        close_unused(&reloader, &peers);
        if is_over {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    // The last answer may have given its connection back after its pool was gone.
    tokio::time::sleep(LOOK_AGAIN).await;
    close_unused(&reloader, &peers);
    reloader.sweep().await;
}

/// Closes idle connections that the configuration in force has no use for.
fn close_unused(reloader: &Reloader, peers: &[Arc<HttpPeer>]) {
    let gateway = reloader.gateway();
    for peer in peers {
        let in_use = {
            let snapshot = gateway.snapshot.load();
            let mut current = snapshot.pools.iter().flat_map(|pool| pool.peers());
            current.any(|current| share_connections(&current, peer))
        };
        if !in_use {
            gateway.close_idle(peer);
        }
    }
}
