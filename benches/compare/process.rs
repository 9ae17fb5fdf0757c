//! What has a process used so far?
//!
//! CPU time is the scheduler's own account, in nanoseconds and per thread
//! (`/proc/PID/task/*/schedstat`): `utime` and `stime` come in ticks of 10 ms, which is a
//! percent of a measurement's window. Work that the kernel does on loopback on behalf of
//! a sender is in the sender's account, for every subject alike.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

/// CPU time of a process at one moment, per thread.
pub(crate) struct CpuTime(BTreeMap<String, Duration>);

impl CpuTime {
    /// The account of the process as it stands now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            // A thread may end between the listing and the reading.
            let Ok(account) = fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let nanoseconds = account
                .split_whitespace()
                .next()
                .and_then(|text| text.parse().ok());
            let nanoseconds = nanoseconds.ok_or_else(|| {
                io::Error::other("schedstat has no numbers: the kernel lacks CONFIG_SCHED_INFO")
            })?;
            let name = thread.file_name().to_string_lossy().into_owned();
            threads.insert(name, Duration::from_nanos(nanoseconds));
        }
        Ok(Self(threads))
    }

    /// What was used since `earlier`. A thread that ended in between took its account along.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let used = self.0.iter().map(|(thread, now)| {
            now.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
        });
        used.sum()
    }
}

/// Resident memory of a process, in bytes.
///
/// From `smaps_rollup`, which counts pages: `VmRSS` lags behind by some dozens of them
/// for every core.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let kibibytes = kibibytes.ok_or_else(|| io::Error::other("smaps_rollup has no line Rss"))?;
    Ok(kibibytes * 1024)
}
