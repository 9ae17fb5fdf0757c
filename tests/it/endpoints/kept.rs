//! Which of these answers are kept?

use spafe::simulator::script::Script;

use super::Two;

const CACHE: &str = "[cache]\nenabled = true\nanonymous = true\nttl = \"1h\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_same_for_everybody_is_asked_for_once() {
    let two = Two::start(CACHE).await;
    for (path, body) in [
        ("embeddings", r#"{"model":"any","input":"a"}"#),
        ("completions", r#"{"model":"any","prompt":"a"}"#),
        ("moderations", r#"{"model":"any","input":"a"}"#),
        ("rerank", r#"{"model":"any","query":"a","documents":["a"]}"#),
        ("responses", r#"{"model":"any","input":"a","store":false}"#),
    ] {
        let before = two.first.requests().len();
        let first = two.ask(path, body).await;
        assert_eq!(
            first.field("cache-status"),
            Some("spafe; fwd=miss; stored"),
            "{path}"
        );
        let again = two.ask(path, body).await;
        assert!(
            again.field("cache-status").unwrap().contains("hit"),
            "{path}"
        );
        assert_eq!(again.body, first.body, "{path}");
        assert_eq!(two.first.requests().len(), before + 1, "{path}");
    }
    // One body, asked at two endpoints, has two answers.
    let both = r#"{"model":"any","input":"b"}"#;
    assert!(
        two.ask("embeddings", both)
            .await
            .text()
            .contains("embedding")
    );
    assert!(
        two.ask("moderations", both)
            .await
            .text()
            .contains("flagged")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_complete_or_kept_elsewhere_is_asked_for_again() {
    let two = Two::start(CACHE).await;
    for (path, body, why) in [
        (
            "completions",
            r#"{"model":"any","prompt":"a","max_tokens":1}"#,
            "detail=length",
        ),
        (
            "completions",
            r#"{"model":"any","prompt":"a","stream":true}"#,
            "detail=endpoint",
        ),
        (
            "responses",
            r#"{"model":"any","input":"a"}"#,
            "detail=store",
        ),
        (
            "responses",
            r#"{"model":"any","input":"a","store":false,"previous_response_id":"r"}"#,
            "detail=store",
        ),
        (
            "responses",
            r#"{"model":"any","input":"a","store":false,"max_output_tokens":16}"#,
            "detail=length",
        ),
        (
            "images/generations",
            r#"{"model":"any","prompt":"a"}"#,
            "detail=endpoint",
        ),
        (
            "audio/speech",
            r#"{"model":"any","input":"a"}"#,
            "detail=endpoint",
        ),
    ] {
        let before = two.first.requests().len();
        for _ in 0..2 {
            let answer = two.ask(path, body).await;
            let status = answer.field("cache-status").unwrap_or_default().to_owned();
            assert!(status.contains(why), "{path} {body}: {status}");
        }
        assert_eq!(two.first.requests().len(), before + 2, "{path} {body}");
    }
    two.first
        .default(Script::json(200, r#"{"object":"list","data":[]}"#));
    let empty = two
        .ask("embeddings", r#"{"model":"any","input":"none"}"#)
        .await;
    let status = empty.field("cache-status").unwrap_or_default().to_owned();
    assert!(status.contains("detail=no_choices"), "{status}");
}
