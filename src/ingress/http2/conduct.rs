//! What is too much of a client of HTTP/2?
//!
//! A request is bounded by the limits of requests, and what is held for a connection by h2. Neither
//! sees what a client does beside requests: each PING is answered, each change of settings and
//! of windows is a look at streams, each reset is work begun for nothing. So three things are counted,
//! each against an allowance that comes back with time:
//!
//! * frames that ask for nothing: all but heads, bodies and resets, and parts of bodies so small that
//!   their frames are most of it. A client may say one for every few bytes that it is sent, as some
//!   open a window anew for each event;
//! * streams that the client resets;
//! * streams that had to be reset because of it. A client that is in order never sees one.
//!
//! Whoever has used one up is told so, and its connection is ended.

use std::time::{Duration, Instant};

use super::frames::{Frame, Kind};
use crate::gateway::record::outcome::arriving::Excess;

/// Frames for nothing: so many at once, and so many in each second. What clients say
/// of themselves, for windows and to see whether we are alive, is a few in a second.
const FRAMES_AT_ONCE: u32 = 1_000;
const FRAMES_PER_SECOND: u32 = 100;
/// So many bytes of a body that we send are worth one more. An event of an answer is larger than
/// a hundred, and its window and the connection's may both be opened again for it.
const BYTES_PER_FRAME: u32 = 32;
/// So many of those are remembered, for what a client says of an event may come when thousands
/// have left: two mebibytes of them.
const EARNED_FRAMES_MAX: u32 = 1 << 16;
/// Resets: four times as many as a connection may have streams open at once, and so many each
/// second. The lowest bounds among others' are a hundred at once.
const RESETS_AT_ONCE: u32 = 256;
const RESETS_PER_SECOND: u32 = 32;
/// Resets of ours for which the client is to blame: as many as pingora takes of the kinds it sees.
const FAULTS_AT_ONCE: u32 = 32;
const FAULTS_PER_SECOND: u32 = 1;

/// How a client behaves on one connection.
#[derive(Debug)]
pub(super) struct Conduct {
    frames: Allowance,
    /// Frames for what it was sent: ≤ `EARNED_FRAMES_MAX`.
    earned_frames: u32,
    resets: Allowance,
    faults: Allowance,
    /// The highest stream that it has begun.
    last_stream: u32,
}

/// What may be used up, and comes back with time.
#[derive(Debug)]
struct Allowance {
    /// One comes back after this.
    each: Duration,
    at_once: u32,
    /// When all of it is there; `None`: it is.
    full_at: Option<Instant>,
}

impl Conduct {
    /// A client that has done nothing yet.
    pub(super) fn new() -> Self {
        Self {
            frames: Allowance::new(FRAMES_AT_ONCE, FRAMES_PER_SECOND),
            earned_frames: 0,
            resets: Allowance::new(RESETS_AT_ONCE, RESETS_PER_SECOND),
            faults: Allowance::new(FAULTS_AT_ONCE, FAULTS_PER_SECOND),
            last_stream: 0,
        }
    }

    /// The highest stream that the client has begun.
    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// The client has sent this frame. Most frames are looked at without the time.
    ///
    /// # Errors
    /// Where that is too much.
    pub(super) fn came(&mut self, frame: Frame, now: impl Fn() -> Instant) -> Result<(), Excess> {
        match frame.kind {
            Kind::Headers => {
                self.last_stream = self.last_stream.max(frame.stream);
                Ok(())
            }
            Kind::Data if frame.ends_stream || frame.payload_bytes >= BYTES_PER_FRAME => Ok(()),
            Kind::Reset(_) => self.resets.take(now()).ok_or(Excess::Resets),
            Kind::Data | Kind::Other if self.earned_frames > 0 => {
                self.earned_frames -= 1;
                Ok(())
            }
            Kind::Data | Kind::Other => self.frames.take(now()).ok_or(Excess::Frames),
        }
    }

    /// The client was sent this frame.
    ///
    /// # Errors
    /// Where what it tells of is too much.
    pub(super) fn sent(&mut self, frame: Frame, now: impl Fn() -> Instant) -> Result<(), Excess> {
        match frame.kind {
            Kind::Data => {
                let earned = frame.payload_bytes / BYTES_PER_FRAME;
                self.earned_frames = (self.earned_frames + earned).min(EARNED_FRAMES_MAX);
                Ok(())
            }
            Kind::Reset(reason) if is_a_fault(reason) => {
                self.faults.take(now()).ok_or(Excess::Faults)
            }
            Kind::Reset(_) | Kind::Headers | Kind::Other => Ok(()),
        }
    }
}

/// Whether a reset for this reason (RFC 9113, 7) tells of a client that is not in order. One that
/// was refused may have opened its streams before it knew how many it may, and what comes behind the
/// end of a stream may have left before it.
fn is_a_fault(reason: u32) -> bool {
    /// Of the protocol, of windows, of a frame's size, of compression.
    const FAULTS: [u32; 4] = [0x1, 0x3, 0x6, 0x9];
    FAULTS.contains(&reason)
}

impl Allowance {
    fn new(at_once: u32, per_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second,
            at_once,
            full_at: None,
        }
    }

    /// Takes one, where there is one.
    fn take(&mut self, now: Instant) -> Option<()> {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + self.each;
        if full_at.saturating_duration_since(now) > self.each * self.at_once {
            return None;
        }
        self.full_at = Some(full_at);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Frame = frame(Kind::Other, 8);
    const RESET: Frame = frame(Kind::Reset(8), 4);
    const FAULT: Frame = frame(Kind::Reset(1), 4);
    const EVENT: Frame = frame(Kind::Data, 128);

    const fn frame(kind: Kind, payload_bytes: u32) -> Frame {
        Frame {
            kind,
            ends_stream: false,
            stream: 1,
            payload_bytes,
        }
    }

    fn after(millis: u64) -> Instant {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BEGIN.get_or_init(crate::sys::instant) + Duration::from_millis(millis)
    }

    /// So many of these pass at `now`, and the next one does not.
    #[track_caller]
    fn check(conduct: &mut Conduct, came: Frame, now: Instant, count: u32, excess: Excess) {
        for _ in 0..count {
            assert_eq!(conduct.came(came, || now), Ok(()));
        }
        assert_eq!(conduct.came(came, || now), Err(excess));
    }

    #[test]
    fn each_kind_has_its_allowance_and_it_comes_back() {
        let mut conduct = Conduct::new();
        check(&mut conduct, PING, after(0), 1_000, Excess::Frames);
        check(&mut conduct, PING, after(1_000), 100, Excess::Frames);
        check(&mut conduct, RESET, after(1_000), 256, Excess::Resets);
        check(&mut conduct, RESET, after(2_000), 32, Excess::Resets);
        // All of it after a minute, and no more than that.
        check(&mut conduct, PING, after(3_600_000), 1_000, Excess::Frames);
    }

    #[test]
    fn what_is_sent_is_worth_what_it_takes_to_open_windows_for_it() {
        let mut conduct = Conduct::new();
        for _ in 0..100_000 {
            conduct.sent(EVENT, || after(0)).unwrap();
            conduct.came(PING, || after(0)).unwrap();
            conduct.came(PING, || after(0)).unwrap();
        }
        // However late that is said.
        for _ in 0..10_000 {
            conduct.sent(EVENT, || after(0)).unwrap();
        }
        for _ in 0..20_000 {
            conduct.came(PING, || after(0)).unwrap();
        }
        // A window that is opened by one byte lets one byte out.
        let mut conduct = Conduct::new();
        for _ in 0..1_000 {
            conduct.came(PING, || after(0)).unwrap();
            conduct.sent(frame(Kind::Data, 1), || after(0)).unwrap();
        }
        assert_eq!(conduct.came(PING, || after(0)), Err(Excess::Frames));
    }

    #[test]
    fn parts_of_bodies_count_where_they_are_hardly_any() {
        let mut conduct = Conduct::new();
        let last = Frame {
            ends_stream: true,
            ..frame(Kind::Data, 0)
        };
        for _ in 0..10_000 {
            conduct.came(frame(Kind::Data, 32), || after(0)).unwrap();
            conduct.came(frame(Kind::Headers, 0), || after(0)).unwrap();
            conduct.came(last, || after(0)).unwrap();
        }
        let one = frame(Kind::Data, 1);
        check(&mut conduct, one, after(0), 1_000, Excess::Frames);
    }

    #[test]
    fn resets_of_ours_count_where_the_client_is_to_blame() {
        let mut conduct = Conduct::new();
        for reason in [0, 2, 5, 7, 8, 11] {
            for _ in 0..1_000 {
                let ours = frame(Kind::Reset(reason), 4);
                assert_eq!(conduct.sent(ours, || after(0)), Ok(()), "{reason}");
            }
        }
        for _ in 0..32 {
            conduct.sent(FAULT, || after(0)).unwrap();
        }
        assert_eq!(conduct.sent(FAULT, || after(0)), Err(Excess::Faults));
        assert_eq!(conduct.sent(FAULT, || after(1_000)), Ok(()));
    }
}
