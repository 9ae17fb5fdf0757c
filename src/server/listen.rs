//! Which sockets are listened on?
//!
//! Bound here, with the standard library, and handed to pingora as descriptors.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::time::Duration;

use pingora_core::server::ListenFds;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::bounds::Limits;
use crate::server::ServeError;

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

/// Descriptors for all that is no client's and no upstream's: listeners, the admin
/// listener's connections, logs, images, the runtime's own.
const RESERVED_DESCRIPTORS: u64 = 64;

/// A bound socket.
pub struct Bound {
    /// Where it is, its port known.
    pub address: SocketAddr,
    socket: TcpListener,
}

impl Bound {
    /// Binds each of these.
    ///
    /// # Errors
    /// Where one cannot be bound; it is named.
    pub fn all(addresses: &[SocketAddr], stall: Duration) -> Result<Vec<Self>, ServeError> {
        let one = |address: &SocketAddr| Self::one(*address, stall);
        addresses.iter().map(one).collect()
    }

    /// Binds this one. A client that takes nothing for `stall` is reset.
    ///
    /// # Errors
    /// Where it cannot be bound.
    pub fn one(address: SocketAddr, stall: Duration) -> Result<Self, ServeError> {
        bind(address, stall).map_err(|error| ServeError::Listen { address, error })
    }

    /// Gives the descriptor to pingora, which finds it by the address.
    pub fn hand_over(self, fds: &ListenFds) {
        let descriptor = self.socket.into_raw_fd();
        fds.lock().add(self.address.to_string(), descriptor);
    }

    /// The socket itself, for a runtime.
    #[must_use]
    pub fn into_std(self) -> TcpListener {
        self.socket
    }
}

fn bind(address: SocketAddr, stall: Duration) -> std::io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    // Accepted connections inherit it. Without it the system keeps megabytes for a client
    // that takes nothing, long after we have closed.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(
        &socket,
        u32::try_from(stall.as_millis()).unwrap_or(u32::MAX),
    )?;
    let socket = TcpListener::from(socket);
    Ok(Bound {
        address: socket.local_addr()?,
        socket,
    })
}

/// Takes as many descriptors as the system allows, and tells how many that are.
pub(super) fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    // None is no limit.
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Keeps connections and requests within the descriptors there are.
///
/// A request needs one toward its client and one toward its upstream. Where they run out
/// nobody can be accepted, and whoever was accepted cannot be answered; so it is the
/// caps that are met first. Whatever configuration is used is to be fitted.
pub(super) fn fit(limits: &mut Limits, descriptors: u64) {
    let each = descriptors.saturating_sub(RESERVED_DESCRIPTORS) / 2;
    let each = usize::try_from(each).unwrap_or(usize::MAX).max(1);
    for (name, max) in [
        ("connections_max", &mut limits.connections_max),
        ("in_flight_max", &mut limits.in_flight_max),
    ] {
        if *max > each {
            tracing::warn!(
                descriptors,
                "limits.{name} is {each} and not {max}: there are too few descriptors; raise the limit of open files to {}",
                RESERVED_DESCRIPTORS + 2 * (*max as u64)
            );
            *max = each;
        }
    }
}

/// Whether a certificate chain and a key can be read and belong together.
pub(super) fn check_certificate(cert: &Path, key: &Path) -> Result<(), String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| format!("certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("key: {error}"))?;
    rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_requests_leave_descriptors_for_each_other() {
        let mut limits = crate::config::load(
            crate::config::Source { name: "x", text: "[[pools]]\nname = \"p\"\ntargets = [{ url = \"http://127.0.0.1:1/v1\" }]\n[[models]]\nid = \"m\"\npools = [\"p\"]" },
            &|_| None,
            &|_| Err(std::io::ErrorKind::NotFound.into()),
        )
        .unwrap()
        .limits;
        for (descriptors, connections, in_flight) in [
            (u64::MAX, 4_096, 2_048),
            (8_256, 4_096, 2_048),
            (8_254, 4_095, 2_048),
            (256, 96, 96),
            (10, 1, 1),
        ] {
            fit(&mut limits, descriptors);
            let fitted = (limits.connections_max, limits.in_flight_max);
            assert_eq!(fitted, (connections, in_flight), "{descriptors}");
        }
    }
}
