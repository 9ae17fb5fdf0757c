//! What does the process log, and how is that changed while it runs?
//!
//! A filter in the words of `RUST_LOG`, which whoever operates the process may replace by another,
//! for good or for a while: a process whose behaviour one wants to see is the last that one wants
//! to restart. The caps on libraries are put over every filter anew. What no filter lets through
//! still costs one look at a number: the most of all of them is told to `tracing` and to `log`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::{Layer, Layered};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::{self, Handle};

/// What is logged where nothing else is said.
const FILTER_DEFAULT: &str = "info";

/// The longest filter that can be set: nobody writes more.
const FILTER_BYTES_MAX: usize = 4096;

/// The most that is ever logged of a library, by the beginning of its targets. What h2 warns of is what a
/// peer does, a line for each of its frames.
const CAPS: [(&str, LevelFilter); 10] = [
    ("pingora", LevelFilter::INFO),
    ("object_store", LevelFilter::INFO),
    ("h2", LevelFilter::ERROR),
    ("hyper", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    ("rustls", LevelFilter::WARN),
    ("tokio_rustls", LevelFilter::WARN),
    ("aws_lc", LevelFilter::WARN),
    ("quick_xml", LevelFilter::WARN),
    // It tells of each change of a file, and so of each line where that is logged to.
    ("notify", LevelFilter::INFO),
];

/// A filter, and the caps over it.
type Capped<S> = Layered<Targets, EnvFilter, S>;

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not understood.
    #[error("{text:?} is not understood: {source}; it takes, say, info or spafe=debug")]
    Words {
        /// What it says.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// It says more than anybody would.
    #[error("a filter has at most {FILTER_BYTES_MAX} bytes")]
    Long,
    /// There is no log to be filtered.
    #[error("the log of this process is not set up")]
    NoLog,
}

/// Puts a filter of this text in the place of what is there.
type Replace = dyn Fn(&str) -> Result<(), FilterError> + Send + Sync;

/// Replaces the filter of a log.
#[derive(Clone)]
pub struct LogFilter {
    replace: Arc<Replace>,
    state: Arc<Mutex<State>>,
}

/// Which filter is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its text.
    pub filter: String,
    /// What comes back, where this one is for a while.
    pub then: Option<String>,
}

#[derive(Debug)]
struct State {
    in_force: InForce,
    /// Counts the filters there were: one that is for a while ends only itself.
    number: u64,
}

/// A filter as long as nobody replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing(u64);

/// The layer that a text means, and what replaces it. `None` or empty is `info`.
pub(super) fn layer<S>(
    text: Option<&str>,
) -> Result<(reload::Layer<Capped<S>, S>, LogFilter), FilterError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    let text = text.map_or("", str::trim);
    let text = if text.is_empty() {
        FILTER_DEFAULT
    } else {
        text
    };
    let (layer, handle) = reload::Layer::new(capped(text)?);
    Ok((layer, LogFilter::new(handle, text)))
}

fn capped<S>(text: &str) -> Result<Capped<S>, FilterError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if text.len() > FILTER_BYTES_MAX {
        return Err(FilterError::Long);
    }
    let wanted = EnvFilter::try_new(text).map_err(|source| FilterError::Words {
        text: text.to_owned(),
        source,
    })?;
    // No more than is wanted: what is below the most that any filter lets through is passed
    // over by one look at a number, and pingora says nine such things a request.
    let most = Layer::<S>::max_level_hint(&wanted).unwrap_or(LevelFilter::TRACE);
    let caps = CAPS.map(|(target, cap)| (target, cap.min(most)));
    let caps = Targets::new().with_default(most).with_targets(caps);
    Ok(wanted.and_then(caps))
}

impl LogFilter {
    fn new<S>(handle: Handle<Capped<S>, S>, text: &str) -> Self
    where
        S: Subscriber + for<'a> LookupSpan<'a> + 'static,
    {
        let replace = move |text: &str| {
            let capped = capped(text)?;
            handle.reload(capped).map_err(|_| FilterError::NoLog)?;
            // What comes through the `log` crate is looked at there first.
            log::set_max_level(as_log(LevelFilter::current()));
            Ok(())
        };
        let in_force = InForce {
            filter: text.to_owned(),
            then: None,
        };
        let number = 0;
        Self {
            replace: Arc::new(replace),
            state: Arc::new(Mutex::new(State { in_force, number })),
        }
    }

    /// Which filter is in force.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.state().in_force.clone()
    }

    /// Puts another one into force: for good, or until it is ended.
    ///
    /// # Errors
    /// Where it is no filter; then nothing has changed.
    pub fn set(&self, text: &str, for_a_while: bool) -> Result<Passing, FilterError> {
        let text = text.trim();
        let text = if text.is_empty() {
            FILTER_DEFAULT
        } else {
            text
        };
        let mut state = self.state();
        (self.replace)(text)?;
        // Behind several that are for a while comes what was there before the first of them.
        let before = &mut state.in_force;
        let then = before.then.take().unwrap_or_else(|| before.filter.clone());
        state.in_force = InForce {
            filter: text.to_owned(),
            then: for_a_while.then_some(then),
        };
        state.number += 1;
        Ok(Passing(state.number))
    }

    /// Ends one that is for a while, unless another has come in its place. True where it did.
    #[must_use]
    pub fn end(&self, passing: Passing) -> bool {
        let mut state = self.state();
        if state.number != passing.0 {
            return false;
        }
        let Some(then) = state.in_force.then.take() else {
            return false;
        };
        // It was in force before.
        let has_ended = (self.replace)(&then).is_ok();
        state.in_force.filter = then;
        has_ended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest that a filter can be for a while.
pub const WHILE_MAX: Duration = Duration::from_hours(24);

fn as_log(level: LevelFilter) -> log::LevelFilter {
    match level {
        LevelFilter::OFF => log::LevelFilter::Off,
        LevelFilter::ERROR => log::LevelFilter::Error,
        LevelFilter::WARN => log::LevelFilter::Warn,
        LevelFilter::INFO => log::LevelFilter::Info,
        LevelFilter::DEBUG => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    }
}
