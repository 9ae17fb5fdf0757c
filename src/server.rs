//! How does the process run?
//!
//! Sockets are bound before anything else, so that a taken port is an error
//! message and not a panic in a task, and so that port 0 can be told. The
//! runtime, the shutdown watch and the end of the process are ours: pingora's own
//! server would wait a fixed time for requests that are not there.

/// What a service manager gives and is told.
pub mod supervisor;
/// What may be held and opened, and who is told.
mod bounds;
/// Open files.
mod descriptors;
/// Memory.
mod memory;
/// Who may look into this process.
mod privacy;
/// Sockets.
mod listen;
/// Where the configuration comes from.
pub mod origin;
/// The built-in upstream in place of real ones.
pub mod demo;
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
/// Whether the runtime turns.
pub mod pulse;
/// In the place of another process.
pub mod upgrade;
/// The end.
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::listening::Service;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as value;
use tokio::task::JoinHandle;

use crate::admin::{self, Admin};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::gateway::images::ImageStore;
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::tend::{self, FirstAnswers};
use crate::gateway::record::metrics::Metrics;
use crate::ingress::Ingress;
use crate::ingress::arrivals::{Arrivals, BeforeTls, Counted};
use crate::phase::Phase;
use crate::snapshot::Snapshot;
use crate::sys;
use crate::telemetry::RequestLog;
use crate::telemetry::filter::LogFilter;
use certificate::{Certificate, Pair};
use demo::Player;
pub use listen::Bound;
use listen::{Given, Sockets};
use origin::{Inputs, Origin};
use pulse::Pulse;
use reload::{First, Reloader};
use supervisor::Supervisor;

/// None: heads and bodies are read into buffers of their own, of 4 and 64 KiB, and one
/// in between would only be a page of memory more for each connection.
const READ_BUFFER_BYTES: usize = 0;
/// Head and body of a small answer leave in one packet.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// Why the process does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {error}; {hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What to do about it.
        hint: &'static str,
        /// The system's word.
        error: std::io::Error,
    },
    /// The certificate or key of the TLS listeners.
    #[error(transparent)]
    Tls(#[from] certificate::PairError),
    /// What the configuration names cannot be used.
    #[error(transparent)]
    Snapshot(#[from] crate::snapshot::SnapshotError),
    /// The other process was not replaced.
    #[error("cannot take the place of the running process: {0}")]
    Upgrade(#[from] upgrade::UpgradeError),
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

/// What a process is started with.
pub struct Start {
    /// Where the configuration comes from, at every reload.
    pub origin: Origin,
    /// The configuration to begin with.
    pub config: Config,
    /// The files that it was read from.
    pub inputs: Inputs,
    /// Which pools the built-in upstream plays.
    pub demo: demo::Demo,
    /// What is let into the log of the process.
    pub filter: LogFilter,
    /// Whether somebody reads standard output.
    pub log_is_terminal: bool,
    /// Whether another process is to be replaced.
    pub upgrade: bool,
    /// What a service manager left for us.
    pub supervisor: Supervisor,
}

/// Runs until a signal or another process ends this one. `ready` is told once, when
/// requests are served.
///
/// # Errors
/// Where the process cannot begin to serve.
pub fn run(mut start: Start, ready: impl FnOnce(&Serving<'_>)) -> Result<(), ServeError> {
    // Before any descriptor of our own is opened: they come by number.
    let given = start.supervisor.given();
    descriptors::take_all();
    bounds::fit(&mut start.config.bounds);
    if !start.config.server.core_dumps {
        privacy::keep_memory_private();
    }
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
    let result = runtime.block_on(serve(start, given, ready));
    // What is still running has had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(
    start: Start,
    mut given: Given,
    ready: impl FnOnce(&Serving<'_>),
) -> Result<(), ServeError> {
    let mut signals = stop::Signals::catch().map_err(ServeError::Start)?;
    // Unheard, it would end the process.
    let hangup = signal(SignalKind::hangup()).map_err(ServeError::Start)?;
    let predecessor = take_over(&start, &mut given).await?;
    let sockets = Sockets::open(&start.config, given)?;
    descriptors::warn_if_root();
    let kept = sockets.keep().map_err(ServeError::Start)?;
    let (supervisor, filter) = (start.supervisor.clone(), start.filter.clone());
    let Assembled {
        gateway,
        reloader,
        simulated,
        certificate,
        first_answers,
    } = assemble(start).await?;
    let pulse = Pulse::new(sys::instant());
    tokio::spawn(pulse.clone().beat_forever());
    memory::watch(&gateway).map_err(ServeError::Start)?;
    tokio::spawn(watch::signals(Arc::clone(&reloader), hangup));
    tokio::spawn(watch::files(Arc::clone(&reloader)));
    let in_force = gateway.snapshot.load_full();
    let serving = Serving {
        plain: addresses(&sockets.plain),
        tls: addresses(&sockets.tls),
        admin: sockets.admin.address,
        config: &in_force.config,
        simulated: &simulated,
    };
    let (stop_admin, stopped) = value::channel(false);
    let operated = Admin::new(Arc::clone(&gateway), reloader, pulse, filter);
    admin::spawn(sockets.admin, operated, stopped).map_err(ServeError::Start)?;
    // Connections wait in their queue meanwhile, instead of finding nobody to ask.
    first_answers.wait().await;
    let (stop_accepting, stopped) = value::channel(false);
    let public = sockets.plain.into_iter().zip(std::iter::repeat(None));
    let tls = sockets.tls.into_iter();
    let public = public.chain(tls.zip(std::iter::repeat(certificate.as_ref())));
    let mut accepting = accept(&gateway, public, stopped)?;
    if let Some(predecessor) = predecessor {
        // It goes on if we do not say this, and so we look twice.
        stop::lasts(&mut accepting)
            .await
            .map_err(ServeError::Start)?;
        predecessor.serving().await?;
    }
    gateway.outlook.enter(Phase::Serving);
    supervisor.tell("READY=1");
    tokio::spawn(supervisor.clone().keep_alive());
    ready(&serving);
    drop(in_force);
    let running = stop::Running {
        gateway,
        accepting: stop_accepting,
        admin: stop_admin,
        supervisor,
    };
    let told = running.until_told(&kept, &mut signals).await;
    let gateway = Arc::clone(&running.gateway);
    running.end(told, kept, signals).await;
    accepting.abort();
    let in_force = gateway.snapshot.load_full();
    if let Some(shared) = &in_force.shared {
        shared.leave().await;
    }
    if let Some(otlp) = &in_force.otlp {
        otlp.leave().await;
    }
    Ok(())
}

/// The process that this one replaces, where it is told to; its sockets are ours then.
async fn take_over(
    start: &Start,
    given: &mut Given,
) -> Result<Option<upgrade::Predecessor>, ServeError> {
    if !start.upgrade {
        return Ok(None);
    }
    let run_dir = &start.config.server.run_dir;
    let (taken, predecessor) = upgrade::take(run_dir, upgrade::MEETING).await?;
    given.and(taken);
    Ok(Some(predecessor))
}

/// What serves, before anybody is let in.
struct Assembled {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    /// Names of the pools that the built-in upstream plays.
    simulated: Vec<String>,
    certificate: Option<Arc<Certificate>>,
    first_answers: FirstAnswers,
}

/// Makes what serves, and starts what looks after what it uses.
async fn assemble(start: Start) -> Result<Assembled, ServeError> {
    let mut config = start.config;
    let mut player = Player::new(start.demo);
    let simulated = player.play(&mut config).await.map_err(ServeError::Start)?;
    let certificate = match &config.server.tls {
        Some(tls) => Some(Certificate::new(Pair::read(tls)?)),
        None => None,
    };
    let metrics = Arc::new(Metrics::new());
    let registry = Arc::new(Registry::default());
    let images = Arc::new(ImageStore::open(&config.images)?);
    let log = RequestLog::open(&config.log, start.log_is_terminal).map_err(ServeError::Log)?;
    let snapshot = Snapshot::new(config.clone(), &registry, &metrics)?;
    let first_answers = tend::spawn(&snapshot.pools, &config.dns, &registry);
    if let Some(shared) = &snapshot.shared {
        shared.start();
    }
    if let Some(answers) = &snapshot.answers {
        answers.start();
    }
    if let Some(otlp) = &snapshot.otlp {
        otlp.start();
    }
    bounds::tell(&config, &metrics);
    let gateway = Gateway::new(snapshot, Arc::clone(&images), metrics, log);
    let idle_max = descriptors::idle_max(descriptors::allowed());
    let gateway = Arc::new(gateway.keeping_idle(idle_max));
    tokio::spawn(async move { images.sweep_forever(|| sys::now().wall).await });
    let first = First {
        origin: start.origin,
        config,
        inputs: start.inputs,
        certificate: certificate.clone(),
        player,
    };
    Ok(Assembled {
        reloader: Reloader::new(Arc::clone(&gateway), registry, first),
        gateway,
        simulated,
        certificate,
        first_answers,
    })
}

/// Accepts on these sockets, with TLS where a certificate stands beside one.
fn accept<'a>(
    gateway: &Arc<Gateway>,
    sockets: impl Iterator<Item = (Bound, Option<&'a Arc<Certificate>>)>,
    stopped: value::Receiver<bool>,
) -> Result<JoinHandle<()>, ServeError> {
    let fds = ListenFds::new(Fds::new().into());
    let arrivals = Arc::new(Arrivals::new(Arc::clone(gateway)));
    let app = Counted::new(Ingress::new(Arc::clone(gateway)), Arc::clone(&arrivals));
    let mut service = Service::new("gateway".to_owned(), app);
    service.set_connection_filter(Arc::clone(&arrivals) as _);
    service
        .endpoints()
        .set_pre_tls_callback(Arc::new(BeforeTls(arrivals)));
    for (bound, certificate) in sockets {
        let listener = listener(&bound);
        service.add_listener(match certificate {
            Some(certificate) => listener.tls(certificate.settings()?),
            None => listener,
        });
        bound.hand_over(&fds);
    }
    Ok(tokio::spawn(async move {
        pingora_core::services::Service::start_service(&mut service, Some(fds), stopped, 1).await;
    }))
}

fn addresses(bound: &[Bound]) -> Vec<SocketAddr> {
    bound.iter().map(|bound| bound.address).collect()
}

fn listener(bound: &Bound) -> ListenerConfig {
    let buffers = L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES);
    ListenerConfig::tcp(bound.address.to_string()).l4_buffer(buffers)
}
