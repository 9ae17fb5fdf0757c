//! When does the process end, and how?
//!
//! Told to stop, it first stays: whoever sends requests here has to learn that it goes,
//! from `/readyz` and from `Connection: close`, and until then everything is served. Then
//! nobody comes in any more, idle connections end, and what is in flight has its time.
//! What does not end within it is told so, by a status or by an event. Answers that HTTP/2 has
//! and has not written yet are in flight, too. A process that was
//! replaced has nobody to warn: it stops accepting at once, and its streams have the time
//! that they always have.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::gateway::Gateway;
use crate::phase::{Outlook, Phase};
use crate::server::listen::Kept;
use crate::server::supervisor::Supervisor;
use crate::server::upgrade::{self, Successor};

/// Nobody has worked for so long when the last answer is out: what was accepted or is
/// being said in a TLS handshake has come to us by then.
const QUIET: Duration = Duration::from_millis(100);
/// And for so long where there are connections of HTTP/2, as one of HTTP/1 has to be read to its
/// end. They end when their clients have heard that they are to; some clients never answer.
const PARTING: Duration = Duration::from_secs(2);
/// How long a client of HTTP/2 has to hear that it begins nothing more. It is told when nobody is
/// accepted any more, and what it had sent by then is on its way for no longer.
const LAST_BEGINNINGS: Duration = Duration::from_secs(2);
/// How often it is looked whether somebody works.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long the word that an answer will not be finished may take: a look of each request
/// (1 s), and the last reading of a connection that is closed (2 s).
const FAREWELL: Duration = Duration::from_millis(3500);

/// The signals that end the process.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

/// What a signal asks for.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGQUIT.
    HandOver,
}

/// Why the process ends.
#[derive(Debug)]
pub(super) enum Told {
    /// A signal.
    ToStop,
    /// Another process serves instead.
    Replaced(Successor),
}

/// What there is to be ended.
pub(super) struct Running {
    pub(super) gateway: Arc<Gateway>,
    /// True: the listeners accept nothing any more.
    pub(super) accepting: watch::Sender<bool>,
    /// True: the admin listener does not, either.
    pub(super) admin: watch::Sender<bool>,
    pub(super) supervisor: Supervisor,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// Where the system does not let us.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Kind {
        tokio::select! {
            _ = self.terminate.recv() => Kind::Stop,
            _ = self.interrupt.recv() => Kind::Stop,
            _ = self.quit.recv() => Kind::HandOver,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Kind::Stop {}
    }

    /// Whoever asks a second time does not want to wait.
    fn end_at_once_next_time(mut self) {
        tokio::spawn(async move {
            self.stop().await;
            tracing::warn!("told to stop a second time: ending at once");
            std::process::exit(1);
        });
    }
}

impl Running {
    /// Serves until there is a reason to end.
    pub(super) async fn until_told(&self, kept: &Kept, signals: &mut Signals) -> Told {
        loop {
            if signals.next().await == Kind::Stop {
                return Told::ToStop;
            }
            let run_dir = self.gateway.snapshot.load().config.server.run_dir.clone();
            tracing::info!(
                "asked to hand over: waiting for a process started with --upgrade at {}",
                run_dir.display()
            );
            tokio::select! {
                () = signals.stop() => return Told::ToStop,
                taken = upgrade::offer(&run_dir, kept, upgrade::MEETING) => match taken {
                    Ok(successor) => return Told::Replaced(successor),
                    Err(error) => tracing::error!(%error, "not replaced: this process serves on"),
                }
            }
        }
    }

    /// Ends everything, and returns when it has ended.
    pub(super) async fn end(self, told: Told, kept: Kept, mut signals: Signals) {
        match told {
            Told::ToStop => {
                signals.end_at_once_next_time();
                self.stay_a_while(&kept).await;
                // Now the sockets are closed.
                drop(kept);
            }
            Told::Replaced(successor) => {
                self.retire(&successor);
                // They are the other one's alone. Should it end while we finish, its clients
                // are refused, and do not wait at sockets that nobody accepts from.
                drop(kept);
                tokio::select! {
                    () = self.last_answers() => return,
                    () = signals.stop() => {}
                }
                signals.end_at_once_next_time();
            }
        }
        let outlook = &self.gateway.outlook;
        let timeout = self.drain_timeout();
        tracing::info!("no new connections; requests in flight have {timeout:?}");
        drain(outlook);
        if tokio::time::timeout(timeout, quiet(outlook, timeout))
            .await
            .is_err()
        {
            let (left, laden) = (outlook.busy_count(), outlook.laden_count());
            tracing::warn!(
                "{left} requests are not finished and are told so; {laden} connections have not taken all that was answered"
            );
            outlook.enter(Phase::Over);
            // Who does not hear it would not hear it later.
            let _ = tokio::time::timeout(FAREWELL, quiet(outlook, FAREWELL)).await;
        }
    }

    fn drain_timeout(&self) -> Duration {
        self.gateway.snapshot.load().config.server.drain_timeout
    }

    /// Is there for those who have not heard yet that we go.
    async fn stay_a_while(&self, kept: &Kept) {
        let delay = self.gateway.snapshot.load().config.server.drain_delay;
        tracing::info!(
            "stopping: not ready any more, serving for {delay:?} still; a second signal ends at once"
        );
        self.supervisor.tell("STOPPING=1");
        self.gateway.outlook.enter(Phase::Leaving);
        tokio::time::sleep(delay).await;
        kept.let_nobody_in().await;
        self.stop_accepting();
    }

    /// Leaves the sockets to the other process.
    fn retire(&self, successor: &Successor) {
        let pid = successor.pid;
        tracing::info!(pid, "replaced: another process serves, this one finishes");
        if let Some(pid) = pid {
            self.supervisor.tell(&format!("MAINPID={pid}"));
        }
        self.stop_accepting();
        let _ = self.admin.send(true);
    }

    /// Finishes what was begun: idle connections have the time in which their clients would
    /// ask again, and learn from the answer that they should go; streams have their own.
    async fn last_answers(&self) {
        let outlook = &self.gateway.outlook;
        outlook.enter(Phase::Leaving);
        let delay = self.gateway.snapshot.load().config.server.drain_delay;
        tokio::time::sleep(delay).await;
        drain(outlook);
        quiet(outlook, self.drain_timeout()).await;
    }

    fn stop_accepting(&self) {
        // Nobody listening to this is nothing to stop.
        let _ = self.accepting.send(true);
    }
}

/// Looks whether the listeners are still there a moment after they began: what pingora
/// cannot build of them ends their task.
///
/// # Errors
/// Where they are gone.
pub(super) async fn lasts(accepting: &mut JoinHandle<()>) -> io::Result<()> {
    match tokio::time::timeout(QUIET, accepting).await {
        Err(_) => Ok(()),
        Ok(_) => Err(io::Error::other("the listeners ended")),
    }
}

/// Idle connections end, and soon nothing begins on others, either: a client that never hears of
/// it would keep the process for as long as it asks.
fn drain(outlook: &Outlook) {
    outlook.enter(Phase::Draining);
    let outlook = outlook.clone();
    tokio::spawn(async move {
        tokio::time::sleep(LAST_BEGINNINGS).await;
        outlook.enter(Phase::Finishing);
    });
}

/// Waits until nobody works for a client, and what was answered is written; for that there is so
/// much time once nobody works.
async fn quiet(outlook: &Outlook, reading: Duration) {
    let (mut answered, mut written) = (Duration::ZERO, Duration::ZERO);
    loop {
        let enough = match outlook.carrier_count() {
            0 => QUIET,
            _ => PARTING,
        };
        if written >= enough || answered >= reading {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        answered += LOOK_AGAIN;
        written += LOOK_AGAIN;
        if outlook.busy_count() > 0 {
            (answered, written) = (Duration::ZERO, Duration::ZERO);
        } else if outlook.laden_count() > 0 {
            written = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_mins(1);

    /// Whether it is waited for longer than would be for nothing.
    async fn is_waited_for(outlook: &Outlook, reading: Duration) -> bool {
        let enough = tokio::time::timeout(5 * QUIET, quiet(outlook, reading)).await;
        enough.is_err()
    }

    #[tokio::test]
    async fn whoever_works_is_waited_for_and_what_is_answered_has_its_time_to_be_read() {
        let outlook = Outlook::default();
        assert!(!is_waited_for(&outlook, LONG).await);
        let busy = outlook.busy();
        assert!(is_waited_for(&outlook, SHORT).await);
        let mut carrier = outlook.carrier();
        carrier.is_laden(true);
        drop(busy);
        assert!(is_waited_for(&outlook, LONG).await);
        assert!(!is_waited_for(&outlook, SHORT).await);
    }

    #[tokio::test]
    async fn a_connection_that_does_not_part_is_waited_for_for_a_while() {
        let outlook = Outlook::default();
        let _carrier = outlook.carrier();
        assert!(is_waited_for(&outlook, LONG).await);
        let parted = tokio::time::timeout(3 * PARTING, quiet(&outlook, LONG)).await;
        assert!(parted.is_ok());
    }
}
