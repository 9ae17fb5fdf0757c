//! Where do the old and the new process meet?
//!
//! Whoever can connect there gets our listening sockets, or can give us theirs. So the
//! folder is made for us alone, and one that anybody else may write to or enter is
//! refused, rather than set right: what is in it may be somebody's already.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What the socket is called in the folder.
const NAME: &str = "upgrade.sock";
/// Bits of a mode that let anybody but its owner in.
const OTHERS: u32 = 0o077;
/// A socket's path must fit into an address of the kernel.
const PATH_BYTES_MAX: usize = 107;

/// Why the folder is not used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// It is not ours alone.
    #[error(
        "[server] run_dir {path} {what}; give a folder of its own, which spafe makes with mode 0700"
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It cannot be made or looked at.
    #[error("[server] run_dir {path} cannot be used: {error}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        error: io::Error,
    },
    /// A socket's path is short.
    #[error("[server] run_dir {0} is too long for a socket in it; give a shorter path")]
    TooLong(PathBuf),
}

/// The path of the socket, in a folder that is there and ours alone.
pub(super) fn socket(run_dir: &Path) -> Result<PathBuf, FolderError> {
    let path = run_dir.join(NAME);
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(FolderError::TooLong(run_dir.to_owned()));
    }
    let failed = |error| FolderError::Io {
        path: run_dir.to_owned(),
        error,
    };
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(run_dir);
    match made {
        // A link or a file in its place is told below.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(run_dir).map_err(failed)?;
    match fault(&found, rustix::process::geteuid().as_raw()) {
        None => Ok(path),
        Some(what) => Err(FolderError::NotOurs {
            path: run_dir.to_owned(),
            what,
        }),
    }
}

/// Why a folder is not for us alone.
fn fault(found: &Metadata, uid: u32) -> Option<String> {
    if !found.is_dir() {
        return Some("is no folder".to_owned());
    }
    if found.uid() != uid {
        return Some(format!("belongs to user {}", found.uid()));
    }
    let open = found.mode() & OTHERS != 0;
    open.then(|| {
        format!(
            "has mode {:04o} and is open to others",
            found.mode() & 0o7777
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_made_for_us_alone() {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = folder.path().join("var/run");
        let path = socket(&run_dir).unwrap();
        assert_eq!(path, run_dir.join("upgrade.sock"));
        assert_eq!(fs::metadata(&run_dir).unwrap().mode() & 0o7777, 0o700);
        socket(&run_dir).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o701, 0o710, 0o750, 0o1777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = socket(folder.path()).unwrap_err().to_string();
            assert!(error.contains("open to others"), "{mode:o}: {error}");
        }
    }

    #[test]
    fn a_link_to_a_folder_is_no_folder_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let error = socket(&link).unwrap_err().to_string();
        assert!(error.contains("is no folder"), "{error}");
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let found = fs::symlink_metadata(folder.path()).unwrap();
        assert_eq!(fault(&found, found.uid()), None);
        assert!(fault(&found, found.uid() + 1).is_some());
    }
}
