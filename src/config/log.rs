//! What is told of each request, where, and how?

use std::path::PathBuf;
use std::time::Duration;

/// Records that may be kept in mind: some 300 MiB where each is as large as one can be.
pub const RECENT_MAX: usize = 1 << 16;

/// `[log]`
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Where the line of each request goes.
    pub requests: LogTarget,
    /// How it is written.
    pub format: LogFormat,
    /// The share of requests that went well which are written, 0 to 1.
    pub sample: f64,
    /// What takes longer is slow; zero: nothing is.
    pub slow: Duration,
    /// What is told of a caller's address.
    pub client: LogClient,
    /// Whether the program is told that a caller says it uses.
    pub user_agent: bool,
    /// How many of the last requests are kept in mind; 0: none.
    pub recent: usize,
}

/// Where the line of each request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

/// How a request's line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// `name=value` pairs.
    Logfmt,
    /// One short line for people.
    Text,
}

/// What is told of a caller's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogClient {
    /// All of it.
    Full,
    /// The /24 of an IPv4 and the /48 of an IPv6 address.
    Truncated,
    /// A number that is the same for a day.
    Hashed,
}
