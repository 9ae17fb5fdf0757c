//! Which TLS handshakes are not over?
//!
//! pingora shakes hands between its callback before TLS and the application, and tells nobody how
//! it went but its log. So a connection is noted in the one and struck off in the other; one that
//! ends and still stands here has failed. It is known by what tells of its socket, which both are
//! shown and which lives at least as long as the note.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pingora_core::protocols::SocketDigest;

/// Connections that shake hands: as many as are open, at most.
#[derive(Debug, Default)]
pub(super) struct Shaking(Mutex<HashSet<usize>>);

impl Shaking {
    /// A handshake begins.
    pub(super) fn begins(&self, digest: Option<&Arc<SocketDigest>>) {
        if let Some(digest) = digest {
            self.all().insert(address(digest));
        }
    }

    /// It is over, or its connection is. True the first time.
    pub(super) fn is_over(&self, digest: Option<&Arc<SocketDigest>>) -> bool {
        digest.is_some_and(|digest| self.all().remove(&address(digest)))
    }

    fn all(&self) -> MutexGuard<'_, HashSet<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(digest: &Arc<SocketDigest>) -> usize {
    Arc::as_ptr(digest).addr()
}
