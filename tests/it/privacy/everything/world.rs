//! What stands around a gateway that has everything, and what of it can be read?

use std::fmt::Write as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use super::{
    ANSWER, CALLER, COOKIE, FILE, PASSWORD, POOL_KEY, QUERY, QUESTION, SEALED, SECOND_KEY, SOUND,
    TOKEN,
};
use crate::kit::canary;
use crate::kit::collector::Collector;
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::redis::Redis;
use crate::kit::upstream::{base, upstream};

/// A gateway and all that stands around it.
pub(super) struct World {
    pub(super) gateway: Gateway,
    redis: Redis,
    collector: Collector,
    upstreams: Vec<Simulator>,
    works: Simulator,
    breaks: Simulator,
    any: Simulator,
}

impl World {
    pub(super) async fn start() -> Self {
        let (redis, collector) = (
            Redis::with_password(PASSWORD).await,
            Collector::start("http").await,
        );
        let (works, breaks, any) = (upstream().await, upstream().await, upstream().await);
        // Upstreams have been seen that repeat what they are told.
        let repeats = |status: u16| {
            let message = format!("{QUESTION} {SECOND_KEY}");
            let error = json!({ "message": message, "type": "t", "param": null, "code": "c" });
            Script::json(status, json!({ "error": error }).to_string())
                .header("X-Repeated", SECOND_KEY)
        };
        let mut setup = Setup::new()
            .tls()
            .variable("POOL_KEY", POOL_KEY)
            .variable("SECOND_KEY", SECOND_KEY)
            .variable("PASSWORD", PASSWORD)
            .variable("SEALED", SEALED)
            .variable("TOKEN", &format!("Bearer {TOKEN}"))
            .server("explain = \"all\"\nconfig_header = true")
            .tables(&tables(&redis))
            .tables(&collector.table(
                "traces = 1\nmetrics = true\ninterval = \"1s\"\nheaders = [{ name = \"authorization\", value = { env = \"TOKEN\" } }]",
            ));
        let keyed = "api_key = { env = \"POOL_KEY\" }\ntraceparent = true";
        for (name, simulator) in [("works", &works), ("breaks", &breaks), ("any", &any)] {
            setup = setup.pool_with(name, &[&base(simulator)], keyed);
        }
        let mut upstreams = Vec::new();
        for (name, status) in [("fails", 500), ("blames", 400), ("rejects", 403)] {
            let simulator = upstream().await;
            simulator.default(repeats(status));
            let keyed = "api_key = { env = \"SECOND_KEY\" }";
            setup = setup.pool_with(name, &[&base(&simulator)], keyed);
            upstreams.push(simulator);
        }
        for name in ["works", "fails", "blames", "rejects", "breaks"] {
            setup = setup.model(name, &[name]);
        }
        let gateway = setup
            .model("helped", &["fails", "works"])
            .model("limited", &["works"])
            .model_with("any", &["any"], "endpoints = [\"embeddings\", \"responses\", \"audio.transcriptions\", \"moderations\", \"completions\"]")
            .start();
        gateway.counts("spafe_shared_up", 1).await;
        gateway.counts("spafe_cache_second_up", 1).await;
        Self {
            gateway,
            redis,
            collector,
            upstreams,
            works,
            breaks,
            any,
        }
    }

    /// Lets upstreams answer whole, or as a stream.
    pub(super) fn answer_with(&self, stream: bool) {
        let (first, last) = (chunk(ANSWER), stop(0));
        let (works, breaks) = if stream {
            let cut = "data: \n\n".len() + first.len() + 20;
            (
                Script::sse(&[&first, &last, "[DONE]"]),
                Script::sse(&[&first, &first]).cut_after(cut),
            )
        } else {
            (completion(ANSWER), completion(ANSWER).cut_after(60))
        };
        self.works.default(works);
        self.breaks.default(breaks);
    }

    /// Everything that can be read of the gateway by somebody else than its callers.
    pub(super) async fn readable(&self) -> Vec<(String, String)> {
        let gateway = &self.gateway;
        gateway.idle().await;
        let mut told = canary::seen(gateway.pid(), gateway.admin);
        for path in [
            "/reload",
            "/requests?failed=1",
            "/cache?model=works",
            "/nothing",
        ] {
            told.push((path.to_owned(), gateway.told(path).await.to_string()));
        }
        told.extend(canary::files(gateway.folder()));
        told.push(("its output".to_owned(), gateway.output()));
        told.push((
            "Redis".to_owned(),
            self.redis.kept().expect("Redis answers"),
        ));
        for signal in ["traces", "metrics"] {
            let exports = self.collector.exports(signal);
            assert!(!exports.is_empty(), "no {signal} came");
            for mut export in exports {
                // The credential that it asks for is among them.
                let fields = export["fields"].take();
                assert_eq!(fields["authorization"], format!("Bearer {TOKEN}"));
                told.push((signal.to_owned(), export.to_string()));
            }
        }
        told
    }

    /// Whether every secret and every word was there to be told.
    pub(super) fn was_told_everything(&self) {
        let heard = |simulators: &[&Simulator]| {
            let requests = simulators.iter().flat_map(|simulator| simulator.requests());
            let bytes = requests.flat_map(|request| [request.head.to_vec(), request.body.to_vec()]);
            String::from_utf8_lossy(&bytes.collect::<Vec<_>>().concat()).into_owned()
        };
        let works = heard(&[&self.works, &self.breaks, &self.any]);
        for word in [POOL_KEY, QUESTION, SOUND, FILE] {
            assert!(works.contains(word), "nobody was told {word}");
        }
        let others: Vec<&Simulator> = self.upstreams.iter().collect();
        assert!(heard(&others).contains(SECOND_KEY));
        // What callers show goes to nobody.
        canary::absent(
            "an upstream",
            &(works + &heard(&others)),
            &[CALLER, COOKIE, QUERY],
        );
    }
}

fn tables(redis: &Redis) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(CALLER.as_bytes()) {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!(
        "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"team\"\nsha256 = \"{digits}\"\n\
         tokens = {{ count = 1000000, per = \"1h\" }}\n\
         [shared]\nredis = {:?}\npassword = {{ env = \"PASSWORD\" }}\nsecret = {{ env = \"SEALED\" }}\ntimeout = \"500ms\"\n\
         [cache]\nenabled = true\nsecond_tier = true\nstore_streams = true\n\
         [[limits]]\nname = \"all\"\nby = \"client\"\nscope = \"shared\"\nrequests = {{ count = 100000, per = \"1h\" }}\n\
         [[limits]]\nname = \"few\"\nby = \"model\"\nscope = \"shared\"\nmodels = [\"limited\"]\nrequests = {{ count = 2, per = \"1h\" }}\n\
         [attempts]\nbudget_per_second = 1000\n[ejection]\nfailures = 1000\nrequests_min = 1000",
        redis.url()
    )
}
