//! What does a running process not change?
//!
//! Sockets are bound, threads started, and the image store opened once. A
//! file that wants them otherwise is refused as a whole: half a configuration in force
//! is one that nobody wrote.

use crate::config::Config;

/// Keys of `new` that a process which was started with `old` cannot follow.
#[must_use]
pub(super) fn needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let server = (&old.server, &new.server);
    let bounds = (&old.bounds, &new.bounds);
    let images = (&old.images, &new.images);
    let tls = |config: &Config| config.server.tls.as_ref().map(|tls| tls.listen.clone());
    let keys = [
        ("server.listen", server.0.listen != server.1.listen),
        ("server.admin", server.0.admin != server.1.admin),
        ("server.threads", server.0.threads != server.1.threads),
        ("server.tls.listen", tls(old) != tls(new)),
        // Connections that are open began with it or without.
        (
            "server.proxy_protocol",
            server.0.proxy_protocol != server.1.proxy_protocol,
        ),
        (
            "server.core_dumps",
            server.0.core_dumps != server.1.core_dumps,
        ),
        ("server.run_dir", server.0.run_dir != server.1.run_dir),
        // pingora takes these two once.
        (
            "bounds.requests_per_connection",
            bounds.0.requests_per_connection != bounds.1.requests_per_connection,
        ),
        ("bounds.h2_idle", bounds.0.h2_idle != bounds.1.h2_idle),
        // The sockets have it.
        (
            "bounds.write_stall",
            bounds.0.write_stall != bounds.1.write_stall,
        ),
        ("images.store", images.0.store != images.1.store),
        (
            "images.store_bytes_max",
            images.0.store_bytes_max != images.1.store_bytes_max,
        ),
        (
            "images.image_bytes_max",
            images.0.image_bytes_max != images.1.image_bytes_max,
        ),
        ("images.age_max", images.0.age_max != images.1.age_max),
        // The table has its size for good.
        (
            "limiter.keys_max",
            old.limiter.keys_max != new.limiter.keys_max,
        ),
    ];
    keys.into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example;

    #[test]
    fn what_was_opened_once_is_named_and_nothing_else() {
        #[track_caller]
        fn check(tables: &str, expected: &[&str]) {
            assert_eq!(needed(&example(""), &example(tables)), expected, "{tables}");
        }
        check("", &[]);
        check(
            "[server]\nlisten = [\"127.0.0.1:9\"]\nthreads = 77",
            &["server.listen", "server.threads"],
        );
        check(
            "[server]\nadmin = \"127.0.0.1:9\"\nrun_dir = \"elsewhere\"\nproxy_protocol = true",
            &["server.admin", "server.proxy_protocol", "server.run_dir"],
        );
        check(
            "[bounds]\nwrite_stall = \"7s\"\nh2_idle = \"7s\"\nrequests_per_connection = 7",
            &[
                "bounds.requests_per_connection",
                "bounds.h2_idle",
                "bounds.write_stall",
            ],
        );
        check("[images]\nstore = \"elsewhere\"", &["images.store"]);
        check("[limiter]\nkeys_max = 2048", &["limiter.keys_max"]);
        check(
            "[log]\nrequests = \"off\"\nformat = \"logfmt\"\nrecent = 7",
            &[],
        );
        check(
            "[server]\nallowed_hosts = [\"a.test\"]\nconfig_header = true\n[bounds]\nhead_timeout = \"7s\"\nkeep_alive = \"7s\"\n[attempts]\nmax = 2\n[cors]\norigins = [\"http://a.test\"]",
            &[],
        );
    }
}
