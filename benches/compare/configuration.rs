//! What is each subject told?
//!
//! The same of everybody, as far as their files can say it: one worker, connections that are
//! kept, no request log, nothing buffered.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where a subject listens, what it forwards to and where it may write.
pub(crate) struct Ways {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) folder: PathBuf,
}

/// All clients of the comparison have one address, and none of the others has a bound.
pub(crate) const MANY: &str = "\
connections_max = 20000
connections_per_address_max = 20000
in_flight_max = 20000
in_flight_per_client_max = 20000
[concurrency]
target_max = 20000
pool_max = 20000
";

/// As many windows as are shipped, each so large that it is never met.
pub(crate) const LIMITS: &str = r#"
[[limits]]
name = "per-client"
by = "client"
requests = { count = 4_000_000_000, per = "1m" }
tokens = { count = 4_000_000_000, per = "1m" }
concurrent = 20000
[[limits]]
name = "per-client-and-day"
by = "client"
requests = { count = 4_000_000_000, per = "1d" }
tokens = { count = 4_000_000_000, per = "1d" }
[[limits]]
name = "everybody"
by = "global"
requests = { count = 4_000_000_000, per = "1m" }
"#;

pub(crate) fn spafe(ways: &Ways, requests: &str) -> String {
    let Ways {
        listen,
        admin,
        upstream,
        ..
    } = ways;
    format!(
        r#"[server]
listen = ["{listen}"]
admin = "{admin}"
threads = 1

# Subjects are compared on connections that go on, as the others are set up to.
[bounds]
requests_per_connection = 1_000_000_000
{MANY}

[log]
requests = {requests}

[[pools]]
name = "upstream"
dialect = "openai"
targets = [{{ url = "http://{upstream}/v1" }}]

[[models]]
id = "gpt-4o"
pools = ["upstream"]
"#
    )
}

pub(crate) fn nginx(ways: &Ways, file: &Path) -> String {
    let Ways {
        listen,
        upstream,
        folder,
        ..
    } = ways;
    let (folder, pid) = (folder.display(), file.with_extension("pid"));
    let pid = pid.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
pid {pid};
error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    client_max_body_size 0;
    keepalive_requests 10000000;
    upstream completions {{
        server {upstream};
        keepalive 128;
        keepalive_requests 10000000;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://completions;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"
    )
}

pub(crate) fn haproxy(ways: &Ways) -> String {
    let Ways {
        listen, upstream, ..
    } = ways;
    format!(
        "global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend clients
    bind {listen} backlog 4096
    default_backend completions
backend completions
    http-reuse always
    server upstream {upstream}
"
    )
}
