//! How long may a client keep silent that has agreed on HTTP/2?
//!
//! HTTP/2 begins with 24 bytes of the client's, and pingora waits for them without end;
//! what it bounds is a connection that has begun. So these bytes are counted as they
//! are read, and reading fails where they are not there in time.

use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, RFC 9113, 3.4.
const PREFACE_BYTES: usize = 24;

/// A connection whose first bytes are waited for, and not for ever.
#[derive(Debug)]
pub(super) struct Awaited {
    stream: Stream,
    read_bytes: usize,
    /// `None` once the preface is here.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// This connection; where it is to speak HTTP/2, it has so long to begin.
pub(super) fn awaited(stream: Stream, allowed: Duration) -> Stream {
    if stream.selected_alpn_proto() != Some(ALPN::H2) {
        return stream;
    }
    Box::new(Awaited {
        stream,
        read_bytes: 0,
        deadline: Some(Box::pin(tokio::time::sleep(allowed))),
    })
}

impl AsyncRead for Awaited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut *self.stream).poll_read(cx, buf);
        let Some(deadline) = &mut self.deadline else {
            return read;
        };
        if read.is_pending() {
            ready!(deadline.as_mut().poll(cx));
            let silent = Error::new(ErrorKind::TimedOut, "HTTP/2 did not begin in time");
            return Poll::Ready(Err(silent));
        }
        self.read_bytes += buf.filled().len().saturating_sub(before);
        if self.read_bytes >= PREFACE_BYTES {
            self.deadline = None;
        }
        read
    }
}

impl AsyncWrite for Awaited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Awaited {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.stream).await;
    }
}

impl UniqueID for Awaited {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Awaited {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Awaited {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Awaited {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Awaited {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

impl Peek for Awaited {}
