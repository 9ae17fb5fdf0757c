//! How does a test get a running gateway?
//!
//! It writes a configuration as an operator would, TOML and all, and starts the
//! program on it: what is tested is what is shipped, from the command line to
//! the exit status. Ports are the system's choice, told by the program itself.
//! Whatever it prints is kept and shown where a test fails.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::canary;
use super::certificate::Certificate;
use super::launch::Launch;
use super::{repository, soon};

/// All of a test's callers are one address, and most connect anew for each question.
const PACE: &str = "[bounds]\naccepts_per_second_max = 65536\n";
/// How soon a test looks again for what nobody tells it.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The configuration and the arguments of a gateway that a test wants.
#[derive(Clone)]
pub(crate) struct Setup {
    server: String,
    tables: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    starter: Vec<String>,
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
    pub(super) output: Arc<Mutex<String>>,
    pub(super) launch: Launch,
}

impl Setup {
    /// Nothing but listeners on ports of the system's choice.
    pub(crate) fn new() -> Self {
        Self {
            server: String::new(),
            tables: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            starter: Vec::new(),
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
        canary::variable(name, value);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How many descriptors the program may have, and no more.
    pub(crate) fn descriptors(self, count: u32) -> Self {
        let script = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
        self.started_by(&["/bin/sh", "-c", &script])
    }

    /// Another program that starts this one: it gets its path and arguments behind its own.
    pub(crate) fn started_by(mut self, command: &[&str]) -> Self {
        self.starter = command.iter().map(|part| (*part).to_owned()).collect();
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
        let launch = Launch {
            config,
            arguments: self.arguments,
            environment: self.environment,
            starter: self.starter,
            folder: Arc::new(folder),
            certificate,
        };
        launch.anywhere(&[])
    }

    /// What is written for the program.
    pub(crate) fn text(&self) -> String {
        let Self { server, tables, .. } = self;
        let tls = if self.tls {
            "[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = { file = \"certificate.pem\" }\nkey = { file = \"key.pem\" }\n"
        } else {
            ""
        };
        // A balancer's patience is not a test's.
        let delay = if server.contains("drain_delay") {
            ""
        } else {
            "drain_delay = \"100ms\"\n"
        };
        let tables = if tables.contains("accepts_per_second_max") {
            tables.clone()
        } else if tables.contains("[bounds]\n") {
            tables.replacen("[bounds]\n", PACE, 1)
        } else {
            format!("{PACE}{tables}")
        };
        // Most tests ask the same again and again, and want it asked again.
        let cache = if tables.contains("[cache]") {
            ""
        } else {
            "[cache]\nenabled = false\n"
        };
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nthreads = 2\n{delay}{server}\n{tls}{cache}{tables}"
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

    /// Everything that the program printed until now.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The folder that the program runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.launch.folder.path()
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

    /// Starts a process that takes this one's place, and waits until it says that it
    /// listens. This one has to be told to hand over.
    pub(crate) async fn successor(&self) -> Gateway {
        let launch = self.launch.clone();
        let start = move || launch.anywhere(&["--upgrade"]);
        tokio::task::spawn_blocking(start).await.unwrap()
    }

    /// Starts another process at the same addresses.
    pub(crate) async fn again(&self) -> Gateway {
        let launch = self.launch.clone();
        let (listen, admin) = (self.address.to_string(), self.admin.to_string());
        let start = move || launch.start(&["--listen", &listen, "--admin", &admin]);
        tokio::task::spawn_blocking(start).await.unwrap()
    }

    /// The program's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the program has printed these words.
    pub(crate) async fn says(&self, words: &str) {
        soon(words, async {
            while !self.output().contains(words) {
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
        let is_failing = std::thread::panicking();
        let is_running = matches!(self.child.try_wait(), Ok(None));
        let mut told = if is_running && !is_failing {
            canary::seen(self.child.id(), self.admin)
        } else {
            Vec::new()
        };
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !is_failing {
            told.extend(canary::files(self.launch.folder.path()));
            told.push(("its output".to_owned(), self.output()));
            canary::search(&told, &self.config);
        }
        if std::thread::panicking() {
            let output = self.output.lock().map(|text| text.clone());
            eprintln!(
                "--- the gateway's output\n{}---",
                output.unwrap_or_default()
            );
        }
    }
}
