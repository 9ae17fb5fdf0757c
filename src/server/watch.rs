//! When is the configuration read again?
//!
//! When a file that it was made of is another one than before: the configuration itself,
//! a secret, a certificate. The system tells when something happens along the way to such
//! a file, and every so often we look without being told, for file systems that tell
//! nothing. What decides is neither, but what is in the files: an event where nothing
//! changed is no reload, and half a file is none either, since a change counts once two
//! looks in a row have seen the same.

/// Which places does a path lead through?
mod steps;
/// What does the system tell of them?
mod folders;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::Signal;

use crate::server::origin::Inputs;
use crate::server::reload::{Reloader, Trigger};
use crate::sys;
use folders::Folders;

/// How long somebody may hold a file open for writing, with nothing written, until it is
/// taken as it is. Who writes slower than this writes another file and renames it.
const WRITER_PATIENCE: Duration = Duration::from_millis(1_500);

/// After how long it is told that files do not come to rest, since they are not applied
/// before. Who writes a file takes much less.
const UNREST_TOLD_AFTER: Duration = Duration::from_secs(10);

/// Reloads whenever a file has changed, until the process ends.
pub(super) async fn files(reloader: Arc<Reloader>) {
    let mut folders = Folders::new();
    while !reloader.is_ending() {
        let settings = reloader.settings();
        if !settings.watch {
            folders.forget();
            reloader.attempted().await;
            continue;
        }
        let inputs = reloader.inputs();
        folders.keep(inputs.paths());
        // Looked at after the watch is set: what changes from here on is told.
        if has_changed(&inputs, &folders, settings.debounce).await {
            // It has told what came of it.
            let _ = reloader.reload(Trigger::Files).await;
            continue;
        }
        tokio::select! {
            () = folders.told() => {}
            () = tokio::time::sleep(settings.poll) => {}
            () = reloader.attempted() => {}
        }
    }
}

/// Reloads at every SIGHUP, until the process ends.
pub(super) async fn signals(reloader: Arc<Reloader>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let _ = reloader.reload(Trigger::Signal).await;
    }
}

/// Whether the files are others than `known`, once they have come to rest.
async fn has_changed(known: &Inputs, folders: &Folders, quiet: Duration) -> bool {
    let mut seen = look(known).await;
    if seen == *known {
        return false;
    }
    let mut since = sys::instant();
    let mut unrest = Unrest {
        began: since,
        is_told: false,
    };
    loop {
        tokio::time::sleep(quiet).await;
        let again = look(known).await;
        if again != seen {
            seen = again;
            since = sys::instant();
            if unrest.is_to_be_told(since) {
                tracing::warn!(
                    "the configuration's files keep changing and are not applied until they rest; write another file and rename it"
                );
            }
            continue;
        }
        let patience = sys::instant().duration_since(since);
        if !folders.is_written() || patience >= WRITER_PATIENCE {
            return seen != *known;
        }
    }
}

/// Files that have changed and go on changing.
struct Unrest {
    began: Instant,
    is_told: bool,
}

impl Unrest {
    /// Whether it is time to tell of it, which it is once.
    fn is_to_be_told(&mut self, now: Instant) -> bool {
        let is_long = now.duration_since(self.began) >= UNREST_TOLD_AFTER;
        let is_first = is_long && !self.is_told;
        self.is_told |= is_first;
        is_first
    }
}

async fn look(known: &Inputs) -> Inputs {
    let known = known.clone();
    let fallback = known.clone();
    let looked = tokio::task::spawn_blocking(move || known.again()).await;
    looked.unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_files_do_not_come_to_rest_is_told_once() {
        let began = sys::instant();
        let mut unrest = Unrest {
            began,
            is_told: false,
        };
        let told = [1, 9, 10, 11, 30].map(|seconds| {
            let now = began + Duration::from_secs(seconds);
            unrest.is_to_be_told(now)
        });
        assert_eq!(told, [false, false, true, false, false]);
    }
}
