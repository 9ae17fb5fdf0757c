//! How does a test get a running gateway?
//!
//! It writes a configuration as an operator would, TOML and all, and starts the
//! program on it: what is tested is what is shipped, from the command line to
//! the exit status. Ports are the system's choice, told by the program itself.
//! Whatever it prints is kept and shown where a test fails.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::certificate::Certificate;
use super::{PATIENCE, now, repository, soon};

/// How soon a test looks again for what nobody tells it.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The configuration and the arguments of a gateway that a test wants.
#[derive(Clone)]
pub(crate) struct Setup {
    server: String,
    tables: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    shipped: bool,
    tls: bool,
    file: Option<PathBuf>,
}

/// A running gateway. It is killed when the test lets go of it.
pub(crate) struct Gateway {
    /// Where it listens in plaintext.
    pub(crate) address: SocketAddr,
    /// Where it listens with TLS, if the test wanted that.
    pub(crate) tls_address: Option<SocketAddr>,
    /// Where its admin listener is.
    pub(crate) admin: SocketAddr,
    /// The certificate to trust, PEM, if the test wanted TLS.
    pub(crate) certificate: Option<PathBuf>,
    pub(super) child: Child,
    /// The configuration that it was started with.
    pub(crate) config: PathBuf,
    output: Arc<Mutex<String>>,
    folder: TempDir,
}

impl Setup {
    /// Nothing but listeners on ports of the system's choice.
    pub(crate) fn new() -> Self {
        Self {
            server: String::new(),
            tables: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            shipped: false,
            tls: false,
            file: None,
        }
    }

    /// The shipped configuration, every pool of it served by the built-in upstream.
    pub(crate) fn demo() -> Self {
        let mut setup = Self::new();
        setup.shipped = true;
        setup.argument("--demo")
    }

    /// One more argument of `spafe serve`.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// One more variable of the program's environment, which has no others.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more line of `[server]`.
    pub(crate) fn server(mut self, line: &str) -> Self {
        writeln!(self.server, "{line}").unwrap();
        self
    }

    /// The configuration is here already, and is not written.
    pub(crate) fn file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// A listener that speaks TLS, with a certificate for `localhost`.
    pub(crate) fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Any other tables, as they stand in a file.
    pub(crate) fn tables(mut self, text: &str) -> Self {
        writeln!(self.tables, "\n{text}").unwrap();
        self
    }

    /// A pool with these targets in its order.
    pub(crate) fn pool(self, name: &str, targets: &[&str]) -> Self {
        self.pool_with(name, targets, "")
    }

    /// A pool with these targets and more keys of its table.
    pub(crate) fn pool_with(mut self, name: &str, targets: &[&str], keys: &str) -> Self {
        write!(self.tables, "\n[[pools]]\nname = {name:?}\ntargets = [").unwrap();
        for target in targets {
            write!(self.tables, "{{ url = {target:?} }}, ").unwrap();
        }
        writeln!(self.tables, "]\n{keys}").unwrap();
        self
    }

    /// A text model that these pools serve.
    pub(crate) fn model(self, id: &str, pools: &[&str]) -> Self {
        self.model_with(id, pools, "")
    }

    /// A model that these pools serve, and more keys of its table.
    pub(crate) fn model_with(mut self, id: &str, pools: &[&str], keys: &str) -> Self {
        writeln!(
            self.tables,
            "\n[[models]]\nid = {id:?}\npools = {pools:?}\n{keys}"
        )
        .unwrap();
        self
    }

    /// Starts the program and waits until it says that it listens.
    pub(crate) fn start(self) -> Gateway {
        let folder = TempDir::with_prefix("spafe-test-").unwrap();
        let certificate = self.tls.then(|| Certificate::new().write(folder.path()));
        let config = match self.file.clone() {
            Some(path) => path,
            None if self.shipped => repository("conf/spafe.toml"),
            None => {
                let path = folder.path().join("spafe.toml");
                std::fs::write(&path, self.text()).unwrap();
                path
            }
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_spafe"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(&self.arguments)
            .current_dir(folder.path())
            // A developer's own keys and settings have no part in a test.
            .env_clear()
            .env("RUST_BACKTRACE", "1")
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
        let starting = Starting::read(&lines, self.tls).unwrap_or_else(|reason| {
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
            certificate,
            child,
            output,
            folder,
            config,
        }
    }

    /// What is written for the program.
    pub(crate) fn text(&self) -> String {
        let Self { server, tables, .. } = self;
        let tls = if self.tls {
            "[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = { file = \"certificate.pem\" }\nkey = { file = \"key.pem\" }\n"
        } else {
            ""
        };
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nthreads = 2\n{server}\n{tls}{tables}"
        )
    }
}

impl Gateway {
    /// The address of a path at the plaintext listener.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The address of a path at the listener with TLS.
    pub(crate) fn tls_url(&self, path: &str) -> String {
        let port = self
            .tls_address
            .expect("the setup asked for no TLS: call Setup::tls")
            .port();
        format!("https://localhost:{port}{path}")
    }

    /// The address of a path at the admin listener.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// The memory the program holds, as the system counts it.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Everything that the program printed until now.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The folder that the program runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until no request is being served.
    pub(crate) async fn idle(&self) {
        soon("the end of every request", async {
            while self.metric("spafe_requests_in_flight").await > 0.0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the program has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        soon("the gateway's end", async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await
    }

    /// Asks the program to end, as an orchestrator does, and waits for that.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output.lock().map(|text| text.clone());
            eprintln!(
                "--- the gateway's output\n{}---",
                output.unwrap_or_default()
            );
        }
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
