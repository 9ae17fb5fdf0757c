//! Does an image model answer as a chat model does?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Answer, Connection, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{base, upstream};

/// One transparent pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const SVG: &str = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";

fn setup(upstream: &Simulator) -> Setup {
    Setup::new()
        .pool_with("painter", &[&base(upstream)], "dialect = \"images\"")
        .model_with("flux", &["painter"], "modality = \"image\"")
}

fn images(data: &serde_json::Value) -> Script {
    Script::json(200, json!({"created": 1, "data": data}).to_string())
}

fn content(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    body["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn fetch(gateway: &Gateway, method: &str, path: &str, lines: &str) -> Answer {
    let mut client = Connection::open(gateway.address).await;
    client
        .send(format!(
            "{method} {path} HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n"
        ))
        .await;
    if method == "HEAD" {
        client.head().await
    } else {
        client.answer().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_passed_on_and_bytes_are_kept() {
    let up = upstream().await;
    let gateway = setup(&up).start();
    up.push(images(
        &json!([{"url": "https://images.test/a.png"}, {"url": "https://images.test/b.png"}]),
    ));
    assert_eq!(
        content(&chat(gateway.address, "flux", false).await),
        "![Generated Image](https://images.test/a.png)\n![Generated Image](https://images.test/b.png)"
    );
    let asked = up.next_request().await.unwrap();
    assert_eq!(asked.target, "/v1/images/generations");
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(
        (&body["prompt"], &body["model"]),
        (&json!("Hi"), &json!("flux"))
    );

    up.push(images(&json!([{"b64_json": PNG}])));
    let markdown = content(&chat(gateway.address, "flux", false).await);
    let own = "![Generated Image](http://gateway.test/images/";
    let path = markdown
        .strip_prefix("![Generated Image](http://gateway.test")
        .unwrap_or_else(|| panic!("{markdown}, not {own}…)"));
    let path = path.strip_suffix(')').unwrap();
    let served = fetch(&gateway, "GET", path, "").await;
    assert_eq!(served.status, 200);
    assert_eq!(served.body, STANDARD.decode(PNG).unwrap());
    assert_eq!(served.field("content-type"), Some("image/png"));
    assert_eq!(served.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        served.field("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    let etag = served.field("etag").unwrap();
    for tags in [etag.to_owned(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let again = fetch(&gateway, "GET", path, &format!("If-None-Match: {tags}\r\n")).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{tags}");
        assert_eq!(again.field("etag"), Some(etag));
    }
    assert_eq!(
        fetch(&gateway, "GET", path, "If-None-Match: \"x\"\r\n")
            .await
            .status,
        200
    );
    let head = fetch(&gateway, "HEAD", path, "").await;
    assert_eq!(head.status, 200);
    assert_eq!(
        head.field("content-length"),
        Some(served.body.len().to_string().as_str())
    );
    for path in [
        "/images/../secret",
        "/images/",
        "/images/0000",
        &path.to_uppercase(),
    ] {
        let missing = fetch(&gateway, "GET", path, "").await;
        assert_eq!(missing.status, 404, "{path}");
        assert_eq!(missing.field("content-type"), Some("application/json"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_images_are_named_by_the_public_address_where_there_is_one() {
    let up = upstream().await;
    let gateway = setup(&up)
        .server("public_url = \"https://pictures.test/base\"")
        .start();
    up.push(images(&json!([{"b64_json": PNG}, {"b64_json": PNG}])));
    let markdown = content(&chat(gateway.address, "flux", false).await);
    let lines: Vec<&str> = markdown.lines().collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert!(
            line.starts_with("![Generated Image](https://pictures.test/base/images/"),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_no_answer() {
    let up = upstream().await;
    let gateway = setup(&up).start();
    for data in [
        json!([{"b64_json": STANDARD.encode(SVG)}]),
        json!([{"b64_json": "not base64!"}]),
        json!([{"b64_json": ""}]),
        json!([{"url": "javascript:alert(1)"}]),
        json!([{"url": "https://images.test/a)b\n[x](y)"}]),
        json!([]),
        json!([{"b64_json": PNG}, {"b64_json": STANDARD.encode(SVG)}]),
        json!({"url": "https://images.test/a.png"}),
    ] {
        for stream in [false, true] {
            up.push(images(&data));
            let answer = chat(gateway.address, "flux", stream).await;
            if answer.status == 200 {
                // Addresses may be made harmless instead of refused.
                let text = answer.text();
                assert!(
                    !text.contains("javascript:") && !text.contains("[x](y)"),
                    "{text}"
                );
                assert!(data[0]["url"].is_string(), "{data}: {text}");
            } else {
                assert_eq!(answer.status, 502, "{data}");
                assert_eq!(answer.json()["error"]["code"], "upstream_invalid_response");
            }
        }
    }
}

/// Comments for as long as the image takes, then the events of an answer or of an error.
async fn slowly(script: Script) -> (Answer, String) {
    let up = upstream().await;
    let gateway = setup(&up)
        .tables("[attempts]\nper_pool_max = 1\ncomment_after = \"200ms\"")
        .start();
    let gate = Gate::new();
    up.push(script.hold_head(&gate));
    let mut client = Connection::open(gateway.address).await;
    let body = crate::kit::client::ask("flux", true);
    client
        .send(crate::kit::client::post(
            "/v1/chat/completions",
            &["X-Request-Id: slow"],
            body.as_bytes(),
        ))
        .await;
    let head = client.head().await;
    let mut text = String::new();
    let mut opened = false;
    while let Some(piece) = client.piece(&head).await {
        text.push_str(std::str::from_utf8(&piece).unwrap());
        if !opened {
            assert!(text.starts_with(": working\n\n"), "{text}");
            gate.open();
            opened = true;
        }
    }
    let line = gateway.logged("slow").await;
    let outcome = if text.contains("[DONE]") {
        "served"
    } else {
        "stream_broken"
    };
    assert_eq!(line["outcome"], outcome, "{line}");
    (head, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_image_streams_comments_and_then_its_answer_or_its_error() {
    let url = json!([{"url": "https://images.test/a.png"}]);
    let refusal = Script::json(500, "{}");
    let (good, bad) = tokio::join!(slowly(images(&url)), slowly(refusal));
    let (head, text) = good;
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    let events: Vec<&str> = text
        .split("\n\n")
        .filter(|event| *event != ": working")
        .collect();
    assert!(
        events[0].contains("![Generated Image](https://images.test/a.png)"),
        "{text}"
    );
    assert!(text.contains("\"finish_reason\":\"stop\""), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let (head, text) = bad;
    assert_eq!(head.status, 200);
    let error = text.replace(": working\n\n", "");
    let error = error
        .strip_prefix("data: ")
        .unwrap()
        .strip_suffix("\n\n")
        .unwrap();
    let error: serde_json::Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["error"]["code"], "upstream_unavailable");
}
