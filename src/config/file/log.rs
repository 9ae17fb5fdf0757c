//! What does `[log]` look like?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileRef, seconds};
use crate::config::log::RECENT_MAX;
use crate::config::notation::{LengthOrZero, Written};

/// What is told of each request, where, and how.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Log {
    /// `"off"`, `"stdout"` or `{ file = "PATH" }`.
    pub(in crate::config) requests: LogRequests,
    /// How the line is written.
    pub(in crate::config) format: LogFormat,
    /// The share of requests that went well which leave a line.
    #[schemars(range(min = 0, max = 1))]
    pub(in crate::config) sample: f64,
    /// What takes longer is marked and always leaves a line; `0s`: nothing does.
    pub(in crate::config) slow: Written<LengthOrZero>,
    /// What is told of a caller's address.
    pub(in crate::config) client: LogClient,
    /// Whether the program is told that a caller says it uses.
    pub(in crate::config) user_agent: bool,
    /// How many of the last requests the admin listener can tell; 0: none.
    #[schemars(range(max = RECENT_MAX))]
    pub(in crate::config) recent: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            requests: LogRequests::Word(LogWord::Stdout),
            format: LogFormat::Auto,
            sample: 1.0,
            slow: Written(seconds(10).0),
            client: LogClient::Truncated,
            user_agent: true,
            recent: 100,
        }
    }
}

/// Where the line of each request goes.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum LogRequests {
    /// Nowhere, or standard output.
    Word(LogWord),
    /// To the end of a file.
    File(FileRef),
}

/// A place for request lines that needs no path.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LogWord {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
}

/// How a request's line is written.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// Pairs of a name and a value.
    Logfmt,
    /// One short line for people.
    Text,
}

/// What is told of a caller's address.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LogClient {
    /// All of it.
    Full,
    /// The network that it is in.
    Truncated,
    /// A number that is the same for a day.
    Hashed,
}
