//! Who is asked, how, and what becomes of upstreams' faults?
//!
//! The real program stands before scripted upstreams, over HTTP/1.1 and over HTTP/2
//! with TLS. What a client sees is asserted together with what the upstreams saw: an
//! answer that looks right and cost one request too many is wrong.

/// Which pool, which target, how often, for how long.
mod routing;
/// What a failed attempt means, alone and with another pool behind it.
mod faults;
/// What becomes of a target that does not take our credential.
mod credentials;
/// How often anyone is asked, and for how long.
mod attempts;
/// Who answers in another model's place.
mod fallbacks;
/// A second target beside a slow one.
mod hedging;
/// Pools and targets that are full.
mod places;
/// Connections: reused, stale, poisoned, not trusted.
mod connections;
/// What each side never sees of the other.
mod privacy;
/// Clients that leave.
mod departure;
/// Which of several targets is asked.
mod balance;
/// Which is not, and when it is again.
mod health;
/// Where targets are that are named.
mod dns;
/// Image models.
mod images;
/// The list of models, and what is counted.
mod listed;
/// Streams, attempts and connections in numbers.
mod counted;
