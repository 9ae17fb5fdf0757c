//! How did a request end, as it is counted?
//!
//! The log says the same in more words: whoever met a bound or a limit was refused, and by what
//! stands beside it. Here they are told apart, since the one is a matter of the process and the
//! other of its caller.

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Answered as asked.
    Served,
    /// Refused for what was asked, here or by an upstream.
    Refused,
    /// Refused because too much was asked at once.
    Shed,
    /// Refused by a limit.
    Limited,
    /// No attempt succeeded.
    UpstreamFailed,
    /// A stream ended before its time.
    StreamBroken,
    /// The caller left.
    ClientGone,
}

impl Ending {
    /// Every ending, in the order of the enum.
    pub const ALL: [Self; 7] = [
        Self::Served,
        Self::Refused,
        Self::Shed,
        Self::Limited,
        Self::UpstreamFailed,
        Self::StreamBroken,
        Self::ClientGone,
    ];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Shed => "shed",
            Self::Limited => "limited",
            Self::UpstreamFailed => "upstream_failed",
            Self::StreamBroken => "stream_broken",
            Self::ClientGone => "client_gone",
        }
    }
}
