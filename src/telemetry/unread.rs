//! What if nobody reads the log of the process?
//!
//! A line is written where it is made, and that may be a thread which serves requests: a pipe that is
//! full would hold it up for ever, and anybody can fill one, with handshakes that fail. So a pipe is
//! asked first whether it takes a line, and what it does not take is dropped and counted. A file
//! takes every line, or says at once that its disk is full.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What a pipe takes whole where it takes anything: `PIPE_BUF` of Linux, pipe(7), less a line end.
const PART_BYTES_MAX: usize = 4095;

/// Lines that were not taken.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Whether the last line was taken in part.
static IS_CUT: AtomicBool = AtomicBool::new(false);

/// Lines that were dropped since the start, because nobody read them.
#[must_use]
pub fn lines_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Writes whole lines to where they are taken at once. Nobody else writes there meanwhile.
#[derive(Debug)]
pub(super) struct Unread<W>(pub(super) W);

impl<W: io::Write + AsFd> io::Write for Unread<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for (number, part) in line.chunks(PART_BYTES_MAX).enumerate() {
            if !takes_more(&self.0) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                IS_CUT.fetch_or(number > 0, Ordering::Relaxed);
                break;
            }
            if IS_CUT.swap(false, Ordering::Relaxed) {
                self.0.write_all(b"\n")?;
            }
            self.0.write_all(part)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether something can be written now. What is wrong there is told by writing.
fn takes_more(to: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(to, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    !matches!(poll(&mut asked, Some(&at_once)), Ok(0))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_never_time() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = Unread(writer);
        let before = lines_dropped();
        // One in one part, the others in two: a pipe of sixteen pages ends within a line.
        for bytes in std::iter::once(4_000).chain([5_000; 99]) {
            let line = format!("{}\n", "x".repeat(bytes));
            log.write_all(line.as_bytes()).unwrap();
        }
        let dropped = lines_dropped() - before;
        assert!((85..100).contains(&dropped), "{dropped}");
        let mut taken = vec![0; 64 << 10];
        let bytes = reader.read(&mut taken).unwrap();
        let half = !taken[..bytes].ends_with(b"\n");
        // Somebody reads again, and half a line does not spoil the next.
        log.write_all(b"next\n").unwrap();
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, if half { "\nnext\n" } else { "next\n" });
    }

    #[test]
    fn a_disk_that_is_full_is_told_at_once() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        assert!(Unread(full.unwrap()).write_all(b"line\n").is_err());
    }
}
