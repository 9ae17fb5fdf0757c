//! Which keys are taken, and what of them is seen?
//!
//! A key is known by its hash. It opens the gateway and goes no further: no upstream, no
//! line and no answer has it.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use spafe::simulator::script::Script;

use super::{PATH, asked_from, assert_refused, head, with};
use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::reload::replace;
use crate::kit::upstream::{base, upstream};
use crate::kit::{now, script, soon};

/// A table of `[[keys]]`.
fn key(name: &str, secret: &str, more: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(secret.as_bytes()) {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!("[[keys]]\nname = \"{name}\"\nsha256 = \"{digits}\"\n{more}\n")
}

fn tables(key_use: &str) -> String {
    let mut tables = format!("[auth]\nkeys = \"{key_use}\"\n");
    tables.push_str(&key("team-a", "canary-a", ""));
    tables.push_str(&key("team-b", "canary-b", "models = [\"other\", \"x*\"]"));
    tables.push_str(&key("team-old", "canary-old", "expires = 2020-01-01"));
    tables.push_str(&key("team-new", "canary-new", "expires = 2999-01-01"));
    tables
}

/// What such a call comes to, and as whom it was counted.
async fn called(gateway: &Gateway, line: &str) -> (u16, Option<String>) {
    let id = format!("id-{}", gateway.request_log(0).await.len());
    let answer = asked_from(1, gateway, &[&format!("X-Request-Id: {id}"), line]).await;
    if answer.status == 401 {
        assert_refused(&answer, 401, "authentication_error", "invalid_api_key");
    } else if answer.status != 200 {
        assert_refused(&answer, 403, "permission_error", "model_not_allowed");
    }
    let line = gateway.logged(&id).await;
    (answer.status, line["key"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_model_answers_in_anothers_place_that_a_key_may_not_ask_for() {
    let upstream = upstream().await;
    let tables = key("some", "canary-some", "models = [\"small\", \"fair\"]");
    let setup = |lists: &str| {
        Setup::new()
            .tables(&format!("[auth]\nkeys = \"optional\"\n{tables}"))
            .tables("[attempts]\nper_pool_max = 3\nbudget_per_second = 100")
            .tables("[ejection]\nfailures = 1000\nrequests_min = 1000")
            .pool("one", &[&base(&upstream)])
            .model_with("small", &["one"], lists)
            .model("big", &["one"])
            .model("fair", &["one"])
    };
    let long = json!({"error": {"message": "Too long.", "code": "context_length_exceeded"}});
    for (lists, status, error) in [
        ("fallbacks = [\"big\", \"fair\"]", 500, json!({})),
        ("context_fallbacks = [\"big\", \"fair\"]", 400, long),
    ] {
        let gateway = setup(lists).start();
        let from = async |line: &str, model: &str| {
            let mut client = Connection::open(gateway.address).await;
            let request = post(PATH, &[line], ask(model, false).as_bytes());
            client.send(request).await;
            client.answer().await
        };
        let line = "Authorization: Bearer canary-some";
        assert_eq!(from(line, "big").await.status, 403);
        for (line, model) in [("X-Nothing: 1", "big"), (line, "fair")] {
            // What fails at once is asked once more.
            for _ in 0..if status == 500 { 2 } else { 1 } {
                upstream.push(Script::json(status, error.to_string()));
            }
            let answer = from(line, "small").await;
            let told = (answer.status, answer.field("x-spafe-model"));
            assert_eq!(told, (200, Some(model)), "{lists}: {}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_where_keys_are_asked_for() {
    for (key_use, without, unknown) in [
        ("off", 200, 200),
        ("optional", 200, 200),
        ("required", 401, 401),
    ] {
        let (setup, upstream) = with(&tables(key_use)).await;
        let gateway = setup.start();
        let is_on = key_use != "off";
        for (line, status, name) in [
            ("X-Nothing: 1", without, None),
            ("Authorization: Bearer canary-a", 200, Some("team-a")),
            ("authorization: bearer  canary-a", 200, Some("team-a")),
            ("x-api-key: canary-a", 200, Some("team-a")),
            ("Authorization: Bearer canary-new", 200, Some("team-new")),
            ("Authorization: Bearer canary-old", unknown, None),
            ("Authorization: Bearer canary-none", unknown, None),
            ("Authorization: Basic canary-a", unknown, None),
            ("Cookie: key=canary-a", without, None),
        ] {
            let expected = (status, name.filter(|_| is_on).map(str::to_owned));
            assert_eq!(called(&gateway, line).await, expected, "{key_use}: {line}");
        }
        let other = called(&gateway, "Authorization: Bearer canary-b").await;
        let expected = if is_on {
            (403, Some("team-b".to_owned()))
        } else {
            (200, None)
        };
        assert_eq!(other, expected, "{key_use}");
        for request in upstream.requests() {
            let seen = String::from_utf8_lossy(&request.head).into_owned();
            assert!(!seen.contains("canary") && !seen.contains("team"), "{seen}");
        }
        let told = [
            gateway.told("/config").await.to_string(),
            gateway.metrics().await,
            gateway.output(),
        ];
        assert!(told.iter().all(|text| !text.contains("canary")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_models_wants_a_key_and_images_and_preflights_want_none() {
    let (setup, _upstream) = with(&tables("required")).await;
    let gateway = setup.start();
    let mut client = Connection::open(gateway.address).await;
    let shown = "Authorization: Bearer canary-b";
    for (method, path, lines, status) in [
        ("GET", "/v1/models", &[][..], 401),
        ("GET", "/api/v1/models/m", &[], 401),
        ("GET", "/v1/models", &[shown], 200),
        // What a key may not ask for, it may see.
        ("GET", "/api/v1/models/m", &[shown], 200),
        ("GET", "/images/nothing", &[], 404),
        ("OPTIONS", PATH, &["Origin: http://a"], 204),
        ("GET", "/nowhere", &[], 404),
    ] {
        client.send(head(method, path, lines)).await;
        assert_eq!(client.answer().await.status, status, "{method} {path}");
    }
    client
        .send(post(PATH, &[shown], ask("other", false).as_bytes()))
        .await;
    assert_eq!(client.answer().await.status, 200);
    // Refused before its body is read, and the connection is not what is refused.
    let announced = "Content-Type: application/json\r\nContent-Length: 1000000";
    client.send(head("POST", PATH, &[announced])).await;
    assert_eq!(client.answer().await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_keys_is_followed_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    replace(&file, &key("first", "canary-1", ""));
    let auth = format!(
        "[auth]\nkeys = \"required\"\nkeys_file = {file:?}\n{}",
        key("own", "canary-0", "")
    );
    let (setup, _upstream) = with(&auth).await;
    let gateway = setup.start();
    let taken =
        async |secret: &str| called(&gateway, &format!("x-api-key: {secret}")).await.0 == 200;
    assert!(taken("canary-0").await && taken("canary-1").await && !taken("canary-2").await);
    let version = gateway.version().await;
    let began = now();
    replace(&file, &key("second", "canary-2", ""));
    soon("the new key", async { while !taken("canary-2").await {} }).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(taken("canary-0").await && !taken("canary-1").await);
    assert_ne!(gateway.version().await, version);

    for (failures, (text, told)) in (1..).zip([
        (
            "[[keys]]\nname = \"x\"\nsha256 = \"canary-3\"\n".to_owned(),
            ":3:10: keys[0].sha256: is no SHA-256",
        ),
        (
            key("own", "canary-3", ""),
            ":2:8: keys[0].name: is the name of an earlier key, own",
        ),
        (
            key("x", "canary-0", ""),
            ":3:10: keys[0].sha256: is the hash of an earlier key",
        ),
        (
            "[server]\n".to_owned(),
            ":1:2: server: is not a known key; known here: keys",
        ),
        ("[[keys".to_owned(), ":1:"),
    ]) {
        replace(&file, &text);
        gateway.fails(failures).await;
        gateway.says(&format!("{}{told}", file.display())).await;
        assert!(!gateway.output().contains("canary"));
        assert!(taken("canary-2").await && !taken("canary-3").await);
    }
    std::fs::remove_file(&file).unwrap();
    gateway.fails(6).await;
    assert!(taken("canary-2").await);
    replace(&file, &key("fourth", "canary-4", ""));
    soon("the new key", async { while !taken("canary-4").await {} }).await;
    assert!(!taken("canary-2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_raises_the_class_of_a_key_that_is_not_taken() {
    let (setup, _upstream) = with(&tables("required")).await;
    let gateway = setup.start();
    script::python("keys.py", &[("SPAFE_URL", &gateway.url(""))]);
}
