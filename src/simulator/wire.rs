//! What do the bytes of one connection do, while someone may leave at any moment?
//!
//! Whatever the simulator waits for, a delay, a gate, room to write, it also listens to
//! the peer, so that a departure is known within the wake-up it causes. What the peer
//! sends meanwhile is kept as the beginning of its next request. A peer that half-closes
//! counts as gone: no client of a model speaks with its mouth shut.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection with what was read ahead and what waits to be written.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Socket,
    /// Read and not yet understood.
    pub(super) unread: BytesMut,
    /// Composed and not yet written.
    pub(super) out: BytesMut,
}

/// A TCP connection, with TLS or without.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// The peer is not there any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// What is read ahead while an answer is under way; then the peer's window closes.
const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;

impl Wire {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            unread: BytesMut::new(),
            out: BytesMut::new(),
        }
    }

    /// Reads what is there, at least one byte.
    pub(super) async fn read_more(&mut self, at_least_room_for: usize) -> Result<(), Gone> {
        self.unread
            .reserve(at_least_room_for.clamp(8 * 1024, 256 * 1024));
        match self.socket.read_buf(&mut self.unread).await {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Exactly so many bytes.
    pub(super) async fn exactly(&mut self, bytes: usize) -> Result<Bytes, Gone> {
        while self.unread.len() < bytes {
            self.read_more(bytes - self.unread.len()).await?;
        }
        Ok(self.unread.split_to(bytes).freeze())
    }

    /// Everything up to and including `end`; `None` if it is not within `bytes_max`.
    pub(super) async fn through(
        &mut self,
        end: &[u8],
        bytes_max: usize,
    ) -> Result<Option<Bytes>, Gone> {
        loop {
            let window = self.unread.get(..bytes_max).unwrap_or(&self.unread);
            if let Some(at) = memchr::memmem::find(window, end) {
                return Ok(Some(self.unread.split_to(at + end.len()).freeze()));
            }
            if self.unread.len() >= bytes_max {
                return Ok(None);
            }
            self.read_more(0).await?;
        }
    }

    /// Waits for something other than the peer, unless the peer goes first.
    pub(super) async fn unless_gone<T>(
        &mut self,
        something: impl Future<Output = T>,
    ) -> Result<T, Gone> {
        let mut something = pin!(something);
        poll_fn(|cx| {
            if let Poll::Ready(output) = something.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll_departure(cx).map(|()| Err(Gone))
        })
        .await
    }

    /// Writes everything in `out`.
    pub(super) async fn write_out(&mut self) -> Result<(), Gone> {
        poll_fn(|cx| {
            while !self.out.is_empty() {
                if self.poll_departure(cx).is_ready() {
                    return Poll::Ready(Err(Gone));
                }
                match Pin::new(&mut self.socket).poll_write(cx, &self.out) {
                    Poll::Ready(Ok(written)) if written > 0 => self.out.advance(written),
                    Poll::Ready(_) => return Poll::Ready(Err(Gone)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let flushed = Pin::new(&mut self.socket).poll_flush(cx);
            flushed.map(|result| result.map_err(|_| Gone))
        })
        .await
    }

    /// Ends in order: what was written arrives, TLS is told.
    pub(super) async fn close(mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// Ends with a FIN in the middle of whatever was said.
    pub(super) fn cut(self) {
        self.socket.cut();
    }

    /// Ends with a RST.
    pub(super) fn reset(self) {
        // It fails on a socket that is dead already, and then there is nothing to reset.
        let _ = self.socket.tcp().set_zero_linger();
    }

    fn poll_departure(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.unread.len() < READ_AHEAD_BYTES_MAX {
            let read = pin!(self.socket.read_buf(&mut self.unread)).poll(cx);
            match read {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        // Deaf on purpose from here on: who sends that much ahead is no client to watch.
        Poll::Pending
    }
}

impl Socket {
    /// Ends with a FIN, on TLS without saying goodbye.
    pub(super) fn cut(self) {
        let _ = socket2::SockRef::from(self.tcp()).shutdown(std::net::Shutdown::Write);
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Secure(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Secure(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Secure(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Secure(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Secure(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
