//! Where is the store, and can it be written to?
//!
//! A folder, an S3 bucket or a GCS bucket, all through `object_store`, which writes a
//! file under another name and renames it, so that nobody ever reads half an image.
//! What can be known at the start is found at the start: a folder that cannot be
//! written to stops the program there, not the first caller who asks for an image.

use std::io;
use std::path::{Path as FolderPath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use super::id::ImageId;

/// How long a cloud's passing failure is tried again; the caller waits meanwhile.
/// The default of `object_store`, three minutes, is a batch job's.
const RETRY: Duration = Duration::from_secs(10);

/// No image takes so long to write; an older half is left over.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// A store and the place in it that is ours.
#[derive(Debug)]
pub(super) struct Backend {
    /// `dyn`, because that is how `object_store` says "one of mine".
    pub(super) store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// Why the store cannot be opened; each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is of no known kind.
    #[error(
        "[images] store = {store:?} is no folder, file:///…, s3://bucket/prefix or gs://bucket/prefix"
    )]
    UnknownKind {
        /// What the configuration says.
        store: String,
    },
    /// The folder cannot be made.
    #[error(
        "the folder {} of [images] store cannot be made: {source}; make it, or name another", folder.display()
    )]
    Make {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder is there, but nothing can be written in it.
    #[error(
        "nothing can be written in the folder {} of [images] store: {source}; give this user the right to, or name another", folder.display()
    )]
    Write {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The settings of the store are incomplete or contradict each other.
    #[error(
        "[images] store = {store:?} cannot be opened: {source}; credentials and region come from the environment (AWS_…, GOOGLE_…)"
    )]
    Settings {
        /// What the configuration says.
        store: String,
        /// What `object_store` said.
        source: object_store::Error,
    },
}

impl Backend {
    pub(super) fn open(store: &str) -> Result<Self, OpenError> {
        match store.split_once("://") {
            None => Self::folder(FolderPath::new(store), store),
            Some(("file", path)) if path.starts_with('/') => {
                let folder = url::Url::parse(store)
                    .ok()
                    .and_then(|url| url.to_file_path().ok())
                    .ok_or_else(|| unknown(store))?;
                Self::folder(&folder, store)
            }
            Some((kind @ ("s3" | "gs"), place)) => Self::bucket(kind, place, store),
            Some(_) => Err(unknown(store)),
        }
    }

    /// Where an image lies in the store.
    pub(super) fn location(&self, id: ImageId) -> Path {
        self.prefix.clone().join(id.to_string())
    }

    /// What to list.
    pub(super) fn prefix(&self) -> Option<&Path> {
        (!self.prefix.is_root()).then_some(&self.prefix)
    }

    fn folder(folder: &FolderPath, store: &str) -> Result<Self, OpenError> {
        if store.is_empty() {
            return Err(unknown(store));
        }
        std::fs::create_dir_all(folder).map_err(|source| OpenError::Make {
            folder: folder.to_owned(),
            source,
        })?;
        let probe = folder.join(format!(".spafe-probe-{}", std::process::id()));
        std::fs::write(&probe, b"")
            .and_then(|()| std::fs::metadata(&probe)?.modified())
            .and_then(|now| remove_leftovers(folder, now))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|source| OpenError::Write {
                folder: folder.to_owned(),
                source,
            })?;
        let local = LocalFileSystem::new_with_prefix(folder).map_err(|e| settings(store, e))?;
        Ok(Self {
            store: Arc::new(local),
            prefix: Path::default(),
        })
    }

    fn bucket(kind: &str, place: &str, store: &str) -> Result<Self, OpenError> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(unknown(store));
        }
        let prefix = Path::parse(prefix).map_err(|source| settings(store, source.into()))?;
        let retry = RetryConfig {
            max_retries: 3,
            retry_timeout: RETRY,
            ..RetryConfig::default()
        };
        let opened: Result<Arc<dyn ObjectStore>, object_store::Error> = if kind == "s3" {
            AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_retry(retry)
                .build()
                .map(|s3| Arc::new(s3) as _)
        } else {
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_retry(retry)
                .build()
                .map(|gcs| Arc::new(gcs) as _)
        };
        let opened = opened.map_err(|source| settings(store, source))?;
        Ok(Self {
            store: opened,
            prefix,
        })
    }
}

/// Removes what a process that was killed while it wrote left behind: `object_store`
/// writes `NAME#1` and renames it, and never lists what was not renamed.
fn remove_leftovers(folder: &FolderPath, now: SystemTime) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_leftover = name
            .to_str()
            .and_then(|name| name.split_once('#'))
            .is_some_and(|(name, _)| ImageId::parse(name).is_some());
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.map(|written| now.duration_since(written).unwrap_or_default());
        // Another process may be writing just now, or have removed it before us.
        if is_leftover && age.is_ok_and(|age| age > LEFTOVER_AGE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn unknown(store: &str) -> OpenError {
    OpenError::UnknownKind {
        store: store.to_owned(),
    }
}

fn settings(store: &str, source: object_store::Error) -> OpenError {
    OpenError::Settings {
        store: store.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_the_known_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let check = |store: &str, expected: Result<&str, &str>| {
            let location = Backend::open(store)
                .map(|backend| {
                    let id = ImageId::parse("0123456789abcdef0123456789abcdef.png").unwrap();
                    backend.location(id).to_string()
                })
                .map_err(|error| error.to_string());
            match (location, expected) {
                (Ok(location), Ok(expected)) => assert_eq!(location, expected, "{store}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{store}: {error}"),
                (other, _) => panic!("{store}: {other:?}"),
            }
        };
        let name = "0123456789abcdef0123456789abcdef.png";
        check(path, Ok(name));
        check(&format!("{path}/not/there yet"), Ok(name));
        check(&format!("file://{path}/a%20b"), Ok(name));
        assert!(folder.path().join("a b").is_dir());
        let prefixed = format!("a/b/{name}");
        check("s3://bucket/a/b/", Ok(&prefixed));
        check("gs://bucket/a/b", Ok(&prefixed));
        check("gs://bucket", Ok(name));
        check("", Err("is no folder"));
        check("s3://", Err("is no folder"));
        check("file://host/path", Err("is no folder"));
        check("azure://container/x", Err("is no folder"));
        check("s3://bucket/a/../b", Err("cannot be opened"));
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_told_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let below_a_file = file.join("images");
        let error = Backend::open(below_a_file.to_str().unwrap()).unwrap_err();
        assert!(matches!(error, OpenError::Make { .. }), "{error}");
        let error = Backend::open("/proc/self").unwrap_err();
        assert!(matches!(error, OpenError::Write { .. }), "{error}");
    }

    #[test]
    fn what_a_killed_process_left_half_written_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let name = "0123456789abcdef0123456789abcdef.png";
        let names = [
            format!("{name}#1"),
            format!("{name}#2"),
            name.to_owned(),
            "x#1".to_owned(),
        ];
        for (name, hours) in names.iter().zip([2, 0, 2, 2]) {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            file.set_modified(written - Duration::from_hours(hours))
                .unwrap();
        }
        Backend::open(folder.path().to_str().unwrap()).unwrap();
        let is_there = names.map(|name| folder.path().join(name).exists());
        assert_eq!(is_there, [false, true, true, true]);
    }
}
