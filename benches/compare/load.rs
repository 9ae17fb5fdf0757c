//! What does a load cost the process that carries it?
//!
//! Closed loops: every connection asks again as soon as it is answered, so the proxy is
//! kept as busy as the generator's core allows. CPU time is read at both ends of a window
//! in the middle of the load and divided by what was answered in between; opening
//! connections and growing buffers lie before the window. Who calls this sets a deadline:
//! nothing here gives up on a proxy that has stopped answering.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::Client;
use crate::options::Effort;
use crate::subject::Running;
use crate::wire::{self, Asking};

/// A load ends after so many answers, even where its window is not over.
const ANSWERS_MAX: u64 = 2_000_000;

/// Streams are opened by so many at once: less than any backlog here, and enough to keep
/// the proxy at work.
const OPENERS: usize = 256;

/// The pace of the latency measurement: 500 requests a second.
const PACE: Duration = Duration::from_millis(2);

/// What one answer, or one event, has cost.
pub(crate) struct Cost {
    /// CPU time for each of them, in microseconds.
    pub(crate) cpu_micros: f64,
    /// The part of the proxy's core that was in use.
    pub(crate) core_percent: f64,
}

/// What the connections of one load tell each other.
#[derive(Default)]
struct Tally {
    done: Cell<u64>,
    stop: Cell<bool>,
}

impl Tally {
    fn add(&self, count: u64) {
        self.done.set(self.done.get() + count);
    }

    fn goes_on(&self) -> bool {
        !self.stop.get() && self.done.get() < ANSWERS_MAX
    }
}

/// Send `request` over `connections` connections as fast as it is answered.
pub(crate) async fn requests(
    running: &Running,
    request: &Rc<[u8]>,
    connections: usize,
    effort: &Effort,
) -> io::Result<Cost> {
    let tally = Rc::new(Tally::default());
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let mut client = Client::connect(running.address).await?;
        let (tally, mut request) = (Rc::clone(&tally), request.to_vec());
        let anew = running.subject.asking() == Asking::Anew;
        workers.spawn_local(async move {
            while tally.goes_on() {
                if anew {
                    wire::number(&mut request, next_number())?;
                }
                client.ask(&request).await?;
                tally.add(1);
            }
            Ok(())
        });
    }
    watch(running, &tally, workers, effort).await
}

/// A number that no request of this run has had.
fn next_number() -> u64 {
    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
    }
    NEXT.with(|next| next.replace(next.get() + 1))
}

/// Read `count` streams at once, for as long as they are needed.
pub(crate) async fn events(
    running: &Running,
    request: &Rc<[u8]>,
    count: usize,
    effort: &Effort,
) -> io::Result<Cost> {
    let tally = Rc::new(Tally::default());
    let mut workers = JoinSet::new();
    for mut client in open_streams(running, request, count).await? {
        let tally = Rc::clone(&tally);
        workers.spawn_local(async move {
            while tally.goes_on() {
                tally.add(client.next_events().await?);
            }
            Ok(())
        });
    }
    watch(running, &tally, workers, effort).await
}

/// Measure a window of a load that has begun, then end it.
async fn watch(
    running: &Running,
    tally: &Tally,
    mut workers: JoinSet<io::Result<()>>,
    effort: &Effort,
) -> io::Result<Cost> {
    sleep(effort.warm_up).await;
    let (cpu_before, done_before, began) = (running.cpu_time()?, tally.done.get(), Instant::now());
    sleep(effort.window).await;
    let cpu = running.cpu_time()?.since(&cpu_before);
    let (done, elapsed) = (tally.done.get() - done_before, began.elapsed());
    tally.stop.set(true);
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    if done == 0 {
        return Err(io::Error::other("nothing was answered within the window"));
    }
    Ok(Cost {
        cpu_micros: cpu.as_secs_f64() * 1e6 / done as f64,
        core_percent: cpu.as_secs_f64() * 100.0 / elapsed.as_secs_f64(),
    })
}

/// Open `count` streams and wait for the first event of each.
pub(crate) async fn open_streams(
    running: &Running,
    request: &Rc<[u8]>,
    count: usize,
) -> io::Result<Vec<Client>> {
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS {
        let (address, mut request) = (running.address, request.to_vec());
        let anew = running.subject.asking() == Asking::Anew;
        let share = (count + opener) / OPENERS;
        openers.spawn_local(async move {
            let mut streams = Vec::with_capacity(share);
            for _ in 0..share {
                let mut client = Client::connect(address).await?;
                if anew {
                    wire::number(&mut request, next_number())?;
                }
                client.open_stream(&request).await?;
                streams.push(client);
            }
            io::Result::Ok(streams)
        });
    }
    let mut streams = Vec::with_capacity(count);
    while let Some(opener) = openers.join_next().await {
        streams.append(&mut opener??);
    }
    Ok(streams)
}

/// Times of an answer.
pub(crate) struct Latency {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
}

/// Ask at a steady pace over one connection: what a caller waits where nothing is busy.
pub(crate) async fn paced(
    address: SocketAddr,
    request: &[u8],
    asking: Asking,
    samples: usize,
) -> io::Result<Latency> {
    let mut client = Client::connect(address).await?;
    let mut request = request.to_vec();
    client.ask(&request).await?;
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        ticks.tick().await;
        if asking == Asking::Anew {
            wire::number(&mut request, next_number())?;
        }
        let asked = Instant::now();
        client.ask(&request).await?;
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    Ok(Latency {
        median: at(50),
        p99: at(99),
    })
}
