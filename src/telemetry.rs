//! What does the process tell about itself?
//!
//! Two logs that never mix. The log of the process (here) is for what changed or went
//! wrong, goes to standard error and is written in place: it is rare. Nobody waits for who reads it
//! ([`unread`]). The request log ([`request_log`]) has a line for each request and goes where the
//! operator says.
//!
//! The debug output of the libraries below us prints what must never be in a log:
//! pingora's shows upstream credentials and what clients sent, those of HTTP, TLS and
//! the object stores show headers. So these are capped, whatever `RUST_LOG` says:
//! nobody who turns debugging on in a bad hour should have to know.

/// One line for each request, off the request's path.
mod request_log;
/// What is let into the log?
pub mod filter;
/// Whose address would be in the log?
mod unaddressed;
/// What if nobody reads it?
pub mod unread;

use std::io;

use filter::{FilterError, LogFilter};
pub use request_log::{Form, RequestLog, Sink};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};
pub(crate) use unaddressed::NOT_LET_IN;
use unaddressed::Unaddressed;
use unread::Unread;

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not understood.
    #[error("RUST_LOG={0}")]
    Filter(#[from] FilterError),
    /// There is a log already.
    #[error("the log is set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets the log of the process up: on standard error, for people on a terminal and as
/// JSON elsewhere. What pingora and others write through the `log` crate comes along.
///
/// `filter` is the text of `RUST_LOG`; `None` or empty is `info`. What is given back replaces it.
///
/// # Errors
///
/// [`TelemetryError`], where the filter is wrong or this is called twice.
pub fn init(filter: Option<&str>, is_terminal: bool) -> Result<LogFilter, TelemetryError> {
    let (subscriber, filter) = subscriber(filter, is_terminal, || Unread(io::stderr().lock()))?;
    subscriber.try_init()?;
    Ok(filter)
}

fn subscriber<W>(
    filter: Option<&str>,
    is_terminal: bool,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, LogFilter), FilterError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let writer = Unaddressed(writer);
    let lines = if is_terminal {
        fmt::layer().with_writer(writer).boxed()
    } else {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_ansi(false)
            .with_writer(writer)
            .boxed()
    };
    let (layer, filter) = filter::layer(filter)?;
    let subscriber = tracing_subscriber::registry().with(lines).with(layer);
    Ok((subscriber, filter))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn another_filter_comes_into_force_for_a_while_and_the_caps_stay() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let writer = move || Lines(Arc::clone(&writer));
        let (subscriber, filter) = subscriber(Some("warn"), false, writer).unwrap();
        let guard = subscriber.set_default();
        let told = |word: &str| {
            tracing::debug!(target: "spafe", "ours {word}");
            tracing::debug!(target: "pingora_core", "theirs {word}");
            let text = String::from_utf8(std::mem::take(&mut *lines.lock().unwrap())).unwrap();
            assert!(!text.contains("theirs"), "{text}");
            text.contains("ours")
        };
        assert!(!told("before"));
        assert_eq!(LevelFilter::current(), LevelFilter::WARN);
        let first = filter.set("trace", true).unwrap();
        assert!(told("for a while"));
        // Another one for a while, and behind both comes what was there before.
        let second = filter.set("spafe=debug,pingora_core=trace", true).unwrap();
        assert!(!filter.end(first), "it is not in force any more");
        assert!(told("still"));
        assert_eq!(LevelFilter::current(), LevelFilter::TRACE);
        assert!(filter.end(second));
        assert!(!told("after"));
        assert_eq!(filter.in_force().filter, "warn");
        assert_eq!(LevelFilter::current(), LevelFilter::WARN);
        let error = filter.set("spafe=loud", false).unwrap_err().to_string();
        assert!(error.contains("spafe=loud"), "{error}");
        assert_eq!(filter.in_force().filter, "warn");
        let good = filter.set("spafe=debug", false).unwrap();
        assert!(!filter.end(good) && told("for good"));
        drop(guard);
    }

    /// What is logged by `act` under a filter.
    fn logged(filter: Option<&str>, is_terminal: bool, act: fn()) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let subscriber = subscriber(filter, is_terminal, move || Lines(Arc::clone(&writer)));
        let guard = subscriber.unwrap().0.set_default();
        act();
        drop(guard);
        String::from_utf8(lines.lock().unwrap().clone()).unwrap()
    }

    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_libraries_stay_silent_whatever_the_filter_says() {
        for filter in [
            "trace",
            "pingora_core=trace,h2=debug,hyper_util=trace,rustls=debug",
            "info,pingora_core::connectors=debug",
        ] {
            let lines = logged(Some(filter), false, || {
                log::debug!(target: "pingora_core::connectors", "secret 1");
                log::trace!(target: "pingora_proxy", "secret 2");
                tracing::debug!(target: "pingora_core::protocols::http", "secret 3");
                tracing::debug!(target: "h2::codec", "secret 4");
                tracing::warn!(target: "h2::proto::ping_pong", "what a peer sent");
                tracing::trace!(target: "hyper_util::client", "secret 5");
                tracing::info!(target: "rustls::client", "secret 6");
                log::debug!(target: "rustls::client", "secret 7");
                tracing::debug!(target: "object_store::aws", "secret 8");
            });
            assert_eq!(lines, "", "{filter}");
        }
    }

    #[test]
    fn what_may_be_told_is_told() {
        let lines = logged(Some("trace"), false, || {
            log::warn!(target: "pingora_core", "bridged");
            log::info!(target: "pingora_core", "started");
            tracing::trace!(target: "spafe::gateway", "ours");
            tracing::warn!(target: "rustls::client", "certificate");
        });
        for part in ["bridged", "started", "ours", "certificate"] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
    }

    #[test]
    fn a_failed_handshake_is_told_without_an_address() {
        let act = || {
            log::error!(target: "pingora_core", "Downstream handshake error from 203.0.113.77:4711: eof");
            log::error!(target: "pingora_core", "Downstream handshake error from [2001:db8::77]:4711: eof");
            log::error!(target: "pingora_core", "Downstream handshake error from 203.0.113.77:4711: {NOT_LET_IN}");
        };
        for is_terminal in [false, true] {
            let lines = logged(None, is_terminal, act);
            for part in ["203.0.113", "2001:db8", ":4711"] {
                assert!(!lines.contains(part), "{part}: {lines}");
            }
            assert_eq!(
                lines.matches("TLS handshake failed: eof").count(),
                2,
                "{lines}"
            );
            assert_eq!(lines.lines().count(), 2, "{lines}");
        }
        let line = logged(None, false, || {
            log::error!(target: "pingora_core", "Downstream handshake error from 1.2.3.4:5: eof");
        });
        assert!(
            serde_json::from_str::<serde_json::Value>(&line).is_ok(),
            "{line}"
        );
    }

    #[test]
    fn info_is_the_default_and_an_empty_filter_is_none() {
        for filter in [None, Some(""), Some(" ")] {
            let lines = logged(filter, false, || {
                tracing::info!(target: "spafe", "seen");
                tracing::debug!(target: "spafe", "unseen");
            });
            assert!(lines.contains("\"seen\""), "{filter:?}: {lines}");
            assert!(!lines.contains("unseen"), "{filter:?}: {lines}");
        }
    }

    #[test]
    fn what_nobody_wants_is_known_before_it_is_asked_about() {
        let most = |filter| {
            let (subscriber, _) = subscriber(filter, false, io::sink).unwrap();
            subscriber.max_level_hint()
        };
        assert_eq!(most(None), Some(LevelFilter::INFO));
        assert_eq!(most(Some("spafe=debug")), Some(LevelFilter::DEBUG));
    }

    #[test]
    fn off_a_terminal_each_line_is_json() {
        let lines = logged(None, false, || {
            tracing::info!(target: "spafe", pool = "openai", "target down");
            log::info!(target: "pingora_core", "Bye");
        });
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["pool"], "openai");
        assert_eq!(lines[0]["message"], "target down");
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[1]["target"], "pingora_core");
        let line = logged(None, true, || tracing::info!(target: "spafe", "for people"));
        assert!(
            line.contains("for people") && !line.starts_with('{'),
            "{line}"
        );
    }

    #[test]
    fn a_filter_that_is_not_understood_is_an_error() {
        let result = subscriber(Some("spafe=loud"), false, io::sink).map(|_| ());
        let error = result.unwrap_err().to_string();
        assert!(error.contains("spafe=loud"), "{error}");
    }
}
