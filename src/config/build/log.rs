//! What does `[log]` mean?

use crate::config::file::log as file;
use crate::config::log::{Log, LogClient, LogFormat, LogTarget};

pub(super) fn log(file: file::Log) -> Log {
    Log {
        requests: match file.requests {
            file::LogRequests::Word(file::LogWord::Off) => LogTarget::Off,
            file::LogRequests::Word(file::LogWord::Stdout) => LogTarget::Stdout,
            file::LogRequests::File(target) => LogTarget::File(target.file.0),
        },
        format: match file.format {
            file::LogFormat::Auto => LogFormat::Auto,
            file::LogFormat::Json => LogFormat::Json,
            file::LogFormat::Logfmt => LogFormat::Logfmt,
            file::LogFormat::Text => LogFormat::Text,
        },
        sample: file.sample,
        slow: file.slow.0,
        client: match file.client {
            file::LogClient::Full => LogClient::Full,
            file::LogClient::Truncated => LogClient::Truncated,
            file::LogClient::Hashed => LogClient::Hashed,
        },
        user_agent: file.user_agent,
        recent: file.recent,
    }
}
