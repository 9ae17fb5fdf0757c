//! How do callers come in?

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Plaintext.
    Plain,
    /// TLS.
    Tls,
}

/// What came of a caller's TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// It succeeded.
    Done,
    /// It did not, or its caller left.
    Failed,
}

/// Which version of HTTP a head is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// What there was too much of on a connection of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Frames that ask for nothing.
    Frames,
    /// Streams that the client reset.
    Resets,
    /// Streams that were reset for what the client had done.
    Faults,
}

impl Listener {
    /// Both, in the order of the enum.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Tls];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }
}

impl Handshake {
    /// Both, in the order of the enum.
    pub const ALL: [Self; 2] = [Self::Done, Self::Failed];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl Spoken {
    /// Every version, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Http10, Self::Http11, Self::Http2];

    /// The version of a head.
    #[must_use]
    pub fn of(version: http::Version) -> Self {
        match version {
            http::Version::HTTP_2 => Self::Http2,
            http::Version::HTTP_10 => Self::Http10,
            _ => Self::Http11,
        }
    }

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

impl Excess {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Frames, Self::Resets, Self::Faults];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Resets => "resets",
            Self::Faults => "faults",
        }
    }
}
