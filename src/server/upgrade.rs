//! How does a new process take the place of this one?
//!
//! It gets the very sockets that we listen on, and serves on them before we stop. So
//! there is no moment at which a client is refused, and no queue of waiting clients that
//! is thrown away. The order is what makes it safe:
//!
//! 1. The new process reads and checks its configuration. If that is bad, it ends here,
//!    and nobody has noticed.
//! 2. It connects to a socket in the private folder `[server] run_dir`, where the old
//!    process listens after SIGQUIT, and gets the descriptors.
//! 3. It serves. Both accept now.
//! 4. It says so. Only now the old process stops accepting, and ends when the last of its
//!    requests has.
//!
//! Where the new process dies before its word, the old one reads an end, says so and goes
//! on as if nothing had been. Where the old one has waited for too long, it says that it serves
//! on, and the new one ends. Where it goes without a word, it was told to stop, or has died, and
//! the new one serves: whether its process still exists says nothing, for it may be finishing.

/// The folder that nobody else may enter.
mod folder;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};

use crate::server::listen::{Given, Kept, Place};
pub use folder::FolderError;

/// How long each side waits for the other to come.
pub(super) const MEETING: Duration = Duration::from_mins(1);
/// How long the new process may take from the sockets to its word: it looks nothing up and
/// reads no more than certificates.
const WORD_TIMEOUT: Duration = Duration::from_mins(1);
/// How long the new process waits for the end of the talk behind its word: it is read at once,
/// unless that process stands still.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the new process looks whether it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The kernel passes 253 at most.
const SOCKETS_MAX: usize = 64;
/// The addresses of as many.
const LIST_BYTES_MAX: usize = 8 * 1024;
/// Before the address of a socket that a service manager holds.
const MANAGED: &str = "manager:";
/// What the new process says when it serves.
const WORD: &[u8] = b"serving\n";
/// What the old one says when it has given the new one up, and serves on.
const GIVEN_UP: &[u8] = b"given up\n";

/// Why a process was not replaced.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// The folder of the meeting is not ours alone.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The other side did not come.
    #[error("nobody came to {0}; start the new process with --upgrade and send SIGQUIT to the old one, in any order, within {wait} s", wait = MEETING.as_secs())]
    Nobody(PathBuf),
    /// Somebody else is at the socket.
    #[error("the process at {path} belongs to user {uid}, not to us; remove the socket")]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// Whose process it is.
        uid: u32,
    },
    /// The other side went away before it was done.
    #[error("the other process ended before it served; its own log says why")]
    Died,
    /// The other side was silent.
    #[error("the other process said nothing for {} s", WORD_TIMEOUT.as_secs())]
    Silent,
    /// It has waited for too long, and serves on.
    #[error("the running process waited for us no longer; look why this one took so long to start")]
    GivenUp,
    /// What came is no list of sockets.
    #[error(
        "what the other process sent is no list of sockets; is it another version? Restart instead"
    )]
    Unreadable,
    /// More listeners than can be handed over.
    #[error(
        "there are more than {SOCKETS_MAX} listeners, which cannot be handed over; restart instead"
    )]
    TooMany,
    /// The system's word.
    #[error("the sockets could not be handed over: {0}")]
    Io(#[from] io::Error),
}

/// The process that serves instead of this one.
#[derive(Debug)]
pub(super) struct Successor {
    /// Its number, where the system tells.
    pub(super) pid: Option<i32>,
}

/// The process that this one replaces; it waits for our word.
pub(super) struct Predecessor(UnixStream);

/// Waits for a new process, gives it the sockets, and waits until it serves.
///
/// # Errors
/// Where none came within `wait`, or it did not get to serving. Nothing has changed then.
pub(super) async fn offer(
    run_dir: &Path,
    kept: &Kept,
    wait: Duration,
) -> Result<Successor, UpgradeError> {
    let path = folder::socket(run_dir)?;
    let door = Door::open(path)?;
    let met = tokio::time::timeout(wait, door.visitor()).await;
    let mut stream = met.map_err(|_| UpgradeError::Nobody(door.path.clone()))??;
    let list: Vec<String> = kept.iter().map(|(place, _)| written(place)).collect();
    let descriptors: Vec<BorrowedFd<'_>> = kept.iter().map(|(_, socket)| socket).collect();
    // Where we are told to stop while we wait, they may be in use when we end.
    kept.lend(true);
    if let Err(error) = hand_over(&mut stream, &list, &descriptors).await {
        // Nobody hears it where the new one has died.
        let _ = stream.write_all(GIVEN_UP).await;
        kept.lend(false);
        return Err(error);
    }
    let pid = stream.peer_cred()?.pid();
    Ok(Successor { pid })
}

async fn hand_over(
    stream: &mut UnixStream,
    list: &[String],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), UpgradeError> {
    send(stream, list, descriptors).await?;
    let mut word = [0; WORD.len()];
    match tokio::time::timeout(WORD_TIMEOUT, stream.read_exact(&mut word)).await {
        Err(_) => Err(UpgradeError::Silent),
        Ok(Ok(_)) if word == WORD => Ok(()),
        Ok(_) => Err(UpgradeError::Died),
    }
}

/// Waits for the old process to offer its sockets, and takes them.
///
/// # Errors
/// Where it does not within `wait`.
pub(super) async fn take(
    run_dir: &Path,
    wait: Duration,
) -> Result<(Given, Predecessor), UpgradeError> {
    let path = folder::socket(run_dir)?;
    let connected = async {
        loop {
            // Nobody listens there yet, or the socket of one that is gone is left.
            if let Ok(stream) = UnixStream::connect(&path).await {
                return stream;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let met = tokio::time::timeout(wait, connected).await;
    let stream = met.map_err(|_| UpgradeError::Nobody(path.clone()))?;
    if let Some(uid) = stranger(&stream)? {
        return Err(UpgradeError::Stranger { path, uid });
    }
    let received = tokio::time::timeout(WORD_TIMEOUT, receive(&stream)).await;
    let (list, descriptors) = received.map_err(|_| UpgradeError::Silent)??;
    if list.len() != descriptors.len() {
        return Err(UpgradeError::Unreadable);
    }
    let sockets = descriptors.into_iter().map(TcpListener::from);
    let given = Given::new(list.into_iter().zip(sockets).collect());
    Ok((given, Predecessor(stream)))
}

impl Predecessor {
    /// Tells it that we serve, and hears whether that is how it is to be. It may have been ended
    /// meanwhile; then we serve all the more.
    ///
    /// # Errors
    /// Where it has given us up, and serves on.
    pub(super) async fn serving(mut self) -> Result<(), UpgradeError> {
        let told = self.0.write_all(WORD).await;
        // It may give us up while we say it, so it is heard however that went.
        let mut heard = Vec::with_capacity(GIVEN_UP.len());
        let hearing = self.0.take(GIVEN_UP.len() as u64);
        let _ = tokio::time::timeout(END_TIMEOUT, pin!(hearing).read_to_end(&mut heard)).await;
        if heard == GIVEN_UP {
            return Err(UpgradeError::GivenUp);
        }
        if let Err(error) = told {
            tracing::warn!(%error, "the process that was replaced did not wait: it is ending, or gone");
        }
        Ok(())
    }
}

/// The socket at which we wait; it is gone when this is.
struct Door {
    path: PathBuf,
    listener: UnixListener,
}

impl Door {
    fn open(path: PathBuf) -> io::Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        Ok(Self { path, listener })
    }

    /// Who comes first and is ours.
    async fn visitor(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stranger(&stream)? {
                None => return Ok(stream),
                Some(uid) => tracing::warn!("a process of user {uid} asked for the sockets"),
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // What is left of it is removed by who comes next.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whose process is at the other end, where it is not ours.
fn stranger(stream: &UnixStream) -> io::Result<Option<u32>> {
    let uid = stream.peer_cred()?.uid();
    Ok((uid != rustix::process::geteuid().as_raw()).then_some(uid))
}

/// A place as a word of the list.
fn written(place: Place) -> String {
    let by = if place.by_manager { MANAGED } else { "" };
    format!("{by}{}", place.asked)
}

fn read(word: &str) -> Option<Place> {
    let managed = word.strip_prefix(MANAGED);
    Some(Place {
        asked: managed.unwrap_or(word).parse().ok()?,
        by_manager: managed.is_some(),
    })
}

/// Sends a line that lists addresses, and their sockets with it.
async fn send(
    stream: &UnixStream,
    list: &[String],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), UpgradeError> {
    let mut line = list.join(" ").into_bytes();
    line.push(b'\n');
    if descriptors.len() > SOCKETS_MAX || line.len() > LIST_BYTES_MAX {
        return Err(UpgradeError::TooMany);
    }
    let sent = stream.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(descriptors));
        let parts = [IoSlice::new(&line)];
        // A line this short goes whole into the empty queue of a socket.
        Ok(sendmsg(
            stream.as_fd(),
            &parts,
            &mut control,
            SendFlags::NOSIGNAL,
        )?)
    });
    match sent.await? {
        length if length == line.len() => Ok(()),
        _ => Err(UpgradeError::Died),
    }
}

/// What [`send`] sent.
async fn receive(stream: &UnixStream) -> Result<(Vec<Place>, Vec<OwnedFd>), UpgradeError> {
    let mut descriptors = Vec::new();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let came = stream.async_io(Interest::READABLE, || {
            let mut bytes = [0; 1024];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let parts = &mut [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let length = recvmsg(stream.as_fd(), parts, &mut control, flags)?.bytes;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            line.extend(bytes.iter().take(length));
            Ok(length)
        });
        if came.await? == 0 {
            return Err(UpgradeError::Died);
        }
        if line.len() > LIST_BYTES_MAX {
            return Err(UpgradeError::Unreadable);
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| UpgradeError::Unreadable)?;
    let places: Option<_> = text.split_whitespace().map(read).collect();
    Ok((places.ok_or(UpgradeError::Unreadable)?, descriptors))
}

#[cfg(test)]
mod tests;
