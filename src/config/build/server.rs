//! What do `[server]`, `[reload]` and `[bounds]` mean?

use std::num::NonZeroUsize;

use super::{bytes, count};
use crate::config::bounds::Bounds;
use crate::config::file;
use crate::config::policy::Reload;
use crate::config::server::{Explain, Server, Tls};

pub(super) fn server(file: file::server::Server) -> Server {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Server {
        listen: file.listen.into_iter().map(|address| address.0).collect(),
        tls: file.tls.map(|tls| Tls {
            listen: tls.listen.into_iter().map(|address| address.0).collect(),
            cert: tls.cert.file.0,
            key: tls.key.file.0,
        }),
        admin: file.admin.0,
        admin_public: file.admin_public,
        admin_hosts: file.admin_hosts.into_iter().map(|host| host.0).collect(),
        threads: if file.threads == 0 {
            cores()
        } else {
            file.threads
        },
        public_url: file.public_url.map(|url| url.0),
        allowed_hosts: file.allowed_hosts.into_iter().map(|host| host.0).collect(),
        drain_delay: file.drain_delay.0,
        drain_timeout: file.drain_timeout.0,
        run_dir: file.run_dir.0,
        config_header: file.config_header,
        ready_needs_pool: file.ready_needs_pool,
        proxy_protocol: file.proxy_protocol,
        explain: match file.explain {
            file::server::Explain::Off => Explain::Off,
            file::server::Explain::Keys => Explain::Keys,
            file::server::Explain::All => Explain::All,
        },
        core_dumps: file.core_dumps,
    }
}

pub(super) fn bounds(file: &file::bounds::Bounds) -> Bounds {
    Bounds {
        head_timeout: file.head_timeout.0,
        keep_alive: file.keep_alive.0,
        next_head_timeout: file.next_head_timeout.0,
        requests_per_connection: file.requests_per_connection,
        request_line_bytes_max: bytes(file.request_line_bytes_max.0),
        head_bytes_max: bytes(file.head_bytes_max.0),
        head_fields_max: file.head_fields_max,
        body_bytes_max: bytes(file.body_bytes_max.0),
        form_bytes_max: bytes(file.form_bytes_max.0.min(file.bodies_bytes_max.0)),
        inputs_max: count(file.inputs_max),
        body_first_byte_timeout: file.body_first_byte_timeout.0,
        body_rate_min: bytes(file.body_rate_min.0),
        json_depth_max: file.json_depth_max,
        json_keys_max: file.json_keys_max,
        write_stall: file.write_stall.0,
        connections_max: count(file.connections_max),
        accepts_per_second_max: file.accepts_per_second_max,
        connections_per_address_max: count(file.connections_per_address_max),
        connections_per_v6_56_max: count(file.connections_per_v6_56_max),
        connections_per_v6_48_max: count(file.connections_per_v6_48_max),
        h2_streams_max: file.h2_streams_max,
        h2_header_list_bytes_max: bytes(file.h2_header_list_bytes_max.0),
        h2_idle: file.h2_idle.0,
        in_flight_max: count(file.in_flight_max),
        in_flight_per_client_max: count(file.in_flight_per_client_max),
        bodies_bytes_max: bytes(file.bodies_bytes_max.0),
        memory_max: bytes(file.memory_max.0),
    }
}

pub(super) fn reload(file: &file::server::Reload) -> Reload {
    Reload {
        watch: file.watch,
        debounce: file.debounce.0,
        poll: file.poll.0,
    }
}
