//! Are pictures among words kept, and shown as any image is?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use spafe::simulator::When;
use spafe::simulator::script::{Gate, Script};

use super::{CHAT, asked, before, chunks, message, post_chat, said, setup};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::Gateway;
use crate::kit::upstream::upstream;

/// What Markdown shows, in order.
fn shown(content: &str) -> Vec<&str> {
    let lines = content.lines();
    lines
        .filter_map(|line| line.strip_prefix("![Generated Image](http://gateway.test"))
        .filter_map(|line| line.strip_suffix(')'))
        .collect()
}

async fn fetched(gateway: &Gateway, path: &str) -> Answer {
    let mut client = Connection::open(gateway.address).await;
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n"))
        .await;
    client.answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_among_words_is_kept_and_served_whole_or_streamed() {
    let up = upstream().await;
    let gateway = before(&up);
    let mut all = Vec::new();
    for stream in [false, true] {
        let wanted = json!({"modalities": ["text", "image"], "stream": stream});
        let answer = post_chat(&gateway, wanted).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let content = if stream {
            said(&chunks(&answer))
        } else {
            message(&answer)["content"].as_str().unwrap().to_owned()
        };
        assert!(content.starts_with("Hello!"), "{content}");
        let paths = shown(&content);
        assert_eq!(paths.len(), 1, "{content}");
        let served = fetched(&gateway, paths[0]).await;
        assert_eq!(served.status, 200);
        assert_eq!(served.field("content-type"), Some("image/png"));
        assert!(served.body.starts_with(b"\x89PNG"));
        all.push(paths[0].to_owned());
    }
    assert_eq!(all[0], all[1], "one picture is kept once");
}

/// An event that shows these bytes, and its end.
fn picture(base64: &str) -> [Value; 2] {
    let part = json!({"inlineData": {"mimeType": "image/png", "data": base64}});
    let of = |parts: Value, reason: Option<&str>| json!({"candidates": [{"content": {"parts": parts}, "finishReason": reason}]});
    [of(json!([part]), None), of(json!([]), Some("STOP"))]
}

fn stream(events: &[Value]) -> Script {
    let events: Vec<String> = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    let pieces: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
    Script::sse_bytes(&pieces)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_megabytes_comes_in_one_event() {
    let up = upstream().await;
    let gateway = before(&up);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.resize(3 << 20, 7);
    up.push(stream(&picture(&STANDARD.encode(&png))));
    let answer = post_chat(&gateway, json!({"stream": true})).await;
    let content = said(&chunks(&answer));
    let served = fetched(&gateway, shown(&content)[0]).await;
    assert_eq!(served.body, png);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_breaks_the_stream_and_is_not_kept() {
    let up = upstream().await;
    let gateway = before(&up);
    let words = json!({"candidates": [{"content": {"parts": [{"text": "Here:"}]}}]});
    let [script, end] = picture(&STANDARD.encode("<svg onload='alert(1)'/>"));
    up.push(stream(&[words, script, end]));
    let answer = post_chat(&gateway, json!({"stream": true})).await;
    let chunks = chunks(&answer);
    assert_eq!(said(&chunks), "Here:");
    let error = &chunks.last().unwrap()["error"];
    assert_eq!(
        error["code"],
        "upstream_invalid_response",
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("[DONE]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_picture_that_is_gone_is_not_given_again() {
    let up = upstream().await;
    let gateway = setup(&up)
        .tables("[cache]\n[images]\nstore_bytes_max = \"70KiB\"\nimage_bytes_max = \"64KiB\"")
        .model("gemini", &["google"])
        .start();
    let wanted = |question: &str| json!({"modalities": ["text", "image"], "messages": [{"role": "user", "content": question}]});
    let first = message(&post_chat(&gateway, wanted("a")).await);
    let path = shown(first["content"].as_str().unwrap())[0].to_owned();
    let again = post_chat(&gateway, wanted("a")).await;
    assert!(
        again.field("cache-status").unwrap().contains("hit"),
        "{again:?}"
    );
    assert_eq!(up.requests().len(), 1);
    // Others take its room.
    let mut asked = 1;
    while fetched(&gateway, &path).await.status == 200 {
        assert!(asked < 100, "nothing ever goes");
        message(&post_chat(&gateway, wanted(&format!("b{asked}"))).await);
        asked += 1;
    }
    let new = message(&post_chat(&gateway, wanted("a")).await);
    assert_eq!(up.requests().len(), asked + 1);
    let path = shown(new["content"].as_str().unwrap())[0].to_owned();
    assert_eq!(fetched(&gateway, &path).await.status, 200);
}

/// A caller who has had the beginning of a stream.
async fn begun(gateway: &Gateway, id: &str) -> (Connection, Answer) {
    let mut client = Connection::open(gateway.address).await;
    let body = asked(json!({"stream": true}));
    let line = format!("X-Request-Id: {id}");
    client.send(post(CHAT, &[&line], body.as_bytes())).await;
    let mut stream = client.head().await;
    stream.body = client.piece(&stream).await.unwrap();
    (client, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_a_picture_is_kept_takes_it_from_nobody_else() {
    let (up, bucket) = (upstream().await, upstream().await);
    let (shows, keeps) = (Gate::new(), Gate::new());
    for _ in 0..2 {
        let kept = Script::body(200, "text/plain", "").header("ETag", "\"1\"");
        bucket.push_when(When::Path(".png".to_owned()), kept.hold_head(&keeps));
    }
    let words = json!({"candidates": [{"content": {"parts": [{"text": "Here:"}]}}]});
    let words_bytes = format!("data: {words}\n\n").len();
    let [drawn, end] = picture(&STANDARD.encode(b"\x89PNG\r\n\x1a\n of a bucket"));
    up.push(stream(&[words, drawn, end]).hold_after(words_bytes, &shows));
    let endpoint = format!("AWS_ENDPOINT={}", bucket.url());
    let gateway = setup(&up)
        .started_by(&[
            "/usr/bin/env",
            &endpoint,
            "AWS_ALLOW_HTTP=true",
            "AWS_ACCESS_KEY_ID=of-nobody",
            "AWS_SECRET_ACCESS_KEY=of-nobody",
        ])
        .tables("[cache]\n[images]\nstore = \"s3://pictures\"")
        .model("gemini", &["google"])
        .start();
    // The first reads on for both.
    let (first, _) = begun(&gateway, "leaver").await;
    let (mut second, mut stream) = begun(&gateway, "reader").await;
    assert_eq!(up.requests().len(), 1);
    shows.open();
    while bucket.next_request().await.unwrap().method != "PUT" {}
    first.reset();
    gateway.logged("leaver").await;
    keeps.open();
    while let Some(piece) = second.piece(&stream).await {
        stream.body.extend(piece);
    }
    let content = said(&chunks(&stream));
    assert_eq!(shown(&content).len(), 1, "{content}");
    assert!(stream.text().ends_with("data: [DONE]\n\n"));
}
