//! Who is compared, and how is each made to do the same?
//!
//! Every subject is a process of its own in the foreground, on the proxy's core, with one
//! worker, a configuration written for this run and no request log (apart from
//! `spafe-logging`): requests in on one port of the loopback address, out to the one
//! upstream over connections that are kept.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::machine::{self, Cores};
use crate::process::{self, CpuTime};
use crate::reference;
use crate::wire;

/// A process that has not answered by then never will.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// How much of a process's own output is shown where it fails.
const OUTPUT_SHOWN_BYTES: usize = 2000;

/// Where programs are that are not in every user's `PATH`.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];

/// One of the proxies that are compared.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// This gateway, without a request log.
    Spafe,
    /// This gateway, with a log line for every request, in a file.
    SpafeLogging,
    /// This gateway, with limits of five windows and of what is in flight, none of which is met.
    SpafeLimiting,
    /// Another build of this gateway, named by `SPAFE_BASELINE`: what has a change cost?
    Baseline,
    /// A bare pass-through on pingora's `HttpProxy`: what all others are divided by.
    Reference,
    /// nginx, one worker, nothing buffered.
    Nginx,
    /// HAProxy, one thread.
    Haproxy,
}

impl Subject {
    /// Who is compared unless the caller says otherwise.
    pub(crate) const DEFAULT: [Self; 4] =
        [Self::Spafe, Self::Reference, Self::Nginx, Self::Haproxy];

    /// Whether the targets of the gateway are meant for it.
    pub(crate) fn is_spafe(self) -> bool {
        matches!(
            self,
            Self::Spafe | Self::SpafeLogging | Self::SpafeLimiting | Self::Baseline
        )
    }

    fn name(self) -> &'static str {
        match self {
            Self::Spafe => "spafe",
            Self::SpafeLogging => "spafe-logging",
            Self::SpafeLimiting => "spafe-limiting",
            Self::Baseline => "baseline",
            Self::Reference => "reference",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Where the program is; an error says how to get it.
    pub(crate) fn program(self) -> io::Result<PathBuf> {
        match self {
            Self::Spafe | Self::SpafeLogging | Self::SpafeLimiting => {
                Ok(env!("CARGO_BIN_EXE_spafe").into())
            }
            Self::Baseline => std::env::var_os("SPAFE_BASELINE")
                .map(PathBuf::from)
                .ok_or_else(|| io::Error::other("set SPAFE_BASELINE to the path of another spafe")),
            Self::Reference => std::env::current_exe(),
            Self::Nginx | Self::Haproxy => {
                let places = PROGRAM_FOLDERS
                    .iter()
                    .map(|folder| Path::new(folder).join(self.name()));
                places
                    .into_iter()
                    .find(|place| place.is_file())
                    .ok_or_else(|| {
                        io::Error::other(format!(
                            "{self} is not installed: run benches/setup.sh, or leave it out with \
                         `-- --only spafe,reference`"
                        ))
                    })
            }
        }
    }

    /// The command line and, where the program wants one, the configuration in `file`.
    fn command(self, ways: &Ways, file: &Path) -> io::Result<Command> {
        let mut command = Command::new(self.program()?);
        let configuration = match self {
            Self::Spafe | Self::Baseline => spafe_configuration(ways, "\"off\""),
            Self::SpafeLogging => {
                let log = file.with_extension("requests");
                spafe_configuration(ways, &format!("{{ file = \"{}\" }}", log.display()))
            }
            Self::SpafeLimiting => spafe_configuration(ways, "\"off\"") + LIMITS,
            Self::Nginx => nginx_configuration(ways, file),
            Self::Haproxy => haproxy_configuration(ways),
            Self::Reference => String::new(),
        };
        fs::write(file, &configuration)?;
        if self == Self::Baseline && !understands(&self.program()?, file)? {
            // An older build has no such bounds, and calls those it has otherwise.
            let older = configuration.replace(MANY, "");
            fs::write(file, older.replace("[bounds]", "[limits]"))?;
        }
        match self {
            Self::Spafe | Self::SpafeLogging | Self::SpafeLimiting | Self::Baseline => {
                command.arg("serve").arg("--config").arg(file)
            }
            Self::Reference => command
                .arg(reference::ARGUMENT)
                .arg(ways.listen.to_string())
                .arg(ways.upstream.to_string()),
            Self::Nginx => command.arg("-p").arg(&ways.folder).arg("-c").arg(file),
            Self::Haproxy => command.arg("-db").arg("-f").arg(file),
        };
        Ok(command)
    }
}

/// Whether a build of the gateway takes a configuration.
fn understands(program: &Path, file: &Path) -> io::Result<bool> {
    let mut check = Command::new(program);
    let check = check.arg("check").arg("--config").arg(file);
    let output = check.stdin(Stdio::null()).output()?;
    Ok(output.status.success())
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a subject listens, what it forwards to and where it may write.
struct Ways {
    listen: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
    folder: PathBuf,
}

/// All clients of the comparison have one address, and none of the others has a bound.
const MANY: &str = "\
connections_max = 20000
connections_per_address_max = 20000
in_flight_max = 20000
in_flight_per_client_max = 20000
[concurrency]
target_max = 20000
pool_max = 20000
";

/// As many windows as are shipped, each so large that it is never met.
const LIMITS: &str = r#"
[[limits]]
name = "per-client"
by = "client"
requests = { count = 4_000_000_000, per = "1m" }
tokens = { count = 4_000_000_000, per = "1m" }
concurrent = 20000
[[limits]]
name = "per-client-and-day"
by = "client"
requests = { count = 4_000_000_000, per = "1d" }
tokens = { count = 4_000_000_000, per = "1d" }
[[limits]]
name = "everybody"
by = "global"
requests = { count = 4_000_000_000, per = "1m" }
"#;

fn spafe_configuration(ways: &Ways, requests: &str) -> String {
    let Ways {
        listen,
        admin,
        upstream,
        ..
    } = ways;
    format!(
        r#"[server]
listen = ["{listen}"]
admin = "{admin}"
threads = 1

# Subjects are compared on connections that go on, as the others are set up to.
[bounds]
requests_per_connection = 1_000_000_000
{MANY}

[log]
requests = {requests}

[[pools]]
name = "upstream"
dialect = "openai"
targets = [{{ url = "http://{upstream}/v1" }}]

[[models]]
id = "gpt-4o"
pools = ["upstream"]
"#
    )
}

fn nginx_configuration(ways: &Ways, file: &Path) -> String {
    let Ways {
        listen,
        upstream,
        folder,
        ..
    } = ways;
    let (folder, pid) = (folder.display(), file.with_extension("pid"));
    let pid = pid.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
pid {pid};
error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    client_max_body_size 0;
    keepalive_requests 10000000;
    upstream completions {{
        server {upstream};
        keepalive 128;
        keepalive_requests 10000000;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://completions;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"
    )
}

fn haproxy_configuration(ways: &Ways) -> String {
    let Ways {
        listen, upstream, ..
    } = ways;
    format!(
        "global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend clients
    bind {listen} backlog 4096
    default_backend completions
backend completions
    http-reuse always
    server upstream {upstream}
"
    )
}

/// What all subjects share: a folder, the cores and the upstream.
pub(crate) struct Stage<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) cores: Cores,
    pub(crate) upstream: SocketAddr,
}

/// A subject that runs; it is ended where this is dropped.
pub(crate) struct Running {
    pub(crate) subject: Subject,
    pub(crate) address: SocketAddr,
    started: Instant,
    output: PathBuf,
    process: Child,
}

impl Running {
    /// Start the process on the proxy's core.
    pub(crate) fn start(subject: Subject, stage: &Stage<'_>) -> io::Result<Self> {
        let (listen, admin) = free_addresses()?;
        let ways = Ways {
            listen,
            admin,
            upstream: stage.upstream,
            folder: stage.folder.to_path_buf(),
        };
        let file = stage
            .folder
            .join(format!("{subject}-{}.conf", listen.port()));
        let output = file.with_extension("output");
        let mut command = subject.command(&ways, &file)?;
        let written = File::create(&output)?;
        command
            .stdin(Stdio::null())
            .stdout(written.try_clone()?)
            .stderr(written);
        // A process starts on the core of the thread that starts it, and stays there.
        machine::pin_this_thread(stage.cores.proxy)?;
        let started = Instant::now();
        let process = command.spawn();
        machine::pin_this_thread(stage.cores.generator)?;
        Ok(Self {
            subject,
            address: listen,
            started,
            output,
            process: process?,
        })
    }

    /// Ask until the first proper answer comes; the time from the process's start to it.
    pub(crate) async fn first_answer(&mut self) -> io::Result<Duration> {
        let request = wire::request(264, false);
        loop {
            let asked = async { Client::connect(self.address).await?.ask(&request).await };
            let failure = match timeout(START_DEADLINE, asked).await {
                Ok(Ok(())) => return Ok(self.started.elapsed()),
                Ok(Err(error)) => error,
                Err(error) => error.into(),
            };
            let ended = self.process.try_wait()?;
            if ended.is_some() || self.started.elapsed() > START_DEADLINE {
                let ended = ended.map_or("still runs".into(), |how| format!("ended with {how}"));
                return Err(io::Error::other(format!(
                    "{} does not answer ({failure}; it {ended}); it wrote: {}",
                    self.subject,
                    self.last_output()
                )));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// CPU time that the process has used so far.
    pub(crate) fn cpu_time(&self) -> io::Result<CpuTime> {
        CpuTime::of(self.process.id())
    }

    /// Memory that the process has resident.
    pub(crate) fn resident_bytes(&self) -> io::Result<u64> {
        process::resident_bytes(self.process.id())
    }

    fn last_output(&self) -> String {
        let output = fs::read(&self.output).unwrap_or_default();
        let start = output.len().saturating_sub(OUTPUT_SHOWN_BYTES);
        String::from_utf8_lossy(output.get(start..).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either fails only where the process has ended already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two ports that nobody listens on. Both are held until both are known, so they differ.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let first = TcpListener::bind("127.0.0.1:0")?;
    let second = TcpListener::bind("127.0.0.1:0")?;
    Ok((first.local_addr()?, second.local_addr()?))
}
