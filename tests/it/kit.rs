//! What words are the tests written in?
//!
//! A `Gateway` is the real program with a configuration made for the test, an
//! upstream stands behind it, and a client in front. Waiting is always
//! bounded: a test that hangs says what it waited for.

/// Certificates that tests trust.
pub(crate) mod certificate;
/// What must be found nowhere.
pub(crate) mod canary;
/// A connection on which a test sends exact bytes.
pub(crate) mod client;
/// A client that speaks HTTP/2.
pub(crate) mod http2;
/// A client that speaks it frame by frame.
pub(crate) mod frames;
/// And one that sends far too many of them.
pub(crate) mod floods;
/// The real program, started and ended.
pub(crate) mod gateway;
/// The program on its way to being one.
mod launch;
/// What a gateway tells of itself.
pub(crate) mod told;
/// Which configuration a gateway has.
pub(crate) mod reload;
/// Callers while configurations come and go.
pub(crate) mod traffic;
/// A gateway before upstreams of both versions of HTTP, and what they say.
pub(crate) mod pair;
/// The real program, run to its end.
pub(crate) mod program;
/// Names that callers make up.
pub(crate) mod names;
/// Many clients at once.
pub(crate) mod load;
/// Scripts in other languages, run to their end.
pub(crate) mod script;
/// What is told to a collector.
pub(crate) mod collector;
/// A name server that says what a test wants.
pub(crate) mod dns;
/// A real Redis, started and hurt.
pub(crate) mod redis;
/// A real nginx or HAProxy, which stands before gateways.
pub(crate) mod front;
/// A real Prometheus, which looks at gateways.
pub(crate) mod prometheus;
/// What stands between it and a gateway, and does worse.
pub(crate) mod wedge;
/// Chats by chance, and nearly the same ones.
pub(crate) mod chats;
/// By what their answers are kept.
pub(crate) mod keys;
/// Bodies that were made to be dear.
pub(crate) mod costly;
/// What a piece of work holds.
pub(crate) mod memory;
/// Bodies by chance, and how others read them.
pub(crate) mod readers;
/// The simulator, run at full speed behind a gateway.
pub(crate) mod upstream;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything in a test may take that should take no time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The time, for how long something took.
#[expect(
    clippy::disallowed_methods,
    reason = "a test stands outside of the program, where time comes from"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A path in this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Awaits something that must happen soon; fails with its name where it does not.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}
