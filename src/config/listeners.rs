//! Can these listeners stand side by side?
//!
//! Asked twice: of the file, where a finding has a place in it, and of the whole
//! once the command line has had its say, which may undo what the file was
//! careful about. The rules stand here so that both get the same answer.

use std::net::SocketAddr;

use thiserror::Error;

use super::Server;

/// Why the listeners that were asked for are not opened.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ListenersError {
    /// Metrics and configuration would be shown to a network.
    #[error(
        "the admin listener {0} is not on a loopback address: choose one such as 127.0.0.1:8081 with --admin, or add admin_public = true to [server]"
    )]
    AdminPublic(SocketAddr),
    /// The system would refuse the second of two.
    #[error(
        "{name} {address} takes the same port as {other_name} {other}: give each listener one of its own with --listen and --admin"
    )]
    SamePort {
        /// What the second is called.
        name: &'static str,
        /// The second.
        address: SocketAddr,
        /// What the first is called.
        other_name: &'static str,
        /// The first.
        other: SocketAddr,
    },
}

/// Whether all listeners of this server can be opened.
///
/// # Errors
///
/// The first reason why not.
pub fn check(server: &Server) -> Result<(), ListenersError> {
    if is_public(server.admin) && !server.admin_public {
        return Err(ListenersError::AdminPublic(server.admin));
    }
    let tls = server.tls.iter().flat_map(|tls| &tls.listen);
    let mut taken: Vec<(&'static str, SocketAddr)> = Vec::new();
    for (name, address) in (server.listen.iter().map(|address| ("listener", *address)))
        .chain(tls.map(|address| ("TLS listener", *address)))
        .chain([("admin listener", server.admin)])
    {
        if let Some((other_name, other)) = taken.iter().find(|(_, other)| collide(*other, address))
        {
            return Err(ListenersError::SamePort {
                name,
                address,
                other_name,
                other: *other,
            });
        }
        taken.push((name, address));
    }
    Ok(())
}

/// Whether others than this machine can reach an address.
pub(super) fn is_public(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Whether the system would refuse the second of two listeners.
pub(super) fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_addresses = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && same_addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(listen: &[&str], admin: &str, admin_public: bool) -> Option<String> {
        let server = Server {
            listen: listen.iter().map(|text| text.parse().unwrap()).collect(),
            tls: None,
            admin: admin.parse().unwrap(),
            admin_public,
            ..crate::config::example("").server
        };
        check(&server).err().map(|error| error.to_string())
    }

    #[test]
    fn the_admin_listener_is_public_only_where_that_is_said() {
        for private in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(told(&[], private, false), None);
        }
        for public in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            assert!(
                told(&[], public, false)
                    .unwrap()
                    .contains("admin_public = true")
            );
            assert_eq!(told(&[], public, true), None);
        }
    }

    #[test]
    fn no_port_is_taken_twice() {
        assert_eq!(
            told(&["127.0.0.1:0", "127.0.0.1:0"], "127.0.0.1:0", false),
            None
        );
        assert_eq!(
            told(&["127.0.0.1:1", "127.0.0.2:1"], "[::1]:1", false),
            None
        );
        let same = told(&["0.0.0.0:1"], "127.0.0.1:1", false).unwrap();
        assert!(
            same.starts_with(
                "admin listener 127.0.0.1:1 takes the same port as listener 0.0.0.0:1:"
            ),
            "{same}"
        );
        assert!(told(&["[::]:1", "[::1]:1"], "127.0.0.1:2", false).is_some());
    }
}
