//! Where does the configuration come from?
//!
//! From a file, from the files that it names, from the environment, and from the
//! command line, which has the last word. All of it is read in the same way at the
//! start and at every reload, and what was read is remembered by its hash: a secret
//! that is replaced is a new configuration, although the text of the file is the old
//! one.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use crate::config::listeners::{self, ListenersError};
use crate::config::problem::Problems;
use crate::config::read::{ReadProblem, read_file};
use crate::config::{self, Config, Source};

/// Where the configuration of this process comes from, at the start and later.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// The value of an environment variable.
    pub environment: fn(&str) -> Option<String>,
    /// What the command line says instead.
    pub arguments: Arguments,
}

/// What the command line says instead of the file.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Instead of `[server] listen`; empty: the file's.
    pub listen: Vec<SocketAddr>,
    /// Instead of `[server] admin`.
    pub admin: Option<SocketAddr>,
    /// Instead of `[server] threads`; not 0.
    pub threads: Option<usize>,
}

/// What came of reading it all.
#[derive(Debug)]
pub struct Reading {
    /// The configuration, the command line applied.
    pub config: Result<Config, OriginError>,
    /// The text of the file; empty where it cannot be read.
    pub text: String,
    /// What was looked at.
    pub inputs: Inputs,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum OriginError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadProblem),
    /// There are problems in it.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// What the command line says does not go with it.
    #[error("spafe: {0}")]
    Listeners(#[from] ListenersError),
}

/// The files that were read, and what was in them; no more of it than a hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<PathBuf, Content>);

/// What was in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Text(blake3::Hash),
    Unreadable(io::ErrorKind),
}

impl Origin {
    /// Reads and checks everything. Takes milliseconds, and never waits for a pipe.
    #[must_use]
    pub fn read(&self) -> Reading {
        let seen = Mutex::new(Inputs::default());
        let read = |path: &Path| {
            let text = read_file(path).map_err(io::Error::from);
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .saw(path, text.as_deref());
            text
        };
        let (config, text) = match read_file(&self.path) {
            Ok(text) => (self.load(&text, &read), text),
            Err(problem) => (Err(problem.into()), String::new()),
        };
        let mut inputs = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        match &config {
            // Why it was unreadable went into the message; here it counts that it was.
            Err(OriginError::Unreadable(_)) => inputs.look_at(&self.path),
            _ => inputs.saw(&self.path, Ok(&text)),
        }
        Reading {
            config,
            text,
            inputs,
        }
    }

    /// What messages call the file.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn load(
        &self,
        text: &str,
        read: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<Config, OriginError> {
        let name = self.name();
        let source = Source { name: &name, text };
        let mut config = config::load(source, &self.environment, read)?;
        let Arguments {
            listen,
            admin,
            threads,
        } = &self.arguments;
        if !listen.is_empty() {
            config.server.listen.clone_from(listen);
        }
        config.server.admin = admin.unwrap_or(config.server.admin);
        config.server.threads = threads.unwrap_or(config.server.threads);
        listeners::check(&config.server)?;
        Ok(config)
    }
}

impl Inputs {
    /// The same files as they are now.
    #[must_use]
    pub fn again(&self) -> Self {
        let mut now = Self::default();
        for path in self.paths() {
            now.look_at(path);
        }
        now
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    fn look_at(&mut self, path: &Path) {
        let text = read_file(path).map_err(io::Error::from);
        self.saw(path, text.as_deref());
    }

    fn saw(&mut self, path: &Path, text: Result<&str, &io::Error>) {
        let content = match text {
            Ok(text) => Content::Text(blake3::hash(text.as_bytes())),
            Err(error) => Content::Unreadable(error.kind()),
        };
        self.0.insert(path.to_owned(), content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOLS: &str = "
        [[pools]]
        name = \"p\"
        targets = [{ url = \"http://127.0.0.1:1/v1\" }]
        api_key = { file = \"KEY\" }
        [[models]]
        id = \"m\"
        pools = [\"p\"]
    ";

    fn origin(folder: &Path) -> Origin {
        let key = folder.join("key").display().to_string();
        let path = folder.join("spafe.toml");
        std::fs::write(&path, POOLS.replace("KEY", &key)).unwrap();
        Origin {
            path,
            environment: |_| None,
            arguments: Arguments::default(),
        }
    }

    #[test]
    fn a_secret_that_is_replaced_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let origin = origin(folder.path());
        let key = folder.path().join("key");
        let first = origin.read();
        assert!(first.config.is_ok());
        assert_eq!(first.inputs.paths().count(), 2);
        assert_eq!(first.inputs.again(), first.inputs);
        for secret in ["sk-1", "sk-2"] {
            let before = origin.read();
            std::fs::write(&key, secret).unwrap();
            assert_ne!(before.inputs.again(), before.inputs);
            let after = origin.read();
            let versions = [before, after].map(|read| read.config.unwrap().version);
            assert_eq!(versions[0], versions[1]);
        }
    }

    #[test]
    fn the_command_line_has_the_last_word_and_is_held_to_the_rules() {
        let folder = tempfile::tempdir().unwrap();
        let mut origin = origin(folder.path());
        origin.arguments = Arguments {
            listen: vec!["127.0.0.1:7".parse().unwrap()],
            admin: Some("127.0.0.1:8".parse().unwrap()),
            threads: Some(3),
        };
        let server = origin.read().config.unwrap().server;
        assert_eq!(server.listen, origin.arguments.listen);
        assert_eq!((server.admin.port(), server.threads), (8, 3));
        origin.arguments.admin = Some("0.0.0.0:8".parse().unwrap());
        let told = origin.read().config.unwrap_err().to_string();
        assert!(told.starts_with("spafe: the admin listener"), "{told}");
    }

    #[test]
    fn a_file_that_is_not_there_is_still_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let origin = origin(folder.path());
        let text = std::fs::read_to_string(&origin.path).unwrap();
        std::fs::remove_file(&origin.path).unwrap();
        let gone = origin.read();
        assert!(matches!(gone.config, Err(OriginError::Unreadable(_))));
        assert_eq!(gone.inputs.again(), gone.inputs);
        std::fs::write(&origin.path, text).unwrap();
        assert_ne!(gone.inputs.again(), gone.inputs);
    }
}
