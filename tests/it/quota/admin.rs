//! What is an operator told of callers, and how is one forgiven?

use serde_json::{Value, json};

use super::{MODEL, PATH, limited};
use crate::kit::client::{Answer, Connection, ask, chat, post};
use crate::kit::gateway::Gateway;

/// Asks the admin listener.
async fn admin(gateway: &Gateway, request: &str) -> Answer {
    let mut client = Connection::open(gateway.admin).await;
    client
        .send(format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nX-Spafe-Admin: 1\r\n\r\n"
        ))
        .await;
    client.answer().await
}

/// How this caller stands with the one limit of requests.
async fn requests(gateway: &Gateway, address: &str) -> Value {
    let told = admin(gateway, &format!("GET /limits?client={address}")).await;
    assert_eq!(told.status, 200, "{told:?}");
    let told = told.json();
    let mut limits = told["limits"].as_array().unwrap().iter();
    let one = limits.find(|limit| limit["kind"] == "requests");
    one.unwrap_or_else(|| panic!("no requests in {told}"))
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_how_a_caller_stands_and_forgives_it() {
    let (setup, _upstream) =
        limited("requests = { count = 3, per = \"1h\" }\nconcurrent = 5").await;
    let gateway = setup.start();
    for _ in 0..3 {
        assert_eq!(chat(gateway.address, MODEL, false).await.status, 200);
    }
    assert_eq!(chat(gateway.address, MODEL, false).await.status, 429);
    let stands = requests(&gateway, "127.0.0.1").await;
    assert_eq!(stands["limit"], "per-client");
    assert_eq!(stands["counted"], "127.0.0.1");
    assert_eq!(
        (&stands["allowed"], &stands["remaining"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(stands["used"], 3);
    assert!(
        stands["reset_ms"].as_f64().unwrap() > 3_500_000.0,
        "{stands}"
    );
    // Somebody else has had nothing.
    assert_eq!(requests(&gateway, "127.0.0.2").await["remaining"], 3);

    let forgiven = admin(&gateway, "DELETE /limits?client=127.0.0.1").await;
    assert_eq!(forgiven.status, 200, "{forgiven:?}");
    assert!(
        forgiven.json()["forgiven"]["windows"].as_u64() >= Some(1),
        "{forgiven:?}"
    );
    assert_eq!(requests(&gateway, "127.0.0.1").await["remaining"], 3);
    assert_eq!(chat(gateway.address, MODEL, false).await.status, 200);
    assert!(
        !gateway.output().contains("127.0.0.1\""),
        "an address is in the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_is_in_force_and_who_asks_for_most() {
    let (setup, _upstream) = limited("requests = { count = 1000, per = \"1h\" }").await;
    let gateway = setup.start();
    for (n, times) in [(1, 2), (7, 9), (3, 4)] {
        let mut client = Connection::open_from(n, gateway.address).await;
        for _ in 0..times {
            client
                .send(post(PATH, &[], ask(MODEL, false).as_bytes()))
                .await;
            assert_eq!(client.answer().await.status, 200);
        }
    }
    gateway.idle().await;
    let told = admin(&gateway, "GET /limits").await.json();
    assert_eq!(told["limits"][0]["name"], "per-client");
    assert_eq!(told["limits"][0]["requests"]["count"], 1000);
    assert!(told["anonymous"]["n_max"].is_u64(), "{told}");
    let heaviest = told["heaviest"]["by_requests"].as_array().unwrap();
    let callers: Vec<_> = heaviest.iter().map(|heavy| &heavy["caller"]).collect();
    assert_eq!(callers, ["127.0.0.7", "127.0.0.3", "127.0.0.1"]);
    assert_eq!(
        (&heaviest[0]["count"], &heaviest[0]["at_most_too_many"]),
        (&json!(9), &json!(0))
    );
    assert!(
        told["heaviest"]["by_tokens"][0]["count"].as_u64() > Some(9),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_about_nobody_is_told_how_to_ask() {
    let (setup, _upstream) = limited("concurrent = 5").await;
    let gateway = setup.start();
    for (request, status) in [
        ("GET /limits?client=somebody", 400),
        ("GET /limits?client=127.0.0.1&key=a", 400),
        ("GET /limits?model=m", 400),
        ("GET /limits?who=me", 400),
        ("GET /limits?key=unknown", 404),
        ("DELETE /limits", 400),
        ("DELETE /limits?client=127.0.0.1&model=m", 400),
        ("DELETE /limits?key=unknown", 404),
        ("POST /limits", 405),
    ] {
        let answer = admin(&gateway, request).await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        if status != 405 {
            assert!(answer.json()["error"].is_string(), "{request}: {answer:?}");
        }
    }
}
