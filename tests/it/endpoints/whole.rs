//! Is what is answered in JSON routed, renamed and failed over, and otherwise left as it is?

use serde_json::Value;
use spafe::simulator::script::Script;

use super::{JSON, Two, asked};
use crate::kit::client::Connection;

#[tokio::test(flavor = "multi_thread")]
async fn each_is_asked_at_its_own_path_and_answered_as_it_comes() {
    let two = Two::start("").await;
    for (path, body, sign) in JSON {
        for prefix in ["/v1", "/api/v1"] {
            let mut client = Connection::open(two.gateway.address).await;
            let answer = client.post(&format!("{prefix}/{path}"), body).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert!(answer.text().contains(sign), "{path}: {}", answer.text());
            assert_eq!(answer.field("content-type"), Some("application/json"));
            assert_eq!(answer.field("x-spafe-upstream"), Some("first"));
            assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
            let request = two.first.next_request().await.unwrap();
            assert_eq!(request.target, format!("/v1/{path}"));
            assert_eq!(String::from_utf8_lossy(&request.body), body);
            assert_eq!(request.header("content-type"), Some("application/json"));
            assert_eq!(request.header("accept"), Some("application/json"));
        }
    }
    assert!(two.second.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_is_replaced_and_the_next_is_told_its_own_name() {
    let two = Two::start("").await;
    for (path, body, sign) in JSON {
        for (fault, script) in [
            ("status", Script::json(500, r#"{"error":{"message":"no"}}"#)),
            ("no json", Script::body(200, "text/html", "<html>")),
            ("half", Script::json(200, r#"{"object":"list","data":["#)),
            (
                "cut",
                Script::json(200, "{}").content_length(100).cut_after(2),
            ),
            (
                "error",
                Script::json(200, r#"{"error":{"message":"no","type":"server_error"}}"#),
            ),
        ] {
            // However often the first is asked, and it may be asked twice.
            two.first.default(script);
            let answer = two.ask(path, body).await;
            assert_eq!(answer.status, 200, "{path} {fault}: {}", answer.text());
            assert!(answer.text().contains(sign), "{path} {fault}");
            assert_eq!(
                answer.field("x-spafe-upstream"),
                Some("second"),
                "{path} {fault}"
            );
            let request = two.second.next_request().await.unwrap();
            assert_eq!(request.target, format!("/v1/{path}"));
            let expected = body.replace("\"any\"", "\"vendor/any\"");
            assert_eq!(String::from_utf8_lossy(&request.body), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_refuses_is_told_in_its_words() {
    let two = Two::start("").await;
    let refusal =
        r#"{"error":{"message":"too many dimensions","param":"dimensions","code":"bad"}}"#;
    two.first.default(Script::json(400, refusal));
    for (path, body, _) in JSON {
        let answer = two.ask(path, body).await;
        assert_eq!(answer.status, 400, "{path}");
        let error = &answer.json()["error"];
        assert_eq!(error["message"], "too many dimensions");
        assert_eq!(error["param"], "dimensions");
    }
    assert!(two.second.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_is_not_asked_for_this_is_passed_over() {
    let two = Two::start(
        "[[models]]\nid = \"vectors\"\npools = [\"first\"]\nendpoints = [\"embeddings\"]\nfallbacks = [\"talks\", \"any\"]\n\
         [[models]]\nid = \"talks\"\npools = [\"second\"]\n",
    )
    .await;
    two.first.default(Script::json(503, "{}"));
    let answer = two
        .ask("embeddings", r#"{"model":"vectors","input":"a"}"#)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("x-spafe-model"), Some("any"));
    let request = two.second.next_request().await.unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["model"], "vendor/any");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_requests_are_counted_in_limits() {
    let two = Two::start(
        "[[limits]]\nname = \"few\"\nby = \"client\"\nrequests = { count = 100, per = \"1h\" }\ntokens = { count = 100000, per = \"1h\" }\n",
    )
    .await;
    let answer = two
        .ask("embeddings", r#"{"model":"any","input":"abcdefgh"}"#)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = "counted";
    let mut client = Connection::open(two.gateway.address).await;
    let line = format!("X-Request-Id: {id}");
    let body = r#"{"model":"any","input":"abcdefgh"}"#;
    client.send(asked("embeddings", &[&line], body)).await;
    assert_eq!(client.answer().await.status, 200);
    let logged = two.gateway.logged(id).await;
    assert_eq!(logged["endpoint"], "embeddings");
    assert_eq!(
        (&logged["tokens_in"], &logged["tokens_out"]),
        (&2.into(), &0.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_model_is_asked_in_its_own_protocol_too() {
    let painter = crate::kit::upstream::upstream().await;
    let gateway = crate::kit::gateway::Setup::new()
        .pool_with(
            "paint",
            &[&crate::kit::upstream::base(&painter)],
            "dialect = \"images\"",
        )
        .model_with("flux", &["paint"], "modality = \"image\"")
        .start();
    let mut client = Connection::open(gateway.address).await;
    let body = r#"{"model":"flux","prompt":"a fox","response_format":"b64_json","n":2}"#;
    let answer = client.post("/v1/images/generations", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let data = answer.json()["data"].clone();
    assert_eq!(data.as_array().map(Vec::len), Some(2));
    assert!(data[0]["b64_json"].is_string());
    let request = painter.next_request().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&request.body), body);
    let listed = client
        .post("/v1/embeddings", r#"{"model":"flux","input":"a"}"#)
        .await;
    assert_eq!(
        super::code(&listed),
        (404, "endpoint_not_served".to_owned())
    );
}
