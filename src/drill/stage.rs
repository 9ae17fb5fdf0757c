//! Who plays, and where?
//!
//! A whole gateway in this process, from its listener to its record, and in front of and
//! behind it nothing but loopback: pools that are configured are copied for their policy,
//! and nobody that they name is ever asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::IntoRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora_core::listeners::ListenerConfig;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::listening::Service;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use crate::config::cache::CacheOverride;
use crate::config::dialect::{Dialect, Thinking};
use crate::config::{ApiKey, HttpVersion, Modality, Model, ModelPool, Target, TimeoutsOverride};
use crate::drill::DrillError;
use crate::drill::fault::Wire;
use crate::drill::policy::Policy;
use crate::gateway::Gateway;
use crate::gateway::images::ImageStore;
use crate::gateway::pools::registry::Registry;
use crate::gateway::record::metrics::Metrics;
use crate::ingress::Ingress;
use crate::names::{ModelId, PoolName};
use crate::operation::Operation;
use crate::simulator::record::Bounds;
use crate::simulator::tls::Tls;
use crate::simulator::{Options, Simulator};
use crate::snapshot::Snapshot;
use crate::sys;
use crate::telemetry::RequestLog;

/// The names of upstreams with a certificate.
const HOST: &str = "127.0.0.1";

/// Where a drill takes place.
pub(super) struct Stage {
    /// What is drilled.
    pub policy: Policy,
    /// Apart, because a drill hands its stage on.
    config: Box<crate::config::Config>,
    folder: Folder,
    good: Pair,
}

/// A gateway that serves until this is dropped.
pub(super) struct Running {
    /// Where callers connect.
    pub address: SocketAddr,
    _stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    _folder: Folder,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(super) struct Pair {
    certificate: String,
    key: String,
}

/// A folder of our own, gone with the drill.
struct Folder(PathBuf);

/// An address at which nobody listens, for as long as this lives.
pub(super) struct Nobody {
    /// Where.
    pub address: SocketAddr,
    _socket: TcpSocket,
}

/// An address at which connections are neither taken nor refused.
pub(super) struct Vanished {
    /// Where.
    pub address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Stage {
    /// An empty stage, with a folder of its own below this one.
    pub(super) fn new(policy: Policy, temporary: &Path) -> Result<Self, DrillError> {
        let folder = Folder::new(temporary)?;
        let mut config = Box::new(policy.config.clone());
        config.images.store = folder.0.join("images").display().to_string();
        let good = Pair::new(HOST, |_| ())?;
        std::fs::write(folder.0.join("authority.pem"), &good.certificate)?;
        Ok(Self {
            policy,
            config,
            folder,
            good,
        })
    }

    /// An upstream that is spoken to in this way.
    pub(super) async fn upstream(&self, wire: Wire) -> io::Result<Simulator> {
        let tls = (wire == Wire::Http2).then(|| self.good.tls());
        simulator(tls).await
    }

    /// An upstream with this certificate, which is trusted only if `trust` says so.
    pub(super) async fn impostor(
        &self,
        pair: &Pair,
        trusted_as: Option<&str>,
    ) -> io::Result<Simulator> {
        if let Some(name) = trusted_as {
            std::fs::write(self.authority(name), &pair.certificate)?;
        }
        simulator(Some(pair.tls())).await
    }

    /// Adds a pool over these addresses; answers with its place.
    pub(super) fn pool(
        &mut self,
        name: &str,
        urls: &[String],
        authority: Option<&str>,
    ) -> Result<usize, DrillError> {
        let mut pool = self.policy.pool.clone();
        pool.name = PoolName::new(name);
        pool.dialect = Dialect::OpenAi;
        pool.api_key = ApiKey::None;
        pool.ca = authority.map(|name| self.authority(name));
        pool.http = HttpVersion::Auto;
        pool.targets = urls
            .iter()
            .map(|url| {
                Url::parse(&format!("{url}/v1"))
                    .map(|url| Target { url, weight: 1 })
                    .map_err(io::Error::other)
            })
            .collect::<Result<_, _>>()?;
        self.config.pools.push(pool);
        Ok(self.config.pools.len() - 1)
    }

    /// Adds a model over these pools, with what each calls it.
    pub(super) fn model(
        &mut self,
        id: &str,
        pools: &[(usize, Option<&str>)],
        shape: impl FnOnce(&mut Model),
    ) {
        let mut model = Model {
            id: ModelId::new(id),
            is_pattern: false,
            aliases: Vec::new(),
            pools: pools
                .iter()
                .map(|(pool, name)| ModelPool {
                    pool: *pool,
                    name: name.map(str::to_owned),
                    price: None,
                })
                .collect(),
            fallbacks: Vec::new(),
            context_fallbacks: Vec::new(),
            policy_fallbacks: Vec::new(),
            modality: Modality::Text,
            operations: vec![Operation::Chat],
            weight: 1,
            price: None,
            max_tokens_default: 8192,
            thinking: Thinking::Budget,
            owned_by: "drill".to_owned(),
            created: 0,
            timeouts: TimeoutsOverride::default(),
            // Every fault is to be met, however often the same is asked.
            cache: CacheOverride {
                enabled: Some(false),
                ..CacheOverride::default()
            },
        };
        shape(&mut model);
        self.config.models.push(model);
    }

    /// The file with what a pool trusts.
    fn authority(&self, name: &str) -> PathBuf {
        self.folder.0.join(format!("{name}.pem"))
    }

    /// Lets the gateway serve.
    pub(super) fn open(self) -> Result<Running, DrillError> {
        let bound = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        bound.set_nonblocking(true)?;
        let address = bound.local_addr()?;
        let metrics = Arc::new(Metrics::new());
        let registry = Arc::new(Registry::default());
        let images = ImageStore::open(&self.config.images).map_err(io::Error::other)?;
        let log = RequestLog::open(&self.config.log, false)?;
        let snapshot =
            Snapshot::new(*self.config, &registry, &metrics).map_err(io::Error::other)?;
        let gateway = Gateway::new(snapshot, Arc::new(images), metrics, log);
        let mut service = Service::new("drill".to_owned(), Ingress::new(Arc::new(gateway)));
        service.add_listener(ListenerConfig::tcp(address.to_string()));
        let fds = ListenFds::new(Fds::new().into());
        fds.lock().add(address.to_string(), bound.into_raw_fd());
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(async move {
            pingora_core::services::Service::start_service(&mut service, Some(fds), stopped, 1)
                .await;
        });
        Ok(Running {
            address,
            _stop: stop,
            accepting,
            _folder: self.folder,
        })
    }
}

async fn simulator(tls: Option<Tls>) -> io::Result<Simulator> {
    let options = Options {
        tls,
        record: Some(Bounds {
            requests_max: 10_000,
            bodies_bytes_max: 1024 * 1024,
        }),
        ..Options::instant()
    };
    Simulator::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Pair {
    /// A certificate for this name that is its own authority, otherwise as `shape` makes it.
    pub(super) fn new(name: &str, shape: impl FnOnce(&mut CertificateParams)) -> io::Result<Self> {
        let mut params = CertificateParams::new([name.to_owned()]).map_err(io::Error::other)?;
        shape(&mut params);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    fn tls(&self) -> Tls {
        Tls {
            certificates_pem: self.certificate.clone(),
            key_pem: self.key.clone(),
            http2: true,
        }
    }
}

impl Folder {
    fn new(below: &Path) -> io::Result<Self> {
        let path = below.join(format!("spafe-drill-{:016x}", sys::random()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is a few hundred bytes that mean nothing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Nobody {
    /// A port that is taken and not listened at: whoever connects is refused.
    pub(super) fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            address: socket.local_addr()?,
            _socket: socket,
        })
    }
}

impl Vanished {
    /// A listener whose queue is full: the system drops what else wants to connect.
    pub(super) async fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        let patience = std::time::Duration::from_millis(100);
        // One more than fits tells that it is full.
        while let Ok(connected) = tokio::time::timeout(patience, TcpStream::connect(address)).await
        {
            waiting.push(connected?);
        }
        Ok(Self {
            address,
            _listener: listener,
            _waiting: waiting,
        })
    }
}
