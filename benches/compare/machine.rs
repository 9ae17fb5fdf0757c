//! Which core does what, and what may this process open?
//!
//! The proxy under test has a core to itself. The generator and the upstream share
//! another, or have one each where the machine has three: neither may take time from the
//! proxy, and the proxy may not spread over cores that the others do not have.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Above this use of all cores before anything is measured, somebody else is measured too.
const BUSY_PERCENT_MAX: u64 = 10;

/// How long the machine is watched for that.
const WATCH: Duration = Duration::from_millis(500);

/// Descriptors that are asked for where the process may raise its own limit.
const DESCRIPTORS: u64 = 65_536;

/// Who runs where.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) proxy: usize,
    pub(crate) generator: usize,
    pub(crate) upstream: usize,
}

impl Cores {
    /// The first cores that this process may use.
    pub(crate) fn choose() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let (Some(proxy), Some(generator)) = (cores.next(), cores.next()) else {
            return Err(io::Error::other(
                "this needs two cores: one for the proxy, one for the generator and the upstream",
            ));
        };
        let upstream = cores.next().unwrap_or(generator);
        Ok(Self {
            proxy,
            generator,
            upstream,
        })
    }
}

/// Keep this thread, and what it starts from now on, on one core.
pub(crate) fn pin_this_thread(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// Raise the limit of open descriptors, for this process and for those it starts.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let wanted = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: Some(DESCRIPTORS),
    };
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Only root may raise the maximum; everybody may go up to it.
    let allowed = Rlimit {
        current: maximum,
        maximum,
    };
    Ok(setrlimit(Resource::Nofile, wanted).or_else(|_| setrlimit(Resource::Nofile, allowed))?)
}

/// Fail if this process may not open as many descriptors as `streams` need at both ends.
pub(crate) fn check_descriptor_limit(streams: usize) -> io::Result<()> {
    let needed = u64::try_from(streams * 2 + 500).map_err(io::Error::other)?;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => Err(io::Error::other(format!(
            "{streams} streams need {needed} descriptors, {limit} are allowed: `ulimit -n {needed}`",
        ))),
        _ => Ok(()),
    }
}

/// A warning, if the machine has something else to do. To be asked while nothing that
/// belongs to the bench runs; the load average would count its compilation.
pub(crate) fn busy_warning() -> Option<String> {
    let (busy_before, all_before) = ticks()?;
    thread::sleep(WATCH);
    let (busy, all) = ticks()?;
    let percent = busy.saturating_sub(busy_before) * 100 / all.saturating_sub(all_before).max(1);
    (percent > BUSY_PERCENT_MAX).then(|| {
        format!("others use {percent} % of this machine: these numbers are not to be trusted")
    })
}

/// The ticks of all cores so far: those in use, time stolen by a hypervisor included, and all.
fn ticks() -> Option<(u64, u64)> {
    let account = fs::read_to_string("/proc/stat").ok()?;
    let cores = account.lines().next()?.strip_prefix("cpu ")?;
    // user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted above.
    let ticks: Vec<u64> = cores
        .split_whitespace()
        .take(8)
        .filter_map(|t| t.parse().ok())
        .collect();
    let all = ticks.iter().sum::<u64>();
    let idle = ticks.iter().skip(3).take(2).sum::<u64>();
    Some((all.checked_sub(idle)?, all))
}
