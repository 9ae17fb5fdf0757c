//! How does the process run?
//!
//! Sockets are bound before anything else, so that a taken port is an error
//! message and not a panic in a task, and so that port 0 can be told. The
//! runtime, the shutdown watch and the end of the process are ours: pingora's own
//! server would wait a fixed time for requests that are not there.

/// The built-in upstream in place of real ones.
pub mod demo;
/// Sockets.
mod listen;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::listeners::tls::TlsSettings;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::listening::Service;
use thiserror::Error;
use tokio::sync::watch;

use crate::admin;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::gateway::images::ImageStore;
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::tend;
use crate::gateway::record::metrics::Metrics;
use crate::ingress::Ingress;
use crate::snapshot::Snapshot;
use crate::sys;
use crate::telemetry::RequestLog;
pub use listen::Bound;

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
    #[error(
        "cannot use the TLS certificate {cert} with the key {key}: {reason}; both must be PEM files that belong together"
    )]
    Tls {
        /// The certificate's path.
        cert: String,
        /// The key's path.
        key: String,
        /// What is wrong.
        reason: String,
    },
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

/// Runs until a signal ends the process. `ready` is told once, when requests are served.
///
/// # Errors
/// Where the process cannot begin to serve.
pub fn run(
    config: Config,
    demo: demo::Demo,
    log_is_terminal: bool,
    ready: impl FnOnce(&Serving<'_>),
) -> Result<(), ServeError> {
    listen::raise_descriptor_limit();
    let mut builder = match config.server.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(config.server.threads.max(1))
        .thread_name("spafe")
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let result = runtime.block_on(serve(config, demo, log_is_terminal, ready));
    // What is still running has had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(
    mut config: Config,
    demo: demo::Demo,
    log_is_terminal: bool,
    ready: impl FnOnce(&Serving<'_>),
) -> Result<(), ServeError> {
    let stall = config.limits.write_stall;
    let plain = Bound::all(&config.server.listen, stall)?;
    let tls_addresses = config
        .server
        .tls
        .as_ref()
        .map(|tls| tls.listen.clone())
        .unwrap_or_default();
    let tls = Bound::all(&tls_addresses, stall)?;
    let admin = Bound::one(config.server.admin, stall)?;
    let simulated = demo::simulate(&mut config, demo)
        .await
        .map_err(ServeError::Start)?;

    let metrics = Arc::new(Metrics::new());
    let registry = Arc::new(Registry::default());
    let images = Arc::new(ImageStore::open(&config.images)?);
    let log = RequestLog::open(&config.log, log_is_terminal).map_err(ServeError::Log)?;
    let snapshot = Snapshot::new(config.clone(), &registry, &metrics)?;
    let first_answers = tend::spawn(&snapshot.pools, &config.dns, &registry);
    tell_limits(&config, &metrics);
    let gateway = Arc::new(Gateway::new(
        snapshot,
        Arc::clone(&images),
        Arc::clone(&metrics),
        log,
    ));
    tokio::spawn(async move { images.sweep_forever(|| sys::now().wall).await });

    let (stop, stopped) = watch::channel(false);
    let fds = ListenFds::new(Fds::new().into());
    let serving = Serving {
        plain: plain.iter().map(|bound| bound.address).collect(),
        tls: tls.iter().map(|bound| bound.address).collect(),
        admin: admin.address,
        config: &config,
        simulated: &simulated.names,
    };
    let mut service = Service::new("gateway".to_owned(), Ingress::new(Arc::clone(&gateway)));
    for bound in plain {
        service.add_listener(listener(&bound));
        bound.hand_over(&fds);
    }
    if let Some(settings) = &config.server.tls {
        for bound in tls {
            service.add_listener(listener(&bound).tls(tls_settings(settings)?));
            bound.hand_over(&fds);
        }
    }
    // Connections wait in their queue meanwhile, instead of finding nobody to ask.
    first_answers.wait().await;
    tokio::spawn(admin::serve(admin, Arc::clone(&gateway), stopped.clone()));
    let watch = stopped.clone();
    let accepting = tokio::spawn(async move {
        pingora_core::services::Service::start_service(&mut service, Some(fds), watch, 1).await;
    });
    ready(&serving);
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

fn listener(bound: &Bound) -> ListenerConfig {
    let buffers = L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES);
    ListenerConfig::tcp(bound.address.to_string()).l4_buffer(buffers)
}

fn tls_settings(tls: &crate::config::Tls) -> Result<TlsSettings, ServeError> {
    let cert = tls.cert.display().to_string();
    let key = tls.key.display().to_string();
    let fail = |reason: String| ServeError::Tls {
        cert: cert.clone(),
        key: key.clone(),
        reason,
    };
    // pingora panics on a pair that does not fit, so it is tried first.
    listen::check_certificate(&tls.cert, &tls.key).map_err(fail)?;
    let mut settings =
        TlsSettings::intermediate(&cert, &key).map_err(|error| fail(error.to_string()))?;
    settings.enable_h2();
    Ok(settings)
}

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
async fn until_told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
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
