//! What does `[server]` look like, and `[reload]`?

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileRef, seconds};
use crate::config::notation::name::File as FilePath;
use crate::config::notation::place::{Host, PublicUrl};
use crate::config::notation::{Address, Length, Written};

/// Addresses, threads, names.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, and none excludes another"
)]
pub(in crate::config) struct Server {
    /// Addresses for plaintext HTTP/1.1.
    pub(in crate::config) listen: Vec<Written<Address>>,
    /// Address of the admin listener: metrics, health, the configuration without its secrets.
    pub(in crate::config) admin: Written<Address>,
    /// Whether the admin listener may stand on an address that is not loopback.
    pub(in crate::config) admin_public: bool,
    /// Names, beside addresses and localhost, by which the admin listener may be asked.
    pub(in crate::config) admin_hosts: Vec<Written<Host>>,
    /// Worker threads; 0: one per core.
    #[schemars(range(max = crate::config::server::THREADS_MAX))]
    pub(in crate::config) threads: usize,
    /// What the URLs of generated images begin with; unset: the request's Host.
    pub(in crate::config) public_url: Option<Written<PublicUrl>>,
    /// Hosts that may be asked for; empty: any.
    pub(in crate::config) allowed_hosts: Vec<Written<Host>>,
    /// How long requests are still accepted after the signal to stop, so that whoever balances over processes has time to notice.
    pub(in crate::config) drain_delay: Written<Length>,
    /// How long requests in flight may take to end after that.
    pub(in crate::config) drain_timeout: Written<Length>,
    /// Folder of the socket over which a new process takes over the listeners; nobody else may enter it.
    pub(in crate::config) run_dir: Written<FilePath>,
    /// Whether answers tell the configuration's version, as `x-spafe-config`.
    pub(in crate::config) config_header: bool,
    /// Whether the process is ready only while at least one pool can be used.
    pub(in crate::config) ready_needs_pool: bool,
    /// Whether every connection of a caller begins with a PROXY protocol header, version 1 or 2, that names it.
    pub(in crate::config) proxy_protocol: bool,
    /// Which callers are told why they were answered as they were, where they ask with `x-spafe-explain: 1`.
    pub(in crate::config) explain: Explain,
    /// Whether the process may leave its memory in a file when it crashes, and be traced by others of its user.
    pub(in crate::config) core_dumps: bool,
    /// Listeners that speak TLS, with HTTP/2 and HTTP/1.1.
    pub(in crate::config) tls: Option<Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![Written(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                8080,
            ))],
            admin: Written(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081)),
            admin_public: false,
            admin_hosts: Vec::new(),
            threads: 0,
            public_url: None,
            allowed_hosts: Vec::new(),
            drain_delay: seconds(5),
            drain_timeout: seconds(60),
            run_dir: Written("var/run".into()),
            config_header: false,
            ready_needs_pool: false,
            proxy_protocol: false,
            explain: Explain::Off,
            core_dumps: false,
            tls: None,
        }
    }
}

/// Which callers are told why.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Explain {
    /// Nobody.
    Off,
    /// Those who show a key.
    Keys,
    /// Everybody.
    All,
}

/// Listeners that speak TLS, with HTTP/2 and HTTP/1.1.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    /// Addresses to listen on.
    #[schemars(length(min = 1))]
    pub(in crate::config) listen: Vec<Written<Address>>,
    /// Certificate chain, PEM.
    pub(in crate::config) cert: FileRef,
    /// Private key, PEM.
    pub(in crate::config) key: FileRef,
}

/// When this file is read again.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Reload {
    /// Whether the file, and the files it names, are watched.
    pub(in crate::config) watch: bool,
    /// How long they must have been quiet.
    pub(in crate::config) debounce: Written<Length>,
    /// How often their contents are looked at where nothing was noticed; at least `debounce`.
    pub(in crate::config) poll: Written<Length>,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            watch: true,
            debounce: Written(Duration::from_millis(250)),
            poll: seconds(10),
        }
    }
}
