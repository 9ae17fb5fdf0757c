//! Where does the line of each request go?
//!
//! A request must never wait for a disk or a pipe. Its line is copied into one buffer
//! under a lock that is held for that copy only; a thread of its own exchanges the
//! buffer for an empty one and writes a whole batch with one call. So a line costs no
//! allocation and no system call, two buffers are all the memory there is, and
//! whatever does not fit because the reader is slow is dropped and counted.
//!
//! The thread waits a moment after the first line of a batch: waking it for every line
//! would cost a busy gateway more than the writing. It also is who opens a file again that was
//! moved away, and who goes on with another place where a reload names one.

/// What is written to.
mod sink;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::config::log::{Log, LogFormat, LogTarget};
use crate::sys;
pub use sink::Sink;

/// Bytes that wait to be written; as many again are being written. About 2,000 lines:
/// what a busy core makes in 50 ms, several times the wait below.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// How long lines are gathered. Short enough to look immediate to a person.
const GATHER: Duration = Duration::from_millis(10);

/// How long the last lines may take at the end of the process.
const FLUSH: Duration = Duration::from_secs(2);

/// The request log. Dropping it writes what waits.
#[derive(Debug)]
pub struct RequestLog {
    shared: Arc<Shared>,
    /// Whether standard output is a terminal.
    is_terminal: bool,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object.
    Json,
    /// `name=value` pairs.
    Logfmt,
    /// For people.
    People,
}

/// What the requests and the writing thread share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Tells the thread that there is something to do.
    work: Condvar,
    /// Tells [`Drop`] that the thread is done.
    done: Condvar,
    /// Whether lines are wanted.
    is_on: AtomicBool,
    /// Whether they go to standard output.
    is_stdout: AtomicBool,
    written: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines; at most [`BUFFER_BYTES_MAX`].
    waiting: Vec<u8>,
    /// Lines in `waiting`.
    lines: u64,
    /// Where the lines behind those go.
    next: Option<Turn>,
    is_closing: bool,
    is_done: bool,
}

/// Where lines go from now on.
#[derive(Debug)]
enum Turn {
    /// To the same place, opened again.
    Again,
    /// To another one; `None`: nowhere.
    To(Option<Sink>),
}

/// What there is to do.
struct Work {
    /// Lines in the batch.
    lines: u64,
    /// What comes behind them.
    next: Option<Turn>,
}

impl RequestLog {
    /// Opens the log that `[log]` names. A file is made where there is none, readable by
    /// its owner and group, since callers' networks are in it, and appended to.
    ///
    /// `is_terminal` says whether standard output is one.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened or the thread cannot be started; the file is
    /// named.
    pub fn open(log: &Log, is_terminal: bool) -> io::Result<Self> {
        let shared = start(Sink::open(&log.requests)?)?;
        shared.is_for(&log.requests);
        Ok(Self {
            shared,
            is_terminal,
        })
    }

    /// Goes on at another place, which was opened for this; lines that wait go to the old one.
    pub fn turn_to(&self, target: &LogTarget, sink: Option<Sink>) {
        self.shared.is_for(target);
        self.shared.turn(Turn::To(sink));
    }

    /// Opens the file again: it may have been moved away. Where it is still the same, nothing
    /// changes; lines that wait go to the old one.
    pub fn open_again(&self) {
        self.shared.turn(Turn::Again);
    }

    /// Whether lines are wanted at all; if not, none need be made.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.shared.is_on.load(Ordering::Relaxed)
    }

    /// How a line is to be written, where it is asked for like this.
    #[must_use]
    pub fn form(&self, format: LogFormat) -> Form {
        match format {
            LogFormat::Logfmt => Form::Logfmt,
            LogFormat::Text => Form::People,
            LogFormat::Auto
                if self.is_terminal && self.shared.is_stdout.load(Ordering::Relaxed) =>
            {
                Form::People
            }
            LogFormat::Json | LogFormat::Auto => Form::Json,
        }
    }

    /// Hands over one line, with its line end or without. Never waits for the writing.
    pub fn write(&self, line: impl AsRef<[u8]>) {
        if self.is_on() {
            self.shared.push(line.as_ref());
        }
    }

    /// Lines written since the start.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Lines lost since the start: the reader was too slow, or writing failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn is_for(&self, target: &LogTarget) {
        let is_stdout = *target == LogTarget::Stdout;
        self.is_stdout.store(is_stdout, Ordering::Relaxed);
        let is_on = *target != LogTarget::Off;
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    fn turn(&self, turn: Turn) {
        let mut state = self.state();
        // A file that is to be opened again is no news where another comes in its place.
        if !matches!((&state.next, &turn), (Some(Turn::To(_)), Turn::Again)) {
            state.next = Some(turn);
        }
        drop(state);
        self.work.notify_one();
    }

    fn push(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut state = self.state();
        if state.waiting.len() + line.len() + 1 > BUFFER_BYTES_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        state.waiting.push(b'\n');
        state.lines += 1;
        drop(state);
        if is_first {
            self.work.notify_one();
        }
    }

    /// Waits for lines and exchanges them for the empty `batch`. Returns how many there
    /// are and what comes behind them, or `None` at the end.
    fn take(&self, batch: &mut Vec<u8>) -> Option<Work> {
        let state = self.state();
        let has_nothing = |state: &mut State| {
            state.waiting.is_empty() && state.next.is_none() && !state.is_closing
        };
        let state = self
            .work
            .wait_while(state, has_nothing)
            .unwrap_or_else(PoisonError::into_inner);
        let gathers = |state: &mut State| state.next.is_none() && !state.is_closing;
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, GATHER, gathers)
            .unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() && state.next.is_none() {
            state.is_done = true;
            self.done.notify_all();
            return None;
        }
        std::mem::swap(&mut state.waiting, batch);
        Some(Work {
            lines: std::mem::take(&mut state.lines),
            next: state.next.take(),
        })
    }

    /// Has the last lines written, but does not wait for ever for a stuck reader.
    fn close(&self) {
        let mut state = self.state();
        state.is_closing = true;
        self.work.notify_one();
        let ended = self
            .done
            .wait_timeout_while(state, FLUSH, |state| !state.is_done);
        drop(ended);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves whole lines behind it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(sink: Option<Sink>) -> io::Result<Arc<Shared>> {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::default()),
        work: Condvar::new(),
        done: Condvar::new(),
        is_on: AtomicBool::new(sink.is_some()),
        is_stdout: AtomicBool::new(false),
        written: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
    });
    let of_thread = Arc::clone(&shared);
    thread::Builder::new()
        .name("request-log".to_owned())
        .spawn(move || write_batches(&of_thread, sink))?;
    Ok(shared)
}

/// What the thread does. A failure is told once, when it begins, and once when it ends.
fn write_batches(shared: &Shared, mut sink: Option<Sink>) {
    let mut batch = Vec::new();
    let mut is_failing = false;
    while let Some(work) = shared.take(&mut batch) {
        if !batch.is_empty() {
            let written = match &mut sink {
                Some(sink) => sink.write(&batch, is_failing, sys::instant()),
                None => Err(io::Error::other("it goes nowhere")),
            };
            batch.clear();
            count(shared, work.lines, written, &mut is_failing);
        }
        match work.next {
            Some(Turn::To(other)) => (sink, is_failing) = (other, false),
            Some(Turn::Again) => sink.iter_mut().for_each(Sink::open_again),
            None => {}
        }
    }
}

fn count(shared: &Shared, lines: u64, written: io::Result<()>, is_failing: &mut bool) {
    match written {
        Ok(()) => {
            shared.written.fetch_add(lines, Ordering::Relaxed);
            if std::mem::take(is_failing) {
                tracing::info!("request log is written again");
            }
        }
        Err(error) => {
            shared.dropped.fetch_add(lines, Ordering::Relaxed);
            if !std::mem::replace(is_failing, true) {
                tracing::error!(%error, "request log cannot be written; lines are lost and counted");
            }
        }
    }
}

#[cfg(test)]
mod tests;
