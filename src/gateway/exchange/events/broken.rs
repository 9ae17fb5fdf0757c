//! How does a stream break?
//!
//! A closed set, so that what metrics and logs call it is known before it happens.

use crate::gateway::exchange::failure::AttemptError;

/// How a stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamBreak {
    /// Nothing came for too long.
    Stalled,
    /// It went on for too long.
    TooLong,
    /// The connection broke.
    Cut,
    /// Its chunks were malformed.
    Malformed,
    /// It ended before every choice had finished.
    Unterminated,
    /// It told of an error itself; the caller has seen it.
    Failed,
    /// It was well; this process ends.
    Stopped,
    /// It was well, and went on too far without this caller, who shared it with faster ones.
    Lagged,
    /// It was well, and there was no room for what it said.
    NoRoom,
    /// It was well, and a picture in it could not be kept.
    Unkept,
}

impl StreamBreak {
    /// Every way, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::Stalled,
        Self::TooLong,
        Self::Cut,
        Self::Malformed,
        Self::Unterminated,
        Self::Failed,
        Self::Stopped,
        Self::Lagged,
        Self::NoRoom,
        Self::Unkept,
    ];

    /// What it is that a stream could not be put into OpenAI's words.
    pub(super) fn of(error: &AttemptError) -> Self {
        match error {
            AttemptError::NoRoom => Self::NoRoom,
            AttemptError::Internal(_) => Self::Unkept,
            _ => Self::Malformed,
        }
    }

    /// The word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::TooLong => "too_long",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::Unterminated => "unterminated",
            Self::Failed => "error_event",
            Self::Stopped => "stopped",
            Self::Lagged => "lagged",
            Self::NoRoom => "no_room",
            Self::Unkept => "image_not_kept",
        }
    }
}
