//! What does a name server say?
//!
//! What the test wants, on a port of the system's choice: over UDP, and over TCP what is
//! too long for that. It knows one name's worth of answers, whatever it is asked for, and
//! they can be changed at any time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::gateway::LOOK_AGAIN;
use super::soon;

/// What it says.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    /// These addresses of the family that is asked for, good for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// There is no such name.
    NoSuchName,
    /// It cannot say.
    Failure,
    /// Nothing.
    Silence,
}

/// A running name server. It ends with the test.
pub(crate) struct NameServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

struct State {
    said: Said,
    /// Questions for IPv4 addresses since `said` was said.
    asked: usize,
    delay: Duration,
}

const HEADER_BYTES: usize = 12;
/// What goes through most networks in one piece, and what is asked for (DNS flag day 2020).
const UDP_BYTES_MAX: usize = 1232;
const A: u16 = 1;
const AAAA: u16 = 28;

impl NameServer {
    /// One that says this.
    pub(crate) async fn start(said: Said) -> Self {
        let (socket, listener) = loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            // Somebody else may have that port there.
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (socket, listener);
            }
        };
        let address = socket.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            said,
            asked: 0,
            delay: Duration::ZERO,
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(over_udp(socket, Arc::clone(&state)));
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(over_tcp(stream, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    /// From now on it takes this long for every answer over UDP.
    pub(crate) fn takes(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// From now on it says this.
    pub(crate) fn says(&self, said: Said) {
        let mut state = self.state.lock().unwrap();
        state.said = said;
        state.asked = 0;
    }

    /// Waits until it was asked this often since it began to say what it says.
    pub(crate) async fn asked(&self, times: usize) {
        soon("a question to the name server", async {
            while self.state.lock().unwrap().asked < times {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// `[dns]` that asks it, and does so every second.
    pub(crate) fn table(&self) -> String {
        let address = self.address;
        format!("[dns]\nservers = [\"{address}\"]\nttl_min = \"1s\"\nttl_max = \"1s\"")
    }
}

async fn over_udp(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut question = [0; 512];
    loop {
        let (bytes, from) = socket.recv_from(&mut question).await.unwrap();
        if let Some(mut answer) = answer(&question[..bytes], &state) {
            if answer.len() > UDP_BYTES_MAX {
                // Truncated, and only the question in it: to be asked again over TCP.
                answer[2] |= 0x02;
                answer[6..8].fill(0);
                answer.truncate(question_end(&question[..bytes]));
            }
            let delay = state.lock().unwrap().delay;
            tokio::time::sleep(delay).await;
            socket.send_to(&answer, from).await.unwrap();
        }
    }
}

/// One question a connection, each message behind its length.
async fn over_tcp(mut stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let bytes = stream.read_u16().await?;
    let mut question = vec![0; bytes.into()];
    stream.read_exact(&mut question).await?;
    if let Some(answer) = answer(&question, &state) {
        stream
            .write_u16(u16::try_from(answer.len()).unwrap())
            .await?;
        stream.write_all(&answer).await?;
    }
    Ok(())
}

/// These addresses, good for a second.
pub(crate) fn addresses(addresses: &[&str]) -> Said {
    let parsed = addresses.iter().map(|address| address.parse().unwrap());
    Said::Addresses(parsed.collect(), 1)
}

/// The answer to a message with one question (RFC 1035, section 4).
fn answer(message: &[u8], state: &Mutex<State>) -> Option<Vec<u8>> {
    let question = &message[HEADER_BYTES..question_end(message)];
    let kind = u16::from_be_bytes(*question[..question.len() - 2].last_chunk().unwrap());
    let said = {
        let mut state = state.lock().unwrap();
        state.asked += usize::from(kind == A);
        state.said.clone()
    };
    let (code, addresses, ttl) = match said {
        Said::Addresses(addresses, ttl) => (0, addresses, ttl),
        Said::NoSuchName => (3, Vec::new(), 0),
        Said::Failure => (2, Vec::new(), 0),
        Said::Silence => return None,
    };
    let fits = |address: &&IpAddr| {
        if address.is_ipv4() {
            kind == A
        } else {
            kind == AAAA
        }
    };
    let addresses: Vec<&IpAddr> = addresses.iter().filter(fits).collect();
    let mut answer = message[..2].to_vec();
    // An answer, recursion available, and the code; one question, so many answers.
    answer.extend([0x81, 0x80 | code, 0, 1]);
    answer.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        // The name is the question's, 12 bytes into the message.
        answer.extend([0xc0, 0x0c]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        answer.extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
        answer.extend(octets);
    }
    Some(answer)
}

/// Where the question of a message ends: behind its name, its type and its class.
fn question_end(message: &[u8]) -> usize {
    let name = &message[HEADER_BYTES..];
    let name_bytes = name.iter().position(|byte| *byte == 0).unwrap() + 1;
    HEADER_BYTES + name_bytes + 4
}
