//! How is a gateway asked as often as one likes?
//!
//! By HTTP/1.1 on bare sockets, because whoever measures must cost less than what is
//! measured. Open loop: a request is begun when its time has come, whatever became of
//! those before it, and its latency counts from that time on. Callers come from many
//! loopback addresses, as many clients do.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::kit::client::{ask, post};
use crate::kit::gateway::Gateway;
use crate::kit::now;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// From how many addresses callers come.
const ADDRESSES: u32 = 100;
/// Requests on their way at a time; more are lost before they began.
const CALLS_MAX: usize = 4_000;
/// Connections that are open from the beginning. Callers take them in turn, so that none goes
/// to rest, and there are hardly more when much is waited for: memory that grows is not theirs.
const CONNECTIONS: u32 = 400;
/// From how long on growth is told from chance.
const GROWTH_LASTING: Duration = Duration::from_mins(1);

/// What came of a run.
#[derive(Default)]
pub(crate) struct Course {
    /// Latencies of answers, by size.
    pub(crate) accepted: Vec<Duration>,
    /// Latencies of refusals that say when to come back, by size.
    pub(crate) refused: Vec<Duration>,
    /// Requests without an answer.
    pub(crate) lost: usize,
    /// Answers that are neither, by status.
    pub(crate) odd: BTreeMap<u16, usize>,
    /// What the gateway held, second by second.
    pub(crate) memory_bytes: Vec<u64>,
    /// The share of a core that the gateway had; 0 where it was not looked at.
    pub(crate) share: f64,
    lasted: Duration,
}

impl Course {
    /// Answers a second.
    pub(crate) fn goodput(&self) -> f64 {
        number(self.accepted.len()) / self.lasted.as_secs_f64()
    }

    /// What 99 of 100 answers took at most.
    pub(crate) fn accepted_p99(&self) -> Duration {
        quantile(&self.accepted, 99)
    }

    /// What 99 of 100 refusals took at most.
    pub(crate) fn refused_p99(&self) -> Duration {
        quantile(&self.refused, 99)
    }

    /// How memory grew over the second half; `None` where that is too short to say.
    pub(crate) fn growth_bytes_a_minute(&self) -> Option<f64> {
        if self.lasted < GROWTH_LASTING {
            return None;
        }
        let half = &self.memory_bytes[self.memory_bytes.len() / 2..];
        let mean = |part: &[u64]| {
            let sum: u64 = part.iter().map(|bytes| bytes / 1024).sum();
            number(usize::try_from(sum).unwrap()) / number(part.len()) * 1024.0
        };
        let (first, last) = half.split_at(half.len() / 2);
        // From the middle of one to the middle of the other.
        let minutes = number(half.len()) / 2.0 / 60.0;
        Some((mean(last) - mean(first)) / minutes)
    }

    /// Prints it.
    pub(crate) fn tell(&self, what: &str) {
        let memory = self.memory_bytes.iter().max().copied().unwrap_or(0) / 1024 / 1024;
        println!(
            "{what}: {:.0} s, {:.0} answers/s, p50 {:.1?} p99 {:.1?}; {} refused, p50 {:.1?} p99 {:.1?}; {} lost; odd {:?}; at most {memory} MiB, growth {:?} bytes/min; {:.2} of a core",
            self.lasted.as_secs_f64(),
            self.goodput(),
            quantile(&self.accepted, 50),
            self.accepted_p99(),
            self.refused.len(),
            quantile(&self.refused, 50),
            self.refused_p99(),
            self.lost,
            self.odd,
            self.growth_bytes_a_minute(),
            self.share,
        );
    }

    fn took(&mut self, came: &io::Result<Came>, latency: Duration) {
        match came {
            Err(_) => self.lost += 1,
            Ok(Came { status: 200, .. }) => self.accepted.push(latency),
            Ok(Came {
                status: 429 | 503,
                says_when: true,
                ..
            }) => self.refused.push(latency),
            Ok(Came { status, .. }) => *self.odd.entry(*status).or_default() += 1,
        }
    }

    fn ended(mut self, lasted: Duration) -> Self {
        self.accepted.sort_unstable();
        self.refused.sort_unstable();
        self.lasted = lasted;
        self
    }
}

/// Callers who ask again as soon as they have their answer.
pub(crate) async fn closed(address: SocketAddr, callers: usize, lasting: Duration) -> Course {
    let began = now();
    let asking = (0..callers).map(|_| {
        tokio::spawn(async move {
            let request = request();
            let mut course = Course::default();
            let mut connection = None;
            while began.elapsed() < lasting {
                let asked = now();
                let came = call(&mut connection, address, &request).await;
                course.took(&came, asked.elapsed());
            }
            course
        })
    });
    let mut all = Course::default();
    for course in futures_util::future::join_all(asking).await {
        let course = course.unwrap();
        all.accepted.extend(course.accepted);
        all.refused.extend(course.refused);
        all.lost += course.lost;
    }
    all.ended(lasting)
}

/// Requests at this rate, whatever becomes of them.
pub(crate) async fn open(gateway: &Gateway, a_second: f64, lasting: Duration) -> Course {
    let address = gateway.address;
    let request: Arc<[u8]> = request().into();
    let course = Arc::new(Mutex::new(Course::default()));
    let mut open = VecDeque::new();
    for _ in 0..CONNECTIONS {
        open.push_back(connect(address).await.unwrap());
    }
    let idle = Arc::new(Mutex::new(open));
    let calls = Arc::new(AtomicUsize::new(0));
    let (began, used) = (now(), gateway.processor_time());
    let mut sent: u32 = 0;
    while began.elapsed() < lasting {
        let due = began + Duration::from_secs_f64(f64::from(sent) / a_second);
        if due > now() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        sent += 1;
        if calls.load(Ordering::Relaxed) >= CALLS_MAX {
            course.lock().unwrap().lost += 1;
            continue;
        }
        measure_memory(gateway, &course, began);
        calls.fetch_add(1, Ordering::Relaxed);
        let (request, course) = (Arc::clone(&request), Arc::clone(&course));
        let (idle, calls) = (Arc::clone(&idle), Arc::clone(&calls));
        tokio::spawn(async move {
            let mut connection = idle.lock().unwrap().pop_front();
            let came = call(&mut connection, address, &request).await;
            course.lock().unwrap().took(&came, due.elapsed());
            idle.lock().unwrap().extend(connection);
            calls.fetch_sub(1, Ordering::Relaxed);
        });
    }
    while calls.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let used = gateway.processor_time().saturating_sub(used);
    let mut course = std::mem::take(&mut *course.lock().unwrap());
    course.share = used.as_secs_f64() / began.elapsed().as_secs_f64();
    course.ended(lasting)
}

fn measure_memory(gateway: &Gateway, course: &Mutex<Course>, began: Instant) {
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let mut course = course.lock().unwrap();
    if course.memory_bytes.len() <= seconds {
        course.memory_bytes.push(gateway.resident_bytes());
    }
}

/// An answer's head, as far as it matters.
struct Came {
    status: u16,
    says_when: bool,
    closes: bool,
}

/// One request and its answer; the connection stays where it can be used again.
async fn call(
    connection: &mut Option<TcpStream>,
    address: SocketAddr,
    request: &[u8],
) -> io::Result<Came> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => connect(address).await?,
    };
    let asked = async {
        stream.write_all(request).await?;
        answer(&mut stream).await
    };
    let came = tokio::time::timeout(PATIENCE, asked).await??;
    if !came.closes {
        *connection = Some(stream);
    }
    Ok(came)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % ADDRESSES;
    let from = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

async fn answer(stream: &mut TcpStream) -> io::Result<Came> {
    let mut bytes = Vec::with_capacity(2_048);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    let length = field("content-length").and_then(|length| length.parse::<usize>().ok());
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let when = field("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    Ok(Came {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        says_when: when.is_some_and(|seconds| seconds >= 1),
        closes: field("connection") == Some("close"),
    })
}

fn request() -> Vec<u8> {
    post("/v1/chat/completions", &[], ask("m", false).as_bytes())
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let place = sorted.len() * percent / 100;
    sorted.get(place).copied().unwrap_or_default()
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
