//! What is told of `[log]`?

use serde_json::{Value, json};

use crate::config::log::{Log, LogClient, LogFormat, LogTarget};
use crate::config::units::duration_text;

pub(super) fn log(log: &Log) -> Value {
    let Log {
        requests,
        format,
        sample,
        slow,
        client,
        user_agent,
        recent,
    } = log;
    json!({
        "requests": match requests {
            LogTarget::Off => json!("off"),
            LogTarget::Stdout => json!("stdout"),
            LogTarget::File(path) => json!({ "file": path }),
        },
        "format": match format {
            LogFormat::Auto => "auto",
            LogFormat::Json => "json",
            LogFormat::Logfmt => "logfmt",
            LogFormat::Text => "text",
        },
        "sample": sample,
        "slow": duration_text(*slow),
        "client": match client {
            LogClient::Full => "full",
            LogClient::Truncated => "truncated",
            LogClient::Hashed => "hashed",
        },
        "user_agent": user_agent,
        "recent": recent,
    })
}
