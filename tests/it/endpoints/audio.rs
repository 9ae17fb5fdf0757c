//! Is sound passed on as it comes, and a form read no other way than its upstream reads it?

use spafe::simulator::script::{Gate, Script};

use super::{Two, asked, code, file, form, part, recording};
use crate::kit::client::Connection;

const SPEECH: &str = r#"{"input":"A few words that are read aloud.","voice":"v","model":"any"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn sound_comes_as_it_is_made_with_its_own_media_type() {
    let two = Two::start("").await;
    let gate = Gate::default();
    let script = Script::body(200, "audio/ogg; codecs=opus", vec![7_u8; 90_000]);
    two.first.push(script.hold_after(10, &gate));
    let mut client = Connection::open(two.gateway.address).await;
    client.send(asked("audio/speech", &[], SPEECH)).await;
    let head = client.head().await;
    assert_eq!(head.field("content-type"), Some("audio/ogg; codecs=opus"));
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    // It has begun before it is all there.
    let mut bytes = client.piece(&head).await.unwrap();
    assert!(bytes.len() < 90_000);
    gate.open();
    while let Some(piece) = client.piece(&head).await {
        bytes.extend(piece);
    }
    assert_eq!(bytes, vec![7; 90_000]);
    // And its connection goes on, on both sides.
    client.send(asked("audio/speech", &[], SPEECH)).await;
    let answer = client.answer().await;
    assert!(answer.body.starts_with(b"RIFF"));
    assert_eq!(answer.field("content-type"), Some("audio/wav"));
    assert!(two.first.requests()[1].reused);
    assert_eq!(two.first.requests()[1].header("accept"), Some("*/*"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_does_not_begin_is_asked_for_elsewhere() {
    let two = Two::start("").await;
    for script in [
        Script::json(500, "{}"),
        Script::json(200, "{}"),
        Script::body(200, "text/html", "<script>"),
        Script::body(200, "audio/mpeg", "").chunked(),
        Script::body(200, "audio/mpeg", "abc")
            .content_length(9)
            .cut_after(0),
    ] {
        two.first.default(script);
        let answer = two.ask("audio/speech", SPEECH).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some("second"));
        assert!(answer.body.starts_with(b"RIFF"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_breaks_off_is_cut_and_not_ended() {
    let two = Two::start("").await;
    for script in [
        Script::body(200, "audio/mpeg", vec![1; 100])
            .content_length(9_000)
            .cut_after(100),
        Script::body(200, "audio/mpeg", vec![1; 100])
            .chunked()
            .cut_after(50),
    ] {
        two.first.push(script);
        let mut client = Connection::open(two.gateway.address).await;
        client
            .send(asked("audio/speech", &["X-Request-Id: cut"], SPEECH))
            .await;
        let head = client.head().await;
        assert_eq!(head.status, 200);
        let rest = client.ended().await.unwrap_or_default();
        assert!(rest.len() < 200, "{} bytes", rest.len());
        assert!(!rest.ends_with(b"0\r\n\r\n"));
    }
    assert!(two.second.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_written_down_in_every_form() {
    let two = Two::start("").await;
    let sound = vec![0_u8; 5_000];
    for (format, kind) in [
        ("json", "application/json"),
        ("verbose_json", "application/json"),
        ("text", "text/plain; charset=utf-8"),
        ("vtt", "text/vtt; charset=utf-8"),
    ] {
        let form = recording(
            &sound,
            &[part("response_format", format), part("model", "any")],
        );
        let answer = two.form(&form).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("content-type"), Some(kind));
        assert!(
            answer.text().contains("any heard 5000 bytes"),
            "{}",
            answer.text()
        );
        let request = two.first.next_request().await.unwrap();
        assert_eq!(request.target, "/v1/audio/transcriptions");
        assert_eq!(
            request.header("content-type"),
            Some("multipart/form-data; boundary=b")
        );
        assert_eq!(request.body, form);
    }
    let form = recording(&sound, &[part("stream", "true"), part("model", "any")]);
    let answer = two.form(&form).await;
    assert_eq!(answer.field("content-type"), Some("text/event-stream"));
    assert!(answer.text().contains("transcript.text.done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_answers_that_ignores_stream_is_an_answer() {
    let two = Two::start("").await;
    let form = recording(b"abc", &[part("stream", "true"), part("model", "any")]);
    two.first.push(Script::json(200, "{\"text\":\"heard\"}"));
    let answer = two.form(&form).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("x-spafe-upstream"), Some("first"));
    assert_eq!(answer.json()["text"], "heard");
    // A page is none.
    two.first
        .push(Script::json(200, "<p>").header("Content-Type", "text/html"));
    let answer = two.form(&form).await;
    assert_eq!(answer.field("x-spafe-upstream"), Some("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_large_file_the_models_name_is_found_and_replaced() {
    let two = Two::start("[[models]]\nid = \"short\"\npools = [{ pool = \"second\", name = \"vendor/any\" }]\nendpoints = [\"audio.transcriptions\"]\n").await;
    let sound: Vec<u8> = (0..=250_u8).cycle().take(20 << 20).collect();
    let answer = two
        .form(&recording(
            &sound,
            &[part("model", "short"), part("language", "en")],
        ))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        answer.text().contains("vendor/any heard 20971520 bytes"),
        "{}",
        answer.text()
    );
    let request = two.second.next_request().await.unwrap();
    let expected = recording(
        &sound,
        &[part("model", "vendor/any"), part("language", "en")],
    );
    assert!(
        request.body == expected,
        "another form of {} bytes",
        request.body.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_above_its_bound_is_refused_before_it_is_sent() {
    let two = Two::start("").await;
    let mut client = Connection::open(two.gateway.address).await;
    let head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 27262976\r\n\r\n";
    client.send(head).await;
    assert_eq!(
        code(&client.answer().await),
        (413, "body_too_large".to_owned())
    );
    // JSON has its own bound, which is lower.
    let mut client = Connection::open(two.gateway.address).await;
    client
        .send(
            asked("embeddings", &[], "")
                .strip_suffix(b"\r\n\r\n")
                .unwrap()
                .to_vec(),
        )
        .await;
    drop(client);
    let mut client = Connection::open(two.gateway.address).await;
    let head = "POST /v1/embeddings HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nContent-Length: 20971520\r\n\r\n";
    client.send(head).await;
    assert_eq!(
        code(&client.answer().await),
        (413, "body_too_large".to_owned())
    );
    assert!(two.first.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_two_readers_could_read_differently_reaches_nobody() {
    let two = Two::start("").await;
    let good = recording(b"RIFF", &[part("model", "any")]);
    let text = |form: &[u8]| String::from_utf8(form.to_vec()).unwrap();
    let with = |from: &str, to: &str| text(&good).replace(from, to).into_bytes();
    for (form, expected) in [
        (
            recording(b"RIFF", &[part("model", "any"), part("model", "other")]),
            "duplicate_key",
        ),
        (
            recording(b"RIFF", &[part("model", "any"), part("Model", "other")]),
            "duplicate_key",
        ),
        (recording(b"RIFF", &[]), "missing_field"),
        (
            [part("model", "any").as_bytes(), b"--b--\r\n"].concat(),
            "missing_field",
        ),
        (
            with(
                "RIFF",
                "RIFF\n--b\nContent-Disposition: form-data; name=\"model\"\n\nother",
            ),
            "invalid_form",
        ),
        (with("RIFF", "--b"), "invalid_form"),
        (with("\r\n", "\n"), "invalid_form"),
        (
            with("name=\"model\"", "name=\"x\"; name=\"model\""),
            "invalid_form",
        ),
        (with("name=\"model\"", "name=\"mod\\el\""), "invalid_form"),
        (with("--b--\r\n", ""), "invalid_form"),
        ([b"x", &*good].concat(), "invalid_form"),
        ([&*good, b"--b\r\n"].concat(), "invalid_form"),
        (Vec::new(), "invalid_form"),
        (file(b"RIFF"), "invalid_form"),
    ] {
        let answer = two.form(&form).await;
        assert_eq!(
            code(&answer),
            (400, expected.to_owned()),
            "{}",
            String::from_utf8_lossy(&form)
        );
    }
    assert!(two.first.requests().is_empty());
    assert_eq!(two.form(&good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_head_says_decides_between_forms_and_json() {
    let two = Two::start("").await;
    let good = recording(b"RIFF", &[part("model", "any")]);
    let send = async |request: Vec<u8>| {
        let mut client = Connection::open(two.gateway.address).await;
        client.send(request).await;
        code(&client.answer().await)
    };
    let unsupported = (415, "unsupported_media_type".to_owned());
    let json = asked("audio/transcriptions", &[], r#"{"model":"any"}"#);
    assert_eq!(send(json).await, unsupported);
    let text = String::from_utf8(form(&good)).unwrap();
    for (from, to) in [
        ("; boundary=b", ""),
        ("boundary=b", "boundary=b; boundary=c"),
        ("Content-Length", "Content-Encoding: gzip\r\nContent-Length"),
        ("/v1/audio/transcriptions", "/v1/embeddings"),
    ] {
        let request = text.replacen(from, to, 1).into_bytes();
        assert_eq!(send(request).await, unsupported, "{to}");
    }
    assert!(two.first.requests().is_empty());
}
