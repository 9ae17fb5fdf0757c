//! Is a second target asked where the first is slow, and what does it cost?

use std::time::Duration;

use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Connection, ask, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::upstream::{base, upstream};

const CHAT: &str = "/v1/chat/completions";

fn setup(targets: &[&str], keys: &str) -> Setup {
    Setup::new()
        .pool_with(
            "p",
            targets,
            &format!("[pools.hedging]\nenabled = true\n{keys}"),
        )
        .model("m", &["p"])
}

/// Asks until the pool knows its pace.
async fn warm(gateway: &Gateway, stream: bool) {
    let mut client = Connection::open(gateway.address).await;
    for _ in 0..40 {
        assert_eq!(client.post(CHAT, ask("m", stream)).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_to_answer_is_taken_and_the_other_is_cancelled_at_once() {
    for stream in [false, true] {
        let (a, b) = (upstream().await, upstream().await);
        let gateway = setup(&[&base(&a), &base(&b)], "percent = 50").start();
        warm(&gateway, stream).await;
        let gate = Gate::new();
        let slow = |text: &str| {
            if stream {
                Script::sse(&[&chunk(text), &stop(0)])
            } else {
                completion(text)
            }
        };
        let before = (a.requests().len(), b.requests().len());
        a.push(slow("slow").hold_head(&gate));
        let mut answers = Vec::new();
        for _ in 0..2 {
            answers.push(chat(gateway.address, "m", stream).await);
        }
        assert!(answers.iter().all(|answer| answer.status == 200));
        let asked = (a.requests().len() - before.0, b.requests().len() - before.1);
        assert_eq!(asked.0 + asked.1, 3, "{asked:?}");
        let hedged = answers
            .iter()
            .find(|answer| answer.field("x-spafe-attempts") == Some("2"));
        let hedged = hedged.expect("no answer took two attempts");
        assert!(!hedged.text().contains("slow"), "{}", hedged.text());
        let lost = a
            .requests()
            .iter()
            .rposition(|request| request.answered.is_none());
        a.aborted(lost.unwrap()).await.unwrap();
        gateway
            .counts("spafe_hedges_total{event=\"sooner\",pool=\"p\"}", 1)
            .await;
        gateway
            .counts("spafe_attempts_total{outcome=\"outrun\",pool=\"p\"}", 1)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_fail_the_caller_is_told_and_where_one_does_the_other_is_taken() {
    let (a, b) = (upstream().await, upstream().await);
    let gateway = setup(&[&base(&a), &base(&b)], "percent = 100").start();
    warm(&gateway, false).await;
    let late = |script: Script| script.delay_head(Duration::from_millis(300));
    for (first, second, status) in [
        (late(Script::json(500, "{}")), late(completion("x")), 200),
        (late(completion("x")), Script::json(500, "{}"), 200),
        (
            late(Script::json(500, "{}")),
            late(Script::json(500, "{}")),
            502,
        ),
    ] {
        a.default(first);
        b.default(second);
        for _ in 0..2 {
            let answer = chat(gateway.address, "m", false).await;
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_are_asked_twice_and_the_slow_tail_is_gone() {
    const REQUESTS: usize = 400;
    let p99 = async |enabled: bool| {
        let (a, b) = (upstream().await, upstream().await);
        let keys = if enabled { "" } else { "#" };
        let gateway = Setup::new()
            .pool_with(
                "p",
                &[&base(&a), &base(&b)],
                &format!("{keys}hedging = {{ enabled = true }}"),
            )
            .model("m", &["p"])
            .start();
        let slow = || Script::sse(&[&chunk("x"), &stop(0)]).delay_head(Duration::from_secs(1));
        let mut client = Connection::open(gateway.address).await;
        let mut took = Vec::new();
        for number in 0..REQUESTS {
            if number % 20 == 19 {
                // Whoever is next has it.
                let turn = (a.requests().len() + b.requests().len()) % 2;
                [&a, &b][turn].push(slow());
            }
            let began = now();
            let answer = client.post(CHAT, ask("m", true)).await;
            assert_eq!(answer.status, 200);
            took.push(began.elapsed());
        }
        took.sort_unstable();
        (
            took[REQUESTS * 99 / 100],
            a.requests().len() + b.requests().len(),
        )
    };
    let (without, _) = p99(false).await;
    let (with, asked) = p99(true).await;
    assert!(without >= Duration::from_secs(1), "{without:?}");
    assert!(with * 5 <= without, "{with:?} with, {without:?} without");
    assert!(asked * 100 <= REQUESTS * 105, "{asked} for {REQUESTS}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_twice_unless_the_operator_says_so() {
    let (a, b) = (upstream().await, upstream().await);
    let gateway = Setup::new()
        .pool("p", &[&base(&a), &base(&b)])
        .model("m", &["p"])
        .start();
    warm(&gateway, false).await;
    let late = completion("late").delay_head(Duration::from_millis(400));
    a.default(late.clone());
    b.default(late);
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
}
