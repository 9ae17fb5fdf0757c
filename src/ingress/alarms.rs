//! What wakes a connection that waits?
//!
//! That a head is late, that the process ends, and the look at a client that may have left.
//! Each is made when it is first waited for and kept from one request of a connection to
//! its next. A timer that is put off is a number written anew; one that is made and dropped
//! takes and leaves its place in the runtime's wheel, each time under a lock, and so does
//! whoever waits for a phase.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use pingora_core::protocols::http::ServerSession;
use tokio::time::Sleep;

use crate::gateway::relay::departure::Departure;
use crate::phase::{Outlook, Phase};
use crate::sys;

/// What wakes one connection, or one stream of HTTP/2.
#[derive(Debug)]
pub(super) struct Alarms {
    /// That a head is late.
    pub(super) head: Late,
    /// That the process ends.
    pub(super) end: End,
    /// That the client has left.
    pub(super) departure: Departure,
}

/// That something has taken too long.
#[derive(Debug, Default)]
pub(super) struct Late(Option<Pin<Box<Sleep>>>);

/// That connections end which nobody needs.
pub(super) struct End {
    outlook: Outlook,
    reached: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Alarms {
    /// None that rings yet.
    pub(super) fn new(outlook: &Outlook) -> Self {
        Self {
            head: Late::default(),
            end: End {
                outlook: outlook.clone(),
                reached: None,
            },
            departure: Departure::new(outlook.clone()),
        }
    }

    /// Those that the request before left on this connection.
    pub(super) fn kept(session: &mut ServerSession) -> Option<Box<Self>> {
        session.take_connection_user_context()?.downcast().ok()
    }
}

impl Late {
    /// Waits for so long, from now on.
    pub(super) async fn after(&mut self, allowed: Duration) {
        match &mut self.0 {
            Some(timer) => {
                timer.as_mut().reset((sys::instant() + allowed).into());
                timer.await;
            }
            none => none.insert(Box::pin(tokio::time::sleep(allowed))).await,
        }
    }
}

impl End {
    /// Waits until the process needs idle connections no more.
    pub(super) async fn reached(&mut self) {
        let reached = self.reached.get_or_insert_with(|| {
            let outlook = self.outlook.clone();
            Box::pin(async move { outlook.reached(Phase::Draining).await })
        });
        reached.await;
        // What is over is not waited for again.
        self.reached = None;
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("End")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_timer_that_is_kept_rings_when_it_is_to() {
        let (hour, soon) = (3_600 * SECOND, SECOND / 50);
        let mut late = Late::default();
        for _ in 0..3 {
            // Given up in the middle, and waited for again from the beginning.
            let given_up = tokio::time::timeout(soon / 2, late.after(hour)).await;
            assert!(given_up.is_err());
            let began = sys::instant();
            let rung = tokio::time::timeout(hour / 60, late.after(soon)).await;
            assert!(rung.is_ok() && began.elapsed() >= soon);
        }
    }

    #[tokio::test]
    async fn the_end_is_heard_by_whoever_waited_before_and_whoever_comes_later() {
        let outlook = Outlook::default();
        let mut end = End {
            outlook: outlook.clone(),
            reached: None,
        };
        outlook.enter(Phase::Serving);
        assert!(
            tokio::time::timeout(SECOND / 100, end.reached())
                .await
                .is_err()
        );
        outlook.enter(Phase::Draining);
        end.reached().await;
        end.reached().await;
    }
}
