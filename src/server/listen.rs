//! Which sockets are listened on?
//!
//! Bound here, with the standard library, and handed to pingora as descriptors.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::time::Duration;

use pingora_core::server::ListenFds;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::server::ServeError;

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

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

/// Takes as many descriptors as the system allows: each stream needs two.
pub(super) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
