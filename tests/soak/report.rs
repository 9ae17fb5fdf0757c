//! How did it go, second by second?
//!
//! Whoever runs for long is watched from outside, once a second: what it tells at `/metrics`,
//! and what the system says of its memory, descriptors and processor time. At the end stand
//! a table and a picture of it in `target/soak`, and a page with all pictures there are: a
//! number at the end says that something grew, a picture when.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kit::gateway::Gateway;
use crate::kit::now;
use crate::kit::told;

/// What one second is drawn of.
mod picture;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long `/metrics` may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One look at a gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// Since the first.
    pub(crate) at: Duration,
    /// Requests since the start, by how they ended.
    pub(crate) served: f64,
    pub(crate) refused: f64,
    pub(crate) failed: f64,
    /// How many requests took at most so many microseconds, since the start.
    took: BTreeMap<u64, f64>,
    pub(crate) connections: f64,
    pub(crate) in_flight: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) descriptors: usize,
    /// Since the start.
    pub(crate) processor: Duration,
}

/// Watches a gateway until it is told to stop, or let go of.
pub(crate) struct Watch {
    name: String,
    looks: Arc<Mutex<Vec<Look>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch; `name` is that of the files.
    pub(crate) fn begin(gateway: &Gateway, name: &str) -> Self {
        let looks = Arc::<Mutex<Vec<Look>>>::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (admin, pid, began) = (gateway.admin, gateway.pid(), now());
        let thread = std::thread::spawn({
            let (looks, is_over) = (Arc::clone(&looks), Arc::clone(&is_over));
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    // One that is too busy to tell is looked at again in the next second.
                    let look = Look::take(admin, pid, began);
                    looks.lock().unwrap().extend(look);
                    std::thread::sleep(EVERY);
                }
            }
        });
        Self {
            name: name.to_owned(),
            looks,
            is_over,
            thread: Some(thread),
        }
    }

    /// What was seen until now.
    pub(crate) fn looks(&self) -> Vec<Look> {
        self.looks.lock().unwrap().clone()
    }

    fn write(&self) -> io::Result<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/soak");
        std::fs::create_dir_all(&folder)?;
        let looks = self.looks();
        let seconds = Second::all(&looks);
        std::fs::write(folder.join(format!("{}.csv", self.name)), table(&seconds))?;
        let file = folder.join(format!("{}.svg", self.name));
        picture::draw(&file, &self.name, &seconds).map_err(io::Error::other)?;
        picture::page(&folder)?;
        Ok(file)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        match self.write() {
            Ok(file) => println!("drawn: {}", file.display()),
            Err(error) => println!("{} is not drawn: {error}", self.name),
        }
    }
}

impl Look {
    fn take(admin: SocketAddr, pid: u32, began: Instant) -> io::Result<Self> {
        let told = metrics(admin)?;
        let mut look = Self {
            at: began.elapsed(),
            memory_bytes: told::resident_bytes(pid)?,
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            processor: told::processor_time(pid)?,
            ..Self::default()
        };
        for line in told.lines().filter(|line| !line.starts_with('#')) {
            if let Some((series, value)) = line.rsplit_once(' ') {
                look.read(series, value.parse().unwrap_or(0.0));
            }
        }
        Ok(look)
    }

    fn read(&mut self, series: &str, value: f64) {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let label = |name: &str| {
            let behind = labels.split(&format!("{name}=\"")).nth(1)?;
            behind.split('"').next()
        };
        match name {
            "spafe_requests_total" => match label("outcome") {
                Some("served") => self.served += value,
                Some("upstream_failed" | "stream_broken") => self.failed += value,
                _ => self.refused += value,
            },
            "spafe_request_duration_seconds_bucket" => {
                let most =
                    label("le").and_then(|le| Duration::try_from_secs_f64(le.parse().ok()?).ok());
                let most = most.and_then(|most| u64::try_from(most.as_micros()).ok());
                *self.took.entry(most.unwrap_or(u64::MAX)).or_default() += value;
            }
            "spafe_connections" => self.connections += value,
            "spafe_requests_in_flight" => self.in_flight += value,
            _ => {}
        }
    }
}

/// What happened between two looks.
struct Second {
    at: f64,
    served: f64,
    refused: f64,
    failed: f64,
    p50: f64,
    p99: f64,
    memory_mib: f64,
    descriptors: f64,
    connections: f64,
    in_flight: f64,
    cores: f64,
}

impl Second {
    fn all(looks: &[Look]) -> Vec<Self> {
        let pairs = looks.windows(2);
        pairs
            .map(|pair| Self::between(&pair[0], &pair[1]))
            .collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "it is drawn")]
    fn between(before: &Look, after: &Look) -> Self {
        let lasted = after.at.saturating_sub(before.at).as_secs_f64();
        let each = |of: fn(&Look) -> f64| (of(after) - of(before)) / lasted;
        let used = after.processor.saturating_sub(before.processor);
        Self {
            at: after.at.as_secs_f64(),
            served: each(|look| look.served),
            refused: each(|look| look.refused),
            failed: each(|look| look.failed),
            p50: quantile(before, after, 0.5),
            p99: quantile(before, after, 0.99),
            memory_mib: after.memory_bytes as f64 / 1024.0 / 1024.0,
            descriptors: after.descriptors as f64,
            connections: after.connections,
            in_flight: after.in_flight,
            cores: used.as_secs_f64() / lasted,
        }
    }
}

/// In milliseconds, as exactly as the buckets are.
#[expect(clippy::cast_precision_loss, reason = "it is drawn")]
fn quantile(before: &Look, after: &Look, share: f64) -> f64 {
    let counts = after.took.iter().map(|(most, count)| {
        let earlier = before.took.get(most).copied().unwrap_or(0.0);
        (*most, count - earlier)
    });
    let all = counts.clone().next_back().map_or(0.0, |(_, count)| count);
    let mut below = (0.0, 0.0);
    for (most, count) in counts.filter(|(most, _)| *most < u64::MAX) {
        let most = most as f64 / 1e3;
        if all > 0.0 && count >= share * all {
            let part = (share * all - below.1) / (count - below.1).max(1.0);
            return below.0 + (most - below.0) * part;
        }
        below = (most, count);
    }
    if all > 0.0 { below.0 } else { 0.0 }
}

fn table(seconds: &[Second]) -> String {
    let mut table = "seconds,served,refused,failed,p50_ms,p99_ms,memory_mib,descriptors,connections,in_flight,cores\n".to_owned();
    for second in seconds {
        let Second {
            at,
            served,
            refused,
            failed,
            p50,
            p99,
            memory_mib,
            descriptors,
            connections,
            in_flight,
            cores,
        } = second;
        let _ = writeln!(
            table,
            "{at:.1},{served:.0},{refused:.0},{failed:.0},{p50:.2},{p99:.2},{memory_mib:.1},{descriptors},{connections},{in_flight},{cores:.2}"
        );
    }
    table
}

fn metrics(admin: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
