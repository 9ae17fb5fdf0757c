//! What do callers notice of targets that fail, flap, or seem to?
//!
//! With the rests and windows that are shipped, in their true time.

use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::completion;
use crate::kit::upstream::{always, base, upstream};
use crate::kit::{now, soon};
use crate::lasting;

const LOOK_AGAIN: Duration = Duration::from_millis(20);

fn failing() -> Script {
    Script::json(500, r#"{"error":{"message":"No."}}"#)
}

async fn pool(targets: usize) -> Vec<Simulator> {
    let mut upstreams = Vec::new();
    for _ in 0..targets {
        upstreams.push(always(completion("Well.")).await);
    }
    upstreams
}

/// A model with one pool over these, and another pool behind it.
fn gateway(upstreams: &[Simulator], spare: &Simulator) -> Gateway {
    let targets: Vec<String> = upstreams.iter().map(base).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    Setup::new()
        .pool("p", &targets)
        .pool("spare", &[&base(spare)])
        .model("m", &["p", "spare"])
        .start()
}

/// How many endpoints of these are in this state.
async fn count(gateway: &Gateway, upstreams: &[Simulator], state: &str) -> f64 {
    let mut sum = 0.0;
    for upstream in upstreams {
        let target = upstream.addr();
        let series =
            format!("spafe_target_state{{pool=\"p\",state=\"{state}\",target=\"{target}\"}}");
        sum += gateway.metric(&series).await;
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_targets_fail_half_of_the_time() {
    let (upstreams, spare) = (pool(4).await, upstream().await);
    let gateway = gateway(&upstreams, &spare);
    let began = now();
    let (mut asked, mut served, mut found) = (0_u32, 0_u32, None);
    while began.elapsed() < lasting(30) {
        for bad in &upstreams[..2] {
            bad.default(if asked.is_multiple_of(2) {
                failing()
            } else {
                completion("This time.")
            });
        }
        let answer = chat(gateway.address, "m", false).await;
        asked += 1;
        served += u32::from(answer.status == 200);
        if asked.is_multiple_of(20) {
            let ejected = count(&gateway, &upstreams, "ejected").await;
            assert!(ejected <= 2.0, "more than half of the pool rests");
            if ejected > 1.0 {
                found.get_or_insert(began.elapsed());
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    println!("{served} of {asked} served, both out after {found:?}");
    assert!(f64::from(served) >= 0.999 * f64::from(asked));
    assert!(found.is_some_and(|after| after <= Duration::from_secs(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_out_is_back_soon_after_it_is_well() {
    let (upstreams, spare) = (pool(4).await, upstream().await);
    let gateway = gateway(&upstreams, &spare);
    upstreams[0].default(failing());
    soon("its ejection", async {
        while count(&gateway, &upstreams[..1], "ejected").await < 1.0 {
            chat(gateway.address, "m", false).await;
        }
    })
    .await;
    upstreams[0].default(completion("I am well."));
    let began = now();
    while count(&gateway, &upstreams[..1], "fit").await < 1.0 {
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.status, 200);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    println!("back after {:?}", began.elapsed());
    assert!(began.elapsed() <= Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_flaps_every_second() {
    let (upstreams, spare) = (pool(2).await, upstream().await);
    let gateway = gateway(&upstreams, &spare);
    let began = now();
    let (mut asked, mut served) = (0_u32, 0_u32);
    let mut state = 1.0;
    let mut changes = Vec::new();
    while began.elapsed() < lasting(60) {
        let is_well = began.elapsed().as_secs().is_multiple_of(2);
        upstreams[0].default(if is_well {
            completion("Well.")
        } else {
            failing()
        });
        let answer = chat(gateway.address, "m", false).await;
        asked += 1;
        served += u32::from(answer.status == 200);
        let is = count(&gateway, &upstreams[..1], "fit").await;
        if (is - state).abs() > 0.5 {
            state = is;
            changes.push(began.elapsed());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    println!("{served} of {asked} served, changes at {changes:?}");
    assert!(f64::from(served) >= 0.99 * f64::from(asked));
    for pair in changes.windows(2) {
        // As seen from outside, a look late or early.
        assert!(pair[1].saturating_sub(pair[0]) >= Duration::from_millis(4_800));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_stopped_for_half_a_minute() {
    let (upstreams, spare) = (pool(4).await, upstream().await);
    let gateway = gateway(&upstreams, &spare);
    for silent in &upstreams {
        silent.default(Script::stall());
    }
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = Connection::open(gateway.address).await;
        let asked = post("/v1/chat/completions", &[], ask("m", true).as_bytes());
        client.send(asked).await;
        clients.push(client);
    }
    let arrived = || {
        upstreams
            .iter()
            .map(|seen| seen.requests().len())
            .sum::<usize>()
    };
    soon("all requests upstream", async {
        while arrived() < 12 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    gateway.signal(Signal::STOP);
    // Beyond `first_event`, which is thirty seconds.
    tokio::time::sleep(Duration::from_secs(31)).await;
    for well in &upstreams {
        well.clear_scripts();
    }
    gateway.signal(Signal::CONT);
    let mut served = 0;
    for mut client in clients {
        served += usize::from(client.answer().await.status == 200);
    }
    let again = arrived() - 12;
    println!("{served} of 12 served, {again} asked again at the same pool");
    assert!((count(&gateway, &upstreams, "fit").await - 4.0).abs() < 0.5);
    // A fifth of the requests, and three a second.
    assert!(again <= 12 / 5 + 3 + 3, "{again} attempts more");
}
