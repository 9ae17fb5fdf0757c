//! Which target is not asked, and when is it again?

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use spafe::simulator::record::Request;
use spafe::simulator::script::Script;
use spafe::simulator::{Simulator, When};

use crate::kit::client::{Connection, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{Upstream, WIRES, completion};
use crate::kit::soon;
use crate::kit::upstream::{always, base, unused_address, upstream};

const LOOK_AGAIN: Duration = Duration::from_millis(10);
const KEYS: &str = "ejection = { time = \"400ms\", time_max = \"400ms\" }\nslow_start = \"1ms\"";

fn failing() -> Script {
    Script::json(500, r#"{"error":{"message":"No."}}"#)
}

async fn status(gateway: &Gateway) -> u16 {
    chat(gateway.address, "m", false).await.status
}

fn state(target: &Simulator, state: &str) -> String {
    let target = target.addr();
    format!("spafe_target_state{{pool=\"p\",state=\"{state}\",target=\"{target}\"}}")
}

/// A gateway whose model has one pool over these upstreams.
fn gateway(upstreams: &[&Simulator], keys: &str) -> Gateway {
    let targets: Vec<String> = upstreams.iter().map(|upstream| base(upstream)).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    Setup::new()
        // One caller asks all the time, each time on another connection.
        .tables("[bounds]\naccepts_per_second_max = 65536")
        .pool_with("p", &targets, keys)
        .model("m", &["p"])
        .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_three_times_in_a_row_and_is_asked_no_more() {
    let working = upstream().await;
    let dead = format!("http://{}/v1", unused_address());
    let gateway = Setup::new()
        .pool("p", &[&dead, &base(&working)])
        .model("m", &["p"])
        .start();
    for _ in 0..20 {
        let began = Instant::now();
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(began.elapsed() < Duration::from_millis(500));
    }
    gateway
        .counts(
            "spafe_attempts_total{outcome=\"connect_failed\",pool=\"p\"}",
            3,
        )
        .await;
    let labels = ["pool=\"p\"", "reason=\"in_a_row\"", "target=\"127.0.0.1:"];
    gateway
        .counts_in_all("spafe_target_ejections_total", &labels, 1)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ejected_target_is_probed_by_one_request_and_comes_back() {
    let (falling, steady) = (upstream().await, upstream().await);
    falling.default(failing());
    let gateway = gateway(&[&falling, &steady], KEYS);
    for _ in 0..8 {
        assert_eq!(status(&gateway).await, 200);
    }
    assert_eq!(falling.requests().len(), 3);
    gateway.counts(&state(&falling, "ejected"), 1).await;
    // Its probes fail for a while, one for each rest; no caller notices.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        assert_eq!(status(&gateway).await, 200);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let probes = falling.requests().len() - 3;
    assert!((2..=6).contains(&probes), "{probes} probes in 2 s");
    falling.default(completion("I am back."));
    soon("its return", async {
        let before = falling.requests().len();
        while falling.requests().len() < before + 3 {
            assert_eq!(status(&gateway).await, 200);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    gateway.counts(&state(&falling, "fit"), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_sent_tries_no_rest_in_anothers_place() {
    let (falling, steady) = (upstream().await, upstream().await);
    falling.default(failing());
    let gateway = gateway(
        &[&falling, &steady],
        &format!("dialect = \"anthropic\"\n{KEYS}"),
    );
    let ask = async |more: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let mut client = Connection::open(gateway.address).await;
        let answer = client.post("/v1/chat/completions", body.to_string()).await;
        answer.status
    };
    for _ in 0..8 {
        assert_eq!(ask(json!({})).await, 200);
    }
    assert_eq!(falling.requests().len(), 3);
    // Its rest is over, and this has no words in its protocol.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let unsaid = json!({"logit_bias": {"50256": -100}});
    assert_eq!(ask(unsaid).await, 400);
    assert_eq!(falling.requests().len(), 3);
    assert_eq!(ask(json!({})).await, 200);
    assert_eq!(falling.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_flaps_is_out_or_in_for_a_while_and_no_caller_notices() {
    let (flapping, steady) = (upstream().await, upstream().await);
    let keys = "ejection = { time = \"1s\", time_max = \"1s\" }\nslow_start = \"1ms\"";
    let gateway = gateway(&[&flapping, &steady], keys);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let is_well = began.elapsed().as_millis() % 200 >= 100;
        flapping.default(if is_well {
            completion("Now I am well.")
        } else {
            failing()
        });
        assert_eq!(status(&gateway).await, 200);
    }
    // Out for nine tenths of a second at least, in for half of one.
    let returned = || gateway.output().matches("target is back").count();
    let before = returned();
    assert!(before <= 3, "{before} times back in 5 s");
    assert!(gateway.output().contains("target ejected"));
    flapping.default(completion("I am well."));
    soon("its return", async {
        while returned() == before && gateway.metric(&state(&flapping, "fit")).await < 1.0 {
            assert_eq!(status(&gateway).await, 200);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_pool_failing_half_of_the_time_is_found_and_no_more_than_half_rests() {
    let upstreams = [
        upstream().await,
        upstream().await,
        upstream().await,
        upstream().await,
    ];
    for bad in &upstreams[..2] {
        for _ in 0..200 {
            bad.push(failing());
            bad.push(completion("This time."));
        }
    }
    let spare = upstream().await;
    let targets: Vec<String> = upstreams.iter().map(base).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let gateway = Setup::new()
        .pool_with("p", &targets, "ejection = { time = \"1m\" }")
        .pool("spare", &[&base(&spare)])
        .model("m", &["p", "spare"])
        .start();
    for _ in 0..200 {
        assert_eq!(status(&gateway).await, 200);
    }
    for bad in &upstreams[..2] {
        gateway.counts(&state(bad, "ejected"), 1).await;
    }
    // Now the others fail, too, and stay.
    for good in &upstreams[2..] {
        good.default(failing());
    }
    for _ in 0..10 {
        status(&gateway).await;
    }
    for good in &upstreams[2..] {
        gateway.counts(&state(good, "fit"), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_target_is_left_alone_for_as_long_as_it_says_and_the_caller_is_told() {
    // What it says, and what callers are told in seconds.
    for (said, told) in [("7", 7), ("99999", 60)] {
        let (busy, spare) = (upstream().await, upstream().await);
        busy.default(Script::json(429, "{}").header("Retry-After", said));
        let gateway = Setup::new()
            .pool("p", &[&base(&busy)])
            .pool("spare", &[&base(&spare)])
            .model("m", &["p"])
            .model("backed", &["p", "spare"])
            .start();
        assert_eq!(status(&gateway).await, 429);
        gateway.counts(&state(&busy, "cooling"), 1).await;
        let backed = chat(gateway.address, "backed", false).await;
        assert_eq!(backed.status, 200);
        assert_eq!(backed.field("x-spafe-upstream"), Some("spare"));
        for _ in 0..5 {
            let answer = chat(gateway.address, "m", false).await;
            assert_eq!(answer.status, 429, "{}", answer.text());
            assert_eq!(answer.json()["error"]["code"], "upstream_rate_limited");
            let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
            assert!(
                seconds <= told && seconds + 5 >= told,
                "{seconds} of {told}"
            );
        }
        assert_eq!(busy.requests().len(), 1);
        gateway
            .counts_in_all("spafe_target_ejections_total", &[], 0)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_check_takes_a_target_out_and_good_ones_bring_it_back() {
    let check = "[pools.check]\npath = \"/healthz\"\ninterval = \"100ms\"\ntimeout = \"100ms\"\nunhealthy_after = 2";
    for wire in WIRES {
        let checked = Upstream::start(wire).await;
        let spare = upstream().await;
        let keys = format!("slow_start = \"1ms\"\napi_key = {{ env = \"KEY\" }}\n{check}");
        let gateway = checked
            .pool(Setup::new(), "p", &keys)
            .pool("spare", &[&base(&spare)])
            .model("m", &["p", "spare"])
            .variable("KEY", "sk-check")
            .start();
        checked.simulator.default(completion("Well."));
        gateway.counts(&state(&checked.simulator, "fit"), 1).await;
        let is_check = |seen: &Request| seen.method == "GET" && seen.target == "/healthz";
        soon("a check", async {
            while !checked.simulator.requests().iter().any(is_check) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        let seen = checked.simulator.requests().into_iter().find(is_check);
        let seen = seen.unwrap();
        assert_eq!(seen.header("authorization"), Some("Bearer sk-check"));
        checked.simulator.default(failing());
        gateway
            .counts(&state(&checked.simulator, "check_failed"), 1)
            .await;
        // Nobody tries it by a request.
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.field("x-spafe-upstream"), Some("spare"), "{wire:?}");
        assert_eq!(answer.field("x-spafe-attempts"), Some("1"), "{wire:?}");
        checked.simulator.default(completion("Well again."));
        gateway.counts(&state(&checked.simulator, "fit"), 1).await;
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.field("x-spafe-upstream"), Some("p"), "{wire:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_checks_fail_a_target_is_asked_all_the_same() {
    let (first, second) = (upstream().await, upstream().await);
    let check = "[pools.check]\npath = \"/healthz\"\ninterval = \"50ms\"\ntimeout = \"50ms\"";
    for hanging in [&first, &second] {
        // More than the test waits for.
        for _ in 0..500 {
            hanging.push_when(When::Path("/healthz".to_owned()), Script::stall());
        }
    }
    let gateway = gateway(&[&first, &second], check);
    for checked in [&first, &second] {
        gateway.counts(&state(checked, "check_failed"), 1).await;
    }
    let timeouts = gateway
        .metric("spafe_target_checks_total{outcome=\"timeout\",pool=\"p\"}")
        .await;
    assert!(timeouts >= 6.0, "{timeouts}");
    for _ in 0..10 {
        let began = Instant::now();
        assert_eq!(status(&gateway).await, 200);
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "a check delayed it"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_not_used_is_not_checked() {
    let unused = upstream().await;
    let check = "[pools.check]\ninterval = \"50ms\"\ntimeout = \"50ms\"";
    let checked = upstream().await;
    let gateway = Setup::new()
        .pool_with("p", &[&base(&checked)], check)
        .pool_with(
            "keyless",
            &[&base(&unused)],
            &format!("api_key = {{ env = \"SPAFE_TEST_THIS_IS_NOT_SET\" }}\n{check}"),
        )
        .model("m", &["p", "keyless"])
        .start();
    soon("ten checks of the other pool", async {
        while checked.connections().len() < 10 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert_eq!(unused.connections().len(), 0);
    let label = unused.addr();
    let unusable =
        format!("spafe_target_state{{pool=\"keyless\",state=\"unusable\",target=\"{label}\"}}");
    gateway.counts(&unusable, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_blames_no_upstream() {
    let silent = always(Script::stall()).await;
    let gateway = Setup::new()
        .tables("[timeouts]\nanswer = \"3s\"\n[attempts]\nmax = 1")
        .pool("p", &[&base(&silent)])
        .model("m", &["p"])
        .start();
    let address = gateway.address;
    let asking: Vec<_> = (0..6)
        .map(|_| tokio::spawn(async move { chat(address, "m", false).await.status }))
        .collect();
    soon("all requests upstream", async {
        while silent.requests().len() < 6 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    gateway.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(5)).await;
    gateway.signal(Signal::CONT);
    for asked in asking {
        asked.await.unwrap();
    }
    assert!(
        !gateway.output().contains("ejected"),
        "{}",
        gateway.output()
    );
    gateway.counts(&state(&silent, "fit"), 1).await;
}
