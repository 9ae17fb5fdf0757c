//! Which core does what, and what may this process open?
//!
//! The proxy under test has a core to itself. The generator and the upstream share
//! another, or have one each where the machine has three: neither may take time from the
//! proxy, and the proxy may not spread over cores that the others do not have.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Above this use of all cores by others, somebody else was measured too.
const OTHERS_PERCENT_MAX: u64 = 10;

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

/// Ticks of CPU time up to one moment.
pub(crate) struct Ticks {
    /// All cores together, in use or not.
    all: u64,
    /// In user or system mode, or stolen by a hypervisor.
    used: u64,
    /// Of these, by this process and the ended ones that it had started.
    own: u64,
}

impl Ticks {
    /// As the kernel counts them now; `None` where it does not say.
    pub(crate) fn now() -> Option<Self> {
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let cores = machine.lines().next()?.strip_prefix("cpu ")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is in these.
        let cores = cores.split_whitespace().take(8);
        let cores: Vec<u64> = cores.filter_map(|ticks| ticks.parse().ok()).collect();
        let used = [0, 1, 2, 7]
            .into_iter()
            .filter_map(|place| cores.get(place))
            .sum();
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        // What follows the name, which may have spaces: eleven other fields, then utime,
        // stime, and both again of the children that were waited for.
        let (_, own) = own.rsplit_once(')')?;
        let own = own.split_whitespace().skip(11).take(4);
        let own = own.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Some(Self {
            all: cores.iter().sum(),
            used,
            own,
        })
    }

    /// A warning, if others have used much of the machine since `earlier`. Everything that
    /// was started in between has to have ended.
    pub(crate) fn warning_since(&self, earlier: &Self) -> Option<String> {
        let used = self.used.saturating_sub(earlier.used);
        let others = used.saturating_sub(self.own.saturating_sub(earlier.own));
        let percent = others * 100 / self.all.saturating_sub(earlier.all).max(1);
        (percent > OTHERS_PERCENT_MAX).then(|| {
            format!("others used {percent} % of this machine: these numbers are not to be trusted")
        })
    }
}
