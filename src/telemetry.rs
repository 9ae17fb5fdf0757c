//! What does the process tell about itself?
//!
//! Two logs that never mix. The log of the process (here) is for what changed or went
//! wrong, goes to standard error and is written in place: it is rare. The request log
//! ([`request_log`]) has a line for each request and goes where the operator says.
//!
//! The debug output of the libraries below us prints what must never be in a log:
//! pingora's shows upstream credentials and what clients sent, those of HTTP, TLS and
//! the object stores show headers. So these are capped, whatever `RUST_LOG` says:
//! nobody who turns debugging on in a bad hour should have to know.

/// One line for each request, off the request's path.
mod request_log;
/// Whose address would be in the log?
mod unaddressed;

use std::io;

pub use request_log::{Form, RequestLog, Sink};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, fmt};
pub(crate) use unaddressed::NOT_LET_IN;
use unaddressed::Unaddressed;

/// What is logged where nothing else is said.
const FILTER_DEFAULT: &str = "info";

/// The most that is ever logged of a library, by the beginning of its targets.
const CAPS: [(&str, LevelFilter); 9] = [
    ("pingora", LevelFilter::INFO),
    ("object_store", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    ("rustls", LevelFilter::WARN),
    ("tokio_rustls", LevelFilter::WARN),
    ("aws_lc", LevelFilter::WARN),
    ("quick_xml", LevelFilter::WARN),
];

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not understood.
    #[error("RUST_LOG={text:?} is not understood: {source}; it takes, say, info or spafe=debug")]
    Filter {
        /// What it says.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// There is a log already.
    #[error("the log is set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets the log of the process up: on standard error, for people on a terminal and as
/// JSON elsewhere. What pingora and others write through the `log` crate comes along.
///
/// `filter` is the text of `RUST_LOG`; `None` or empty is `info`.
///
/// # Errors
///
/// [`TelemetryError`], where the filter is wrong or this is called twice.
pub fn init(filter: Option<&str>, is_terminal: bool) -> Result<(), TelemetryError> {
    subscriber(filter, is_terminal, io::stderr)?.try_init()?;
    Ok(())
}

fn subscriber<W>(
    filter: Option<&str>,
    is_terminal: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let text = filter.filter(|text| !text.trim().is_empty());
    let text = text.unwrap_or(FILTER_DEFAULT);
    let wanted = EnvFilter::try_new(text).map_err(|source| TelemetryError::Filter {
        text: text.to_owned(),
        source,
    })?;
    // No more than is wanted: what is below the most that any filter lets through is passed
    // over by one look at a number, and pingora says nine such things a request.
    let most = wanted.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let caps = Targets::new().with_default(most).with_targets(CAPS);
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
    Ok(tracing_subscriber::registry()
        .with(lines)
        .with(wanted)
        .with(caps))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is logged by `act` under a filter.
    fn logged(filter: Option<&str>, is_terminal: bool, act: fn()) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let subscriber = subscriber(filter, is_terminal, move || Lines(Arc::clone(&writer)));
        let guard = subscriber.unwrap().set_default();
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
            for part in ["203.0.113", "2001:db8", "4711"] {
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
            let subscriber = subscriber(filter, false, io::sink).unwrap();
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
