//! How is a request read, and a script played, in HTTP/2?
//!
//! Framing is the `h2` crate's: nobody tests a proxy by hand-written HPACK. What is ours
//! is what happens to single streams, which a higher-level server hides: a reset, a
//! silence, a GOAWAY in the middle. One task drives the connection, one plays each
//! stream; what concerns the whole connection is sent to its task.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Shared;
use super::http1::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
use super::play::{Act, Play};
use super::record::{Entry, Open, Request};
use super::script::{Fault, Framing};
use super::wire::{Gone, Socket};

/// What one stream wants of its connection. Whatever was queued before is written first.
enum Command {
    Cut,
    Goaway,
    Written(oneshot::Sender<()>),
}

/// The sending side of a stream, before the head and after it.
enum Side {
    Headless(SendResponse<Bytes>),
    Streaming(SendStream<Bytes>),
}

/// What a client may send before it is read: enough for the largest body of a gateway.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Streams at once on one connection.
const STREAMS_MAX: u32 = 4_096;
/// How long streams of a dead connection may take to notice.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(super) async fn serve(socket: Socket, shared: Arc<Shared>, open: Open) {
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .handshake::<_, Bytes>(socket);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    let (commander, mut commands) = mpsc::channel(64);
    let mut streams = JoinSet::new();
    let mut reused = false;
    loop {
        tokio::select! {
            // Polling the connection writes what is queued, so a command finds it written.
            biased;
            accepted = connection.accept() => {
                let Some(Ok((head, respond))) = accepted else { break };
                let (head, body) = head.into_parts();
                let mut request = begin(&head, open.number);
                request.reused = std::mem::replace(&mut reused, true);
                let stream = Stream { respond, body, request, commander: commander.clone() };
                streams.spawn(stream.run(Arc::clone(&shared)));
            }
            Some(command) = commands.recv() => match command {
                Command::Cut => return,
                Command::Goaway => connection.graceful_shutdown(),
                // The stream that asked may be gone already.
                Command::Written(tell) => drop(tell.send(())),
            },
            Some(_) = streams.join_next() => {}
        }
    }
    drop(connection);
    let farewell = async { while streams.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL_MAX, farewell).await;
}

/// One request and the way to its answer.
struct Stream {
    respond: SendResponse<Bytes>,
    body: RecvStream,
    request: Request,
    commander: mpsc::Sender<Command>,
}

impl Stream {
    async fn run(mut self, shared: Arc<Shared>) {
        let entry = shared.recorder.begin(&self.request);
        match read_body(&mut self.body).await {
            Ok(Some(body)) => self.request.body = body,
            Ok(None) => {
                entry.malformed("the body is over 64 MiB");
                return self.respond.send_reset(Reason::ENHANCE_YOUR_CALM);
            }
            Err(Gone) => return entry.aborted(),
        }
        entry.body(&self.request.body);
        let play = shared.play(&self.request);
        let answered = self.answer(&play, &entry).await;
        if answered == Err(Gone) {
            entry.aborted();
        }
    }

    async fn answer(self, play: &Play, entry: &Entry) -> Result<(), Gone> {
        let mut side = Side::Headless(self.respond);
        for act in &play.acts {
            match act {
                Act::Sleep(delay) => side.unless_gone(tokio::time::sleep(*delay)).await?,
                Act::Hold(gate) => side.unless_gone(gate.opened()).await?,
                Act::Head => side = side.head(play)?,
                Act::Data(data) => side.data(data.bytes.clone()).await?,
                Act::Goaway => send(&self.commander, Command::Goaway).await,
                Act::Fault(fault) => return fail(side, &self.commander, *fault).await,
                Act::End => side.end()?,
            }
        }
        written(&self.commander).await;
        entry.answered();
        if let Some(idle) = play.close_after {
            tokio::time::sleep(idle).await;
            send(&self.commander, Command::Cut).await;
        }
        Ok(())
    }
}

async fn fail(mut side: Side, commander: &mpsc::Sender<Command>, fault: Fault) -> Result<(), Gone> {
    // A reset would throw away what is queued, and the script says it was sent.
    written(commander).await;
    match fault {
        Fault::Cut => {
            send(commander, Command::Cut).await;
            // The stream stays open until then, or the client would see it reset before.
            commander.closed().await;
        }
        Fault::Reset => side.reset(Reason::INTERNAL_ERROR),
        Fault::MalformedChunk => side.reset(Reason::PROTOCOL_ERROR),
        Fault::Stall => return side.unless_gone(std::future::pending()).await,
    }
    Ok(())
}

async fn send(commander: &mpsc::Sender<Command>, command: Command) {
    // Refused only when the connection is gone, and the streams learn that themselves.
    let _ = commander.send(command).await;
}

async fn written(commander: &mpsc::Sender<Command>) {
    let (tell, told) = oneshot::channel();
    send(commander, Command::Written(tell)).await;
    let _ = told.await;
}

fn begin(head: &http::request::Parts, connection: usize) -> Request {
    let authority = head
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let target = head
        .uri
        .path_and_query()
        .map_or("*", |target| target.as_str());
    let mut text = BytesMut::new();
    let mut line = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            text.extend_from_slice(part);
        }
    };
    line(b":method", head.method.as_str().as_bytes());
    line(b":scheme", head.uri.scheme_str().unwrap_or("").as_bytes());
    line(b":authority", authority.as_bytes());
    line(b":path", target.as_bytes());
    for (name, value) in &head.headers {
        line(name.as_str().as_bytes(), value.as_bytes());
    }
    text.extend_from_slice(b"\r\n");
    let mut request = Request::new(connection, head.version, text.freeze());
    request.method = head.method.to_string();
    request.target.push_str(target);
    request.authority.push_str(authority);
    let fields = head.headers.iter();
    request.headers = fields
        .map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes())))
        .collect();
    request
}

/// `None`: it is larger than is taken.
async fn read_body(body: &mut RecvStream) -> Result<Option<Bytes>, Gone> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(|_| Gone)?;
        if whole.len() + part.len() > BODY_BYTES_MAX {
            return Ok(None);
        }
        whole.extend_from_slice(&part);
        let released = body.flow_control().release_capacity(part.len());
        released.map_err(|_| Gone)?;
    }
    Ok(Some(whole.freeze()))
}

impl Side {
    fn head(self, play: &Play) -> Result<Self, Gone> {
        let Self::Headless(mut respond) = self else {
            return Ok(self);
        };
        let Some(head) = head(play) else {
            // A script for HTTP/1.1's bytes: the test is told by a reset.
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(Self::Headless(respond));
        };
        let stream = respond.send_response(head, false).map_err(|_| Gone)?;
        Ok(Self::Streaming(stream))
    }

    async fn data(&mut self, mut bytes: Bytes) -> Result<(), Gone> {
        let Self::Streaming(stream) = self else {
            self.reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        while !bytes.is_empty() {
            stream.reserve_capacity(bytes.len());
            while stream.capacity() == 0 {
                let capacity = poll_fn(|cx| stream.poll_capacity(cx)).await;
                capacity.and_then(Result::ok).ok_or(Gone)?;
            }
            let part = bytes.split_to(stream.capacity().min(bytes.len()));
            stream.send_data(part, false).map_err(|_| Gone)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Gone> {
        match self {
            Self::Streaming(stream) => stream.send_data(Bytes::new(), true).map_err(|_| Gone),
            Self::Headless(_) => Ok(()),
        }
    }

    fn reset(&mut self, reason: Reason) {
        match self {
            Self::Headless(respond) => respond.send_reset(reason),
            Self::Streaming(stream) => stream.send_reset(reason),
        }
    }

    async fn unless_gone<T>(&mut self, something: impl Future<Output = T>) -> Result<T, Gone> {
        let mut something = pin!(something);
        poll_fn(|cx| {
            if let Poll::Ready(output) = something.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll_reset(cx).map(|()| Err(Gone))
        })
        .await
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Headless(respond) => respond.poll_reset(cx).map(drop),
            Self::Streaming(stream) => stream.poll_reset(cx).map(drop),
        }
    }
}

/// `None`: a header that HTTP/2 cannot carry.
fn head(play: &Play) -> Option<http::Response<()>> {
    let mut head = http::Response::builder().status(play.status);
    for (name, value) in &play.headers {
        head = head.header(name.as_str(), value.as_ref());
    }
    if matches!(play.framing, Framing::Length | Framing::LengthClaimed(_)) {
        head = head.header(http::header::CONTENT_LENGTH, play.length);
    }
    head.body(()).ok()
}
