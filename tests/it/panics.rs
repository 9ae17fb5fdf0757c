//! What does a panic in the middle of a request take along?
//!
//! Its own request, whose connection or stream ends, and nothing else: not the process,
//! not another request, no permit and no gauge.

use spafe::fail_point::Phase;

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::Setup;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_anywhere_on_the_way_ends_its_own_request_and_leaves_nothing_behind() {
    for (phase, _) in Phase::ALL {
        let up = upstream().await;
        let gateway = Setup::new()
            .variable("SPAFE_PANIC_AT", phase)
            .pool_with(
                "p",
                &[&base(&up)],
                "[pools.concurrency]\npool_max = 2\ntarget_max = 2",
            )
            .model("m", &["p"])
            .start();
        for stream in [false, true] {
            // More often than there are places: none may stay taken.
            for number in 0..6 {
                let id = format!("X-Request-Id: panic-{number}");
                let mut client = Connection::open(gateway.address).await;
                client
                    .send(post(CHAT, &[&id], ask("m", stream).as_bytes()))
                    .await;
                let ended = soon("the end of the connection", ended(&mut client, phase));
                ended.await;
            }
            let answer = chat(gateway.address, "m", stream).await;
            assert_eq!(answer.status, 200, "after {phase}: {}", answer.text());
        }
        gateway.counts("spafe_panics_total", 12).await;
        gateway.idle().await;
        let series = format!(
            "spafe_target_in_flight{{pool=\"p\",target=\"{}\"}}",
            up.addr()
        );
        gateway.counts(&series, 0).await;
    }
}

/// Where others may wait for what panics, it is told; elsewhere the connection ends.
async fn ended(client: &mut Connection, phase: &str) {
    if phase == "attempt" {
        let answer = client.answer().await;
        assert_eq!(answer.status, 500, "{answer:?}");
    } else {
        client.closed().await;
    }
}
