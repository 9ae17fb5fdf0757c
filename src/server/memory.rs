//! How much memory does the process hold, and how much may it?
//!
//! A thread of its own looks ten times a second, however busy the others are: one read of a file of
//! the kernel's. Where a control group allows less than `memory_max`, that is the bound, because
//! whoever goes beyond it is killed. What can be given up is given up first: answers that are kept.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::config::bounds::Bounds;
use crate::gateway::Gateway;
use crate::gateway::pressure::Pressure;
use crate::sys;

/// Between two looks. What can be sent in that time through 10 Gbit/s is 125 MB.
const EVERY: Duration = Duration::from_millis(100);
/// How often what is kept is given up, for as long as there is too little.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// What the control group of the process allows; `None`: any amount.
pub(super) fn allowed() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    allowed_in(Path::new("/sys/fs/cgroup"), &groups)
}

/// The least of what the group and those around it allow, of either version.
fn allowed_in(root: &Path, groups: &str) -> Option<u64> {
    let mut least = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = root.join(path.trim_start_matches('/'));
        let around = group.ancestors().take_while(|at| at.starts_with(&root));
        // In a container the path may be another's; the root is then its own.
        let said = around.filter_map(|at| fs::read_to_string(at.join(file)).ok());
        let bytes = said.filter_map(|text| text.trim().parse::<u64>().ok());
        least = bytes.chain(least).min();
    }
    least
}

/// Keeps `memory_max` within what is allowed. Whatever configuration is used is to be fitted.
pub(super) fn fit(bounds: &mut Bounds, allowed: Option<u64>) {
    let allowed = allowed.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    if bounds.memory_max > allowed {
        tracing::warn!(
            "bounds.memory_max is {allowed} and not {}: that is what the control group allows",
            bounds.memory_max
        );
        bounds.memory_max = allowed;
    }
}

/// Looks for as long as there is a gateway.
///
/// # Errors
/// Where there can be no further thread.
pub(super) fn watch(gateway: &Arc<Gateway>) -> io::Result<()> {
    let gateway = Arc::downgrade(gateway);
    let look = std::thread::Builder::new().name("spafe-memory".to_owned());
    look.spawn(move || watch_forever(&gateway)).map(|_| ())
}

#[expect(
    clippy::disallowed_methods,
    reason = "it has a thread of its own, and blocks no other"
)]
fn watch_forever(gateway: &Weak<Gateway>) {
    let mut forgotten: Option<Instant> = None;
    while let Some(gateway) = gateway.upgrade() {
        if let Some(held_bytes) = held_bytes() {
            look(&gateway, held_bytes, &mut forgotten, sys::instant());
        }
        drop(gateway);
        std::thread::sleep(EVERY);
    }
}

fn look(gateway: &Gateway, held_bytes: u64, forgotten: &mut Option<Instant>, now: Instant) {
    let bytes_max = gateway.snapshot.load().config.bounds.memory_max;
    let before = gateway.memory.pressure();
    let pressure = before.after(held_bytes, bytes_max);
    if pressure != before {
        gateway.memory.set(pressure);
        gateway.metrics.load.memory_pressure.set(pressure as i64);
        tell(pressure, held_bytes, bytes_max);
    }
    let is_due = forgotten.is_none_or(|at| now.saturating_duration_since(at) >= FORGET_EVERY);
    if pressure > Pressure::None && is_due {
        gateway.cache.forget_all();
        *forgotten = Some(now);
    }
}

fn tell(pressure: Pressure, held_bytes: u64, bytes_max: usize) {
    match pressure {
        Pressure::None => tracing::info!(held_bytes, bytes_max, "there is memory again"),
        Pressure::High => tracing::warn!(
            held_bytes,
            bytes_max,
            "memory is short: requests to models are refused, and no answer is kept; lower the other bounds, or raise bounds.memory_max where there is more"
        ),
        Pressure::Full => tracing::warn!(
            held_bytes,
            bytes_max,
            "there is no memory left: connections are refused, too"
        ),
    }
}

/// What the process has in memory.
fn held_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_holds_what_it_has_filled() {
        let before = held_bytes().unwrap();
        let filled = vec![7_u8; 64 << 20];
        assert!(held_bytes().unwrap() >= before + (60 << 20));
        drop(filled);
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str, text: &str| {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let allowed = |groups: &str| allowed_in(folder.path(), groups);
        assert_eq!(allowed("0::/a/b\n"), None);
        put("a/memory.max", "3000\n");
        put("a/b/memory.max", "max\n");
        put("memory/c/memory.limit_in_bytes", "2000\n");
        assert_eq!(allowed("0::/a/b\n"), Some(3000));
        assert_eq!(
            allowed("4:cpu,cpuacct:/c\n3:memory:/c\n0::/a/b\n"),
            Some(2000)
        );
        assert_eq!(allowed("0::/elsewhere\n"), None);
        put("memory.max", "1000");
        assert_eq!(allowed("0::/elsewhere\n"), Some(1000));
        assert_eq!(allowed("nonsense"), None);
    }

    #[test]
    fn the_group_bounds_what_is_written() {
        let mut bounds = crate::config::example("").bounds;
        fit(&mut bounds, None);
        assert_eq!(bounds.memory_max, 1 << 30);
        fit(&mut bounds, Some(2 << 30));
        assert_eq!(bounds.memory_max, 1 << 30);
        fit(&mut bounds, Some(512 << 20));
        assert_eq!(bounds.memory_max, 512 << 20);
    }
}
