//! What is not fresh any more.

use spafe::simulator::script::Script;

use super::{Kept, content, question, status, streamed};
use crate::kit::gateway::Setup;
use crate::kit::pair::completion;
use crate::kit::soon;

/// A gateway whose answers are fresh for no time that a test could miss.
async fn brief(stale: &str) -> Kept {
    let cache = format!("[cache]\nttl = \"1ms\"\n{stale}\n");
    let attempts = "[attempts]\nmax = 1\n[ejection]\nfailures = 1000\n";
    Kept::with(Setup::new().tables(&format!("{cache}{attempts}"))).await
}

#[tokio::test]
async fn an_answer_is_given_no_longer_than_it_is_fresh() {
    let kept = brief("").await;
    kept.up.push(completion("old"));
    kept.up.push(completion("new"));
    kept.ask(&question(1), &[]).await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let answer = kept.ask(&question(1), &[]).await;
    assert_eq!(status(&answer), "spafe; fwd=miss; stored");
    assert!(answer.text().contains("new"));
}

#[tokio::test]
async fn an_old_answer_is_given_while_another_is_fetched_once() {
    let kept = brief("stale_while_revalidate = \"1h\"").await;
    kept.up.push(completion("old"));
    kept.up.default(completion("new"));
    kept.ask(&question(1), &[]).await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let stale = kept.ask(&question(1), &[]).await;
    assert_eq!(status(&stale), "spafe; hit; ttl=-1");
    assert!(stale.text().contains("old"));
    soon("the newer one", async {
        while !kept.ask(&question(1), &[]).await.text().contains("new") {}
    })
    .await;
}

#[tokio::test]
async fn an_old_answer_is_given_where_no_upstream_answers() {
    let kept = brief("stale_if_error = \"1h\"").await;
    kept.up.push(completion("old"));
    kept.up.default(Script::json(500, "{}"));
    kept.ask(&question(1), &[]).await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let whole = kept.ask(&question(1), &[]).await;
    assert_eq!(
        status(&whole),
        "spafe; fwd=stale; ttl=-1; detail=stale_if_error"
    );
    assert_eq!(whole.field("x-spafe-attempts"), Some("1"));
    assert!(whole.text().contains("old"));
    let stream = kept.ask(&streamed(1), &[]).await;
    assert_eq!(content(&stream), ("old".to_owned(), true));
    assert_eq!(kept.asked(), 3);
    // Whose fault it is decides.
    let refused = r#"{"error":{"message":"no","type":"invalid_request_error"}}"#;
    kept.up.push(Script::json(400, refused));
    assert_eq!(kept.ask(&question(1), &[]).await.status, 400);
}
