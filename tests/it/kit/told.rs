//! What does a gateway tell of itself?
//!
//! Its log and its metrics are read as an operator would, and waited for, because
//! a request is told of after its client has the answer.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::client::Connection;
use super::gateway::{Gateway, LOOK_AGAIN};
use super::{PATIENCE, now, soon};

impl Gateway {
    /// The lines of the request log on standard output, once there are this many.
    pub(crate) async fn request_log(&self, lines: usize) -> Vec<Value> {
        soon("the request log", async {
            loop {
                let output = self.output();
                let logged = output.lines().filter(|line| line.starts_with('{'));
                // The log of the process is JSON as well, and has no request's id.
                let logged: Vec<Value> = logged
                    .map(|line| serde_json::from_str::<Value>(line).unwrap())
                    .filter(|line| line.get("request_id").is_some())
                    .collect();
                if logged.len() >= lines {
                    return logged;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await
    }

    /// The value of a metric that stands once, as `/metrics` tells it.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let mut admin = Connection::open(self.admin).await;
        admin
            .send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n")
            .await;
        let text = admin.answer().await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("no metric {name} in\n{text}"));
        line.trim().parse().unwrap()
    }

    /// The line that the request of this id left in the log, once it is there.
    pub(crate) async fn logged(&self, request_id: &str) -> Value {
        soon("a request's log line", async {
            loop {
                let output = self.output();
                let mut lines = output.lines().filter_map(|line| {
                    serde_json::from_str::<Value>(line)
                        .ok()
                        .filter(|line| line["request_id"] == request_id)
                });
                if let Some(line) = lines.next_back() {
                    return line;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await
    }

    /// Waits until a metric's series has this value; one that is not exported is 0.
    pub(crate) async fn counts(&self, series: &str, expected: u64) {
        let mut seen = 0;
        let deadline = now() + PATIENCE;
        while now() < deadline {
            let mut admin = Connection::open(self.admin).await;
            admin
                .send("GET /metrics HTTP/1.1\r\nHost: admin.test\r\n\r\n")
                .await;
            let text = admin.answer().await.text();
            let found = text.lines().find_map(|line| line.strip_prefix(series));
            seen = found.map_or(0, |value| value.trim().parse().unwrap());
            if seen == expected {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("{series} stayed {seen}, not {expected}");
    }

    /// Waits until the series of `name` that have all of `labels` (`pool="p"`) come to `expected`
    /// together.
    pub(crate) async fn counts_in_all(&self, name: &str, labels: &[&str], expected: u64) {
        let mut seen = 0;
        let deadline = now() + PATIENCE;
        while now() < deadline {
            let text = self.metrics().await;
            let values = text.lines().filter_map(|line| {
                let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
                let has = |label: &&str| series.contains(*label);
                (series.starts_with('{') && labels.iter().all(has)).then_some(value)
            });
            seen = values.map(|value| value.parse::<u64>().unwrap()).sum();
            if seen == expected {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("{name}{labels:?} stayed {seen}, not {expected}");
    }

    /// The most memory that was ever resident.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes: u64 = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kibibytes * 1024
    }

    /// The processor time that the program has used.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time(self.pid()).unwrap()
    }

    /// The memory the program holds, as the system counts it.
    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid()).unwrap()
    }
}

/// The processor time that a process has used.
pub(crate) fn processor_time(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which stands in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
    // In hundredths of a second, whatever the machine: proc(5), utime and stime.
    Ok(Duration::from_millis((ticks(12) + ticks(13)) * 10))
}

/// The memory that a process holds, as the system counts it.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    // One that has ended and is not waited for has none.
    let kib: Option<u64> = kib.and_then(|kib| kib.parse().ok());
    Ok(kib.ok_or(io::ErrorKind::NotFound)? * 1024)
}
