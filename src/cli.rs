//! What did the operator ask for on the command line?
//!
//! The only place that reads the environment and writes to the terminal.

/// The built-in upstream by itself.
mod simulate;
/// What would happen to one request?
mod explain;
/// What becomes of every fault, with this configuration?
mod drill;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, ApiKey, Config, Source};
use crate::gateway::pools::registry::Registry;
use crate::gateway::record::metrics::Metrics;
use crate::server::compile::compile;
use crate::server::demo::Demo;
use crate::server::origin::{Arguments, Origin};
use crate::server::supervisor::Supervisor;
use crate::server::{self, Serving, Start};
use crate::telemetry;

/// The configuration that is used where none is named.
const CONFIG_DEFAULT: &str = "conf/spafe.toml";

/// One OpenAI-compatible address in front of many language models.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Try it without any key:  spafe serve --demo
Check a file:            spafe check --config conf/spafe.toml
Ask what would happen:   echo '{\"model\":\"gpt-4o\",\"messages\":[]}' | spafe explain --body -"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests.
    ///
    /// On SIGTERM or SIGINT it is not ready any more, serves for [server] `drain_delay`,
    /// and ends when requests in flight are answered; at once on a second signal. On
    /// SIGQUIT it hands its sockets to a process started with --upgrade. `RUST_LOG` sets what the process logs to standard error, such
    /// as `info` (the default) or `spafe=debug`.
    Serve(Serve),
    /// Check a configuration and print every problem with file, line and key.
    ///
    /// Exit code 0: it can be served. 1: it cannot. Pools whose secret is not in the
    /// environment are told and are no problem.
    Check(ConfigFile),
    /// Run the built-in upstream by itself.
    ///
    /// It speaks the upstream side of OpenAI: chat completions as JSON and as a
    /// stream, models, and image generations with real small pictures.
    Simulate(simulate::Simulate),
    /// Tell what would happen to one request, without sending anything.
    ///
    /// Prints what was read in the body, the route, the targets in order, deadlines, the
    /// limits that count it, and what its answer is kept by. Exit code 1 where the request would be refused.
    Explain(Explain),
    /// Try out every fault of upstreams, and print what callers see of it.
    ///
    /// A whole gateway runs in this process before scripted upstreams, with the policy
    /// of a configuration and its times made shorter; nothing but loopback is spoken to.
    /// Takes about half a minute. Exit code 1 where a caller saw what they must not.
    Drill(drill::Drill),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Let the built-in upstream play pools, so that no key is needed: all of them, or
    /// with `--demo=missing` those whose secret is missing.
    #[arg(long, value_name = "POOLS", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    demo: Option<DemoPools>,
    /// Listen here instead of where [server] listen says; may be given several times.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// Serve metrics and health here instead of where [server] admin says.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Worker threads instead of [server] threads, up to 1024; 0: one per core.
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// Take the listening sockets of the running process and serve in its place.
    ///
    /// It is waited for at [server] `run_dir`; send it SIGQUIT, before or after. It answers
    /// what it has begun and ends. Where this process fails, the running one goes on.
    #[arg(long)]
    upgrade: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DemoPools {
    /// Every pool.
    All,
    /// Pools whose secret is missing.
    Missing,
}

#[derive(Debug, Args)]
struct Explain {
    #[command(flatten)]
    file: ConfigFile,
    /// The request's body; `-`: standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    body: PathBuf,
    /// The address of the caller; without a key somebody on this machine.
    #[arg(long, value_name = "ADDRESS")]
    client: Option<std::net::IpAddr>,
    /// The name of the key that the caller shows, as `[[keys]]` has it.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// What is asked for: `chat.completions`, `embeddings`, …; of JSON.
    #[arg(long, value_name = "NAME", default_value = "chat.completions")]
    endpoint: String,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Two providers are linked; whoever asks for the default gets this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match cli.command {
        Command::Serve(serve) => run_server(&serve),
        Command::Check(file) => check(&file.config),
        Command::Simulate(simulate) => simulate::run(&simulate),
        Command::Explain(explain) => explain_request(&explain),
        Command::Drill(arguments) => run_drill(arguments),
        Command::Schema => print(&format!("{:#}", config::schema())),
    };
    match done {
        Ok(code) => code,
        Err(message) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn run_server(serve: &Serve) -> Result<ExitCode, String> {
    let stderr_is_terminal = std::io::stderr().is_terminal();
    let filter = telemetry::init(environment("RUST_LOG").as_deref(), stderr_is_terminal)
        .map_err(|error| format!("spafe: {error}"))?;
    if let Some(phase) = environment("SPAFE_PANIC_AT") {
        crate::fail_point::panic_at(&phase);
    }
    let supervisor = supervisor();
    let origin = Origin {
        path: serve.file.config.clone(),
        environment,
        arguments: Arguments {
            listen: serve.listen.clone(),
            admin: serve.admin,
            threads: serve.threads.map(threads_of),
        },
    };
    let reading = origin.read();
    let config = reading.config.map_err(|error| error.to_string())?;
    let demo = match serve.demo {
        None => Demo::Off,
        Some(DemoPools::All) => Demo::All,
        Some(DemoPools::Missing) => Demo::Missing,
    };
    let name = serve.file.config.display().to_string();
    let ready = |serving: &Serving<'_>| {
        // A closed standard output is no reason not to serve.
        let _ = print(&banner(&name, serving));
    };
    let start = Start {
        origin,
        config,
        inputs: reading.inputs,
        demo,
        filter,
        log_is_terminal: std::io::stdout().is_terminal(),
        upgrade: serve.upgrade,
        supervisor,
    };
    server::run(start, ready).map_err(|error| format!("spafe: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// What a service manager has left in the environment: <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>
/// and `sd_listen_fds`, `sd_watchdog_enabled` beside it.
fn supervisor() -> Supervisor {
    let ours = |name: &str| {
        let pid = environment(name).and_then(|pid| pid.parse().ok());
        pid.is_none_or(|pid: u32| pid == std::process::id())
    };
    let number = |name: &str| environment(name)?.parse::<u64>().ok();
    // Sockets are for the process that is named; without a name they are somebody else's.
    let named = environment("LISTEN_PID").is_some() && ours("LISTEN_PID");
    let sockets = number("LISTEN_FDS").filter(|_| named).unwrap_or(0);
    let watchdog = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && ours("WATCHDOG_PID"));
    Supervisor {
        notify: environment("NOTIFY_SOCKET"),
        watchdog: watchdog.map(Duration::from_micros),
        sockets: usize::try_from(sockets).unwrap_or(0),
    }
}

/// Threads that are meant: 0 is one per core.
fn threads_of(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        threads => threads,
    }
}

/// As many worker threads as the file may name, too.
fn threads(text: &str) -> Result<usize, String> {
    let most = config::server::THREADS_MAX;
    let threads = text.parse().ok().filter(|threads| *threads <= most);
    threads.ok_or_else(|| format!("write a whole number from 0 to {most}"))
}

fn check(path: &Path) -> Result<ExitCode, String> {
    let (name, text, config) = load(path)?;
    let source = Source {
        name: &name,
        text: &text,
    };
    let compiled = compile(source, config, &Registry::default(), &Metrics::new());
    let config = compiled
        .map_err(|problems| problems.to_string())?
        .snapshot
        .config;
    let mut text = format!(
        "{}: ok, version {}: {} models over {} pools",
        path.display(),
        config.version,
        config.models.len(),
        config.pools.len()
    );
    for pool in &config.pools {
        if let ApiKey::Missing(place) = &pool.api_key {
            text.push_str("\n  pool ");
            text.push_str(pool.name.as_str());
            text.push_str(" is not used: ");
            text.push_str(place);
            text.push_str(" is not set");
        }
    }
    if let Some(unpriced) = config.unpriced_in_words() {
        text.push_str("\n  ");
        text.push_str(&unpriced);
    }
    print(&text)
}

fn explain_request(explain: &Explain) -> Result<ExitCode, String> {
    let (_, _, config) = load(&explain.file.config)?;
    let body = if explain.body == Path::new("-") {
        std::io::read_to_string(std::io::stdin().lock()).map(String::into_bytes)
    } else {
        std::fs::read(&explain.body)
    };
    let body = body.map_err(|error| format!("{}: {error}", explain.body.display()))?;
    let asked = explain::Asked {
        endpoint: &explain.endpoint,
        client: explain.client,
        key: explain.key.as_deref(),
    };
    let (text, answered) = explain::explain(config, &asked, &body.into())?;
    print(text.trim_end())?;
    Ok(if answered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run_drill(arguments: drill::Drill) -> Result<ExitCode, String> {
    // Faults are what a drill is made of: their log is for whoever asks for it.
    if let Some(filter) = environment("RUST_LOG") {
        telemetry::init(Some(&filter), std::io::stderr().is_terminal())
            .map_err(|error| format!("spafe: {error}"))?;
    }
    let (text, code) = drill::drill(arguments)?;
    print(&text)?;
    Ok(code)
}

/// The file's name and text, and the configuration that they are.
fn load(path: &Path) -> Result<(String, String, Config), String> {
    let origin = Origin {
        path: path.to_owned(),
        environment,
        arguments: Arguments::default(),
    };
    let reading = origin.read();
    let config = reading.config.map_err(|error| error.to_string())?;
    Ok((origin.name(), reading.text, config))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn print(text: &str) -> Result<ExitCode, String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// What is told when requests are served.
fn banner(file: &str, serving: &Serving<'_>) -> String {
    let mut lines = Vec::new();
    let config = serving.config;
    lines.push(format!(
        "spafe {} with {file} (version {})",
        env!("CARGO_PKG_VERSION"),
        config.version
    ));
    for pool in &config.pools {
        let state = match &pool.api_key {
            _ if serving
                .simulated
                .iter()
                .any(|name| name == pool.name.as_str()) =>
            {
                "simulated".to_owned()
            }
            ApiKey::Missing(place) => format!("not used: {place} is not set"),
            ApiKey::None | ApiKey::Known(_) => "real".to_owned(),
        };
        lines.push(format!("  pool {:<14} {state}", pool.name.as_str()));
    }
    let listed = config
        .models
        .iter()
        .filter(|model| !model.is_pattern)
        .count();
    lines.push(format!(
        "  {listed} models over {} pools",
        config.pools.len()
    ));
    lines.push(format!("admin on http://{}", serving.admin));
    lines.extend(
        serving
            .plain
            .iter()
            .map(|address| format!("listening on http://{address}")),
    );
    lines.extend(
        serving
            .tls
            .iter()
            .map(|address| format!("listening on https://{address}")),
    );
    if let Some(address) = serving.plain.first() {
        let host = if address.ip().is_unspecified() {
            "127.0.0.1".to_owned()
        } else {
            address.ip().to_string()
        };
        let model = config.models.iter().find(|model| !model.is_pattern);
        let model = model.map_or("gpt-4o", |model| model.id.as_str());
        lines.push(format!(
            "\ntry it:\n  curl http://{host}:{}/api/v1/chat/completions -H 'Content-Type: application/json' \\\n    -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hi\"}}]}}'\n",
            address.port()
        ));
    }
    lines.join("\n")
}
