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
use crate::configuration::{self, Ways};
use crate::machine::{self, Cores};
use crate::process::{self, CpuTime};
use crate::reference;
use crate::wire::{self, Asking};

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
    /// This gateway, which has the answer: every request is the same.
    SpafeHit,
    /// This gateway, which keeps the answer: no request is like another.
    SpafeMiss,
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
            Self::Spafe
                | Self::SpafeLogging
                | Self::SpafeLimiting
                | Self::SpafeHit
                | Self::SpafeMiss
                | Self::Baseline
        )
    }

    /// What its requests say to a cache. What is compared is asking an upstream, unless it
    /// is the cache itself.
    pub(crate) fn asking(self) -> Asking {
        match self {
            Self::SpafeHit => Asking::TheSame,
            Self::SpafeMiss => Asking::Anew,
            _ => Asking::Past,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Spafe => "spafe",
            Self::SpafeLogging => "spafe-logging",
            Self::SpafeLimiting => "spafe-limiting",
            Self::SpafeHit => "spafe-hit",
            Self::SpafeMiss => "spafe-miss",
            Self::Baseline => "baseline",
            Self::Reference => "reference",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Where the program is; an error says how to get it.
    pub(crate) fn program(self) -> io::Result<PathBuf> {
        match self {
            Self::Spafe
            | Self::SpafeLogging
            | Self::SpafeLimiting
            | Self::SpafeHit
            | Self::SpafeMiss => Ok(env!("CARGO_BIN_EXE_spafe").into()),
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
            Self::Spafe | Self::SpafeHit | Self::SpafeMiss | Self::Baseline => {
                configuration::spafe(ways, "\"off\"")
            }
            Self::SpafeLogging => {
                let log = file.with_extension("requests");
                configuration::spafe(ways, &format!("{{ file = \"{}\" }}", log.display()))
            }
            Self::SpafeLimiting => configuration::spafe(ways, "\"off\"") + configuration::LIMITS,
            Self::Nginx => configuration::nginx(ways, file),
            Self::Haproxy => configuration::haproxy(ways),
            Self::Reference => String::new(),
        };
        fs::write(file, &configuration)?;
        if self == Self::Baseline && !understands(&self.program()?, file)? {
            // An older build has no such bounds, and calls those it has otherwise.
            let older = configuration.replace(configuration::MANY, "");
            fs::write(file, older.replace("[bounds]", "[limits]"))?;
        }
        match self {
            Self::Spafe
            | Self::SpafeLogging
            | Self::SpafeLimiting
            | Self::SpafeHit
            | Self::SpafeMiss
            | Self::Baseline => command.arg("serve").arg("--config").arg(file),
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
        let request = wire::request(264, false, self.subject.asking());
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
