//! Who else reads a request before the gateway does?
//!
//! A real nginx or HAProxy, on ports of its own and in a folder of its own, that asks a
//! gateway over connections that are kept and shared by all of its callers. It has lanes: each a
//! port with one upstream connection, so that a test which goes along a lane knows who rides
//! behind whom. It is told to be lenient, for what it refuses teaches nothing about us, and
//! impatient. It ends with the test.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};

use super::gateway::LOOK_AGAIN;
use super::{repository, script, soon};

/// Which program, and how it passes requests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// nginx, which reads a body before it passes it on, and says its length.
    NginxHolding,
    /// nginx, which passes on what it has, in chunks where it came so.
    NginxStreaming,
    /// HAProxy.
    Haproxy,
    /// HAProxy, which passes on names and bytes that it would rather refuse.
    HaproxyLenient,
}

/// A running front.
pub(crate) struct Front {
    /// Where its lanes begin.
    pub(crate) lanes: Vec<SocketAddr>,
    /// They keep the ports from being given to anybody else.
    _ports: Vec<TcpSocket>,
    child: Child,
    folder: TempDir,
}

impl Front {
    /// A front before this gateway.
    pub(crate) async fn start(kind: Kind, gateway: SocketAddr, lanes: usize) -> Self {
        script::set_up();
        let folder = TempDir::with_prefix("spafe-test-").unwrap();
        let ports: Vec<TcpSocket> = (0..lanes).map(|_| port()).collect();
        let lanes: Vec<SocketAddr> = ports.iter().map(|it| it.local_addr().unwrap()).collect();
        let file = folder.path().join("front.conf");
        let config = match kind {
            Kind::NginxHolding => nginx(gateway, &lanes, "on"),
            Kind::NginxStreaming => nginx(gateway, &lanes, "off"),
            Kind::Haproxy => haproxy(gateway, &lanes, ""),
            Kind::HaproxyLenient => {
                haproxy(gateway, &lanes, "  option accept-invalid-http-request\n")
            }
        };
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command(kind, folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the front is there: .ci/setup-test installs it");
        let mut front = Self {
            lanes,
            _ports: ports,
            child,
            folder,
        };
        soon("a front", front.listens()).await;
        front
    }

    async fn listens(&mut self) {
        for lane in &self.lanes {
            while TcpStream::connect(lane).await.is_err() {
                if let Some(status) = self.child.try_wait().unwrap() {
                    panic!("it ended ({status}): {}", self.told());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the front says\n{}---", self.told());
        }
    }
}

/// A port that only we may share.
fn port() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    socket
}

fn command(kind: Kind, folder: &Path) -> Command {
    let name = match kind {
        Kind::NginxHolding | Kind::NginxStreaming => "nginx",
        Kind::Haproxy | Kind::HaproxyLenient => "haproxy",
    };
    let fronts: PathBuf = repository("target/test-env/fronts");
    let mut command = Command::new(fronts.join(name));
    // What it is linked with, where the system has not all of it.
    command.env("LD_LIBRARY_PATH", fronts.join("lib"));
    match name {
        "nginx" => command
            .args(["-e", "stderr", "-c", "front.conf", "-p"])
            .arg(folder),
        _ => command.args(["-db", "-f", "front.conf"]),
    };
    command
}

fn nginx(gateway: SocketAddr, lanes: &[SocketAddr], holds: &str) -> String {
    let mut config = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         access_log off;\n\
         client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n\
         client_header_timeout 3s;\nclient_body_timeout 3s;\nkeepalive_timeout 150ms;\n\
         lingering_time 150ms;\nlingering_timeout 150ms;\n\
         client_max_body_size 100m;\nlarge_client_header_buffers 4 128k;\n\
         underscores_in_headers on;\nignore_invalid_headers off;\nmerge_slashes off;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_set_header Host $http_host;\nproxy_request_buffering {holds};\n"
    );
    for (number, lane) in lanes.iter().enumerate() {
        writeln!(
            config,
            "upstream lane{number} {{ server {gateway}; keepalive 1; }}\n\
             server {{ listen {lane} reuseport; location / {{ proxy_pass http://lane{number}; }} }}"
        )
        .unwrap();
    }
    config + "}\n"
}

/// A body that does not come is its server's to wait for, it says; so that is short as well. And a
/// connection that the gateway has just closed may be taken once more: then it asks again.
fn haproxy(gateway: SocketAddr, lanes: &[SocketAddr], more: &str) -> String {
    let mut config = String::from(
        "global\n  nbthread 1\n  maxconn 1024\n\
         defaults\n  mode http\n  http-reuse always\n  \
         retry-on conn-failure empty-response\n  timeout connect 5s\n  timeout server 3s\n  \
         timeout client 3s\n  timeout http-request 3s\n  timeout http-keep-alive 150ms\n",
    );
    for (number, lane) in lanes.iter().enumerate() {
        write!(
            config,
            "frontend front{number}\n  bind {lane}\n  default_backend lane{number}\n{more}\
             backend lane{number}\n  server gateway {gateway} pool-max-conn 1\n"
        )
        .unwrap();
    }
    config
}
