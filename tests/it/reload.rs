//! Is the configuration replaced without anybody noticing?
//!
//! A gateway follows its file however that is replaced, and nothing that is wrong with
//! it, or with whatever stands in its place, changes what is in force.

/// What is not applied, and how that is told.
mod bad;
/// What is replaced with the configuration, and what is not.
mod parts;
/// Under traffic.
mod traffic;
/// How a file is replaced.
mod ways;

use crate::kit::gateway::Setup;

/// A gateway that answers as `name` and follows its file quickly.
fn named(name: &str, upstream: &str) -> Setup {
    Setup::new()
        .tables("[reload]\ndebounce = \"50ms\"")
        .pool(name, &[upstream])
        .model("m", &[name])
}
