//! How long does a body take that was made to take long?
//!
//! Each costly shape of a mebibyte goes the whole way, and takes no more than five times as long
//! as a plain question of that size. Where it is put into another protocol's words, which is work
//! for each of its messages, the times are told.

use std::time::{Duration, Instant};

use crate::kit::client::Connection;
use crate::kit::costly::{SHAPES, costly, plain};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{always, base};
use spafe::simulator::script::Script;

/// Protocols that upstreams speak.
const DIALECTS: [&str; 4] = ["openai", "anthropic", "gemini", "responses"];
/// How many times as long a shape may take where it goes on as it came.
const TIMES_MAX: f64 = 5.0;
/// How large they are.
const BYTES: usize = 1 << 20;
/// How often each is sent; the one in the middle counts.
const TRIES: usize = 15;

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_body_takes_five_times_as_long_as_a_plain_one() {
    // Somebody who reads nothing of it: what a simulator takes for it is not ours.
    let upstream = always(Script::json(500, "{}")).await;
    let mut setup = Setup::new()
        .tables("[ejection]\nfailures = 1000\nrequests_min = 1000\n[attempts]\nper_pool_max = 1");
    for dialect in DIALECTS {
        let keys = format!("dialect = {dialect:?}\nunsupported = \"drop\"");
        let keys = if dialect == "openai" { "" } else { &keys };
        setup = setup
            .pool_with(dialect, &[&base(&upstream)], keys)
            .model(dialect, &[dialect]);
    }
    let gateway = setup.start();
    let mut client = Connection::open(gateway.address).await;
    let mut slow = Vec::new();
    for dialect in DIALECTS {
        let plain = took(&mut client, dialect, &plain(BYTES)).await;
        println!("{dialect}: plain {plain:?}");
        for shape in SHAPES {
            let time = took(&mut client, dialect, &costly(shape, BYTES)).await;
            let times = time.as_secs_f64() / plain.as_secs_f64();
            println!("{dialect}: {shape} {time:?}, {times:.1}");
            if times > TIMES_MAX && dialect == "openai" {
                slow.push(format!("{dialect}: {shape} {times:.1}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// The time from a question's first byte to its answer's last.
async fn took(client: &mut Connection, model: &str, body: &str) -> Duration {
    let body = body.replacen("\"m\"", &format!("{model:?}"), 1);
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let began = Instant::now();
        let answer = client.post("/v1/chat/completions", &body).await;
        times.push(began.elapsed());
        assert!(answer.status >= 400, "{}", answer.text());
    }
    times.sort_unstable();
    times[TRIES / 2]
}
