//! How does a file's text come in, whatever stands at its path?
//!
//! A reload reads whatever somebody has put there: a folder, a pipe nobody writes
//! to, a disk image. None of them may block a thread or fill the memory. So the
//! file is opened without waiting, looked at through the descriptor (the path may
//! point elsewhere a moment later), and read up to a bound.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A configuration of a thousand models takes a fifth of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file's text is not there.
#[derive(Debug, thiserror::Error)]
pub enum ReadProblem {
    /// The system refused.
    #[error("{path} cannot be read ({error}); check that it exists and that this process may read it", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// It is a folder, a pipe, a device.
    #[error("{path} is not a regular file; name a file", path = path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than any configuration.
    #[error("{path} is larger than 1 MiB; name a smaller file", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no text.
    #[error("{path} is not UTF-8 text; save it as UTF-8", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl From<ReadProblem> for io::Error {
    fn from(problem: ReadProblem) -> Self {
        match problem {
            ReadProblem::Refused { error, .. } => error,
            ReadProblem::NotRegular { .. } => Self::other("not a regular file"),
            ReadProblem::TooLarge { .. } => {
                Self::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB")
            }
            ReadProblem::NotText { .. } => Self::new(io::ErrorKind::InvalidData, "not UTF-8 text"),
        }
    }
}

/// The text of a regular file of at most 1 MiB. Never blocks on a pipe.
///
/// It serves as the `read` of [`super::load`] through `|path| Ok(read_file(path)?)`.
///
/// # Errors
///
/// Says which file, why, and what to do.
pub fn read_file(path: &Path) -> Result<String, ReadProblem> {
    let refused = |error| ReadProblem::Refused {
        path: path.to_owned(),
        error,
    };
    let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(without_waiting)
        .open(path)
        .map_err(refused)?;
    if !file.metadata().map_err(refused)?.is_file() {
        return Err(ReadProblem::NotRegular {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ReadProblem::TooLarge {
            path: path.to_owned(),
        });
    }
    String::from_utf8(bytes).map_err(|_| ReadProblem::NotText {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "a".repeat(1 << 20)).unwrap();
        assert_eq!(read_file(&path).unwrap().len(), 1 << 20);
        std::fs::write(&path, "a".repeat((1 << 20) + 1)).unwrap();
        assert!(matches!(
            read_file(&path),
            Err(ReadProblem::TooLarge { .. })
        ));
        std::fs::write(&path, b"name = \"\xff\"").unwrap();
        assert!(matches!(read_file(&path), Err(ReadProblem::NotText { .. })));
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            read_file(folder.path()),
            Err(ReadProblem::NotRegular { .. })
        ));
        let missing = folder.path().join("missing");
        let message = read_file(&missing).unwrap_err().to_string();
        assert!(
            message.contains("missing cannot be read (No such file"),
            "{message}"
        );
        let looped = folder.path().join("loop");
        std::os::unix::fs::symlink(&looped, &looped).unwrap();
        assert!(matches!(
            read_file(&looped),
            Err(ReadProblem::Refused { .. })
        ));
    }

    #[test]
    fn a_pipe_nobody_writes_to_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(
            read_file(&pipe),
            Err(ReadProblem::NotRegular { .. })
        ));
    }
}
