//! What stands behind every proxy that is compared?
//!
//! One upstream for all, inside the bench: HTTP/1.1 with keep-alive, one thread on a core
//! that is not the proxy's. A request with `"stream":true` is answered by events, any
//! other by the same 300 bytes. How many events and how fast is told from outside, between
//! two measurements, so that no request has to carry it past a proxy that reads bodies.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::thread;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use crate::machine;
use crate::wire::{self, COMPLETION, EVENT, LAST_EVENTS};

/// Enough for the burst in which streams are opened.
const BACKLOG: u32 = 4096;

/// What is read at once; bodies are thrown away, so all connections share one buffer.
const READ_BYTES: usize = 256 * 1024;

/// `"stream"` is looked for in so many bytes of a body; the generator puts it first.
const PEEK_BYTES: usize = 64;

/// Streams start at so many different places of an interval: events that all came in one
/// tick of the timer would reach the proxy as one batch.
const PHASES: u32 = 16;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// The running upstream; it ends with the process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
}

/// What every stream that starts from now on will do.
#[derive(Default)]
struct Script {
    events: AtomicU64,
    interval_micros: AtomicU64,
}

impl Upstream {
    /// Listen on a free port of the loopback address and answer from a thread of its own.
    pub(crate) fn start(core: usize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _context = runtime.enter();
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            socket.listen(BACKLOG)?
        };
        let address = listener.local_addr()?;
        let script = Arc::new(Script::default());
        let shared = Arc::clone(&script);
        thread::Builder::new()
            .name("upstream".into())
            .spawn(move || {
                if let Err(error) = machine::pin_this_thread(core) {
                    eprintln!("the upstream is not pinned to core {core}: {error}");
                }
                LocalSet::new().block_on(&runtime, accept(listener, shared));
            })?;
        Ok(Self { address, script })
    }

    /// Streams that start from now on have `events` events, one each `interval`, and their end.
    pub(crate) fn set_stream(&self, events: u64, interval: Duration) {
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        self.script.events.store(events, Ordering::Relaxed);
        self.script.interval_micros.store(micros, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    let mut phase = 0;
    // Accepting fails only where descriptors run out, and then the measurement says so.
    while let Ok((stream, _)) = listener.accept().await {
        phase = (phase + 1) % PHASES;
        let script = Arc::clone(&script);
        tokio::task::spawn_local(async move {
            // A connection that breaks is seen, and told, at the other end.
            let _ = serve(stream, &script, phase).await;
        });
    }
}

async fn serve(mut stream: TcpStream, script: &Script, phase: u32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Thousands of streams are cut at once; without this their ports wait for a minute.
    stream.set_zero_linger()?;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let completion = format!(
        "{head}content-length: {}\r\n\r\n{COMPLETION}",
        COMPLETION.len()
    );
    let mut incoming = Incoming::default();
    while let Some(streamed) = next_request(&mut stream, &mut incoming).await? {
        if streamed {
            send_events(&mut stream, script, phase).await?;
        } else {
            stream.write_all(completion.as_bytes()).await?;
        }
    }
    Ok(())
}

/// Read one request; whether it asks for a stream, or `None` at the connection's end.
async fn next_request(stream: &mut TcpStream, incoming: &mut Incoming) -> io::Result<Option<bool>> {
    loop {
        let progress = poll_fn(|context| {
            READ_BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
                Poll::Ready(match buffer.filled() {
                    [] => Ok(Progress::Ended),
                    bytes => incoming.take(bytes),
                })
            })
        });
        match progress.await? {
            Progress::More => {}
            Progress::Request { streamed } => return Ok(Some(streamed)),
            Progress::Ended => return Ok(None),
        }
    }
}

async fn send_events(stream: &mut TcpStream, script: &Script, phase: u32) -> io::Result<()> {
    let events = script.events.load(Ordering::Relaxed);
    let interval = Duration::from_micros(script.interval_micros.load(Ordering::Relaxed));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    let event = wire::chunk(EVENT);
    stream
        .write_all(format!("{head}{event}").as_bytes())
        .await?;
    let mut next = Instant::now() + interval * phase / PHASES;
    for _ in 1..events {
        // Who is late does not hurry after it: two events in one read cost as one.
        next = (next + interval).max(Instant::now());
        tokio::select! {
            () = sleep_until(next) => stream.write_all(event.as_bytes()).await?,
            // Nothing is to be said during a stream: whatever is read, the other side has left.
            _ = stream.read_u8() => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
    stream
        .write_all(format!("{}{}", wire::chunk(LAST_EVENTS), wire::chunk("")).as_bytes())
        .await
}

enum Progress {
    More,
    Request { streamed: bool },
    Ended,
}

/// A request while it comes in.
#[derive(Default)]
struct Incoming {
    /// The head's bytes, until it is complete.
    head: Vec<u8>,
    /// The first bytes of the body, at most `PEEK_BYTES`.
    body_start: Vec<u8>,
    /// Bytes of the body that are still to come; `None` while the head is incomplete.
    body_left: Option<usize>,
}

impl Incoming {
    fn take(&mut self, bytes: &[u8]) -> io::Result<Progress> {
        if self.body_left.is_some() {
            return self.take_body(bytes);
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = wire::head_end(&self.head) else {
            return Ok(Progress::More);
        };
        let body = self.head.split_off(end);
        let length = wire::content_length(&self.head)?;
        // Every proxy here knows the length of what it sends on.
        self.body_left = Some(length.ok_or_else(|| io::Error::other("no content-length"))?);
        self.take_body(&body)
    }

    fn take_body(&mut self, bytes: &[u8]) -> io::Result<Progress> {
        let peek = PEEK_BYTES
            .saturating_sub(self.body_start.len())
            .min(bytes.len());
        self.body_start
            .extend_from_slice(bytes.get(..peek).unwrap_or_default());
        let left = self.body_left.unwrap_or_default().checked_sub(bytes.len());
        let left = left.ok_or_else(|| io::Error::other("more than one request at once"))?;
        if left > 0 {
            self.body_left = Some(left);
            return Ok(Progress::More);
        }
        let streamed = memmem::find(&self.body_start, br#""stream":true"#).is_some();
        self.head.clear();
        self.body_start.clear();
        self.body_left = None;
        Ok(Progress::Request { streamed })
    }
}
