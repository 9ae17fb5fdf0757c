//! What answers when no vendor does?
//!
//! One upstream serves two masters. For people (`spafe serve --demo`, `spafe simulate`)
//! it speaks OpenAI's protocol, and Anthropic's, at the pace of a real model. For tests it plays scripts,
//! faults included, and records exactly what it received. Both go the same way: a
//! realistic answer is a script too, made from the request.
//!
//! It is written on sockets rather than on a web framework because a framework exists to
//! prevent most of what the tests need: wrong lengths, cut chunks, resets, silence.

/// What does the upstream say to one request, and how does it misbehave?
pub mod script;
/// In which order does a script happen?
mod play;
/// What exactly arrived, when, and how did it end?
pub mod record;
/// Which answer fits a request that no script is waiting for?
mod application;
/// What does a model say?
mod chat;
/// What does it do with tools and schemas?
mod calling;
/// How does Azure say what OpenAI says?
mod azure;
/// What does a model say in Anthropic's protocol?
mod messages;
/// What does a model say that is asked for no chat?
mod text;
/// What does it say in Responses?
mod responses;
/// What does one answer that makes no text?
mod offer;
/// What does one hear, and how does it sound?
mod audio;
/// What does a model say in Gemini's?
mod gemini;
/// What does an image model paint?
mod image;
/// How does the simulator speak TLS?
pub mod tls;
/// What do the bytes of one connection do, while someone may leave at any moment?
mod wire;
/// How is a request read, and a script written, in HTTP/1.1 byte by byte?
mod http1;
/// How is a request read, and a script played, in HTTP/2?
mod http2;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use application::Application;
use play::Play;
use record::{Bounds, Connection, NotSeen, Recorder, Request};
use script::Script;
use tls::Tls;
use wire::Socket;

/// How the simulator behaves where no script says otherwise.
#[derive(Debug, Clone)]
pub struct Options {
    /// From the request to the first token.
    pub first_token: Duration,
    /// From token to token.
    pub token_gap: Duration,
    /// From the request to a painted image.
    pub image: Duration,
    /// Whether a picture comes as bytes (`b64_json`) where nobody says how, else as an address.
    pub image_inline: bool,
    /// What `GET …/models` lists. Any model's name is answered, listed or not.
    pub models: Vec<String>,
    /// Speak TLS; HTTP/2 is spoken only there.
    pub tls: Option<Tls>,
    /// How much is recorded; `None`: nothing.
    pub record: Option<Bounds>,
    /// Connections at once; more wait to be accepted.
    pub connections_max: usize,
}

/// A running upstream. It ends, with every connection, when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    secure: bool,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// Which requests a script is meant for.
#[derive(Debug, Clone)]
pub enum When {
    /// A header of this name, in any case, has exactly this value.
    Header(String, String),
    /// The path contains this text.
    Path(String),
    /// The body contains this text.
    Body(String),
    /// The connection carried a request before.
    Reused,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    application: Application,
    recorder: Arc<Recorder>,
    scripts: Mutex<Scripts>,
}

#[derive(Debug, Default)]
struct Scripts {
    keyed: Vec<(When, Arc<Play>)>,
    queue: VecDeque<Arc<Play>>,
    default: Option<Arc<Play>>,
}

/// How long a client may take to shake hands.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The pause after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Default for Options {
    /// The pace of a mid-sized hosted model: 150 ms to the first token, 40 tokens/s.
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(150),
            token_gap: Duration::from_millis(25),
            image: Duration::from_millis(1_500),
            image_inline: false,
            ..Self::instant()
        }
    }
}

impl Options {
    /// No delay anywhere, and nothing recorded: for benches and the suite against a demo.
    #[must_use]
    pub fn instant() -> Self {
        Self {
            first_token: Duration::ZERO,
            token_gap: Duration::ZERO,
            image: Duration::ZERO,
            image_inline: false,
            models: vec!["gpt-4o".to_owned(), "flux".to_owned()],
            tls: None,
            record: None,
            connections_max: 16_384,
        }
    }

    /// No delay anywhere, and a record large enough for a test.
    #[must_use]
    pub fn test() -> Self {
        Self {
            record: Some(Bounds {
                requests_max: 20_000,
                bodies_bytes_max: 256 * 1024 * 1024,
            }),
            ..Self::instant()
        }
    }
}

impl Simulator {
    /// Listens and serves until the handle is dropped. Port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound, or certificate and key cannot be used.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let acceptor = options.tls.as_ref().map(Tls::acceptor).transpose()?;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let secure = acceptor.is_some();
        let slots = Arc::new(Semaphore::new(options.connections_max));
        let shared = Arc::new(Shared {
            recorder: Arc::new(Recorder::new(options.record)),
            scripts: Mutex::default(),
            application: Application::new(options, address),
        });
        let accepting = accept(listener, acceptor, slots, Arc::clone(&shared));
        Ok(Self {
            address,
            secure,
            shared,
            accepting: tokio::spawn(accepting),
        })
    }

    /// Serves until the process ends.
    pub async fn run_forever(mut self) {
        // Only a panic or the runtime's end finishes the task, and neither is news here.
        let _ = (&mut self.accepting).await;
    }

    /// Where it listens, with the port that was taken.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, address and port, without a path: `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The next request that no keyed script is for gets this answer.
    pub fn push(&self, script: Script) {
        self.shared.scripts().queue.push_back(compiled(script));
    }

    /// The next request of this kind gets this answer, before the queue is asked.
    pub fn push_when(&self, when: When, script: Script) {
        self.shared.scripts().keyed.push((when, compiled(script)));
    }

    /// Every request that no waiting script is for gets this answer.
    pub fn default(&self, script: Script) {
        self.shared.scripts().default = Some(compiled(script));
    }

    /// Forgets all scripts: realistic answers from here on.
    pub fn clear_scripts(&self) {
        *self.shared.scripts() = Scripts::default();
    }

    /// Everything that arrived, whole or not, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.recorder.requests()
    }

    /// Waits for the next request in order that has arrived as a whole, was malformed or
    /// broke off; every request is given out once.
    ///
    /// # Errors
    /// None came in time.
    pub async fn next_request(&self) -> Result<Request, NotSeen> {
        self.shared.recorder.next_request().await
    }

    /// Waits until the client of this request let go before it had the whole answer.
    ///
    /// # Errors
    /// It did not in time.
    pub async fn aborted(&self, number: usize) -> Result<Instant, NotSeen> {
        let recorder = &self.shared.recorder;
        recorder
            .moment("the abort", number, |req| req.aborted)
            .await
    }

    /// Waits until the whole answer of this request was written.
    ///
    /// # Errors
    /// It was not in time.
    pub async fn answered(&self, number: usize) -> Result<Instant, NotSeen> {
        let recorder = &self.shared.recorder;
        recorder
            .moment("the whole answer", number, |req| req.answered)
            .await
    }

    /// Every connection that was accepted, open or not.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.shared.recorder.connections()
    }

    /// Waits until this connection ended, from whichever side.
    ///
    /// # Errors
    /// It did not in time.
    pub async fn connection_closed(&self, number: usize) -> Result<Instant, NotSeen> {
        self.shared.recorder.connection_closed(number).await
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The connections' tasks belong to this one and end with it.
        self.accepting.abort();
    }
}

impl Shared {
    /// What this request is answered with: a script that is meant for it, the next in the
    /// queue, the default, or what a model would say.
    fn play(&self, request: &Request) -> Arc<Play> {
        let mut scripts = self.scripts();
        let keyed = scripts
            .keyed
            .iter()
            .position(|(when, _)| when.fits(request));
        if let Some(at) = keyed {
            return scripts.keyed.remove(at).1;
        }
        if let Some(next) = scripts.queue.pop_front() {
            return next;
        }
        if let Some(default) = &scripts.default {
            return Arc::clone(default);
        }
        drop(scripts);
        compiled(self.application.answer(request))
    }

    fn scripts(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl When {
    fn fits(&self, request: &Request) -> bool {
        let contains = |text: &[u8], part: &str| memchr::memmem::find(text, part.as_bytes());
        match self {
            Self::Header(name, value) => request.header(name) == Some(value),
            Self::Path(part) => contains(request.target.as_bytes(), part).is_some(),
            Self::Body(part) => contains(&request.body, part).is_some(),
            Self::Reused => request.reused,
        }
    }
}

fn compiled(script: Script) -> Arc<Play> {
    Arc::new(Play::new(script))
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    slots: Arc<Semaphore>,
    shared: Arc<Shared>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((tcp, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let acceptor = acceptor.clone();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            serve(tcp, acceptor, shared).await;
            drop(slot);
        });
    }
}

async fn serve(tcp: TcpStream, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // An event must not wait for the acknowledgement of the one before.
    let _ = tcp.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        let open = shared.recorder.opened(None);
        return http1::serve(Socket::Plain(tcp), shared, open).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(tcp));
    let Ok(Ok(tls)) = handshake.await else { return };
    let (_, session) = tls.get_ref();
    let open = shared
        .recorder
        .opened(session.server_name().map(str::to_owned));
    let http2 = session.alpn_protocol() == Some(tls::HTTP2);
    let socket = Socket::Secure(Box::new(tls));
    if http2 {
        http2::serve(socket, shared, open).await;
    } else {
        http1::serve(socket, shared, open).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulator stands for the world outside, where time comes from"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulator stands for the world outside, where time comes from"
)]
fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
