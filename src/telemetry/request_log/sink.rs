//! What are lines written to, and is it still what its name says?
//!
//! Log files are moved away while they are written, and whoever moves one expects the next line
//! in a new file of the old name. That is told by SIGHUP; it is also seen, by a look at the name
//! before a batch, at most once a second. A file that was cut short in its place needs neither:
//! lines are always appended.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::log::LogTarget;

/// Between two looks whether the file is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What lines are written to.
#[derive(Debug)]
pub struct Sink {
    file: File,
    /// What it is called, where it is no standard output.
    path: Option<PathBuf>,
    looked: Option<Instant>,
    /// It was told that the file cannot be opened again.
    is_told: bool,
}

impl Sink {
    /// Opens what the configuration names; `None`: lines go nowhere.
    ///
    /// # Errors
    /// Where the file cannot be opened; it is named.
    pub fn open(target: &LogTarget) -> io::Result<Option<Self>> {
        let (file, path) = match target {
            LogTarget::Off => return Ok(None),
            LogTarget::Stdout => {
                let stdout: OwnedFd = io::stdout().as_fd().try_clone_to_owned()?;
                (File::from(stdout), None)
            }
            LogTarget::File(path) => (at_the_end_of(path)?, Some(path.clone())),
        };
        Ok(Some(Self {
            file,
            path,
            looked: None,
            is_told: false,
        }))
    }

    /// Writes whole lines, at once. `on_new_line` where a batch before may have left half a one.
    pub(super) fn write(
        &mut self,
        lines: &[u8],
        on_new_line: bool,
        now: Instant,
    ) -> io::Result<()> {
        let since = self.looked.map(|at| now.saturating_duration_since(at));
        if since.is_none_or(|since| since >= LOOK_AGAIN) {
            self.looked = Some(now);
            self.open_again();
        }
        let line_end: &[u8] = if on_new_line { b"\n" } else { b"" };
        self.file
            .write_all(line_end)
            .and_then(|()| self.file.write_all(lines))
    }

    /// Opens the file of this name, unless it is the one that is written to already. Where that
    /// cannot be, lines go on to where they went.
    pub(super) fn open_again(&mut self) {
        let Some(path) = self.path.as_deref() else {
            return;
        };
        if is_same(&self.file, path) {
            return;
        }
        match at_the_end_of(path) {
            Ok(file) => {
                self.file = file;
                if std::mem::take(&mut self.is_told) {
                    tracing::info!("request log is opened again");
                }
            }
            Err(error) if !std::mem::replace(&mut self.is_told, true) => {
                tracing::error!(%error, "request log was moved away; lines go on into the file that it was");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
impl From<OwnedFd> for Sink {
    fn from(descriptor: OwnedFd) -> Self {
        Self {
            file: File::from(descriptor),
            path: None,
            looked: None,
            is_told: false,
        }
    }
}

/// Whether a name still means this file.
fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn at_the_end_of(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path);
    opened.map_err(|error| {
        let text = format!(
            "the request log {} cannot be opened: {error}; make its folder, or name another in [log] requests",
            path.display()
        );
        io::Error::new(error.kind(), text)
    })
}
