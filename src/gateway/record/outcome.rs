//! Which classes and outcomes are counted apart?
//!
//! Closed sets, so that a label's values are known before the first request.

/// How do callers come in?
pub mod arriving;
/// What was called, as it is counted?
pub mod called;
/// How did a request end, as it is counted?
pub mod ending;
/// How do answers fare that replicas share?
pub mod second;

/// How a status is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Up to 399.
    Success,
    /// 4xx.
    Caller,
    /// 5xx.
    Server,
    /// The caller left first.
    Gone,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It committed.
    Answered,
    /// No connection.
    Connect,
    /// A connection that is not trusted.
    Tls,
    /// A connection that broke.
    Broken,
    /// A deadline passed.
    Timeout,
    /// 429.
    RateLimited,
    /// 5xx.
    ServerError,
    /// 401, 402 or 403.
    Auth,
    /// 400, 404, 409, 413, 415 or 422.
    Refused,
    /// No valid answer.
    Invalid,
    /// The caller left while it ran.
    Abandoned,
    /// Another attempt beside it was sooner.
    Outrun,
}

/// Which cap a connection met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// That of all connections.
    All,
    /// That of an IPv4 address or an IPv6 /64.
    Address,
    /// That of an IPv6 /56.
    V6Of56,
    /// That of an IPv6 /48.
    V6Of48,
    /// That of all connections in a second.
    Pace,
    /// That of the process's memory.
    Memory,
}

/// Which bound on what is done at once a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// That of all requests in flight.
    InFlight,
    /// That of one client's requests in flight.
    Client,
    /// That of all bodies held.
    Bodies,
    /// That of the process's memory.
    Memory,
}

/// Why what replicas share could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// No connection is to be had.
    Refused,
    /// It has closed the connection.
    Lost,
    /// No answer in time.
    Slow,
    /// `-LOADING`, `-MASTERDOWN`
    Loading,
    /// `-OOM`
    OutOfMemory,
    /// `-READONLY`
    ReadOnly,
    /// `-MOVED` and what else only a cluster says.
    Moved,
    /// `-NOAUTH`, `-WRONGPASS`, `-NOPERM`
    Unauthorized,
    /// Something that is no answer.
    Garbage,
    /// Any other error.
    Failed,
    /// It was not asked, because it is known to be away.
    Resting,
}

impl Class {
    /// Every class with its label.
    pub const ALL: [(Self, &str); 4] = [
        (Self::Success, "2xx"),
        (Self::Caller, "4xx"),
        (Self::Server, "5xx"),
        (Self::Gone, "gone"),
    ];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let [(_, success), (_, caller), (_, server), (_, gone)] = Self::ALL;
        match self {
            Self::Success => success,
            Self::Caller => caller,
            Self::Server => server,
            Self::Gone => gone,
        }
    }

    /// The class of a status.
    #[must_use]
    pub fn of(status: u16, gone: bool) -> Self {
        match status {
            _ if gone => Self::Gone,
            500.. => Self::Server,
            400..=499 => Self::Caller,
            _ => Self::Success,
        }
    }
}

impl AttemptOutcome {
    /// Every outcome, in the order of the enum.
    pub const ALL: [Self; 12] = [
        Self::Answered,
        Self::Connect,
        Self::Tls,
        Self::Broken,
        Self::Timeout,
        Self::RateLimited,
        Self::ServerError,
        Self::Auth,
        Self::Refused,
        Self::Invalid,
        Self::Abandoned,
        Self::Outrun,
    ];

    /// The word for the label and the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Connect => "connect_failed",
            Self::Tls => "tls_failed",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Auth => "auth_refused",
            Self::Refused => "refused",
            Self::Invalid => "invalid_answer",
            Self::Abandoned => "abandoned",
            Self::Outrun => "outrun",
        }
    }
}

impl Cap {
    /// Every cap, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::All,
        Self::Address,
        Self::V6Of56,
        Self::V6Of48,
        Self::Pace,
        Self::Memory,
    ];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
            Self::V6Of56 => "v6_56",
            Self::V6Of48 => "v6_48",
            Self::Pace => "pace",
            Self::Memory => "memory",
        }
    }
}

impl Shed {
    /// Every bound, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::InFlight, Self::Client, Self::Bodies, Self::Memory];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Client => "client",
            Self::Bodies => "bodies",
            Self::Memory => "memory",
        }
    }
}
impl Absence {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 11] = [
        Self::Refused,
        Self::Lost,
        Self::Slow,
        Self::Loading,
        Self::OutOfMemory,
        Self::ReadOnly,
        Self::Moved,
        Self::Unauthorized,
        Self::Garbage,
        Self::Failed,
        Self::Resting,
    ];

    /// As it stands in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Slow => "slow",
            Self::Loading => "loading",
            Self::OutOfMemory => "out_of_memory",
            Self::ReadOnly => "read_only",
            Self::Moved => "moved",
            Self::Unauthorized => "unauthorized",
            Self::Garbage => "garbage",
            Self::Failed => "failed",
            Self::Resting => "resting",
        }
    }
}
