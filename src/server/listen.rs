//! Which sockets are listened on?
//!
//! Bound here with the standard library, or taken from whoever has bound them before us:
//! the service manager, or the process that we replace. pingora gets them as descriptors.
//! A second hold on each is kept, for the process that will replace us, and so that a
//! socket is not closed while a client waits in it. It ends when that process has replaced us.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pingora_core::server::ListenFds;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use crate::config::Config;
use crate::server::ServeError;

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;
/// How long the last connections may take to be accepted: those that shake hands already.
const LAST_ACCEPTS: Duration = Duration::from_millis(250);
/// How often it is looked whether they are.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How often in a row nobody waits before nobody will.
const LOOKS: usize = 3;

/// A listening socket.
pub struct Bound {
    /// Where it is, its port known.
    pub address: SocketAddr,
    place: Place,
    socket: TcpListener,
}

/// What a socket was bound for, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it was asked for; the port may be 0.
    pub(super) asked: SocketAddr,
    /// Whether a service manager holds it as well, and gives it to who comes after us.
    pub(super) by_manager: bool,
}

/// Every listening socket of a process.
pub(super) struct Sockets {
    pub(super) plain: Vec<Bound>,
    pub(super) tls: Vec<Bound>,
    pub(super) admin: Bound,
}

/// Sockets that others have bound.
#[derive(Default)]
pub(super) struct Given(Vec<(Place, TcpListener)>);

/// A second hold on every listening socket.
pub(super) struct Kept {
    sockets: Vec<(Place, TcpListener)>,
    /// Another process may have them as well.
    lent: AtomicBool,
}

impl Sockets {
    /// Those that the configuration names, taken from `given` or bound.
    ///
    /// # Errors
    /// Where one cannot be bound; it is named.
    pub(super) fn open(config: &Config, mut given: Given) -> Result<Self, ServeError> {
        let stall = config.bounds.write_stall;
        let server = &config.server;
        let tls = server.tls.as_ref().map(|tls| tls.listen.as_slice());
        let sockets = Self {
            plain: Bound::all(&server.listen, stall, &mut given)?,
            tls: Bound::all(tls.unwrap_or_default(), stall, &mut given)?,
            admin: Bound::one(server.admin, stall, &mut given)?,
        };
        given.close();
        Ok(sockets)
    }

    /// A second hold on each of them.
    ///
    /// # Errors
    /// Where there are no descriptors left.
    pub(super) fn keep(&self) -> std::io::Result<Kept> {
        let all = self.plain.iter().chain(&self.tls);
        Kept::of(all.chain(std::iter::once(&self.admin)))
    }
}

impl Bound {
    /// Takes or binds each of these.
    ///
    /// # Errors
    /// Where one cannot be bound; it is named.
    pub(super) fn all(
        addresses: &[SocketAddr],
        stall: Duration,
        given: &mut Given,
    ) -> Result<Vec<Self>, ServeError> {
        let one = |address: &SocketAddr| Self::one(*address, stall, given);
        addresses.iter().map(one).collect()
    }

    /// Takes or binds this one. A client that takes nothing for `stall` is reset.
    ///
    /// # Errors
    /// Where it cannot be bound.
    pub(super) fn one(
        address: SocketAddr,
        stall: Duration,
        given: &mut Given,
    ) -> Result<Self, ServeError> {
        let ours = Place {
            asked: address,
            by_manager: false,
        };
        let taken = given.take(address);
        let socket = taken.map_or_else(|| Ok((ours, bind(address)?)), Ok);
        let bound = socket.and_then(|(place, socket)| Self::new(place, socket, stall));
        bound.map_err(|error| ServeError::Listen {
            address,
            hint: hint(address, &error),
            error,
        })
    }

    fn new(place: Place, socket: TcpListener, stall: Duration) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        // Accepted connections inherit it. Without it the system keeps megabytes for a client
        // that takes nothing, long after we have closed.
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(
            &socket,
            u32::try_from(stall.as_millis()).unwrap_or(u32::MAX),
        )?;
        Ok(Self {
            address: socket.local_addr()?,
            place,
            socket,
        })
    }

    /// Gives the descriptor to pingora, which finds it by the address.
    pub(super) fn hand_over(self, fds: &ListenFds) {
        let descriptor = self.socket.into_raw_fd();
        fds.lock().add(self.address.to_string(), descriptor);
    }

    /// The socket itself, for a runtime.
    #[must_use]
    pub fn into_std(self) -> TcpListener {
        self.socket
    }
}

impl Given {
    /// Sockets, each with what it was bound for.
    pub(super) fn new(sockets: Vec<(Place, TcpListener)>) -> Self {
        Self(sockets)
    }

    /// These as well.
    pub(super) fn and(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Sockets that a service manager has bound; what is none is left out.
    pub(super) fn by_manager(descriptors: Vec<OwnedFd>) -> Self {
        let listening = |descriptor: OwnedFd| {
            let socket = TcpListener::from(descriptor);
            match socket.local_addr() {
                Ok(asked) => Some((
                    Place {
                        asked,
                        by_manager: true,
                    },
                    socket,
                )),
                Err(error) => {
                    tracing::warn!(%error, "a descriptor of the service manager is no TCP socket");
                    None
                }
            }
        };
        Self(descriptors.into_iter().filter_map(listening).collect())
    }

    /// The socket that was bound for this address.
    fn take(&mut self, asked: SocketAddr) -> Option<(Place, TcpListener)> {
        let at = self.0.iter().position(|(place, _)| place.asked == asked)?;
        Some(self.0.remove(at))
    }

    /// Lets go of those that no listener of the configuration wanted.
    pub(super) fn close(self) {
        for (place, _) in self.0 {
            let address = place.asked;
            tracing::warn!(
                "the socket for {address} was given and is not listed in [server]: it is closed"
            );
        }
    }
}

impl Kept {
    /// Takes hold of these.
    ///
    /// # Errors
    /// Where there are no descriptors left.
    pub(super) fn of<'a>(bound: impl Iterator<Item = &'a Bound>) -> std::io::Result<Self> {
        let hold = |bound: &Bound| Ok((bound.place, bound.socket.try_clone()?));
        Ok(Self {
            sockets: bound.map(hold).collect::<std::io::Result<_>>()?,
            lent: AtomicBool::new(false),
        })
    }

    /// The sockets, and what they were bound for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, BorrowedFd<'_>)> {
        let sockets = self.sockets.iter();
        sockets.map(|(place, socket)| (*place, socket.as_fd()))
    }

    /// Whether another process may have them as well, from now on.
    pub(super) fn lend(&self, lent: bool) {
        self.lent.store(lent, Ordering::Relaxed);
    }

    /// Those that are closed when we let go of them.
    fn ours_alone(&self) -> impl Iterator<Item = &TcpListener> {
        let lent = self.lent.load(Ordering::Relaxed);
        let ours = move |place: &Place| !place.by_manager && !lent;
        let sockets = self.sockets.iter();
        sockets.filter_map(move |(place, socket)| ours(place).then_some(socket))
    }

    /// Lets nobody in any more, and waits until who stands in the door is through it.
    ///
    /// A client is connected before we accept it, and may have sent its request by then.
    /// Closing the socket would reset it. So first the kernel is told to drop what asks for
    /// a new connection, and then whoever waits is accepted, by the listeners that still
    /// run. Who was dropped asks again within a second, and is refused before it has sent
    /// anything. A socket that somebody else holds as well stays open: whoever waits in it is
    /// theirs, and it must not be shut for them.
    pub(super) async fn let_nobody_in(&self) {
        #[cfg(target_os = "linux")]
        for socket in self.ours_alone() {
            if let Err(error) = SockRef::from(socket).attach_filter(&no_new_connection()) {
                tracing::info!(%error, "new connections come until the socket is closed");
            }
        }
        let accepted = async {
            let mut quiet = 0;
            while quiet < LOOKS {
                quiet = if self.somebody_waits() { 0 } else { quiet + 1 };
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        // Where nothing is accepted, waiting longer does not help.
        let _ = tokio::time::timeout(LAST_ACCEPTS, accepted).await;
    }

    /// Whether a connection has not been accepted yet.
    fn somebody_waits(&self) -> bool {
        let mut asked: Vec<PollFd<'_>> = self
            .ours_alone()
            .map(|socket| PollFd::new(socket, PollFlags::IN))
            .collect();
        poll(&mut asked, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// Drops segments with SYN and without ACK, and lets everything else through.
#[cfg(target_os = "linux")]
fn no_new_connection() -> [SockFilter; 5] {
    /// Where the flags stand in a TCP header, at which a socket's filter begins to count.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    [
        // Load a byte; and; jump if equal; drop; take the whole segment.
        SockFilter::new(0x30, 0, 0, FLAGS),
        SockFilter::new(0x54, 0, 0, SYN | ACK),
        SockFilter::new(0x15, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ]
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A process that was killed leaves connections behind; they are no reason to wait.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// What to do about an address that cannot be bound.
fn hint(address: SocketAddr, error: &std::io::Error) -> &'static str {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ADDRINUSE) => {
            "is another process listening there? Choose another address with --listen or --admin, or take its sockets over with --upgrade"
        }
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if address.is_ipv6() => {
            "this machine has no IPv6, or not this address; name an IPv4 address, such as 0.0.0.0"
        }
        Some(Errno::ADDRNOTAVAIL) => "this machine does not have that address; 0.0.0.0 is any",
        Some(Errno::ACCESS | Errno::PERM) if address.port() < 1024 => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE, or a service manager that binds them"
        }
        Some(Errno::MFILE | Errno::NFILE) => "raise the limit of open files (ulimit -n)",
        _ => "choose another address with --listen or --admin",
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn listening() -> (Bound, Kept) {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = Bound::one(anywhere, LONG, &mut Given::default()).unwrap();
        let kept = Kept::of([&bound].into_iter()).unwrap();
        (bound, kept)
    }

    #[tokio::test]
    async fn who_stands_in_the_door_is_let_through_it_and_nobody_follows() {
        let (bound, kept) = listening();
        let address = bound.address;
        let _waiting = TcpStream::connect(address).unwrap();
        let mut closing = Box::pin(kept.let_nobody_in());
        assert!(closing.as_mut().now_or_never().is_none());
        let accepts = tokio::task::spawn_blocking(move || {
            // Later than it would be taken for quiet.
            let follower = TcpStream::connect_timeout(&address, LAST_ACCEPTS / 2);
            (bound.socket.accept().is_ok(), follower.is_err(), bound)
        });
        closing.await;
        assert!(!kept.somebody_waits(), "it was not waited for");
        let (accepted, kept_out, bound) = accepts.await.unwrap();
        assert!(accepted && kept_out);
        drop((bound, kept));
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn who_is_never_accepted_is_not_waited_for_for_ever() {
        let (bound, kept) = listening();
        let _waiting = TcpStream::connect(bound.address).unwrap();
        kept.let_nobody_in().await;
        assert!(kept.somebody_waits());
    }

    #[test]
    fn a_given_socket_is_taken_for_its_address_once() {
        let (bound, _) = listening();
        let address = bound.address;
        let mut given = Given::by_manager(vec![bound.socket.into()]);
        let (place, taken) = given.take(address).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        assert!(place.by_manager);
        assert!(given.take(address).is_none());
    }

    #[tokio::test]
    async fn a_socket_that_another_process_has_as_well_is_not_shut_for_it() {
        let (bound, kept) = listening();
        let address = bound.address;
        let mut given = Given::by_manager(vec![bound.socket.try_clone().unwrap().into()]);
        let managed = Bound::one(address, LONG, &mut given).unwrap();
        let managed = Kept::of([&managed].into_iter()).unwrap();
        kept.lend(true);
        for kept in [managed, kept] {
            kept.let_nobody_in().await;
            TcpStream::connect_timeout(&address, LONG).unwrap();
            bound.socket.accept().unwrap();
        }
    }

    #[test]
    fn what_cannot_be_bound_is_told_with_what_to_do() {
        #[track_caller]
        fn check(address: &str, errno: rustix::io::Errno, words: &str) {
            let error = std::io::Error::from(errno);
            let said = hint(address.parse().unwrap(), &error);
            assert!(said.contains(words), "{said}");
        }
        use rustix::io::Errno;
        check("0.0.0.0:80", Errno::ADDRINUSE, "--upgrade");
        check("[::]:80", Errno::AFNOSUPPORT, "no IPv6");
        check("[::1]:80", Errno::ADDRNOTAVAIL, "no IPv6");
        check("192.0.2.1:80", Errno::ADDRNOTAVAIL, "does not have that");
        check("0.0.0.0:80", Errno::ACCESS, "CAP_NET_BIND_SERVICE");
        check("0.0.0.0:8080", Errno::MFILE, "ulimit -n");
    }
}
