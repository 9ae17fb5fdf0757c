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
use std::time::Duration;

use tokio::signal::unix::Signal;

use crate::server::origin::Inputs;
use crate::server::reload::{Reloader, Trigger};
use crate::sys;
use folders::Folders;

/// How long somebody may hold a file open for writing, with nothing written, until it is
/// taken as it is. Who writes slower than this writes another file and renames it.
const WRITER_PATIENCE: Duration = Duration::from_millis(1_500);

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
    loop {
        tokio::time::sleep(quiet).await;
        let again = look(known).await;
        if again != seen {
            seen = again;
            since = sys::instant();
            continue;
        }
        let patience = sys::instant().duration_since(since);
        if !folders.is_written() || patience >= WRITER_PATIENCE {
            return seen != *known;
        }
    }
}

async fn look(known: &Inputs) -> Inputs {
    let known = known.clone();
    let fallback = known.clone();
    let looked = tokio::task::spawn_blocking(move || known.again()).await;
    looked.unwrap_or(fallback)
}
