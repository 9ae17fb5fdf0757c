//! How does a test get a Redis?
//!
//! The real server, on a port of its own, in a folder of its own, with nothing kept on
//! disk. It can be killed, stopped, continued and started again in the same place. It ends
//! with the test.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::canary;
use super::certificate::Certificate;
use super::gateway::LOOK_AGAIN;
use super::soon;

/// How long one that a test has stopped is asked for what it keeps.
const PATIENCE: Duration = Duration::from_millis(500);
/// Of how many keys it is told what they are.
const KEYS_MAX: usize = 1_000;

/// A running server.
pub(crate) struct Redis {
    /// Where it listens, with TLS where the test wanted that.
    pub(crate) port: u16,
    options: Vec<String>,
    password: Option<String>,
    tls: bool,
    folder: TempDir,
    child: Child,
}

impl Redis {
    /// A server that everybody may ask.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with more options on its command line.
    pub(crate) async fn with(options: &[&str]) -> Self {
        Self::begin(options, None, false).await
    }

    /// A server that asks for a password.
    pub(crate) async fn with_password(password: &str) -> Self {
        Self::begin(&["--requirepass", password], Some(password), false).await
    }

    /// A server that speaks TLS only.
    pub(crate) async fn with_tls() -> Self {
        Self::begin(&[], None, true).await
    }

    async fn begin(options: &[&str], password: Option<&str>, tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if tls {
            Certificate::new().write(folder.path());
        }
        let port = {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            free.local_addr().unwrap().port()
        };
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = launch(port, &options, tls, &folder);
        let redis = Self {
            port,
            options,
            password: password.map(str::to_owned),
            tls,
            folder,
            child,
        };
        redis.answers().await;
        redis
    }

    /// Its address as it stands in a configuration.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The authority that its certificate is to be trusted by.
    pub(crate) fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it, and all that it knows.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn again(&mut self) {
        self.child = launch(self.port, &self.options, self.tls, &self.folder);
        self.answers().await;
    }

    /// Asks it something, as one would in its command line.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.private_url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        command(words).query(&mut connection).unwrap()
    }

    /// Puts bytes under a key, whatever was there, for as long as nobody removes them.
    pub(crate) fn put(&self, key: &str, value: &[u8]) {
        let client = redis::Client::open(self.private_url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut put = redis::cmd("SET");
        put.arg(key).arg(value);
        let () = put.query(&mut connection).unwrap();
    }

    async fn answers(&self) {
        // TLS needs more than a test has at hand; that it listens must do.
        let port = self.port;
        soon("Redis", async {
            while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    fn private_url(&self) -> String {
        match &self.password {
            Some(password) => {
                let encoded: String =
                    url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
                let encoded = encoded.replace('+', "%20");
                format!("redis://:{encoded}@127.0.0.1:{}", self.port)
            }
            None => self.url(),
        }
    }
}

impl Redis {
    /// Everything that it keeps, where it answers.
    pub(crate) fn kept(&self) -> Option<String> {
        let client = redis::Client::open(self.private_url()).ok()?;
        let mut connection = client.get_connection_with_timeout(PATIENCE).ok()?;
        connection.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut kept = String::new();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).ok()?;
        for key in keys.into_iter().take(KEYS_MAX) {
            let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).ok()?;
            let how: &[&str] = match kind.as_str() {
                "hash" => &["HGETALL"],
                "list" => &["LRANGE", "0", "-1"],
                "set" => &["SMEMBERS"],
                "zset" => &["ZRANGE", "0", "-1"],
                _ => &["GET"],
            };
            // As it is read, and as it is kept, where long texts may be packed.
            let mut told = vec![key.clone()];
            let mut read = redis::cmd(how[0]);
            read.arg(&key).arg(&how[1..]);
            let read = read.query::<Vec<Vec<u8>>>(&mut connection);
            told.extend(read.unwrap_or_default());
            told.push(redis::cmd("DUMP").arg(&key).query(&mut connection).ok()?);
            for bytes in told {
                kept.push_str(&String::from_utf8_lossy(&bytes));
                kept.push('\n');
            }
        }
        Some(kept)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let kept = if std::thread::panicking() {
            None
        } else {
            self.kept()
        };
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(kept) = kept {
            canary::tells_nothing("Redis", &kept);
        }
    }
}

fn command(words: &[&str]) -> redis::Cmd {
    let (name, arguments) = words.split_first().unwrap();
    let mut command = redis::cmd(name);
    command.arg(arguments);
    command
}

fn launch(port: u16, options: &[String], tls: bool, folder: &TempDir) -> Child {
    let port = port.to_string();
    let ports = if tls {
        vec!["--port", "0", "--tls-port", &port]
    } else {
        vec!["--port", &port]
    };
    let certificates: &[&str] = if tls {
        &[
            "--tls-cert-file",
            "certificate.pem",
            "--tls-key-file",
            "key.pem",
            "--tls-ca-cert-file",
            "certificate.pem",
            "--tls-auth-clients",
            "no",
        ]
    } else {
        &[]
    };
    Command::new("redis-server")
        .args(ports)
        .args(certificates)
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(options)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is there: .ci/setup-test installs it")
}
