//! What do many callers notice?
//!
//! Clients that ask over and over, half of them on connections that they keep and half on
//! one for each request, and that count what became of it. A request that was sent and not
//! answered is lost, however the connection ended; a connection that was not made is
//! refused, and its client stops, as there is nobody to ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use spafe::simulator::script::{Gate, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::client::{Answer, Connection, ask, post};
use super::soon;

const PATH: &str = "/v1/chat/completions";

/// All clients of a test have one address, and more is asked than one may.
pub(crate) const MANY: &str =
    "[bounds]\nin_flight_per_client_max = 2048\nconnections_per_address_max = 4096";

/// Clients that ask until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Tally>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answered with 200.
    pub(crate) served: usize,
    /// Connections that were not made.
    pub(crate) refused: usize,
    /// Sent, and not answered so; what was seen instead.
    pub(crate) lost: Vec<String>,
}

impl Load {
    /// Clients that ask for this model, each with a pause after an answer.
    pub(crate) fn start(address: SocketAddr, model: &str, clients: usize, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicUsize::new(0));
        let body = ask(model, false);
        let start = |number: usize| {
            let keeps = number.is_multiple_of(2);
            let close: &[&str] = if keeps { &[] } else { &["Connection: close"] };
            let request = post(PATH, close, body.as_bytes());
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                let mut tally = Tally::default();
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) && tally.refused == 0 {
                    tally.ask(address, &mut connection, &request).await;
                    served.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                }
                tally
            })
        };
        let clients = (0..clients).map(start).collect();
        Self {
            stop,
            served,
            clients,
        }
    }

    /// Waits until so many more requests were asked.
    pub(crate) async fn goes_on(&self, more: usize) {
        let goal = self.served.load(Ordering::Relaxed) + more;
        soon("more requests", async {
            while self.served.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Lets each client finish its request, or be refused, and adds up.
    pub(crate) async fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.refused().await
    }

    /// Waits until nobody answers any client, and adds up.
    pub(crate) async fn refused(self) -> Tally {
        let mut all = Tally::default();
        for client in self.clients {
            let tally = soon("a client's end", client).await.unwrap();
            all.served += tally.served;
            all.refused += tally.refused;
            all.lost.extend(tally.lost);
        }
        all
    }
}

impl Tally {
    async fn ask(
        &mut self,
        address: SocketAddr,
        connection: &mut Option<TcpStream>,
        request: &[u8],
    ) {
        let reused = connection.is_some();
        let kept = match connection.take() {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(address).await,
        };
        let Ok(mut stream) = kept else {
            self.refused += 1;
            return;
        };
        match exchange(&mut stream, request).await {
            Ok(answer) if answer.status == 200 => {
                self.served += 1;
                if answer.field("connection") != Some("close") {
                    *connection = Some(stream);
                }
            }
            Ok(answer) => self.lost.push(format!("{answer:?}")),
            Err(error) => self.lost.push(format!("{error} (reused: {reused})")),
        }
    }
}

/// Sends a request and reads its answer, of which the length is told.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<Answer> {
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            let seen = String::from_utf8_lossy(&bytes).into_owned();
            return Err(std::io::Error::other(format!("closed after {seen:?}")));
        }
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        let Some(end) = end.map(|end| end + 4) else {
            continue;
        };
        let mut answer = Answer::of_head(&bytes[..end]);
        if answer
            .length()
            .is_some_and(|length| bytes.len() >= end + length)
        {
            answer.body = bytes.split_off(end);
            return Ok(answer);
        }
    }
}

/// One event of a stream that is not over.
pub(crate) const EVENT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1730889622,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}],"usage":null}"#;
const LAST: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1730889622,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;

/// A stream whose first event comes at once, and the rest when the gate is opened.
pub(crate) fn held_stream(gate: &Gate) -> Script {
    let first_bytes = "data: \n\n".len() + EVENT.len();
    Script::sse(&[EVENT, LAST]).hold_after(first_bytes, gate)
}

/// A stream of which the first event has arrived.
pub(crate) struct OpenStream {
    connection: Connection,
    head: Answer,
}

impl OpenStream {
    /// Asks for it.
    pub(crate) async fn open(address: SocketAddr, model: &str) -> Self {
        let mut connection = Connection::open(address).await;
        let request = post(PATH, &[], ask(model, true).as_bytes());
        connection.send(request).await;
        let head = connection.head().await;
        assert_eq!(head.status, 200);
        let first = connection.piece(&head).await.unwrap();
        assert!(String::from_utf8_lossy(&first).contains("Hello"));
        Self { connection, head }
    }

    /// Asks for many.
    pub(crate) async fn open_many(address: SocketAddr, model: &str, count: usize) -> Vec<Self> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            streams.push(Self::open(address, model).await);
        }
        streams
    }

    /// What comes behind the first event, to an orderly end.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        while let Some(piece) = self.connection.piece(&self.head).await {
            rest.extend_from_slice(&piece);
        }
        String::from_utf8(rest).unwrap()
    }
}
