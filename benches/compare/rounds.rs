//! What is measured, in which order?
//!
//! Round by round, and within a round one measurement after the other, each over all
//! subjects in turn. CPU time and latency are taken from processes that run for the whole
//! comparison; memory and starting from new ones, since a heap remembers what it held.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::load;
use crate::machine;
use crate::options::{Effort, What};
use crate::sheet::{Row, Sheet};
use crate::subject::{Running, Stage, Subject};
use crate::upstream::Upstream;
use crate::wire;

/// A measurement that takes longer is given up.
const DEADLINE: Duration = Duration::from_mins(1);

/// Connections that ask for small answers, and for those to large requests: with fewer of
/// the latter no single one waits for long.
const CONNECTIONS: usize = 16;
const CONNECTIONS_LARGE: usize = 4;

/// Streams whose events are counted, and their pace: slow enough that every event arrives
/// by itself, as a model's tokens do, instead of in one read with the next.
const EVENT_STREAMS: usize = 50;
const EVENT_INTERVAL: Duration = Duration::from_millis(5);

/// Streams whose memory is measured have an event at once and then hardly any.
const IDLE_STREAM_INTERVAL: Duration = Duration::from_secs(3);

/// Bounds every stream that nobody cuts; no measurement sees that many events.
const EVENTS_MAX: u64 = 100_000;

/// Everything a measurement needs.
pub(crate) struct Bench<'a> {
    pub(crate) stage: Stage<'a>,
    pub(crate) upstream: &'a Upstream,
    pub(crate) effort: Effort,
}

impl Bench<'_> {
    /// Measure everything that was asked for. A measurement that fails is told on stderr
    /// and missing in the sheet: the others are worth having.
    pub(crate) async fn run(&self, subjects: &[Subject], whats: &[What]) -> io::Result<Sheet> {
        let mut running = Vec::new();
        for &subject in subjects {
            running.push(self.start(subject).await?);
        }
        let mut sheet = Sheet::new(subjects.to_vec());
        for round in 0..self.effort.rounds {
            eprintln!("round {} of {}", round + 1, self.effort.rounds);
            for &what in whats {
                if what == What::Memory && round >= self.effort.memory_rounds {
                    continue;
                }
                for one in &running {
                    match self.measure(what, one).await {
                        Ok(found) => sheet.add(round, one.subject, found),
                        Err(error) => eprintln!("{}: {error}", one.subject),
                    }
                }
            }
        }
        Ok(sheet)
    }

    /// Start a subject and see that it does what it is measured at.
    async fn start(&self, subject: Subject) -> io::Result<Running> {
        let mut running = Running::start(subject, &self.stage)?;
        running.first_answer().await?;
        self.upstream.set_stream(3, Duration::from_millis(1));
        let request = wire::request(264, true, subject.asking());
        let stream = async {
            let mut client = Client::connect(running.address).await?;
            client.open_stream(&request).await?;
            client.finish_stream().await
        };
        let streamed = timeout(DEADLINE, stream).await?;
        streamed
            .map_err(|error| io::Error::other(format!("{subject} does not stream: {error}")))?;
        Ok(running)
    }

    async fn measure(&self, what: What, running: &Running) -> io::Result<Vec<(Row, f64)>> {
        let measurement = async {
            match what {
                What::Small => self.small(running).await,
                What::Large => self.large(running).await,
                What::Sse => self.events(running).await,
                What::Latency => self.latency(running).await,
                What::Memory => self.stream_memory(running.subject).await,
                What::Start => self.beginning(running.subject).await,
            }
        };
        timeout(DEADLINE, measurement).await?
    }

    async fn small(&self, running: &Running) -> io::Result<Vec<(Row, f64)>> {
        let request: Rc<[u8]> = wire::request(264, false, running.subject.asking()).into();
        let cost = load::requests(running, &request, CONNECTIONS, &self.effort).await?;
        Ok(vec![
            (Row::SmallRequest, cost.cpu_micros),
            (Row::SmallCore, cost.core_percent),
        ])
    }

    async fn large(&self, running: &Running) -> io::Result<Vec<(Row, f64)>> {
        let mut found = Vec::new();
        for (row, body_bytes) in [
            (Row::MediumRequest, 32 * 1024),
            (Row::LargeRequest, 1024 * 1024),
        ] {
            let request: Rc<[u8]> =
                wire::request(body_bytes, false, running.subject.asking()).into();
            let cost = load::requests(running, &request, CONNECTIONS_LARGE, &self.effort).await?;
            found.push((row, cost.cpu_micros));
        }
        Ok(found)
    }

    async fn events(&self, running: &Running) -> io::Result<Vec<(Row, f64)>> {
        self.upstream.set_stream(EVENTS_MAX, EVENT_INTERVAL);
        let request: Rc<[u8]> = wire::request(264, true, running.subject.asking()).into();
        let cost = load::events(running, &request, EVENT_STREAMS, &self.effort).await?;
        Ok(vec![(Row::Event, cost.cpu_micros)])
    }

    /// What the proxy adds to the upstream's own time, which is measured just before.
    async fn latency(&self, running: &Running) -> io::Result<Vec<(Row, f64)>> {
        let asking = running.subject.asking();
        let request = wire::request(264, false, asking);
        let samples = self.effort.latency_samples;
        let direct = load::paced(self.stage.upstream, &request, asking, samples).await?;
        let proxied = load::paced(running.address, &request, asking, samples).await?;
        let added =
            |with: Duration, without: Duration| (with.as_secs_f64() - without.as_secs_f64()) * 1e6;
        Ok(vec![
            (Row::AddedMedian, added(proxied.median, direct.median)),
            (Row::AddedP99, added(proxied.p99, direct.p99)),
        ])
    }

    async fn stream_memory(&self, subject: Subject) -> io::Result<Vec<(Row, f64)>> {
        machine::check_descriptor_limit(self.effort.streams)?;
        let mut running = Running::start(subject, &self.stage)?;
        running.first_answer().await?;
        sleep(self.effort.settle).await;
        let before = running.resident_bytes()?;
        self.upstream.set_stream(EVENTS_MAX, IDLE_STREAM_INTERVAL);
        let request: Rc<[u8]> = wire::request(264, true, running.subject.asking()).into();
        let streams = load::open_streams(&running, &request, self.effort.streams).await?;
        sleep(self.effort.settle).await;
        let grown = running.resident_bytes()?.saturating_sub(before);
        Ok(vec![(
            Row::StreamMemory,
            grown as f64 / 1024.0 / streams.len() as f64,
        )])
    }

    async fn beginning(&self, subject: Subject) -> io::Result<Vec<(Row, f64)>> {
        let mut running = Running::start(subject, &self.stage)?;
        let first_answer = running.first_answer().await?;
        sleep(self.effort.settle).await;
        let idle = running.resident_bytes()? as f64 / 1024.0 / 1024.0;
        Ok(vec![
            (Row::FirstAnswer, first_answer.as_secs_f64() * 1e3),
            (Row::IdleMemory, idle),
        ])
    }
}
