//! What does pingora itself cost, with nothing on top of it?
//!
//! The yardstick of the whole comparison: pingora's own `HttpProxy` with one worker
//! thread, its defaults, one upstream and not one filter. It lives in the bench's binary,
//! which starts itself again for it: the same profile, the same allocator and the same
//! version of every dependency as the gateway, with nothing to build or to keep in step.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// The first argument by which the binary knows that it is to be the reference.
pub(crate) const ARGUMENT: &str = "__reference";

/// Serve until killed; the arguments are the address to listen on and the upstream's.
pub(crate) fn serve(arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let addresses = arguments
        .map(|argument| argument.to_string_lossy().parse().map_err(io::Error::other))
        .collect::<io::Result<Vec<SocketAddr>>>()?;
    let [listen, upstream] = *addresses else {
        return Err(io::Error::other(format!(
            "usage: {ARGUMENT} LISTEN UPSTREAM"
        )));
    };
    let configuration = ServerConf {
        threads: 1,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, PassThrough { upstream });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever()
}

struct PassThrough {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut (),
    ) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}
