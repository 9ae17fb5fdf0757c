//! What is told of the last requests, and what of them is not?

use serde_json::Value;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::reload::replace;
use crate::kit::upstream::{always, base, upstream};

const PATH: &str = "/v1/chat/completions";
const KEY: &str = "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"team-a\"\n\
    sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"";

async fn asked(gateway: &Gateway, model: &str, id: &str, more: &str) -> u16 {
    let mut client = Connection::open(gateway.address).await;
    let field = format!("X-Request-Id: {id}");
    let lines: Vec<&str> = [field.as_str(), more]
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect();
    let body = ask(model, false).replace("Hi", "a-private-word");
    client.send(post(PATH, &lines, body.as_bytes())).await;
    let status = client.answer().await.status;
    // One after another: a record is made when its answer has left.
    gateway.logged(id).await;
    status
}

/// The ids of the requests that are told.
async fn ids(gateway: &Gateway, query: &str) -> Vec<String> {
    let told = gateway.told(&format!("/requests{query}")).await;
    let requests = told["requests"].as_array();
    let requests = requests.unwrap_or_else(|| panic!("{told}")).iter();
    let ids = requests.map(|one| one["request_id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_requests_are_told_by_what_is_asked_of_them() {
    let (works, fails) = (upstream().await, always(Script::json(500, "{}")).await);
    let log = "[log]\nrecent = 5\n[attempts]\nper_pool_max = 1";
    let setup = Setup::new()
        .tables(log)
        .tables(KEY)
        .pool("works", &[&base(&works)])
        .pool("fails", &[&base(&fails)])
        .model("m", &["works"])
        .model("second", &["fails", "works"])
        .model("broken", &["fails"]);
    let gateway = setup.clone().start();
    assert!(asked(&gateway, "broken", "failure", "").await >= 500);
    assert_eq!(
        asked(&gateway, "m", "keyed", "Authorization: Bearer test").await,
        200
    );
    assert_eq!(asked(&gateway, "second", "helped", "").await, 200);
    assert_eq!(asked(&gateway, "nobody", "refused", "").await, 404);
    assert_eq!(asked(&gateway, "m", "last", "").await, 200);
    gateway.idle().await;
    for (query, expected) in [
        ("", &["last", "refused", "helped", "keyed", "failure"][..]),
        ("?limit=2", &["last", "refused"]),
        ("?failed=1", &["failure"]),
        ("?slow=1", &[]),
        ("?model=m", &["last", "keyed"]),
        ("?pool=fails", &["helped", "failure"]),
        ("?pool=fails&status=200", &["helped"]),
        ("?key=team-a", &["keyed"]),
        ("?outcome=refused", &["refused"]),
        ("?client=127.0.0.0%2F24&limit=1", &["last"]),
        ("?client=127.0.0.1", &[]),
    ] {
        assert_eq!(ids(&gateway, query).await, expected, "{query}");
    }
    let one = gateway.told("/requests/helped").await;
    assert_eq!(
        (&one["model"], &one["attempt_count"]),
        (&"second".into(), &2.into())
    );
    let attempts = one["attempts"].as_array().unwrap();
    assert_eq!(attempts[0]["outcome"], "server_error", "{one}");
    assert_eq!(
        (&attempts[1]["pool"], &attempts[1]["status"]),
        (&"works".into(), &200.into())
    );
    let starts = [0, 1].map(|at| attempts[at]["start_ms"].as_f64().unwrap());
    assert!(starts[0] < starts[1], "{one}");
    assert!(attempts[0]["reused"].is_boolean(), "{one}");
    let all = gateway.told("/requests").await.to_string();
    assert!(!all.contains("private") && !all.contains("Bearer"), "{all}");
    // It is the very line of the log.
    let line = gateway.logged("helped").await;
    assert_eq!(line, one);

    // What went well pushes out what went well, and no failure.
    for number in 0..6 {
        assert_eq!(
            asked(&gateway, "m", &format!("well-{number}"), "").await,
            200
        );
    }
    gateway.idle().await;
    assert_eq!(ids(&gateway, "?failed=1").await, ["failure"]);
    assert_eq!(ids(&gateway, "?model=second").await, Vec::<String>::new());

    replace(
        &gateway.config,
        &setup.text().replace("recent = 5", "recent = 0"),
    );
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(asked(&gateway, "m", "unseen", "").await, 200);
    assert_eq!(ids(&gateway, "").await, ["failure"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_of_the_last_requests_is_said() {
    let gateway = Setup::new()
        .pool("p", &["http://127.0.0.1:1"])
        .model("m", &["p"])
        .start();
    for (path, status) in [
        ("/requests/gone", 404),
        ("/requests?modle=m", 400),
        ("/requests?status=x", 400),
    ] {
        let mut admin = Connection::open(gateway.admin).await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        admin.send(head).await;
        let answer = admin.answer().await;
        assert_eq!(answer.status, status, "{path}");
        assert!(matches!(answer.json()["error"], Value::String(_)), "{path}");
    }
}
