//! What does the system tell of files and folders?
//!
//! Folders are watched and not files: a watch on a file sees the file that was there,
//! and not the one that takes its place. Folders may be replaced as well, so the watches
//! are set anew whenever something happened, on what is there now. Where the system has
//! no watch to give, polling has to do, and that is told once.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::steps::steps;

/// Watches on folders.
pub(super) struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// Device and number of each watched folder: another one may come to its path.
    watched: HashMap<PathBuf, (u64, u64)>,
    heard: Arc<Heard>,
    has_complained: bool,
}

/// What was heard.
#[derive(Default)]
struct Heard {
    /// The places of which anything is news.
    places: Mutex<BTreeSet<PathBuf>>,
    news: Notify,
    is_written: AtomicBool,
}

impl Folders {
    /// Nothing is watched yet.
    pub(super) fn new() -> Self {
        Self {
            watcher: None,
            watched: HashMap::new(),
            heard: Arc::default(),
            has_complained: false,
        }
    }

    /// Watches the ways to these files, as they go now, and nothing else.
    pub(super) fn keep<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let places: BTreeSet<PathBuf> = files.flat_map(steps).collect();
        let folders: BTreeSet<PathBuf> = places
            .iter()
            .filter_map(|place| Some(place.parent()?.to_owned()))
            .collect();
        *self.heard.lock() = places;
        let result = self.watch(&folders);
        if let Err(error) = result
            && !std::mem::replace(&mut self.has_complained, true)
        {
            tracing::warn!(%error, "changes of the configuration's files are not told by the system; they are found by looking every [reload] poll");
        }
    }

    /// Watches nothing any more.
    pub(super) fn forget(&mut self) {
        self.watcher = None;
        self.watched.clear();
    }

    /// Waits for news, and for news that were not waited for.
    pub(super) async fn told(&self) {
        self.heard.news.notified().await;
    }

    /// Whether a file was written to and not closed yet.
    pub(super) fn is_written(&self) -> bool {
        self.heard.is_written.load(Ordering::Relaxed)
    }

    fn watch(&mut self, folders: &BTreeSet<PathBuf>) -> notify::Result<()> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => {
                let heard = Arc::clone(&self.heard);
                none.insert(notify::recommended_watcher(move |event| {
                    heard.hear(event);
                })?)
            }
        };
        self.watched.retain(|folder, identity| {
            let stays = folders.contains(folder) && identity_of(folder) == Some(*identity);
            if !stays {
                // It may be gone, and its watch with it.
                let _ = watcher.unwatch(folder);
            }
            stays
        });
        let mut result = Ok(());
        for folder in folders {
            let Some(identity) = identity_of(folder) else {
                continue;
            };
            // Also where there is one: a folder that was made anew may have the old number.
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.clone(), identity);
                }
                // It went meanwhile, which is news of its own, or it is closed to us.
                Err(error) if is_about_the_path(&error) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }
}

impl Heard {
    fn hear(&self, event: notify::Result<Event>) {
        let Ok(event) = event else {
            return self.news.notify_one();
        };
        let is_news = event.need_rescan() || {
            let places = self.lock();
            event.paths.iter().any(|path| places.contains(path))
        };
        if !is_news {
            return;
        }
        match event.kind {
            // Looking at the files is among these.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                self.is_written.store(false, Ordering::Relaxed);
            }
            EventKind::Access(_) => return,
            EventKind::Modify(ModifyKind::Data(_)) => {
                self.is_written.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        self.news.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity_of(folder: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(folder).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}

fn is_about_the_path(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound | notify::ErrorKind::WatchNotFound => true,
        notify::ErrorKind::Io(error) => {
            error.kind() == std::io::ErrorKind::PermissionDenied
                || error.kind() == std::io::ErrorKind::NotFound
        }
        _ => false,
    }
}
