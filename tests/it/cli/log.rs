//! What does a request leave in the log?

use serde_json::Value;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{always, base, upstream};

const PATH: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_line_of_json_with_its_facts() {
    let failing = always(Script::json(500, "{}")).await;
    let upstream = upstream().await;
    let gateway = Setup::new()
        .pool("first", &[&base(&failing)])
        .pool("second", &[&base(&upstream)])
        .model_with("m", &["first", "second"], "aliases = [\"alias\"]")
        .start();
    let body = ask("alias", false).replace("Hi", "a-private-word");
    let mut client = Connection::open(gateway.address).await;
    client
        .send(post(PATH, &["X-Request-Id: my-own.id_1"], body.as_bytes()))
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("x-request-id"), Some("my-own.id_1"));

    let lines = gateway.request_log(1).await;
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    for (field, expected) in [
        ("request_id", Value::from("my-own.id_1")),
        ("client", "127.0.0.0/24".into()),
        ("endpoint", "chat.completions".into()),
        ("model", "m".into()),
        ("pool", "second".into()),
        ("target", upstream.addr().to_string().into()),
        ("attempt_count", 2.into()),
        ("status", 200.into()),
        ("outcome", "served".into()),
        ("stream", false.into()),
        ("bytes_in", body.len().into()),
        ("bytes_out", answer.body.len().into()),
        ("tokens_in", answer.json()["usage"]["prompt_tokens"].clone()),
        (
            "tokens_out",
            answer.json()["usage"]["completion_tokens"].clone(),
        ),
    ] {
        assert_eq!(line[field], expected, "{field}: {line}");
    }
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    for field in ["duration_ms", "first_byte_ms", "upstream_ms"] {
        assert!(line[field].as_f64().unwrap() > 0.0, "{field}: {line}");
    }
    assert_eq!(line["attempts"][0]["pool"], "first");
    assert_eq!(line["attempts"][0]["status"], 500);
    let cause = line["attempts"][0]["cause"].as_str();
    assert!(cause.is_some_and(|cause| cause.contains("500")), "{line}");
    assert_eq!(line["attempts"][1]["pool"], "second");
    // What was said is nobody's business.
    assert!(!gateway.output().contains("private"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_models_are_logged_in_a_file_that_is_appended_to() {
    let upstream = upstream().await;
    let mut gateway = Setup::new()
        .tables("[log]\nrequests = { file = \"requests.log\" }")
        .pool("main", &[&base(&upstream)])
        .model("m", &["main"])
        .start();
    let mut client = Connection::open(gateway.address).await;
    assert_eq!(client.post(PATH, ask("nobody", false)).await.status, 404);
    assert_eq!(client.post(PATH, ask("m", true)).await.status, 200);
    client
        .send("GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    // The last lines are written at the end of the process at the latest.
    gateway.signal(rustix::process::Signal::TERM);
    assert_eq!(gateway.ended().await.code(), Some(0));

    let text = std::fs::read_to_string(gateway.folder().join("requests.log")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [unknown, stream, models] = lines.as_slice() else {
        panic!("{text}")
    };
    assert_eq!(unknown["outcome"], "refused");
    assert_eq!(unknown["code"], "model_not_found");
    assert_eq!(unknown["attempt_count"], 0);
    assert_eq!(
        unknown.get("model"),
        None,
        "a caller's word is no model's name"
    );
    assert_eq!(stream["stream"], true);
    assert_eq!(stream["outcome"], "served");
    assert_eq!(models["endpoint"], "models");
    assert!(!gateway.output().contains("request_id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_let_in_says_what_it_asked_for() {
    let gateway = Setup::new()
        .pool("p", &["http://127.0.0.1:1"])
        .model("m", &["p"])
        .start();
    for line in ["GET /nowhere?token=secret", "DELETE /v1/models"] {
        let mut client = Connection::open(gateway.address).await;
        let head = format!(
            "{line} HTTP/1.1\r\nHost: h\r\nX-Request-Id: lost\r\nConnection: close\r\n\r\n"
        );
        client.send(head).await;
        assert!(client.answer().await.status >= 404);
    }
    let lines = gateway.request_log(2).await;
    let mut asked: Vec<&str> = lines
        .iter()
        .map(|line| line["asked"].as_str().unwrap())
        .collect();
    // A line is written when its answer has left, and by then the next may be on its way.
    asked.sort_unstable();
    assert_eq!(asked, ["DELETE /v1/models", "GET /nowhere"]);
}
