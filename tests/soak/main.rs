//! Does the real program keep its promises for long, or under more than it can do?
//!
//! What takes minutes or wants the machine for itself stands here and not beside the
//! integration tests, whose kit it uses: `make soak` runs it, `make test` only compiles
//! it. One file for each theme; each run is bounded in time, says what it measured, and
//! is shorter where `SPAFE_SOAK_SECONDS` says so.

#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside, where time passes"
)]

/// What is measured here is measured with the allocator of the program.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The words of the integration tests, of which no theme here needs all.
#[cfg(test)]
#[path = "../it"]
#[expect(dead_code, reason = "each binary uses a part of the kit")]
mod shared {
    pub(crate) mod kit;
}
#[cfg(test)]
use shared::kit;

/// A caller that must notice nothing, and what must be as it was.
#[cfg(test)]
mod siege;
/// Clients that say little, or take little, by the thousand.
#[cfg(test)]
mod clients;
/// And clients that say too much, frame by frame.
#[cfg(test)]
mod http2;
/// Process after process, and nobody notices.
#[cfg(test)]
mod upgrade;
/// A stop at full load.
#[cfg(test)]
mod drain;
/// Configurations that come and go.
#[cfg(test)]
mod reload;
/// Targets that fail, flap, or seem to.
#[cfg(test)]
mod failing;
/// More answers than there is room for.
#[cfg(test)]
mod cache;
/// A million callers who come once.
#[cfg(test)]
mod limits;
/// What replicas let in together, and what it costs to lose Redis.
#[cfg(test)]
mod together;
/// One caller that asks for a hundred times its share.
#[cfg(test)]
mod fairness;
/// Names that nobody has heard of, a hundred thousand of them.
#[cfg(test)]
mod names;
/// One question, asked by thousands.
#[cfg(test)]
mod hot;
/// A million answers, each for one caller.
#[cfg(test)]
mod mixed;
/// Callers, open loop and closed.
#[cfg(test)]
mod load;
/// A million questions that are nearly another.
#[cfg(test)]
mod cache_key;
/// How it went, second by second.
#[cfg(test)]
mod report;
/// Processors that others have.
#[cfg(test)]
mod starved;
/// As many streams as there can be.
#[cfg(test)]
mod streams;
/// A million bodies, and whoever reads them.
#[cfg(test)]
mod readers;
/// Bodies that were made to be dear.
#[cfg(test)]
mod costly;
/// More than the gateway can do.
#[cfg(test)]
mod overload;

/// How long a theme's run lasts: `SPAFE_SOAK_SECONDS`, else its own time.
#[cfg(test)]
fn lasting(seconds: u64) -> std::time::Duration {
    let wished = std::env::var("SPAFE_SOAK_SECONDS").ok();
    let wished = wished.map(|seconds| seconds.parse().expect("SPAFE_SOAK_SECONDS is a number"));
    std::time::Duration::from_secs(wished.unwrap_or(seconds))
}
