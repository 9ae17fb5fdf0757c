//! What becomes of a target that does not take our credential, or not for everything?

use serde_json::json;
use spafe::simulator::script::Script;

use crate::kit::pair::{Pair, Wire};

fn error(status: u16) -> Script {
    Script::json(
        status,
        r#"{"error":{"message":"No, thank you.","type":"t","code":"c"}}"#,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_is_told_once_and_its_target_is_left_alone() {
    for (status, stream) in [(401, false), (401, true)] {
        let pair = Pair::start(Wire::Http1).await;
        pair.first.simulator.default(error(status));
        let answer = pair.ask("backed", stream).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], json!("upstream_auth"));
        assert!(
            !answer.text().contains("No, thank you."),
            "{}",
            answer.text()
        );
        assert_eq!(pair.second.simulator.requests().len(), 0);
        pair.gateway
            .counts("spafe_upstream_auth_failures_total{pool=\"first\"}", 1)
            .await;
        // The target is out: others answer at once, and nobody is left for the model alone.
        let answer = pair.ask("backed", stream).await;
        assert_eq!(
            (answer.status, answer.field("x-spafe-attempts")),
            (200, Some("1"))
        );
        let answer = pair.ask("alone", stream).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["error"]["code"], json!("no_healthy_upstream"));
        let line = pair.gateway.logged(answer.field("x-request-id").unwrap());
        assert_eq!(line.await["outcome"], "upstream_failed");
        assert_eq!(pair.first.simulator.requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_that_our_account_may_not_make_takes_no_target_from_others() {
    let no = "You requested 65536 tokens, but can only afford 1200.";
    for (status, stream) in [(402, false), (402, true), (403, false), (403, true)] {
        let pair = Pair::start(Wire::Http1).await;
        let refuse = || {
            Script::json(
                status,
                json!({"error": {"message": no, "code": status}}).to_string(),
            )
        };
        // Another pool may have what this one may not.
        pair.first.simulator.push(refuse());
        let answer = pair.ask("backed", stream).await;
        assert_eq!(
            (answer.status, answer.field("x-spafe-attempts")),
            (200, Some("2"))
        );
        // Alone it is told as what it is, without what our account can afford.
        for _ in 0..4 {
            pair.first.simulator.push(refuse());
            let answer = pair.ask("alone", stream).await;
            assert_eq!(answer.status, 502, "{}", answer.text());
            assert_eq!(answer.json()["error"]["code"], json!("upstream_auth"));
            assert!(!answer.text().contains("1200"), "{}", answer.text());
        }
        pair.gateway
            .counts("spafe_upstream_auth_failures_total{pool=\"first\"}", 5)
            .await;
        // And whoever asks next is answered by the same target.
        let answer = pair.ask("alone", stream).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
