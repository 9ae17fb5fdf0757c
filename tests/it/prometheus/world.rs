//! What happens to a gateway on its worst day?
//!
//! Everything that a panel or a rule is about, within seconds: upstreams that fail, refuse,
//! are slow and cut streams; limits, keys and bounds that are met; answers from memory;
//! a Redis that goes away and comes back; a configuration that is wrong.

/// Who asks for what, and how often.
mod calls;

use std::time::Duration;

use spafe::simulator::script::Script;
use spafe::simulator::{Options, Simulator};

use self::calls::Callers;
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::prometheus::Prometheus;
use crate::kit::redis::Redis;
use crate::kit::reload::replace;
use crate::kit::script;
use crate::kit::upstream::{Secure, base, secure, unused_address};

/// The key is the hash of `secret`.
const TABLES: &str = r#"
[bounds]
in_flight_per_client_max = 4
connections_per_address_max = 8
[attempts]
backoff = "5ms"
budget_percent = 1
budget_per_second = 1
[ejection]
failures = 3
time = "300ms"
time_max = "300ms"
[timeouts]
connect = "100ms"
[dns]
ttl_min = "1s"
ttl_max = "1s"
[cache]
ttl = "300ms"
max_bytes = "256KiB"
entry_bytes_max = "4KiB"
stale_while_revalidate = "300ms"
stale_if_error = "1h"
second_tier = true
lease = "1s"
[shared]
secret = { env = "SECRET" }
timeout = "100ms"
redis = "REDIS"
[images]
store = "images"
[log]
slow = "100ms"
[otlp]
endpoint = "http://COLLECTOR"
timeout = "200ms"
traces = 1.0
[auth]
keys = "optional"
[[keys]]
name = "team-a"
sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
[[limits]]
name = "tight"
by = "global"
models = ["tight"]
requests = { count = 2, per = "1s" }
[[limits]]
name = "trial"
by = "global"
models = ["chat"]
requests = { count = 1, per = "1s" }
shadow = true
[[limits]]
name = "together"
by = "client"
scope = "shared"
requests = { count = 1000, per = "1s" }
"#;
/// From when to when Redis is away, of all the time.
const AWAY: std::ops::Range<u32> = 5..7;
/// In how many parts the time is cut.
const PARTS: u32 = 10;

/// A gateway, who stands behind it and who asks it.
pub(super) struct World {
    // They end first, while there is somebody to ask.
    callers: Callers,
    pub(super) gateway: Gateway,
    _good: [Simulator; 2],
    sluggish: Simulator,
    redis: Redis,
    _others: Vec<Simulator>,
    _secure: Secure,
}

impl World {
    /// All of it, and callers that ask from now on.
    pub(super) async fn start() -> Self {
        let redis = Redis::start().await;
        let good = [paced().await, paced().await];
        let (sluggish, secure) = (paced().await, secure(true).await);
        let mut others = Vec::new();
        let mut setup = Setup::new()
            .tls()
            .variable("SECRET", "the-same-everywhere")
            .variable("SPAFE_PANIC_AT", "door")
            .tables(&tables(&redis))
            .pool_with("good", &[&base(&good[0]), &base(&good[1])], CHECK);
        for (name, script) in scripts() {
            let upstream = paced().await;
            upstream.default(script);
            if name == "gone" {
                upstream.push(completion("kept"));
            }
            let targets = match name {
                "flaky" => vec![base(&upstream), base(&good[0])],
                _ => vec![base(&upstream)],
            };
            let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
            setup = setup.pool_with(name, &targets, keys_of(name));
            others.push(upstream);
        }
        let by_name = format!("http://localhost:{}/v1", good[1].addr().port());
        let hedged = [base(&sluggish), base(&good[1])];
        setup = setup
            .pool_with(
                "hedged",
                &[&hedged[0], &hedged[1]],
                "hedging = { enabled = true, percent = 50, after_min = \"10ms\" }",
            )
            .pool_with("secure", &[&base(&secure.simulator)], &secure.ca())
            .pool("named", &[&by_name])
            .pool("dead", &[&format!("http://{}/v1", unused_address())])
            .pool_with("keyless", &[&by_name], "api_key = { env = \"NOT_SET\" }")
            .pool_with("painter", &[&base(&good[0])], "dialect = \"images\"");
        let gateway = models(setup).start();
        gateway.counts("spafe_shared_up", 1).await;
        let callers = Callers::start(&gateway);
        Self {
            gateway,
            _good: good,
            sluggish,
            redis,
            callers,
            _others: others,
            _secure: secure,
        }
    }

    /// Lets this much time pass, in which more happens than callers do.
    pub(super) async fn lives_for(&mut self, time: Duration) {
        let right = std::fs::read_to_string(&self.gateway.config).unwrap();
        for part in 0..PARTS {
            match part {
                _ if part == AWAY.start => self.redis.signal(rustix::process::Signal::STOP),
                _ if part == AWAY.end => self.redis.signal(rustix::process::Signal::CONT),
                2 => {
                    replace(&self.gateway.config, "[servers]\n");
                    assert_ne!(self.gateway.reload().await.status, 200);
                }
                3 => {
                    replace(&self.gateway.config, &format!("{right}\n# Another.\n"));
                    assert_eq!(self.gateway.reload().await.status, 200);
                }
                _ => {}
            }
            // Hedges are for what is slow now and then.
            for _ in 0..3 {
                self.sluggish
                    .push(completion("slow").delay_head(Duration::from_millis(400)));
            }
            tokio::time::sleep(time / PARTS).await;
        }
        self.callers.are_alive();
    }
}

/// Draws each panel where `SPAFE_PANELS` says, so that somebody can look at them.
pub(super) fn draws(prometheus: &Prometheus) {
    if let Ok(folder) = std::env::var("SPAFE_PANELS") {
        let url = prometheus.url();
        script::python("panels.py", &[("PROMETHEUS", &url), ("PANELS", &folder)]);
    }
}

/// Nobody takes what is exported.
fn tables(redis: &Redis) -> String {
    let collector = unused_address().to_string();
    TABLES
        .replace("REDIS", &redis.url())
        .replace("COLLECTOR", &collector)
}

const CHECK: &str =
    "[pools.check]\npath = \"/v1/models\"\ninterval = \"500ms\"\ntimeout = \"400ms\"";

/// At the pace of a model that is small and near.
async fn paced() -> Simulator {
    let options = Options {
        first_token: Duration::from_millis(20),
        token_gap: Duration::from_millis(2),
        image: Duration::from_millis(50),
        image_inline: true,
        ..Options::test()
    };
    let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Simulator::start(anywhere, options).await.unwrap()
}

/// Pools of which each does one thing wrong.
fn scripts() -> [(&'static str, Script); 7] {
    let (first, second) = (chunk("Hello"), chunk(" there"));
    let event_bytes = "data: \n\n".len() + first.len();
    let slow = completion("slow").delay_head(Duration::from_millis(150));
    [
        ("flaky", Script::json(500, "{}")),
        // It answered once.
        ("gone", Script::json(500, "{}")),
        (
            "cutting",
            Script::sse(&[&first, &second, &stop(0)]).cut_after(event_bytes + 20),
        ),
        ("locked", Script::json(401, "{}")),
        ("busy", Script::json(429, "{}").header("Retry-After", "1")),
        ("narrow", slow),
        ("late", Script::stall()),
    ]
}

fn keys_of(pool: &str) -> &'static str {
    match pool {
        "narrow" => {
            "concurrency = { target_max = 1, pool_max = 1, queue_max = 2, queue_wait = \"200ms\" }"
        }
        "late" => "timeouts = { first_event = \"100ms\", answer = \"100ms\" }",
        _ => "",
    }
}

fn models(setup: Setup) -> Setup {
    let setup = [
        "flaky", "gone", "cutting", "locked", "busy", "late", "narrow", "hedged",
    ]
    .into_iter()
    .chain(["secure", "named", "keyless"])
    .fold(setup, |setup, name| setup.model(name, &[name]));
    setup
        .model_with("chat", &["good"], "price = { input = 2.5, output = 10.0 }")
        .model("tight", &["good"])
        .model_with("weak", &["dead"], "fallbacks = [\"chat\"]")
        .model_with("flux", &["painter"], "modality = \"image\"")
}
