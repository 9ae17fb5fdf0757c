//! How does a service manager see the process?
//!
//! systemd gives sockets that it has bound, and wants to be told when requests are
//! served, when the process stops, and that it is still alive. All of it goes over one
//! datagram socket, a few words each; without a manager nothing is sent.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::server::listen::Given;
use crate::sys;

/// What the manager has left in the environment.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    /// `NOTIFY_SOCKET`: a path, or a name of the abstract kind behind an `@`.
    pub notify: Option<String>,
    /// `WATCHDOG_USEC`: it kills the process when it has heard nothing for so long.
    pub watchdog: Option<Duration>,
    /// `LISTEN_FDS`: how many sockets it has bound.
    pub sockets: usize,
}

impl Supervisor {
    /// Tells the manager this, one `NAME=value` a line.
    pub fn tell(&self, words: &str) {
        if let Some(socket) = &self.notify
            && let Err(error) = send(socket, words)
        {
            tracing::warn!(%error, "the service manager was not told {words:?}");
        }
    }

    /// Tells it that the process is alive, for as long as the runtime that serves is.
    pub async fn keep_alive(self) {
        let Some(watchdog) = self.watchdog else {
            return;
        };
        loop {
            self.tell("WATCHDOG=1");
            // As its documentation asks: twice in each span.
            tokio::time::sleep(watchdog / 2).await;
        }
    }

    /// The sockets that it has bound.
    pub(super) fn given(&self) -> Given {
        Given::by_manager(sys::inherited(self.sockets))
    }
}

fn send(socket: &str, words: &str) -> io::Result<()> {
    let to = address(socket)?;
    let from = UnixDatagram::unbound()?;
    from.set_nonblocking(true)?;
    from.send_to_addr(words.as_bytes(), &to).map(drop)
}

fn address(socket: &str) -> io::Result<SocketAddr> {
    match socket.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        _ => SocketAddr::from_pathname(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(on: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = on.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_is_told_at_a_path_or_by_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify").display().to_string();
        let abstract_name = format!("@spafe-test-{:x}", sys::random());
        for socket in [path, abstract_name] {
            let manager = UnixDatagram::bind_addr(&address(&socket).unwrap()).unwrap();
            let supervisor = Supervisor {
                notify: Some(socket),
                ..Supervisor::default()
            };
            supervisor.tell("READY=1");
            assert_eq!(heard(&manager), "READY=1");
        }
    }
}
