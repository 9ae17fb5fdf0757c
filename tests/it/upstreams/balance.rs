//! Which of several targets is asked?

use std::time::Duration;

use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Connection, ask, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::completion;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

/// A gateway with one pool over these upstreams.
fn gateway(upstreams: &[&Simulator], keys: &str) -> Gateway {
    let targets: Vec<String> = upstreams.iter().map(|upstream| base(upstream)).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    Setup::new()
        .pool_with("p", &targets, keys)
        .model("m", &["p"])
        .start()
}

async fn asked(gateway: &Gateway, times: usize) {
    for _ in 0..times {
        assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    }
}

/// A request that stays in flight until its gate opens.
async fn held(gateway: &Gateway, upstreams: &[&Simulator]) -> Connection {
    let before: usize = upstreams.iter().map(|seen| seen.requests().len()).sum();
    let mut client = Connection::open(gateway.address).await;
    let body = ask("m", false);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(head).await;
    soon("the request upstream", async {
        while upstreams
            .iter()
            .map(|seen| seen.requests().len())
            .sum::<usize>()
            == before
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_busy_gets_no_more_by_least_requests() {
    let (first, second) = (upstream().await, upstream().await);
    let gate = Gate::new();
    let holding = completion("Later.").hold_head(&gate);
    first.default(holding.clone());
    second.default(holding);
    let gateway = gateway(&[&first, &second], "balance = \"least_requests\"");
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(held(&gateway, &[&first, &second]).await);
    }
    // Turns by chance would be even by chance once in four times.
    assert_eq!((first.requests().len(), second.requests().len()), (5, 5));
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_slow_gets_less_by_peak_ewma() {
    let (fast, slow) = (upstream().await, upstream().await);
    slow.default(completion("At last.").delay_head(Duration::from_millis(400)));
    let gateway = gateway(&[&slow, &fast], "balance = \"peak_ewma\"");
    asked(&gateway, 30).await;
    let slow = slow.requests().len();
    assert!((1..=3).contains(&slow), "{slow} of 30");
    assert_eq!(fast.requests().len(), 30 - slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_comes_back_grows_into_its_share() {
    let (falling, steady) = (upstream().await, upstream().await);
    for _ in 0..3 {
        falling.push(Script::json(500, "{}"));
    }
    let keys = "slow_start = \"1h\"\nejection = { time = \"200ms\", time_max = \"200ms\" }";
    let gateway = gateway(&[&falling, &steady], keys);
    asked(&gateway, 6).await;
    gateway
        .counts_in_all("spafe_target_ejections_total", &["pool=\"p\""], 1)
        .await;
    let fallen = falling.requests().len();
    soon("the target's return", async {
        while falling.requests().len() == fallen {
            asked(&gateway, 1).await;
        }
    })
    .await;
    let (fallen, stood) = (falling.requests().len(), steady.requests().len());
    asked(&gateway, 100).await;
    let got = falling.requests().len() - fallen;
    assert!((1..=20).contains(&got), "{got} of 100 at once");
    assert_eq!(steady.requests().len() - stood, 100 - got);
}
