//! Which frames pass by?
//!
//! A frame of HTTP/2 begins with nine bytes that say how long it is, what it is and of which
//! stream (RFC 9113, 4.1). Those are read as the bytes go by, in whatever pieces they come; what is
//! in a frame is passed over, but for the reason of a reset.

/// Bytes before a frame's payload.
const HEAD_BYTES: u32 = 9;
/// And the reason of a reset, which is all of its payload.
const RESET_BYTES: u32 = 4;

/// What a frame is. Others have no meaning here, and most of them none anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A part of a body.
    Data,
    /// A head or trailers, or their beginning.
    Headers,
    /// The end of one stream before its time, and why.
    Reset(u32),
    /// Anything else.
    Other,
}

/// A frame without what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) ends_stream: bool,
    pub(super) stream: u32,
    pub(super) payload_bytes: u32,
}

/// Where between and in frames the bytes of one direction are.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes to pass over before the next head begins.
    ahead_bytes: u32,
    /// What is here of a head, and of a reset's reason: the last `seen_bytes` bytes of it.
    seen: u128,
    /// < `HEAD_BYTES + RESET_BYTES`
    seen_bytes: u32,
    has_begun: bool,
}

impl Frames {
    /// Frames that begin behind so many bytes.
    pub(super) fn behind(bytes: u32) -> Self {
        Self {
            ahead_bytes: bytes,
            seen: 0,
            seen_bytes: 0,
            has_begun: bytes == 0,
        }
    }

    /// Whether all that stands before the first frame has passed by.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether all frames that have begun are over.
    pub(super) fn is_between(&self) -> bool {
        self.ahead_bytes == 0 && self.seen_bytes == 0
    }

    /// These bytes pass by; each frame is told of when its head is here.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        loop {
            let ahead = usize::try_from(self.ahead_bytes).unwrap_or(usize::MAX);
            let Some(rest) = bytes.get(ahead..) else {
                // Shorter than what is ahead, which fits.
                self.ahead_bytes -= u32::try_from(bytes.len()).unwrap_or(self.ahead_bytes);
                return;
            };
            (self.ahead_bytes, self.has_begun) = (0, true);
            let Some((byte, rest)) = rest.split_first() else {
                return;
            };
            bytes = rest;
            self.seen = self.seen << 8 | u128::from(*byte);
            self.seen_bytes += 1;
            if let Some(frame) = self.frame() {
                each(frame);
            }
        }
    }

    /// The frame of which enough is here; what is left of it is ahead.
    fn frame(&mut self) -> Option<Frame> {
        /// The type of a reset, its length and place in a head: 6.4.
        const RESET: u128 = 3;
        if self.seen_bytes < HEAD_BYTES {
            return None;
        }
        let reason_bytes = self.seen_bytes - HEAD_BYTES;
        let head = self.seen >> (8 * reason_bytes);
        let payload_bytes = low_u32(head >> 48);
        let type_of = head >> 40 & 0xff;
        let has_reason = type_of == RESET && payload_bytes == RESET_BYTES;
        if has_reason && reason_bytes < RESET_BYTES {
            return None;
        }
        let kind = match type_of {
            0 => Kind::Data,
            1 => Kind::Headers,
            RESET => Kind::Reset(low_u32(self.seen)),
            _ => Kind::Other,
        };
        (self.seen, self.seen_bytes) = (0, 0);
        self.ahead_bytes = payload_bytes - reason_bytes;
        Some(Frame {
            kind,
            ends_stream: matches!(kind, Kind::Data | Kind::Headers) && head >> 32 & 1 == 1,
            stream: low_u32(head) & 0x7fff_ffff,
            payload_bytes,
        })
    }
}

fn low_u32(bits: u128) -> u32 {
    u32::try_from(bits & u128::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn told(frames: &mut Frames, bytes: &[u8]) -> Vec<Frame> {
        let mut told = Vec::new();
        frames.pass(bytes, |frame| told.push(frame));
        told
    }

    #[track_caller]
    fn check(bytes: &[u8], kind: Kind, ends_stream: bool, stream: u32, payload_bytes: u32) {
        let mut frames = Frames::behind(0);
        let frame = Frame {
            kind,
            ends_stream,
            stream,
            payload_bytes,
        };
        assert_eq!(told(&mut frames, bytes), [frame]);
        assert!(frames.is_between());
    }

    #[test]
    fn a_frame_is_told_by_its_head() {
        check(&bytes(0, 1, 5, b"body"), Kind::Data, true, 5, 4);
        check(&bytes(0, 0, 5, &[7; 16_384]), Kind::Data, false, 5, 16_384);
        check(&bytes(1, 4, 7, b"head"), Kind::Headers, false, 7, 4);
        check(&bytes(1, 5, 7, b""), Kind::Headers, true, 7, 0);
        check(&bytes(6, 1, 0, &[0; 8]), Kind::Other, false, 0, 8);
        check(
            &bytes(0xfe, 0xff, u32::MAX, b""),
            Kind::Other,
            false,
            0x7fff_ffff,
            0,
        );
    }

    #[test]
    fn a_reset_is_told_with_its_reason() {
        let reset = bytes(3, 0, 9, &[0, 0, 0, 8]);
        check(&reset, Kind::Reset(8), false, 9, 4);
        let mut frames = Frames::behind(0);
        assert_eq!(told(&mut frames, &reset[..12]), []);
        assert!(!frames.is_between());
        // One that is none has no reason; what is read of it is somebody else's to judge.
        let short = bytes(3, 0, 9, &[1, 2]);
        assert_eq!(told(&mut Frames::behind(0), &short).len(), 1);
    }

    #[test]
    fn what_stands_before_the_first_is_passed_over() {
        let mut frames = Frames::behind(24);
        assert_eq!(told(&mut frames, &[1; 23]), []);
        let next = [&[1][..], &bytes(4, 0, 0, b""), &bytes(0, 0, 1, b"x")].concat();
        assert_eq!(told(&mut frames, &next).len(), 2);
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            frames in proptest::collection::vec((0_u8..10, any::<u8>(), any::<u32>(), 0_usize..40), 0..12),
            cuts in proptest::collection::vec(1_usize..30, 1..8),
        ) {
            let all: Vec<u8> = frames
                .iter()
                .flat_map(|(kind, flags, stream, length)| bytes(*kind, *flags, *stream, &vec![9; *length]))
                .collect();
            let mut whole = Frames::behind(0);
            let at_once = told(&mut whole, &all);
            prop_assert_eq!(at_once.len(), frames.len());
            prop_assert!(whole.is_between());
            let mut cut = Frames::behind(0);
            let mut in_pieces = Vec::new();
            let mut rest = &all[..];
            for length in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*length).min(rest.len()));
                in_pieces.extend(told(&mut cut, piece));
                rest = after;
            }
            prop_assert_eq!(in_pieces, at_once);
        }
    }
}
