//! Is what people get what OpenAI would send?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

const CHAT: &str = "/api/v1/chat/completions";
const IMAGES: &str = "/openai/v1/images/generations";

async fn posted(simulator: &Simulator, path: &str, body: &Value) -> (u16, Value) {
    let sent = reqwest::Client::new().post(format!("{}{path}", simulator.url()));
    let answer = sent.json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn chat(mut more: Value) -> Value {
    let mut body = json!({"model": "gpt-4o", "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]},
    ]});
    let more = more.as_object_mut().unwrap();
    body.as_object_mut().unwrap().append(more);
    body
}

/// The data of each event, and of each chunk that it is one event.
async fn events(simulator: &Simulator, body: &Value) -> Vec<String> {
    let mut client = sent(
        simulator,
        post(&body.to_string()).replace("Host", "Connection: close\r\nHost"),
    )
    .await;
    let (answer, _) = rest(&mut client).await;
    let (head, chunks) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/event-stream"), "{head}");
    let chunks = chunks.strip_suffix("0\r\n\r\n").unwrap();
    chunks
        .split_terminator("\n\n\r\n")
        .map(|chunk| {
            let (size, event) = chunk.split_once("\r\n").unwrap();
            assert_eq!(usize::from_str_radix(size, 16).unwrap(), event.len() + 2);
            event.strip_prefix("data: ").unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_chat_is_answered_with_what_was_asked() {
    let simulator = started(Options::test()).await;
    let (status, answer) = posted(&simulator, CHAT, &chat(json!({}))).await;
    assert_eq!(status, 200);
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(said.starts_with("Hello! I am gpt-4o"), "{said}");
    assert!(said.contains("“Why is the sky blue?”"), "{said}");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    assert_eq!(answer["object"], "chat.completion");
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], 28usize.div_ceil(4) + 8);
    assert_eq!(usage["completion_tokens"], said.split(' ').count());
    let sum =
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
}

#[tokio::test]
async fn limits_of_the_answer_are_kept() {
    let simulator = started(Options::test()).await;
    for limit in ["max_tokens", "max_completion_tokens"] {
        let (_, answer) = posted(&simulator, CHAT, &chat(json!({limit: 3, "n": 2}))).await;
        let choices = answer["choices"].as_array().unwrap();
        let said: Vec<_> = choices
            .iter()
            .map(|choice| choice["message"]["content"].as_str())
            .collect();
        assert_eq!(said, [Some("Hello! I am"), Some("Good day! I")]);
        assert_eq!(choices[1]["finish_reason"], "length");
        assert_eq!(choices[1]["index"], 1);
        assert_eq!(answer["usage"]["completion_tokens"], 6);
    }
    for stop in [json!("gpt"), json!(["nowhere", "played", "gpt"])] {
        let (_, answer) = posted(&simulator, CHAT, &chat(json!({"stop": stop}))).await;
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello! I am ");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn a_stream_says_the_same_event_by_event() {
    let simulator = started(Options::test()).await;
    let (_, whole) = posted(&simulator, CHAT, &chat(json!({"n": 2}))).await;
    let usage = json!({"stream": true, "n": 2, "stream_options": {"include_usage": true}});
    let mut events = events(&simulator, &chat(usage)).await;
    assert_eq!(events.pop().unwrap(), "[DONE]");
    let mut events: Vec<Value> = events
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let last = events.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole["usage"]);
    assert_eq!(
        events[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    let mut said = [String::new(), String::new()];
    let mut finished = Vec::new();
    for event in events {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(event.get("usage"), Some(&Value::Null));
        assert_eq!(event["id"], last["id"]);
        let choice = &event["choices"][0];
        let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
        said[index] += choice["delta"]["content"].as_str().unwrap_or("");
        finished.extend(choice["finish_reason"].as_str().map(str::to_owned));
    }
    assert_eq!(finished, ["stop", "stop"]);
    for (index, said) in said.iter().enumerate() {
        assert_eq!(whole["choices"][index]["message"]["content"], *said);
    }
    let plain = self::events(&simulator, &chat(json!({"stream": true}))).await;
    assert!(
        plain.iter().all(|data| !data.contains("usage")),
        "usage only where asked for"
    );
}

#[tokio::test]
async fn a_script_can_say_its_own_words_in_the_same_form() {
    let simulator = started(Options::test()).await;
    simulator.push(Script::chat("m", "It is so."));
    simulator.push(Script::chat_stream("m", &["It is", " so."]));
    let (_, whole) = posted(&simulator, CHAT, &json!({})).await;
    assert_eq!(whole["choices"][0]["message"]["content"], "It is so.");
    assert_eq!(whole["usage"]["completion_tokens"], 3);
    let events = events(&simulator, &json!({})).await;
    let said: Vec<&str> = events.iter().map(String::as_str).collect();
    let [role, first, second, finish, "[DONE]"] = said[..] else {
        panic!("five events: {said:?}");
    };
    assert!(role.contains(r#""role":"assistant""#), "{role}");
    assert!(first.contains(r#""delta":{"content":"It is"}"#), "{first}");
    assert!(second.contains(r#""delta":{"content":" so."}"#), "{second}");
    assert!(
        finish.contains(r#""delta":{},"finish_reason":"stop""#),
        "{finish}"
    );
}

#[tokio::test]
async fn a_stream_keeps_the_pace_of_a_model() {
    let options = Options {
        first_token: Duration::from_millis(80),
        token_gap: Duration::from_millis(30),
        ..Options::test()
    };
    let simulator = started(options).await;
    for (stream, floor) in [(true, 80 + 3 * 30), (false, 80 + 4 * 30)] {
        let began = now();
        let body = chat(json!({"stream": stream, "max_tokens": 4}));
        let sent = reqwest::Client::new().post(format!("{}{CHAT}", simulator.url()));
        let answer = sent.json(&body).send().await.unwrap();
        assert!(
            began.elapsed() >= Duration::from_millis(80),
            "the first token"
        );
        answer.bytes().await.unwrap();
        assert!(
            began.elapsed() >= Duration::from_millis(floor),
            "{:?}",
            began.elapsed()
        );
    }
}

/// Width and height of a PNG whose every pixel can be decoded.
fn decoded(file: &[u8]) -> (u32, u32) {
    let mut reader = png::Decoder::new(io::Cursor::new(file))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert!(
        pixels.iter().any(|byte| *byte != pixels[0]),
        "it is not one colour"
    );
    (info.width, info.height)
}

#[tokio::test]
async fn images_are_real_and_their_urls_lead_back() {
    let simulator = started(Options::test()).await;
    let ask = |more: &str| json!({"prompt": "a cat", "n": 2, "response_format": more});
    let (_, inline) = posted(&simulator, IMAGES, &ask("b64_json")).await;
    let (_, linked) = posted(&simulator, IMAGES, &ask("url")).await;
    let mut seen = Vec::new();
    for (inline, linked) in [0, 1].map(|at| (&inline["data"][at], &linked["data"][at])) {
        let file = STANDARD
            .decode(inline["b64_json"].as_str().unwrap())
            .unwrap();
        assert_eq!(decoded(&file), (128, 128));
        let url = linked["url"].as_str().unwrap();
        assert!(url.starts_with(&simulator.url()), "{url}");
        let fetched = reqwest::get(url).await.unwrap();
        assert_eq!(fetched.headers()["content-type"], "image/png");
        assert_eq!(fetched.bytes().await.unwrap(), file);
        seen.push(file);
    }
    assert_ne!(seen[0], seen[1]);
    let (_, other) = posted(
        &simulator,
        IMAGES,
        &json!({"prompt": "a dog", "response_format": "b64_json"}),
    )
    .await;
    assert_ne!(other["data"][0]["b64_json"], inline["data"][0]["b64_json"]);
    assert_eq!(other["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn wrong_requests_are_refused_in_the_envelope() {
    let simulator = started(Options::test()).await;
    for (path, body, status, code) in [
        (
            CHAT,
            json!({"model": "m"}),
            400,
            json!("missing_required_parameter"),
        ),
        (
            CHAT,
            json!({"messages": [{}]}),
            400,
            json!("missing_required_parameter"),
        ),
        (
            CHAT,
            json!({"model": "m", "messages": []}),
            400,
            json!("invalid_value"),
        ),
        (
            CHAT,
            json!({"model": 1, "messages": [{}]}),
            400,
            json!("invalid_value"),
        ),
        (CHAT, chat(json!({"n": 17})), 400, json!("invalid_value")),
        (
            CHAT,
            chat(json!({"max_tokens": 0})),
            400,
            json!("invalid_value"),
        ),
        (CHAT, json!([]), 400, Value::Null),
        (IMAGES, json!({}), 400, json!("missing_required_parameter")),
        (IMAGES, json!({"prompt": ""}), 400, json!("invalid_value")),
        (
            IMAGES,
            json!({"prompt": "x", "n": 11}),
            400,
            json!("invalid_value"),
        ),
        (
            IMAGES,
            json!({"prompt": "x", "response_format": "gif"}),
            400,
            json!("invalid_value"),
        ),
        ("/v1/nothing", json!({}), 404, json!("unknown_url")),
        ("/v1/models", json!({}), 404, json!("unknown_url")),
    ] {
        let (found, answer) = posted(&simulator, path, &body).await;
        let error = &answer["error"];
        assert_eq!(
            (found, &error["code"]),
            (status, &code),
            "{path} {body}: {answer}"
        );
        assert_eq!(error["type"], "invalid_request_error");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
    }
}

#[tokio::test]
async fn wrong_addresses_are_refused_in_the_envelope() {
    let simulator = started(Options::test()).await;
    for (path, status) in [
        (CHAT, 405),
        ("/v1/models/gpt-4", 404),
        ("/images/zz.png", 404),
        ("/", 404),
    ] {
        let answer = reqwest::get(format!("{}{path}", simulator.url()))
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(answer.json::<Value>().await.unwrap()["error"].is_object());
    }
}

#[tokio::test]
async fn models_are_listed_and_found_with_slashes_in_their_names() {
    let models = vec!["gpt-4o".to_owned(), "vendor/model".to_owned()];
    let simulator = started(Options {
        models,
        ..Options::test()
    })
    .await;
    let fetch = async |path: &str| -> Value {
        let url = format!("{}{path}", simulator.url());
        reqwest::get(url).await.unwrap().json().await.unwrap()
    };
    let list = fetch("/v1/models?limit=5").await;
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(fetch("/api/v1/models/vendor/model").await, list["data"][1]);
}
