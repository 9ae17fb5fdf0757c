//! How do answers fare that replicas share?

/// What came of looking for an answer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondRead {
    /// It was there.
    Hit,
    /// It was not.
    Miss,
    /// Nobody has said so in time.
    Late,
    /// Nobody was asked: Redis is known to be away.
    Away,
    /// Nobody was asked: too many were being asked.
    Busy,
    /// What was there has none of us written.
    Garbage,
    /// What was there was made in the future.
    Ahead,
    /// Something else went wrong.
    Failed,
}

/// What came of an answer that was to be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondWrite {
    /// It is there.
    Written,
    /// It is larger than one may be.
    TooLarge,
    /// Too much was waiting to be written.
    Dropped,
    /// Redis is away.
    Away,
    /// It would leave too little of Redis's memory to limits.
    Full,
    /// Redis has not taken it.
    Failed,
}

/// What came of asking for the turn to make an answer for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondLease {
    /// Nobody else had it.
    Taken,
    /// Another replica had it, and its answer came.
    Answered,
    /// Another replica had it, and nothing came in time.
    Expired,
    /// Redis has not said.
    Failed,
}

impl SecondRead {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Hit,
        Self::Miss,
        Self::Late,
        Self::Away,
        Self::Busy,
        Self::Garbage,
        Self::Ahead,
        Self::Failed,
    ];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Late => "late",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Garbage => "garbage",
            Self::Ahead => "ahead",
            Self::Failed => "failed",
        }
    }
}

impl SecondWrite {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::Written,
        Self::TooLarge,
        Self::Dropped,
        Self::Away,
        Self::Full,
        Self::Failed,
    ];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::TooLarge => "too_large",
            Self::Dropped => "dropped",
            Self::Away => "away",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

impl SecondLease {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::Taken, Self::Answered, Self::Expired, Self::Failed];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}
