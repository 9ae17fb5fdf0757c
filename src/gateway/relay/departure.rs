//! Is there still a reason to go on?
//!
//! Asked while an upstream works, so that a departure ends the work. The end of what a
//! client sends is its departure. pingora tells it at once, unless the client has sent
//! more than its request: those bytes are the next request's beginning, pingora keeps
//! them and looks no further. Then the socket itself is asked, now and then. On the same
//! occasion it is seen whether the process is over, so that an event costs nothing more.

use std::pin::Pin;
use std::time::{Duration, Instant};

use pingora_core::protocols::http::ServerSession;
use tokio::time::Sleep;

use crate::phase::{Outlook, Phase};
use crate::sys;

/// How often the socket is asked.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why an answer need not be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// The client is gone.
    Client,
    /// The process ends, and the client is to be told.
    Process,
}

/// A watch over one client, for as long as its connection lasts.
#[derive(Debug)]
pub struct Departure {
    /// When the socket is asked; made when it is first waited for.
    look: Option<Pin<Box<Sleep>>>,
    /// Whether the process goes on.
    pub outlook: Outlook,
}

impl Departure {
    /// A watch that has not begun.
    #[must_use]
    pub fn new(outlook: Outlook) -> Self {
        Self {
            look: None,
            outlook,
        }
    }

    /// Begins with a request.
    pub fn begin(&mut self, now: Instant) {
        if let Some(look) = &mut self.look {
            look.as_mut().reset((now + LOOK_AGAIN).into());
        }
    }

    /// Resolves when nobody will take the answer, and not before.
    pub async fn watch(&mut self, session: &mut ServerSession) -> Parting {
        let Self { look, outlook } = self;
        let look = look.get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK_AGAIN)));
        loop {
            tokio::select! {
                biased;
                read = session.read_body_or_idle(true) => {
                    // A client that sends more is not gone; it is just not listened to.
                    if !matches!(read, Ok(Some(_))) {
                        return Parting::Client;
                    }
                }
                () = &mut *look => {
                    let next = sys::instant() + LOOK_AGAIN;
                    look.as_mut().reset(next.into());
                    let http1 = session.as_http1();
                    if http1.is_some_and(|http1| sys::peer_has_left(http1.stream())) {
                        return Parting::Client;
                    }
                    if outlook.phase() == Phase::Over {
                        return Parting::Process;
                    }
                }
            }
        }
    }
}
