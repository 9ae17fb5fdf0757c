//! How is the program started?
//!
//! In a folder of its own, with a configuration and nothing else of a developer's, and
//! read until it has said where it listens. What is known of it is kept, so that another
//! one can be started in the same place: after it, or instead of it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::gateway::Gateway;
use super::{PATIENCE, now};

/// Where a gateway listens unless it is told otherwise.
const ANYWHERE: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

/// How a gateway was started, so that another one can be.
#[derive(Clone)]
pub(super) struct Launch {
    pub(super) config: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// Another program and its arguments, or nothing.
    pub(super) starter: Vec<String>,
    pub(super) folder: Arc<TempDir>,
    pub(super) certificate: Option<PathBuf>,
}

impl Launch {
    /// Starts the program at ports of the system's choice.
    pub(super) fn anywhere(self, arguments: &[&str]) -> Gateway {
        self.start(&[&ANYWHERE, arguments].concat())
    }

    /// Starts the program and waits until it says that it listens.
    pub(super) fn start(self, arguments: &[&str]) -> Gateway {
        let mut child = self
            .command()
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .args(&self.arguments)
            .current_dir(self.folder.path())
            // A developer's own keys and settings have no part in a test.
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LOG", level())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();

        let output = Arc::new(Mutex::new(String::new()));
        let (told, lines) = sync_channel(1024);
        keep_output(child.stdout.take().unwrap(), &output, told.clone());
        keep_output(child.stderr.take().unwrap(), &output, told);
        let tls = self.certificate.is_some();
        let starting = Starting::read(&lines, tls).unwrap_or_else(|reason| {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "the gateway {reason} ({status:?}):\n{}",
                output.lock().unwrap()
            );
        });
        Gateway {
            address: starting.plain.unwrap(),
            tls_address: starting.tls,
            admin: starting.admin.unwrap(),
            certificate: self.certificate.clone(),
            child,
            config: self.config.clone(),
            output,
            launch: self,
        }
    }

    /// The program, or who starts it.
    fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_spafe");
        let Some((starter, arguments)) = self.starter.split_first() else {
            return Command::new(program);
        };
        let mut command = Command::new(starter);
        command.args(arguments).arg(program);
        command
    }
}

/// What the program has told of its addresses.
#[derive(Default)]
struct Starting {
    plain: Option<SocketAddr>,
    tls: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

impl Starting {
    /// Reads lines until all addresses are told; the error says why they are not.
    fn read(lines: &Receiver<String>, tls: bool) -> Result<Self, &'static str> {
        let mut starting = Self::default();
        let deadline = now() + PATIENCE;
        while !starting.is_complete(tls) {
            let rest = deadline.saturating_duration_since(now());
            match lines.recv_timeout(rest) {
                Ok(line) => starting.line(&line),
                Err(RecvTimeoutError::Timeout) => return Err("did not say where it listens"),
                Err(RecvTimeoutError::Disconnected) => return Err("ended"),
            }
        }
        Ok(starting)
    }

    fn line(&mut self, line: &str) {
        for (words, place) in [
            ("listening on http://", &mut self.plain),
            ("listening on https://", &mut self.tls),
            ("admin on http://", &mut self.admin),
        ] {
            if let Some(address) = line.strip_prefix(words) {
                *place = Some(address.trim().parse().unwrap());
            }
        }
    }

    fn is_complete(&self, tls: bool) -> bool {
        self.plain.is_some() && self.admin.is_some() && self.tls.is_some() == tls
    }
}

/// Keeps what a pipe brings until its end, and tells each line while somebody listens.
fn keep_output(
    pipe: impl Read + Send + 'static,
    output: &Arc<Mutex<String>>,
    told: SyncSender<String>,
) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut told = Some(told);
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { break };
            {
                let mut output = output.lock().unwrap();
                output.push_str(&line);
                output.push('\n');
            }
            told = told.filter(|told| told.send(line).is_ok());
        }
    });
}

/// Whatever could be told is told, and searched for what must not be; but for the soak tests,
/// where that would be what is measured.
fn level() -> &'static str {
    match env!("CARGO_CRATE_NAME") {
        "soak" => "info",
        _ => "trace",
    }
}
