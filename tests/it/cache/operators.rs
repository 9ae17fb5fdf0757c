//! What an operator sees and does.

use serde_json::{Value, json};

use super::{Kept, question, status};
use crate::kit::gateway::Setup;

impl Kept {
    async fn told(&self, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let request = reqwest::Client::new().request(method, self.gateway.admin_url(path));
        let answer = request
            .header("x-spafe-admin", "1")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn how_much_is_kept_and_of_what_use_it_was() {
    let kept = Kept::start("").await;
    for _ in 0..4 {
        kept.ask(&question(1), &[]).await;
    }
    let (code, told) = kept
        .told(reqwest::Method::GET, "/cache", &Value::Null)
        .await;
    assert_eq!(code, 200);
    assert_eq!(told["entries"], 1);
    assert_eq!(
        told["models"]["m"],
        json!({"from_memory": 3, "asked": 4, "hit_ratio": 0.75})
    );
    assert_eq!(told["heaviest"][0]["model"], "m");
    assert!(told["bytes"].as_u64() > Some(0));
    assert!(!told.to_string().contains("question"));
}

#[tokio::test]
async fn a_key_is_told_with_what_it_is_made_of_and_never_what_is_asked() {
    let kept = Kept::start("").await;
    let (_, before) = kept
        .told(reqwest::Method::GET, "/cache/key", &question(1))
        .await;
    assert_eq!(before["kept"], Value::Null);
    kept.ask(&question(1), &[]).await;
    let (code, told) = kept
        .told(reqwest::Method::POST, "/cache/key", &question(1))
        .await;
    assert_eq!(code, 200, "{told}");
    assert_eq!(told["key"], before["key"]);
    assert_eq!(told["kept"]["state"], "fresh");
    assert_eq!(told["bypass"], Value::Null);
    assert!(told["made_of"].as_array().unwrap().len() > 3);
    assert!(!told.to_string().contains("question"), "{told}");
    let (_, heaviest) = kept
        .told(reqwest::Method::GET, "/cache", &Value::Null)
        .await;
    assert_eq!(heaviest["heaviest"][0]["key"], told["key"]);
    let mut personal = question(1);
    personal["user"] = json!("somebody");
    let (_, told) = kept
        .told(reqwest::Method::GET, "/cache/key", &personal)
        .await;
    assert_eq!(told["bypass"], "user");
    for (path, body, code) in [
        ("/cache/key", json!({"model": "none", "messages": []}), 404),
        ("/cache/key", json!([]), 400),
        ("/cache/key?key=none", question(1), 400),
        ("/cache/key?client=nowhere", question(1), 400),
        ("/cache/key?colour=red", question(1), 400),
    ] {
        let (told, words) = kept.told(reqwest::Method::GET, path, &body).await;
        assert_eq!(told, code, "{path}: {words}");
    }
}

#[tokio::test]
async fn answers_are_forgotten_by_model_or_all() {
    let setup = Setup::new().tables("[cache]\n");
    let kept = Kept::with(setup).await;
    let forget = async |path: &str| kept.told(reqwest::Method::DELETE, path, &Value::Null).await;
    kept.ask(&question(1), &[]).await;
    let (code, _) = forget("/cache?model=none").await;
    assert_eq!(code, 404);
    assert_eq!(forget("/cache?colour=red").await.0, 400);
    assert!(status(&kept.ask(&question(1), &[]).await).contains("hit"));
    let (_, told) = forget("/cache?model=m").await;
    assert_eq!(told["forgotten"]["entries"], 1);
    assert!(status(&kept.ask(&question(1), &[]).await).contains("miss"));
    let (_, told) = forget("/cache").await;
    assert_eq!(told["forgotten"], json!({"entries": 1, "shared": false}));
    assert!(status(&kept.ask(&question(1), &[]).await).contains("miss"));
}
