//! What would happen to a request, before anybody sends it?
//!
//! The words are compared as they stand, since people read them.

use super::{GOOD, run};

/// What is explained of a body, and the exit code.
async fn explained(body: &str, environment: &[(&str, &str)]) -> (String, Option<i32>) {
    let arguments = ["explain", "--config", "spafe.toml", "--body", "-"];
    let ended = run(GOOD, &arguments, environment, body).await;
    assert_eq!(ended.stderr, "");
    (ended.stdout, ended.code)
}

#[tokio::test]
async fn a_request_for_text_is_explained() {
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"n":2,"max_tokens":5,"user":"u"}"#;
    let (text, code) = explained(body, &[("MAIN_KEY", "sk-secret")]).await;
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(text, @r"
    body            94 bytes, one JSON object
    model           gpt-4o (bytes 9 to 17)
    stream          no
    n               2
    max_tokens      5
    user            u
    route           gpt-4o (text)
    pool 1          main as gpt-4o
      balance       round_robin
      target        127.0.0.1:1001
      target        127.0.0.1:1002
      deadlines     connect 2 s, answer 300 s
    pool 2          spare as openai/gpt-4o
      balance       round_robin
      target        127.0.0.1:1003
      deadlines     connect 2 s, answer 60 s
    whole request   600 s
    attempts        at most 3 in all, 2 in one pool
    cache           bypass: user; it always goes upstream
    ");
}

#[tokio::test]
async fn a_stream_for_an_alias_is_explained_with_what_cannot_be_used() {
    let body = r#"{"messages":[],"model":"gpt-4o-latest","stream":true}"#;
    let (text, code) = explained(body, &[]).await;
    assert_eq!(code, Some(0));
    // What its answer is kept by is a hash, and stands behind the rest.
    let (text, key) = text.split_once("cache key").unwrap();
    assert!(key.contains("\n  "), "{key}");
    insta::assert_snapshot!(text, @r"
    body            53 bytes, one JSON object
    model           gpt-4o-latest (bytes 23 to 38)
    stream          yes
    route           gpt-4o (text)
    pool 1          main as gpt-4o, not used: its secret is missing: environment variable MAIN_KEY
      balance       round_robin
      target        127.0.0.1:1001
      target        127.0.0.1:1002
      deadlines     connect 2 s, first event 30 s, between events 60 s, whole stream 900 s
    pool 2          spare as openai/gpt-4o
      balance       round_robin
      target        127.0.0.1:1003
      deadlines     connect 2 s, first event 5 s, between events 60 s, whole stream 900 s
    whole request   600 s
    attempts        at most 3 in all, 2 in one pool
    cache           answered from memory if it is there; a stream is not kept itself
    ");
}

#[tokio::test]
async fn patterns_and_images_are_explained() {
    let (text, code) = explained(r#"{"messages":[],"model":"meta-llama/x"}"#, &[]).await;
    assert_eq!(code, Some(0));
    assert!(
        text.contains("\nroute           meta-llama/* (text)\n"),
        "{text}"
    );
    assert!(
        text.contains("\npool 1          spare as meta-llama/x\n"),
        "{text}"
    );
    let body = r#"{"messages":[{"role":"user","content":"a cat"}],"model":"flux"}"#;
    let (text, code) = explained(body, &[]).await;
    assert_eq!(code, Some(0));
    assert!(text.contains("\nroute           flux (image)\n"), "{text}");
    assert!(
        text.contains("\npool 1          painter as flux\n"),
        "{text}"
    );
}

#[tokio::test]
async fn models_in_its_place_are_explained() {
    let config = GOOD.replacen(
        "id = \"gpt-4o\"",
        "id = \"gpt-4o\"\nfallbacks = [\"small\", \"other\"]\npolicy_fallbacks = [\"other\"]",
        1,
    );
    let more = "\n[[models]]\nid = \"small\"\npools = [\"spare\"]\n[[models]]\nid = \"other\"\npools = [\"spare\"]\n";
    let arguments = ["explain", "--config", "spafe.toml", "--body", "-"];
    let body = r#"{"model":"gpt-4o","messages":[]}"#;
    let ended = run(&(config + more), &arguments, &[], body).await;
    assert_eq!(ended.stderr, "");
    for line in [
        "\nin its place    small, then other, where none of these can\n",
        "\nin its place    other, where their policy forbids it\n",
    ] {
        assert!(ended.stdout.contains(line), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn what_would_be_refused_is_explained_as_such() {
    for (body, refusal) in [
        ("{", "400 invalid_json: "),
        (r#"{"messages":[]}"#, "400 missing_field: "),
        (
            r#"{"messages":[],"model":"a","model":"a"}"#,
            "400 duplicate_key: ",
        ),
        (
            r#"{"messages":[],"model":"nobody"}"#,
            "404 model_not_found: The model 'nobody' ",
        ),
        (
            r#"{"messages":[],"model":"keyed-only"}"#,
            "503 no_healthy_upstream: ",
        ),
        // An image model paints the last user's words; here are none.
        (r#"{"messages":[],"model":"flux"}"#, "400 invalid_value: "),
    ] {
        let (text, code) = explained(body, &[]).await;
        assert_eq!(code, Some(1), "{text}");
        let line = text.lines().find_map(|line| line.strip_prefix("refused"));
        let line = line.unwrap_or_else(|| panic!("not refused:\n{text}"));
        assert!(line.trim_start().starts_with(refusal), "{line}");
        assert!(text.contains("\nbecause         "), "{text}");
    }
}

#[tokio::test]
async fn the_limits_that_count_it_and_what_its_answer_is_kept_by_are_told() {
    const TABLES: &str = r#"
[auth]
keys = "optional"
[[keys]]
name = "team-a"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
requests = { count = 5, per = "1m" }
[[limits]]
name = "each"
by = "client"
requests = { count = 5, per = "1m" }
concurrent = 2
[[limits]]
name = "other"
by = "model"
models = ["flux"]
tokens = { count = 5, per = "1m" }
"#;
    let body =
        r#"{"messages":[{"role":"user","content":"a-private-word"}],"model":"meta-llama/x"}"#;
    let config = format!("{TABLES}{GOOD}");
    let told = async |arguments: &[&str]| {
        let all = [&["explain", "--config", "spafe.toml"][..], arguments].concat();
        let ended = run(&config, &all, &[], body).await;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
        ended.stdout
    };
    let text = told(&[]).await;
    assert!(
        text.contains("limit           each (by client: requests, concurrent)\n"),
        "{text}"
    );
    assert!(
        !text.contains("other") && !text.contains("key:team-a"),
        "{text}"
    );
    assert!(!text.contains("private"), "{text}");
    let key = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("cache key"));
        line.map(str::to_owned).unwrap()
    };
    assert_eq!(key(&text), key(&told(&["--client", "203.0.113.7"]).await));
    let keyed = told(&["--key", "team-a"]).await;
    assert!(
        keyed.contains("limit           key:team-a (by key: requests)\n"),
        "{keyed}"
    );
    assert_ne!(key(&text), key(&keyed));
    let nobody = ["explain", "--config", "spafe.toml", "--key", "nobody"];
    let ended = run(&config, &nobody, &[], body).await;
    assert_eq!(
        (ended.code, &*ended.stderr),
        (Some(1), "spafe: no key is called nobody\n")
    );
}
