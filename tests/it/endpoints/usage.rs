//! Are tokens of streams counted, and told to nobody who did not ask?

use crate::kit::client::Connection;
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{base, upstream};

const CHAT: &str = r#"{"messages":[{"role":"user","content":"Hi"}],"model":"m","stream":true}"#;
const ASKED: &str = r#""stream_options":{"include_usage":true}"#;

async fn gateway(keys: &str) -> (Gateway, spafe::simulator::Simulator) {
    let up = upstream().await;
    let gateway = Setup::new()
        .pool_with("up", &[&base(&up)], keys)
        .tables("[[models]]\nid = \"m\"\npools = [{ pool = \"up\", name = \"vendor/m\" }]\nendpoints = [\"chat.completions\", \"completions\", \"responses\"]")
        .start();
    (gateway, up)
}

async fn ask(gateway: &Gateway, path: &str, id: &str, body: &str) -> String {
    let mut client = Connection::open(gateway.address).await;
    let line = format!("X-Request-Id: {id}");
    client.send(super::asked(path, &[&line], body)).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_asked_tells_and_its_caller_is_not_told() {
    let (gateway, up) = gateway("stream_usage = \"ask\"").await;
    for (path, body) in [
        ("chat/completions", CHAT),
        (
            "completions",
            r#"{"prompt":"Hi","model":"m","stream":true}"#,
        ),
    ] {
        let text = ask(&gateway, path, path.split('/').next().unwrap(), body).await;
        assert!(!text.contains("prompt_tokens"), "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        let request = up.next_request().await.unwrap();
        let told = body.replacen('{', &format!("{{{ASKED},"), 1);
        let told = told.replace("\"m\"", "\"vendor/m\"");
        assert_eq!(String::from_utf8_lossy(&request.body), told);
        let logged = gateway.logged(path.split('/').next().unwrap()).await;
        assert!(logged["tokens_out"].as_u64().unwrap() > 5, "{logged}");
    }
    let estimated = "spafe_tokens_total{direction=\"out\",model=\"m\",source=\"estimated\"}";
    gateway.counts(estimated, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told() {
    let (gateway, up) = gateway("stream_usage = \"ask\"").await;
    let body = CHAT.replacen('{', &format!("{{{ASKED},"), 1);
    let text = ask(&gateway, "chat/completions", "told", &body).await;
    assert!(text.contains("prompt_tokens"), "{text}");
    let request = up.next_request().await.unwrap();
    let expected = body.replace("\"m\"", "\"vendor/m\"");
    assert_eq!(String::from_utf8_lossy(&request.body), expected);
    // What has no such field is not asked for it, nor is what is no stream.
    for (path, body) in [
        ("responses", r#"{"input":"Hi","model":"m","stream":true}"#),
        ("chat/completions", &*CHAT.replace("true", "false")),
    ] {
        ask(&gateway, path, "other", body).await;
        let request = up.next_request().await.unwrap();
        assert!(!String::from_utf8_lossy(&request.body).contains("stream_options"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_tells_tokens_are_estimated_and_marked_so() {
    let (gateway, up) = gateway("").await;
    ask(&gateway, "chat/completions", "left", CHAT).await;
    let request = up.next_request().await.unwrap();
    assert!(!String::from_utf8_lossy(&request.body).contains("stream_options"));
    let logged = gateway.logged("left").await;
    assert!(logged.get("tokens_out").is_none(), "{logged}");
    let series = |direction, source| {
        format!("spafe_tokens_total{{direction=\"{direction}\",model=\"m\",source=\"{source}\"}}")
    };
    assert!(gateway.metric(&series("out", "estimated")).await > 5.0);
    let question = CHAT.len().div_ceil(4) as u64;
    gateway.counts(&series("in", "estimated"), question).await;
    gateway.counts(&series("out", "told"), 0).await;
}
