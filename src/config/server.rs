//! Where does the process listen, and how does it end?

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Worker threads that may be asked for: more than any machine has cores.
pub const THREADS_MAX: usize = 1024;

/// `[server]`
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, and none excludes another"
)]
pub struct Server {
    /// Plaintext listeners.
    pub listen: Vec<SocketAddr>,
    /// Listeners that speak TLS with HTTP/2 and HTTP/1.1 by ALPN.
    pub tls: Option<Tls>,
    /// The admin listener.
    pub admin: SocketAddr,
    /// Whether that may stand on an address that is not loopback.
    pub admin_public: bool,
    /// Hosts beside this machine's that calls which change something may name, lower case,
    /// without port.
    pub admin_hosts: Vec<String>,
    /// Worker threads; never 0 here.
    pub threads: usize,
    /// What image URLs begin with, without a trailing slash.
    pub public_url: Option<String>,
    /// Hosts that may be asked for, lower case, without port; empty: any.
    pub allowed_hosts: Vec<String>,
    /// How long requests are still accepted after the signal to stop.
    pub drain_delay: Duration,
    /// How long requests in flight may take to end after that.
    pub drain_timeout: Duration,
    /// Folder of the socket over which a new process takes over.
    pub run_dir: PathBuf,
    /// Whether answers tell the configuration's version.
    pub config_header: bool,
    /// Whether the process is ready only while at least one pool can be used.
    pub ready_needs_pool: bool,
    /// Whether every connection of a caller begins with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Which callers may ask why they were answered as they were.
    pub explain: Explain,
    /// Whether the process may be looked into by others of its user, and leave its memory in a file.
    pub core_dumps: bool,
}

/// Which callers may ask why they were answered as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// Nobody.
    Off,
    /// Those who show a key.
    Keys,
    /// Everybody.
    All,
}

/// `[server.tls]`
#[derive(Debug, Clone)]
pub struct Tls {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// `[cors]`
#[derive(Debug, Clone)]
pub struct Cors {
    /// Origins that may call, lower case; empty: any.
    pub origins: Vec<String>,
}
