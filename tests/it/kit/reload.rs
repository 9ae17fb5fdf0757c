//! Which configuration does a gateway have, and since when?
//!
//! A configuration is told apart by its version, which is the hash of its text: so a
//! test that writes a text knows the version to wait for.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::client::{Answer, Connection};
use super::gateway::{Gateway, LOOK_AGAIN};
use super::{now, soon};

/// The version of a configuration with this text.
pub(crate) fn version(text: &str) -> String {
    blake3::hash(text.as_bytes())
        .to_hex()
        .chars()
        .take(12)
        .collect()
}

/// Puts a text in the place of another, in one step.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

impl Gateway {
    /// What the admin listener says at this path.
    pub(crate) async fn told(&self, path: &str) -> Value {
        let mut admin = Connection::open(self.admin).await;
        admin
            .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await;
        admin.answer().await.json()
    }

    /// Asks for a reload.
    pub(crate) async fn reload(&self) -> Answer {
        self.change("POST /reload").await
    }

    /// Asks the admin listener for something that changes something.
    pub(crate) async fn change(&self, what: &str) -> Answer {
        let mut admin = Connection::open(self.admin).await;
        admin
            .send(format!(
                "{what} HTTP/1.1\r\nHost: localhost\r\nX-Spafe-Admin: 1\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        admin.answer().await
    }

    /// The version in force.
    pub(crate) async fn version(&self) -> String {
        self.told("/config").await["version"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until this text is in force, and says how long that was.
    pub(crate) async fn follows(&self, text: &str) -> Duration {
        let began = now();
        let wanted = version(text);
        soon("the new configuration", async {
            while self.version().await != wanted {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        began.elapsed()
    }

    /// Waits until this many reloads have failed.
    pub(crate) async fn fails(&self, times: u64) {
        self.counts("spafe_config_reload_failures_total", times)
            .await;
    }

    /// Everything that `/metrics` tells.
    pub(crate) async fn metrics(&self) -> String {
        let mut admin = Connection::open(self.admin).await;
        admin
            .send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n")
            .await;
        admin.answer().await.text()
    }

    /// Whether the program has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}
