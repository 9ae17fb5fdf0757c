//! Is the client still there?
//!
//! Asked while an upstream works, so that a departure ends the work. The end of what a
//! client sends is its departure. pingora tells it at once, unless the client has sent
//! more than its request: those bytes are the next request's beginning, pingora keeps
//! them and looks no further. Then the socket itself is asked, now and then.

use std::pin::Pin;
use std::time::Duration;

use pingora_core::protocols::http::ServerSession;
use tokio::time::Sleep;

use crate::sys;

/// How often the socket is asked.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A watch over one client, for as long as its request takes.
#[derive(Debug)]
pub struct Departure {
    look: Pin<Box<Sleep>>,
}

impl Default for Departure {
    fn default() -> Self {
        Self {
            look: Box::pin(tokio::time::sleep(LOOK_AGAIN)),
        }
    }
}

impl Departure {
    /// Resolves when the client is gone, and not before.
    pub async fn watch(&mut self, session: &mut ServerSession) {
        loop {
            tokio::select! {
                biased;
                read = session.read_body_or_idle(true) => {
                    // A client that sends more is not gone; it is just not listened to.
                    if !matches!(read, Ok(Some(_))) {
                        return;
                    }
                }
                () = &mut self.look => {
                    let next = sys::instant() + LOOK_AGAIN;
                    self.look.as_mut().reset(next.into());
                    let http1 = session.as_http1();
                    if http1.is_some_and(|http1| sys::peer_has_left(http1.stream())) {
                        return;
                    }
                }
            }
        }
    }
}
