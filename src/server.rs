//! How does the process run?
//!
//! Sockets are bound before anything else, so that a taken port is an error
//! message and not a panic in a task, and so that port 0 can be told. The
//! runtime, the shutdown watch and the end of the process are ours: pingora's own
//! server would wait a fixed time for requests that are not there.

/// Where the configuration comes from.
pub mod origin;
/// The built-in upstream in place of real ones.
pub mod demo;
/// Sockets.
mod listen;
/// The certificate that TLS listeners show.
pub mod certificate;
/// A configuration, made ready.
pub mod compile;
/// The configuration, read again.
pub mod reload;
/// What cannot be changed by that.
mod restart;
/// What is no longer in force.
mod retire;
/// When the configuration is read again.
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::listening::Service;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as value;

use crate::admin;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::gateway::images::ImageStore;
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::resolve;
use crate::gateway::record::metrics::Metrics;
use crate::ingress::Ingress;
use crate::snapshot::Snapshot;
use crate::sys;
use crate::telemetry::RequestLog;
use certificate::{Certificate, Pair};
use demo::Player;
pub use listen::Bound;
use origin::{Inputs, Origin};
use reload::{First, Reloader};

/// None: heads and bodies are read into buffers of their own, of 4 and 64 KiB, and one
/// in between would only be a page of memory more for each connection.
const READ_BUFFER_BYTES: usize = 0;
/// Head and body of a small answer leave in one packet.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
/// How long requests in flight may take to end after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(1);

/// Why the process does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// An address cannot be bound.
    #[error(
        "cannot listen on {address}: {error}; is another process listening there? Choose another address with --listen or --admin"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        error: std::io::Error,
    },
    /// The certificate or key of the TLS listeners.
    #[error(transparent)]
    Tls(#[from] certificate::PairError),
    /// A pool cannot be built.
    #[error(transparent)]
    Pool(#[from] crate::gateway::pools::PoolError),
    /// The image store cannot be opened.
    #[error("cannot open the image store: {0}")]
    Images(#[from] crate::gateway::images::OpenError),
    /// The request log cannot be opened.
    #[error("cannot open the request log: {0}; check [log] requests")]
    Log(std::io::Error),
    /// The runtime or the signal handlers.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

/// What is told when the process serves.
pub struct Serving<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Addresses of `http://`.
    pub plain: Vec<SocketAddr>,
    /// Addresses of `https://`.
    pub tls: Vec<SocketAddr>,
    /// The admin listener.
    pub admin: SocketAddr,
    /// Names of the pools that the built-in upstream plays.
    pub simulated: &'a [String],
}

/// What a process is to serve.
pub struct Start {
    /// Where the configuration comes from, at every reload.
    pub origin: Origin,
    /// The configuration to begin with.
    pub config: Config,
    /// The files that it was read from.
    pub inputs: Inputs,
    /// Which pools the built-in upstream plays.
    pub demo: demo::Demo,
    /// Whether the request log goes to a person.
    pub log_is_terminal: bool,
}

/// Runs until a signal ends the process. `ready` is told once, when requests are served.
///
/// # Errors
/// Where the process cannot begin to serve.
pub fn run(start: Start, ready: impl FnOnce(&Serving<'_>)) -> Result<(), ServeError> {
    listen::raise_descriptor_limit();
    let threads = start.config.server.threads;
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(threads.max(1))
        .thread_name("spafe")
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let result = runtime.block_on(serve(start, ready));
    // What is still running has had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(start: Start, ready: impl FnOnce(&Serving<'_>)) -> Result<(), ServeError> {
    // Before anything else: unheard, it would end the process.
    let hangup = signal(SignalKind::hangup()).map_err(ServeError::Start)?;
    let sockets = Sockets::bind(&start.config)?;
    let (stop, stopped) = value::channel(false);
    let Running {
        gateway,
        reloader,
        simulated,
        certificate,
    } = assemble(start, stopped.clone()).await?;
    let in_force = gateway.snapshot.load_full();
    let serving = Serving {
        plain: sockets.plain.iter().map(|bound| bound.address).collect(),
        tls: sockets.tls.iter().map(|bound| bound.address).collect(),
        admin: sockets.admin.address,
        config: &in_force.config,
        simulated: &simulated,
    };
    let fds = ListenFds::new(Fds::new().into());
    let mut service = Service::new("gateway".to_owned(), Ingress::new(Arc::clone(&gateway)));
    for bound in sockets.plain {
        service.add_listener(listener(&bound));
        bound.hand_over(&fds);
    }
    if let Some(certificate) = &certificate {
        for bound in sockets.tls {
            service.add_listener(listener(&bound).tls(certificate.settings()?));
            bound.hand_over(&fds);
        }
    }
    tokio::spawn(watch::signals(Arc::clone(&reloader), hangup));
    tokio::spawn(watch::files(Arc::clone(&reloader)));
    tokio::spawn(admin::serve(
        sockets.admin,
        Arc::clone(&gateway),
        reloader,
        stopped.clone(),
    ));
    let accepting = tokio::spawn(async move {
        pingora_core::services::Service::start_service(&mut service, Some(fds), stopped, 1).await;
    });
    ready(&serving);
    drop(in_force);
    until_told_to_stop().await.map_err(ServeError::Start)?;
    tracing::info!(
        "stopping: no new connections; requests in flight have {} s",
        DRAIN_TIMEOUT.as_secs()
    );
    // Nobody listening to this is nothing to stop.
    let _ = stop.send(true);
    drain(&gateway).await;
    accepting.abort();
    Ok(())
}

/// Where is listened.
struct Sockets {
    plain: Vec<Bound>,
    tls: Vec<Bound>,
    admin: Bound,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self, ServeError> {
        let stall = config.limits.write_stall;
        let tls = config.server.tls.as_ref();
        let tls = tls.map_or(&[][..], |tls| &tls.listen);
        Ok(Self {
            plain: Bound::all(&config.server.listen, stall)?,
            tls: Bound::all(tls, stall)?,
            admin: Bound::one(config.server.admin, stall)?,
        })
    }
}

/// What serves, before anybody is let in.
struct Running {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    /// Names of the pools that the built-in upstream plays.
    simulated: Vec<String>,
    certificate: Option<Arc<Certificate>>,
}

/// Makes what serves, and starts what it does beside.
async fn assemble(start: Start, stopped: value::Receiver<bool>) -> Result<Running, ServeError> {
    let Start {
        origin,
        mut config,
        inputs,
        demo,
        log_is_terminal,
    } = start;
    let mut player = Player::new(demo);
    let simulated = player.play(&mut config).await.map_err(ServeError::Start)?;
    let certificate = match &config.server.tls {
        Some(tls) => Some(Certificate::new(Pair::read(tls)?)),
        None => None,
    };
    let metrics = Arc::new(Metrics::new());
    let registry = Arc::new(Registry::default());
    let images = Arc::new(ImageStore::open(&config.images)?);
    let log = RequestLog::open(&config.log, log_is_terminal).map_err(ServeError::Log)?;
    let snapshot = Snapshot::new(config.clone(), &registry, &metrics)?;
    resolve::spawn(&snapshot.pools, &registry);
    tell_limits(&config, &metrics);
    let gateway = Gateway::new(snapshot, Arc::clone(&images), metrics, log);
    let gateway = Arc::new(gateway);
    tokio::spawn(async move { images.sweep_forever(|| sys::now().wall).await });
    let first = First {
        origin,
        config,
        inputs,
        certificate: certificate.clone(),
        player,
    };
    Ok(Running {
        reloader: Reloader::new(Arc::clone(&gateway), registry, first, stopped),
        gateway,
        simulated,
        certificate,
    })
}

fn listener(bound: &Bound) -> ListenerConfig {
    let buffers = L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES);
    ListenerConfig::tcp(bound.address.to_string()).l4_buffer(buffers)
}

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
async fn until_told_to_stop() -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::warn!("told to stop a second time: ending at once");
        std::process::exit(1);
    });
    Ok(())
}

/// Waits until nothing is in flight, within the bound.
async fn drain(gateway: &Gateway) {
    let deadline = sys::instant() + DRAIN_TIMEOUT;
    while gateway.metrics.in_flight.get() > 0 && sys::instant() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn tell_limits(config: &Config, metrics: &Metrics) {
    let limits = &config.limits;
    metrics.limit("body_bytes", limits.body_bytes_max);
    metrics.limit("head_bytes", limits.head_bytes_max);
    metrics.limit("head_fields", limits.head_fields_max);
    metrics.limit("request_line_bytes", limits.request_line_bytes_max);
    metrics.limit("json_depth", limits.json_depth_max);
    metrics.limit("json_keys", limits.json_keys_max);
    metrics.limit("attempts", config.attempts.max);
    metrics.limit("image_bytes", config.images.image_bytes_max);
    let store = usize::try_from(config.images.store_bytes_max).unwrap_or(usize::MAX);
    metrics.limit("image_store_bytes", store);
}
