//! How does a test type a command?
//!
//! The program is run to its end with these arguments, this input, and an environment
//! of the test's own. What it prints goes to files, so that no pipe can fill up.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::soon;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None`: a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it told beside.
    pub(crate) stderr: String,
}

/// A process that does not outlive its test.
pub(crate) struct Running(Child);

/// Runs `spafe` in a folder, with these variables and nothing else in its environment.
pub(crate) async fn spafe(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> Ended {
    soon(
        "the command's end",
        ended(folder, arguments, environment, input),
    )
    .await
}

/// The same for a command that takes its time, and no input.
pub(crate) async fn spafe_within(
    seconds: u64,
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ended {
    let ended = ended(folder, arguments, environment, "");
    let within = Duration::from_secs(seconds);
    tokio::time::timeout(within, ended)
        .await
        .unwrap_or_else(|_| panic!("{arguments:?} did not end within {seconds} s"))
}

async fn ended(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> Ended {
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    stdin.rewind().unwrap();
    let stdout = tempfile::tempfile().unwrap();
    let stderr = tempfile::tempfile().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_spafe"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(stdin)
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    Ended {
        code: status.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

impl Running {
    /// Starts what a line for the shell says, in which `$0` is `spafe`.
    pub(crate) fn shell(folder: &Path, line: &str, stdout: Stdio, stderr: Stdio) -> Self {
        let mut shell = Command::new("/bin/sh");
        let shell = shell.args(["-c", line, env!("CARGO_BIN_EXE_spafe")]);
        let shell = shell.current_dir(folder).env_clear().stdin(Stdio::null());
        Self(shell.stdout(stdout).stderr(stderr).spawn().unwrap())
    }

    /// The same to its end: what it printed, and how it ended.
    pub(crate) async fn told(folder: &Path, line: &str) -> (String, Option<i32>) {
        let output = tempfile::tempfile().unwrap();
        let stdout = Stdio::from(output.try_clone().unwrap());
        let mut running = Self::shell(folder, line, stdout, Stdio::null());
        running.ended().await;
        (text(output), running.code())
    }

    /// How it ended, if it did; 0 where that was in order.
    pub(crate) fn code(&mut self) -> Option<i32> {
        let status = self.0.try_wait().unwrap();
        status.map(|status| status.code().unwrap_or(-1))
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn terminated(&mut self) -> Option<i32> {
        rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.ended().await;
        self.code()
    }

    async fn ended(&mut self) {
        soon("the end of a process", async {
            while self.code().is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

/// Starts `spafe simulate` and waits until it says where.
pub(crate) async fn simulate() -> (Running, SocketAddr) {
    let child = Command::new(env!("CARGO_BIN_EXE_spafe"))
        .args(["simulate", "--listen", "127.0.0.1:0"])
        .args(["--first-token-ms", "0", "--token-gap-ms", "0"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let stdout = running.0.stdout.take().unwrap();
    let told = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        line
    });
    let line = soon("the simulator's word", told).await.unwrap();
    let told = line.trim().strip_prefix("simulating on http://");
    let address = told.and_then(|told| told.strip_suffix("/v1"));
    let address = address.unwrap_or_else(|| panic!("it said {line:?}"));
    (running, address.parse().unwrap())
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
