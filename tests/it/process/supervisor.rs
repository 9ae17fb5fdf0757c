//! Does a service manager get its words, and are its sockets used?

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use tempfile::TempDir;

use super::before;
use crate::kit::client::{Connection, ask};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};
use crate::kit::{PATIENCE, repository};

/// A service manager's ear.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::with_prefix("spafe-test-").unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    fn of(&self, setup: Setup) -> Setup {
        let path = self.folder.path().join("notify");
        setup.variable("NOTIFY_SOCKET", path.to_str().unwrap())
    }

    /// Waits for this word, past others.
    fn hears(&self, word: &str) {
        let mut buffer = [0; 256];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap();
            if &buffer[..length] == word.as_bytes() {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_of_readiness_life_and_the_end() {
    let manager = Manager::new();
    let upstream = upstream().await;
    let gateway = manager
        .of(before(&base(&upstream)))
        .variable("WATCHDOG_USEC", "200000")
        .start();
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    gateway.signal(Signal::TERM);
    manager.hears("STOPPING=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_which_process_it_has_after_an_upgrade() {
    let manager = Manager::new();
    let upstream = upstream().await;
    let gateway = manager.of(before(&base(&upstream))).start();
    gateway.signal(Signal::QUIT);
    let new = gateway.successor().await;
    manager.hears(&format!("MAINPID={}", new.pid()));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_socket_is_listened_on() {
    let upstream = upstream().await;
    let script = repository("tests/python/socket_unit.py");
    let gateway = before(&base(&upstream))
        .started_by(&["/usr/bin/env", "python3", script.to_str().unwrap()])
        .start();
    // A port that another process has bound could not be bound again.
    let mut client = Connection::open(gateway.address).await;
    let answer = client
        .post("/v1/chat/completions", ask("gpt-4o", false))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        !gateway.output().contains("is closed"),
        "{}",
        gateway.output()
    );
}
