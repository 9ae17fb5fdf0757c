//! Who may look into this process?
//!
//! Its memory has what callers say and what upstreams are shown as a credential. A process that
//! crashes would leave all of it in a file, and any other of its user could read it while it runs.
//! So the system is told that it is not to be dumped, unless the operator wants it.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Keeps the process's memory to itself. It is told where that cannot be had, and serves all the same.
pub(super) fn keep_memory_private() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a crash may leave the process's memory in a file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_private() {
        keep_memory_private();
        let now = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(now, DumpableBehavior::NotDumpable);
    }
}
