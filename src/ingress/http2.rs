//! What may a client do to a connection of HTTP/2?
//!
//! h2 keeps the order of frames and bounds what is held for them; it does not bound how often it
//! is made to work for nothing. None of that is a request, so none of it is seen anywhere else. So
//! the frames are counted as they pass by, in both directions and by their heads alone, and a client
//! of which there are too many is told to calm down and is let go.
//!
//! HTTP/2 begins with 24 bytes of the client's, and pingora waits for them without end; what
//! it bounds is a connection that has begun. So reading fails where they are not there in time.
//!
//! An answer is over for whoever gave it when h2 has it, which keeps it until the client takes it.
//! So it is told when a client does not, and a process that ends waits.

/// What is too much?
mod conduct;
/// Which frames pass by?
mod frames;

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

use super::DRAIN_TIMEOUT;
use crate::gateway::Gateway;
use crate::gateway::record::metrics::Metrics;
use crate::gateway::record::outcome::arriving::Excess;
use crate::phase::Carrier;
use crate::sys;
use conduct::Conduct;
use frames::{Frame, Frames};

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, RFC 9113, 3.4.
const PREFACE_BYTES: u32 = 24;

/// A connection whose frames are counted.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    metrics: Arc<Metrics>,
    /// What a process that ends sees of it.
    carrier: Carrier,
    /// Until when the preface has to be here; `None` once it is.
    begins_by: Option<Pin<Box<Sleep>>>,
    came: Frames,
    sent: Frames,
    conduct: Conduct,
    /// What there was too much of: nothing more is read.
    excess: Option<Excess>,
    /// Its client was told so.
    is_told: bool,
    /// Until when its client is still read, once our end is closed.
    parting: Option<Pin<Box<Sleep>>>,
}

/// This connection; where it is to speak HTTP/2, it has so long to begin, and is counted.
pub(super) fn watched(stream: Stream, allowed: Duration, gateway: &Gateway) -> Stream {
    if stream.selected_alpn_proto() != Some(ALPN::H2) {
        return stream;
    }
    Box::new(Watched {
        stream,
        metrics: Arc::clone(&gateway.metrics),
        carrier: gateway.outlook.carrier(),
        begins_by: Some(Box::pin(tokio::time::sleep(allowed))),
        came: Frames::behind(PREFACE_BYTES),
        sent: Frames::behind(0),
        conduct: Conduct::new(),
        excess: None,
        is_told: false,
        parting: None,
    })
}

impl Watched {
    /// The client has sent these bytes.
    fn count_came(&mut self, bytes: &[u8]) {
        let conduct = &mut self.conduct;
        let mut judged = Ok(());
        let judge = |frame: Frame| judged = judged.and(conduct.came(frame, sys::instant));
        self.came.pass(bytes, judge);
        self.judged(judged);
    }

    /// The client was sent these bytes.
    fn count_sent(&mut self, bytes: &[u8]) {
        let conduct = &mut self.conduct;
        let mut judged = Ok(());
        let judge = |frame: Frame| judged = judged.and(conduct.sent(frame, sys::instant));
        self.sent.pass(bytes, judge);
        self.judged(judged);
    }

    fn judged(&mut self, judged: Result<(), Excess>) {
        if let (Err(excess), None) = (judged, self.excess) {
            self.excess = Some(excess);
            self.metrics.arriving.ended(excess).inc();
        }
    }

    /// Notes where the client does not take what it is sent. h2 writes as long as it has something
    /// and flushes behind it, so until it has flushed there may be more.
    fn noting<T>(&mut self, sent: Poll<T>) -> Poll<T> {
        if sent.is_pending() {
            self.carrier.is_laden(true);
        }
        sent
    }

    /// Tells the client that it is over, as far as it takes that at once; and h2, which
    /// lets go of the connection where nothing can be read.
    fn end(&mut self, excess: Excess, cx: &mut Context<'_>) -> Error {
        // In the midst of a frame it would be taken for a part of that.
        if self.sent.is_between() && !self.is_told {
            self.is_told = true;
            let told = go_away(self.conduct.last_stream(), excess);
            let stream = &mut *self.stream;
            if Pin::new(&mut *stream).poll_write(cx, &told).is_ready() {
                let _ = Pin::new(stream).poll_flush(cx);
            }
        }
        Error::new(ErrorKind::ConnectionAborted, excess.as_str())
    }
}

/// GOAWAY with the reason `ENHANCE_YOUR_CALM`, RFC 9113, 6.8 and 7.
fn go_away(last_stream: u32, excess: Excess) -> Vec<u8> {
    const TYPE: u8 = 7;
    const REASON: u32 = 0xb;
    let why = format!("too many {}", excess.as_str());
    let payload = [
        &last_stream.to_be_bytes(),
        &REASON.to_be_bytes(),
        why.as_bytes(),
    ]
    .concat();
    let length = u8::try_from(payload.len()).unwrap_or_default();
    let head = [0, 0, length, TYPE, 0, 0, 0, 0, 0];
    [&head[..], &payload].concat()
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if let Some(excess) = this.excess {
            return Poll::Ready(Err(this.end(excess, cx)));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut *this.stream).poll_read(cx, buf);
        if read.is_pending() {
            if let Some(deadline) = &mut this.begins_by {
                ready!(deadline.as_mut().poll(cx));
                let silent = Error::new(ErrorKind::TimedOut, "HTTP/2 did not begin in time");
                return Poll::Ready(Err(silent));
            }
            return Poll::Pending;
        }
        this.count_came(buf.filled().get(before..).unwrap_or_default());
        if this.begins_by.is_some() && this.came.has_begun() {
            this.begins_by = None;
        }
        if let Some(excess) = this.excess {
            buf.set_filled(before);
            return Poll::Ready(Err(this.end(excess, cx)));
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut *self.stream).poll_write(cx, buf);
        let written = ready!(self.noting(written))?;
        self.count_sent(buf.get(..written).unwrap_or(buf));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let flushed = Pin::new(&mut *self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.carrier.is_laden(false);
        }
        self.noting(flushed)
    }

    /// Closes our end, and reads, unheard, what the client still says until it has closed its own
    /// or has had its time: said to nobody, it would make the kernel drop what it has not sent yet.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Self {
            stream, parting, ..
        } = &mut *self;
        if parting.is_none() {
            ready!(Pin::new(&mut **stream).poll_shutdown(cx))?;
        }
        let parting = parting.get_or_insert_with(|| Box::pin(tokio::time::sleep(DRAIN_TIMEOUT)));
        while parting.as_mut().poll(cx).is_pending() {
            let mut unheard = [0; 1024];
            let mut unheard = ReadBuf::new(&mut unheard);
            let read = ready!(Pin::new(&mut **stream).poll_read(cx, &mut unheard));
            if read.is_err() || unheard.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut *self.stream).poll_write_vectored(cx, bufs);
        let written = ready!(self.noting(written))?;
        let mut rest = written;
        for buf in bufs {
            let of_this = rest.min(buf.len());
            self.count_sent(buf.get(..of_this).unwrap_or(buf));
            rest -= of_this;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Watched {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.stream).await;
    }
}

impl UniqueID for Watched {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Watched {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Watched {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Watched {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Watched {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

impl Peek for Watched {}
