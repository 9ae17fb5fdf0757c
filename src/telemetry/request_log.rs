//! Where does the line of each request go?
//!
//! A request must never wait for a disk or a pipe. Its line is copied into one buffer
//! under a lock that is held for that copy only; a thread of its own exchanges the
//! buffer for an empty one and writes a whole batch with one call. So a line costs no
//! allocation and no system call, two buffers are all the memory there is, and
//! whatever does not fit because the reader is slow is dropped and counted.
//!
//! The thread waits a moment after the first line of a batch: waking it for every line
//! would cost a busy gateway more than the writing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::config::{Log, LogFormat, LogTarget};

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
    shared: Option<Arc<Shared>>,
    is_json: bool,
}

/// What the requests and the writing thread share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Tells the thread that there is something to do.
    work: Condvar,
    /// Tells [`Drop`] that the thread is done.
    done: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines; at most [`BUFFER_BYTES_MAX`].
    waiting: Vec<u8>,
    /// Lines in `waiting`.
    lines: u64,
    is_closing: bool,
    is_done: bool,
}

impl RequestLog {
    /// Opens the log that `[log]` names. A file is made where there is none, readable by
    /// its owner and group, since callers' addresses are in it, and appended to.
    ///
    /// `is_terminal` says whether standard output is one.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened or the thread cannot be started; the file is
    /// named.
    pub fn open(log: &Log, is_terminal: bool) -> io::Result<Self> {
        let is_json = match log.format {
            LogFormat::Json => true,
            LogFormat::Text => false,
            LogFormat::Auto => !(is_terminal && log.requests == LogTarget::Stdout),
        };
        let sink = match &log.requests {
            LogTarget::Off => {
                return Ok(Self {
                    shared: None,
                    is_json,
                });
            }
            LogTarget::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            LogTarget::File(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o640)
                .open(path)
                .map_err(|error| {
                    let text = format!(
                        "the request log {} cannot be opened: {error}; make its folder, or name another in [log] requests",
                        path.display()
                    );
                    io::Error::new(error.kind(), text)
                })?,
        };
        let shared = start(sink)?;
        Ok(Self {
            shared: Some(shared),
            is_json,
        })
    }

    /// Whether lines are wanted at all; if not, none need be made.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether a line is to be one JSON object, or for people.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Hands over one line, with its line end or without. Never waits for the writing.
    pub fn write(&self, line: impl AsRef<[u8]>) {
        if let Some(shared) = &self.shared {
            shared.push(line.as_ref());
        }
    }

    /// Lines lost since the start: the reader was too slow, or writing failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared
            .as_ref()
            .map_or(0, |shared| shared.dropped.load(Ordering::Relaxed))
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.close();
        }
    }
}

impl Shared {
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
    /// are, or `None` at the end.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let state = self.state();
        let state = self
            .work
            .wait_while(state, |state| state.waiting.is_empty() && !state.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, GATHER, |state| !state.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            state.is_done = true;
            self.done.notify_all();
            return None;
        }
        std::mem::swap(&mut state.waiting, batch);
        Some(std::mem::take(&mut state.lines))
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

fn start(sink: File) -> io::Result<Arc<Shared>> {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::default()),
        work: Condvar::new(),
        done: Condvar::new(),
        dropped: AtomicU64::new(0),
    });
    let of_thread = Arc::clone(&shared);
    thread::Builder::new()
        .name("request-log".to_owned())
        .spawn(move || write_batches(&of_thread, sink))?;
    Ok(shared)
}

/// What the thread does. A failure is told once, when it begins, and once when it ends.
fn write_batches(shared: &Shared, mut sink: File) {
    let mut batch = Vec::new();
    let mut is_failing = false;
    while let Some(lines) = shared.take(&mut batch) {
        // A batch that failed half-way may have left half a line.
        let line_end: &[u8] = if is_failing { b"\n" } else { b"" };
        let written = sink
            .write_all(line_end)
            .and_then(|()| sink.write_all(&batch));
        batch.clear();
        match written {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!("request log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                shared.dropped.fetch_add(lines, Ordering::Relaxed);
                if !is_failing {
                    is_failing = true;
                    tracing::error!(%error, "request log cannot be written; lines are lost and counted");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read as _};
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;

    use super::*;

    fn log(requests: LogTarget, format: LogFormat) -> Log {
        Log { requests, format }
    }

    /// A log whose reader is this test.
    fn piped() -> (RequestLog, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let shared = start(File::from(OwnedFd::from(writer))).unwrap();
        let log = RequestLog {
            shared: Some(shared),
            is_json: true,
        };
        (log, reader)
    }

    #[test]
    fn every_line_is_there_in_order_after_the_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.log");
        std::fs::write(&path, "before\n").unwrap();
        let target = LogTarget::File(path.clone());
        let requests = RequestLog::open(&log(target, LogFormat::Auto), true).unwrap();
        assert!(requests.is_on() && requests.is_json());
        for number in 0..1000 {
            requests.write(format!("line {number}").as_bytes());
        }
        assert_eq!(requests.dropped(), 0);
        drop(requests);
        let mut expected = vec!["before".to_owned()];
        expected.extend((0..1000).map(|number| format!("line {number}")));
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn lines_of_many_threads_stay_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.log");
        let target = LogTarget::File(path.clone());
        let requests = RequestLog::open(&log(target, LogFormat::Auto), false).unwrap();
        thread::scope(|scope| {
            for letter in *b"abcd" {
                let requests = &requests;
                scope.spawn(move || (0..500).for_each(|_| requests.write([letter; 300])));
            }
        });
        drop(requests);
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written.lines().count(), 2000);
        for line in written.lines() {
            let first = line.chars().next().unwrap();
            assert!(
                line.len() == 300 && line.chars().all(|c| c == first),
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_is_written_without_waiting_for_the_end() {
        let (log, mut reader) = piped();
        log.write(b"now");
        log.write("here\n");
        let mut line = [0; 9];
        reader.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"now\nhere\n");
        drop(log);
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_never_time() {
        let (log, mut reader) = piped();
        let line = vec![b'x'; 1023];
        for _ in 0..4096 {
            log.write(&line);
        }
        // One buffer waits, one is being written, and a pipe holds 64 KiB.
        let dropped = log.dropped();
        assert!(dropped >= 4096 - 2 * 1024 - 64, "{dropped}");
        let reading = thread::spawn(move || {
            let mut all = String::new();
            reader.read_to_string(&mut all).unwrap();
            all.lines().count() as u64
        });
        drop(log);
        assert_eq!(reading.join().unwrap(), 4096 - dropped);
    }

    #[test]
    fn a_line_larger_than_the_buffer_is_dropped_alone() {
        let (log, mut reader) = piped();
        log.write(vec![b'x'; BUFFER_BYTES_MAX]);
        log.write(b"next");
        assert_eq!(log.dropped(), 1);
        drop(log);
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        assert_eq!(all, "next\n");
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted() {
        let target = LogTarget::File(PathBuf::from("/dev/full"));
        let requests = RequestLog::open(&log(target, LogFormat::Auto), false).unwrap();
        let shared = Arc::clone(requests.shared.as_ref().unwrap());
        requests.write(b"one");
        requests.write(b"two");
        drop(requests);
        assert_eq!(shared.dropped.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let target = LogTarget::File(PathBuf::from("/not/there/requests.log"));
        let error = RequestLog::open(&log(target, LogFormat::Auto), false).unwrap_err();
        assert!(
            error.to_string().contains("/not/there/requests.log"),
            "{error}"
        );
    }

    #[test]
    fn people_read_text_only_on_a_terminal_unless_asked_otherwise() {
        let check = |target: LogTarget, format, is_terminal, expected| {
            let requests = RequestLog::open(&log(target, format), is_terminal).unwrap();
            assert_eq!(requests.is_json(), expected);
        };
        check(LogTarget::Stdout, LogFormat::Auto, true, false);
        check(LogTarget::Stdout, LogFormat::Auto, false, true);
        check(LogTarget::Stdout, LogFormat::Json, true, true);
        check(LogTarget::Stdout, LogFormat::Text, false, false);
        check(
            LogTarget::File("/dev/null".into()),
            LogFormat::Auto,
            true,
            true,
        );
        let off = RequestLog::open(&log(LogTarget::Off, LogFormat::Auto), true).unwrap();
        off.write(b"nowhere");
        assert!(!off.is_on());
    }
}
