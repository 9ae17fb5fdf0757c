//! Do streams stay whole and quick where there are as many as there can be?
//!
//! An upstream sends events that say when they left and which they are, callers look whether
//! each came, in order, and how late. First as many streams as use half of a core at twenty
//! events a second each, where what an event takes longer is looked at; then as many as the
//! machine has descriptors for, with an event a second, where it is what a stream holds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::lasting;
use crate::report::Watch;

/// What an event may take longer, but for one of a hundred.
const ADDED_P99_MAX: Duration = Duration::from_millis(5);
/// The share of a core that is to be used while that is looked at.
const SHARE: f64 = 0.5;
/// Streams by which it is found how many that are.
const FEW: usize = 100;
/// Streams of a process with 20,000 descriptors, two for each, and some for all else.
const MANY: usize = 8_900;
/// What each of them may hold.
const STREAM_BYTES_MAX: u64 = 64 * 1024;
/// Streams of one address.
const PER_ADDRESS: usize = 100;

/// An upstream of streams with an event each `pace`, for so long.
async fn upstream(began: Instant, pace: Duration, lasts: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, began, pace, lasts));
        }
    });
    address
}

/// Answers one request. Whoever is asked no more ends with the connection.
async fn serve(mut stream: TcpStream, began: Instant, pace: Duration, lasts: Duration) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"}") {
        if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    // Not all at the same moment, as tokens do not come.
    let part = f64::from(stream.peer_addr().map_or(0, |peer| peer.port()) % 1_000) / 1e3;
    tokio::time::sleep(pace.mul_f64(part)).await;
    let mut ticks = tokio::time::interval(pace);
    let ends = now() + lasts;
    let mut number = 0_u64;
    while now() < ends {
        ticks.tick().await;
        let at = began.elapsed().as_nanos();
        let event = format!(
            "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"<{number} {at}>\"}},\"finish_reason\":null}}]}}\n\n"
        );
        number += 1;
        if stream.write_all(event.as_bytes()).await.is_err() {
            return;
        }
    }
    let end = format!(
        "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"<{number} {}>\"}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n",
        began.elapsed().as_nanos()
    );
    let _ = stream.write_all(end.as_bytes()).await;
}

/// What a caller saw of one stream.
#[derive(Default)]
struct Seen {
    events: u64,
    late: Vec<Duration>,
    /// What is wrong with it.
    fault: Option<String>,
}

async fn call(mut connection: Connection, began: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut text = String::new();
    let head = connection.head().await;
    if head.status != 200 {
        seen.fault = Some(format!("answered with {}", head.status));
        return seen;
    }
    loop {
        let Some(bytes) = connection.piece(&head).await else {
            seen.fault = Some(format!("ended after {} events", seen.events));
            return seen;
        };
        let came = began.elapsed();
        text.push_str(&String::from_utf8_lossy(&bytes));
        while let Some((said, rest)) = text.split_once('>') {
            let (number, at) = said
                .rsplit_once('<')
                .and_then(|(_, said)| said.split_once(' '))
                .unwrap();
            if number != seen.events.to_string() {
                seen.fault = Some(format!("{number} instead of {}", seen.events));
                return seen;
            }
            let left = Duration::from_nanos(at.parse().unwrap());
            seen.late.push(came.saturating_sub(left));
            seen.events += 1;
            text = rest.to_owned();
        }
        if text.contains("data: [DONE]") {
            return seen;
        }
    }
}

fn setup(upstream: SocketAddr) -> Gateway {
    Setup::new()
        .argument("--threads=1")
        .tables("[bounds]\nconnections_max = 9200\nconnections_per_address_max = 4096\naccepts_per_second_max = 100000\nin_flight_max = 9100\nin_flight_per_client_max = 9100")
        .tables("[cache]\nenabled = false\n[log]\nrequests = \"off\"\n[timeouts]\nstream = \"30m\"\nrequest = \"30m\"")
        .pool_with("p", &[&format!("http://{upstream}")], "concurrency = { target_max = 9100, pool_max = 9100 }")
        .model("m", &["p"])
        .start()
}

/// What came of so many streams.
struct Came {
    events: u64,
    /// By size.
    late: Vec<Duration>,
    /// Of a core.
    share: f64,
    stream_bytes: u64,
}

/// So many streams at a gateway of their own, each with an event each `pace`.
async fn streams(name: &str, count: usize, pace: Duration, lasts: Duration) -> Came {
    let began = now();
    let gateway = setup(upstream(began, pace, lasts).await);
    let _watch = Watch::begin(&gateway, name);
    let mut connections = Vec::new();
    for number in 0..count {
        let n = u8::try_from(number / PER_ADDRESS + 1).unwrap();
        connections.push(Connection::open_from(n, gateway.address).await);
    }
    let connected = gateway.resident_bytes();
    let request = post("/v1/chat/completions", &[], ask("m", true).as_bytes());
    let mut callers = Vec::new();
    for mut connection in connections {
        connection.send(&request).await;
        callers.push(tokio::spawn(call(connection, began)));
    }
    gateway
        .counts("spafe_requests_in_flight ", count as u64)
        .await;
    let (asked, used) = (now(), gateway.processor_time());
    tokio::time::sleep(lasts / 2).await;
    let used = gateway.processor_time().saturating_sub(used);
    let share = used.as_secs_f64() / asked.elapsed().as_secs_f64();
    let held = gateway.resident_bytes().saturating_sub(connected);
    let mut all = Came {
        events: 0,
        late: Vec::new(),
        share,
        stream_bytes: held / count as u64,
    };
    let mut faults = Vec::new();
    for seen in join_all(callers).await {
        let seen = seen.unwrap();
        all.events += seen.events;
        all.late.extend(seen.late);
        faults.extend(seen.fault);
    }
    all.late.sort_unstable();
    println!(
        "{name}: {count} streams, {} events, late p50 {:?} p99 {:?}, {share:.2} of a core, {} bytes a stream",
        all.events,
        all.late[all.late.len() / 2],
        all.late[all.late.len() * 99 / 100],
        all.stream_bytes
    );
    assert!(
        faults.is_empty(),
        "{} of {count}: {}",
        faults.len(),
        faults[0]
    );
    gateway.counts("spafe_requests_in_flight ", 0).await;
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_at_once_where_half_of_a_core_is_used() {
    let pace = Duration::from_millis(50);
    let mut count = FEW;
    // Few streams take more each than many do, so it is looked at twice.
    for name in ["streams-few", "streams-some"] {
        let looked = streams(name, count, pace, lasting(60) / 6).await;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a number of streams"
        )]
        let wanted = (count as f64 * SHARE / looked.share) as usize;
        count = wanted.min(MANY);
    }
    let came = streams("streams-busy", count, pace, lasting(60)).await;
    let late = came.late[came.late.len() * 99 / 100];
    assert!(
        late <= ADDED_P99_MAX,
        "{late:?} at {:.2} of a core",
        came.share
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_streams_as_there_can_be_stay_whole() {
    let lasts = lasting(60);
    let came = streams("streams-many", MANY, Duration::from_secs(1), lasts).await;
    assert!(
        came.stream_bytes <= STREAM_BYTES_MAX,
        "{}",
        came.stream_bytes
    );
}
