//! What of a request is told?
//!
//! `[log]`, compiled. Whether a request that went well leaves a line is decided by its id and by
//! nothing else: so all replicas that a request passes through say the same, and a caller's
//! requests are not told by halves.

use std::time::{Duration, SystemTime};

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue};

use crate::config::Config;
use crate::config::log::{LogClient, LogFormat};
use crate::gateway::client::Client;
use crate::gateway::client::shown::Shown;
use crate::gateway::record::id::RequestId;
use crate::gateway::record::text::bounded;

/// What is told of requests.
#[derive(Debug)]
pub struct LogPolicy {
    /// How a line is written.
    pub format: LogFormat,
    /// The share of requests that went well which leave a line, 0 to 1.
    pub sample: f64,
    /// How many of the last requests are kept in mind.
    pub recent: usize,
    slow: Duration,
    client: LogClient,
    /// What replicas have in common, of which numbers for callers are made.
    secret: Option<[u8; 32]>,
    user_agent: bool,
}

impl LogPolicy {
    /// Compiles `[log]`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let log = &config.log;
        let shared = config.shared.as_ref();
        Self {
            format: log.format,
            sample: log.sample,
            recent: log.recent,
            slow: log.slow,
            client: log.client,
            secret: shared.map(|shared| {
                let secret = shared.secret.expose().as_bytes();
                blake3::derive_key("spafe 2026-11 clients in the request log", secret)
            }),
            user_agent: log.user_agent,
        }
    }

    /// Whether a request that took so long is slow.
    #[must_use]
    pub fn is_slow(&self, took: Duration) -> bool {
        !self.slow.is_zero() && took > self.slow
    }

    /// Whether a request that went well leaves a line.
    #[must_use]
    pub fn takes(&self, id: &RequestId) -> bool {
        if self.sample >= 1.0 {
            return true;
        }
        let hash = blake3::hash(id.as_str().as_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        let place = u32::from_be_bytes([a, b, c, d]);
        f64::from(place) < self.sample * 4_294_967_296.0
    }

    /// What is told of where a caller is. `own` is a secret of this process.
    #[must_use]
    pub fn shown(&self, client: &Client, at: SystemTime, own: &[u8; 32]) -> Shown {
        match self.client {
            LogClient::Full => Shown::Address(client.address),
            LogClient::Truncated => Shown::network(client.address),
            LogClient::Hashed => {
                let since = at.duration_since(SystemTime::UNIX_EPOCH);
                let day = since.unwrap_or_default().as_secs() / (24 * 60 * 60);
                let secret = self.secret.as_ref().unwrap_or(own);
                Shown::number(client.address, day, secret)
            }
        }
    }

    /// The program that a caller says it uses, as far as it is told.
    #[must_use]
    pub fn user_agent(&self, head: &HeaderMap) -> Option<Box<str>> {
        let said = head.get(USER_AGENT).filter(|_| self.user_agent)?;
        Some(readable(said))
    }
}

fn readable(value: &HeaderValue) -> Box<str> {
    // Beyond what is kept, nothing of it is looked at.
    let bytes = value.as_bytes();
    let bytes = bytes
        .get(..2 * super::text::TEXT_BYTES_MAX)
        .unwrap_or(bytes);
    bounded(&String::from_utf8_lossy(bytes)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(tables: &str) -> LogPolicy {
        LogPolicy::new(&crate::config::example(tables))
    }

    #[test]
    fn an_id_decides_and_its_share_is_what_was_asked_for() {
        let ids = |process| (0..10_000).map(move |number| RequestId::made(process, number));
        let taken = |sample: &str| {
            let policy = policy(&format!("[log]\nsample = {sample}"));
            let again = LogPolicy { ..policy };
            ids(7)
                .filter(|id| {
                    let takes = again.takes(id);
                    assert_eq!(takes, again.takes(id));
                    takes
                })
                .count()
        };
        assert_eq!(taken("1"), 10_000);
        assert_eq!(taken("0"), 0);
        let tenth = taken("0.1");
        assert!((850..1150).contains(&tenth), "{tenth}");
        // A larger share takes all that a smaller one does.
        let (tenth, half) = (policy("[log]\nsample = 0.1"), policy("[log]\nsample = 0.5"));
        assert!(ids(9).all(|id| !tenth.takes(&id) || half.takes(&id)));
    }

    #[test]
    fn slow_is_what_takes_longer_and_nothing_where_that_is_off() {
        let second = Duration::from_secs(1);
        let on = policy("[log]\nslow = \"1s\"");
        assert!(!on.is_slow(second) && on.is_slow(second + Duration::from_millis(1)));
        assert!(!policy("[log]\nslow = \"0s\"").is_slow(second * 1000));
    }

    #[test]
    fn an_address_is_told_as_it_was_asked_for() {
        let client = Client::new("203.0.113.77".parse().ok());
        let at = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + 5);
        let told = |client_form: &str, days, own| {
            let policy = policy(&format!("[log]\nclient = \"{client_form}\""));
            policy.shown(&client, at(days), &[own; 32]).to_string()
        };
        assert_eq!(told("full", 1, 0), "203.0.113.77");
        assert_eq!(told("truncated", 1, 0), "203.0.113.0/24");
        let hashed = told("hashed", 1, 0);
        assert!(hashed.len() == 16 && !hashed.contains('.'), "{hashed}");
        assert_ne!(hashed, told("hashed", 2, 0));
        assert_ne!(hashed, told("hashed", 1, 1));
    }

    #[test]
    fn what_a_caller_says_of_its_program_is_short_and_harmless() {
        let mut head = HeaderMap::new();
        assert_eq!(policy("").user_agent(&head), None);
        let said = [b"curl/8\x1b[31m\xff".as_slice(), &[b'x'; 5000]].concat();
        // No server reads such a value, but nothing here relies on that.
        let said: Vec<u8> = said.into_iter().filter(|byte| *byte >= 0x20).collect();
        head.insert(USER_AGENT, HeaderValue::from_bytes(&said).unwrap());
        let told = policy("").user_agent(&head).unwrap();
        assert!(told.len() <= 256 && told.starts_with("curl/8"), "{told}");
        assert_eq!(policy("[log]\nuser_agent = false").user_agent(&head), None);
    }
}
