//! What time is it, what is random, and what does a socket know?
//!
//! The only place that asks the system. The steps of a request get `now` handed in, so
//! that every decision they make can be repeated in a test without waiting.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Instant, SystemTime};

use pingora_core::protocols::Stream;

/// A moment, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For measuring and for deadlines: never goes back.
    pub instant: Instant,
    /// For people: the time of day.
    pub wall: SystemTime,
}

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clocks are read"
)]
#[must_use]
pub fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: SystemTime::now(),
    }
}

/// The present moment on the steady clock alone.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clocks are read"
)]
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// Sixty-four bits nobody outside this process can guess.
///
/// They come from the standard library's keyed hasher, which the system seeds.
#[must_use]
pub fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u64)
}

/// A hasher whose results nobody outside this process can foretell.
#[must_use]
pub fn hasher() -> std::hash::RandomState {
    std::hash::RandomState::new()
}

/// Sixty-four bits by chance, for choices that nobody gains by guessing.
#[must_use]
pub fn chance() -> u64 {
    fastrand::u64(..)
}

/// Whether the peer of a connection has said that it sends no more, or is gone. Bytes
/// that it sent before and nobody has read do not hide this.
#[must_use]
pub fn peer_has_left(stream: &Stream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let Some(socket) = socket(stream) else {
        return false;
    };
    let mut asked = [PollFd::new(&socket, PollFlags::RDHUP)];
    let at_once = Timespec::default();
    let [answer] = match poll(&mut asked, Some(&at_once)) {
        Ok(_) => asked,
        Err(_) => return false,
    };
    let left = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    answer.revents().intersects(left)
}

/// Has a connection reset when it is dropped, so that whoever reads takes what came for no whole.
pub fn reset_at_end(stream: &Stream) {
    // Where it cannot be said the connection ends in order, as it would have.
    if let Some(socket) = socket(stream) {
        let _ = rustix::net::sockopt::set_socket_linger(socket, Some(std::time::Duration::ZERO));
    }
}

fn socket(stream: &Stream) -> Option<BorrowedFd<'_>> {
    let descriptor = stream.id();
    // SAFETY: it is open for as long as its stream, which is borrowed here.
    #[expect(
        unsafe_code,
        reason = "pingora tells a stream's descriptor as a number only"
    )]
    let socket = (descriptor >= 0).then(|| unsafe { BorrowedFd::borrow_raw(descriptor) });
    socket
}

/// The descriptors that a service manager hands to the process it starts, this many from
/// 3 on. To be asked once, before the process has opened any of its own.
#[must_use]
pub fn inherited(count: usize) -> Vec<OwnedFd> {
    /// Behind standard input, output and error.
    const FIRST: RawFd = 3;
    let last = FIRST.saturating_add(RawFd::try_from(count).unwrap_or(RawFd::MAX));
    let take = |descriptor: RawFd| {
        // SAFETY: the manager says that it has opened it for us, and we take it only here.
        #[expect(unsafe_code, reason = "a manager tells descriptors as numbers only")]
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        if rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC).is_ok() {
            return Some(descriptor);
        }
        // It is not open, and to close it would be a mistake.
        std::mem::forget(descriptor);
        None
    };
    (FIRST..last).map_while(take).collect()
}
