//! What is kept, and what a caller is told of it.

use serde_json::{Value, json};
use spafe::simulator::script::Script;

use super::{Kept, content, question, status, streamed};
use crate::kit::gateway::Setup;
use crate::kit::pair::completion;
use crate::kit::upstream::{always, base, upstream};

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let kept = Kept::start("").await;
    let live = kept.ask(&question(1), &[]).await;
    assert_eq!(status(&live), "spafe; fwd=miss; stored");
    assert_eq!(live.field("age"), None);
    assert_eq!(live.field("x-spafe-attempts"), Some("1"));
    let again = kept.ask(&question(1), &["X-Request-Id: again"]).await;
    assert_eq!(again.body, live.body);
    assert!(status(&again).starts_with("spafe; hit; ttl=2"));
    assert_eq!(again.field("age"), Some("0"));
    assert_eq!(again.field("x-spafe-attempts"), Some("0"));
    assert_eq!(again.field("x-spafe-model"), Some("m"));
    assert_eq!(again.field("x-spafe-upstream"), Some("p"));
    assert_eq!(again.field("cache-control"), Some("no-store"));
    assert_eq!(again.field("x-request-id"), Some("again"));
    assert_eq!(kept.asked(), 1);
    let logged = kept.gateway.logged("again").await;
    assert_eq!(
        (&logged["cache"], &logged["attempt_count"]),
        (&json!("hit"), &json!(0))
    );
}

#[tokio::test]
async fn white_space_and_the_order_of_keys_make_no_other_question() {
    let kept = Kept::start("").await;
    kept.ask(&question(1), &[]).await;
    let body = r#"{ "messages" : [ {"content":"question 1","role":"user"} ], "model":"m" }"#;
    let mut client = crate::kit::client::Connection::open(kept.gateway.address).await;
    let answer = client.post(super::CHAT, body).await;
    assert!(status(&answer).starts_with("spafe; hit"), "{answer:?}");
    for other in [
        json!({"model": "m", "messages": [{"role": "user", "content": "question 2"}]}),
        json!({"model": "m", "messages": [{"role": "system", "content": "question 1"}]}),
        json!({"model": "m", "messages": [{"role": "user", "content": "question 1"}], "unheard_of": 1}),
        json!({"model": "m", "messages": [{"role": "user", "content": "question 1"}], "seed": 1}),
    ] {
        let answer = kept.ask(&other, &[]).await;
        assert_eq!(status(&answer), "spafe; fwd=miss; stored", "{other}");
    }
}

#[tokio::test]
async fn what_the_operator_ignores_makes_no_other_question() {
    let kept = Kept::start("ignored_fields = [\"metadata\"]").await;
    let mut body = question(1);
    body["metadata"] = json!({"trace": "a"});
    kept.ask(&body, &[]).await;
    body["metadata"] = json!({"trace": "b"});
    let answer = kept.ask(&body, &[]).await;
    assert!(status(&answer).starts_with("spafe; hit"));
}

#[tokio::test]
async fn what_would_not_be_the_same_for_another_is_not_kept() {
    let kept = Kept::start("temperature_max = 0.5").await;
    for (name, value, detail) in [
        ("n", json!(2), "n"),
        ("store", json!(true), "store"),
        ("user", json!("somebody"), "user"),
        ("temperature", json!(0.6), "temperature"),
    ] {
        let mut body = question(1);
        body["temperature"] = json!(0.1);
        body[name] = value;
        for _ in 0..2 {
            let answer = kept.ask(&body, &[]).await;
            let told = format!("spafe; fwd=bypass; detail={detail}");
            assert_eq!(status(&answer), told);
        }
    }
    assert_eq!(kept.asked(), 8);
    // Tools are a part of the question like any other.
    let mut body = question(1);
    body["temperature"] = json!(0.5);
    body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(
        status(&kept.ask(&body, &[]).await),
        "spafe; fwd=miss; stored"
    );
}

#[tokio::test]
async fn a_caller_says_whether_it_wants_an_answer_from_memory() {
    let kept = Kept::start("").await;
    let no_store = ["Cache-Control: no-store"];
    let no_cache = ["Cache-Control: no-cache"];
    let bypass = "spafe; fwd=bypass; detail=no_store";
    assert_eq!(status(&kept.ask(&question(1), &no_store).await), bypass);
    let stored = "spafe; fwd=miss; stored";
    assert_eq!(status(&kept.ask(&question(1), &[]).await), stored);
    assert_eq!(status(&kept.ask(&question(1), &no_store).await), bypass);
    let fetched = kept.ask(&question(1), &no_cache).await;
    assert_eq!(status(&fetched), "spafe; fwd=request; stored");
    assert_eq!(kept.asked(), 4);
    let again = kept.ask(&question(1), &["Cache-Control: max-age=60"]).await;
    assert!(status(&again).starts_with("spafe; hit"));
    assert_eq!(again.body, fetched.body, "the newer one is kept");
    let none = kept.ask(&question(1), &["Cache-Control: max-age=0"]).await;
    assert_eq!(status(&none), "spafe; fwd=request; stored");
}

#[tokio::test]
async fn only_what_is_whole_and_well_is_kept() {
    let answer = |choices: Value| json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": choices});
    let ended = |reason: Value| {
        let message = json!({"role": "assistant", "content": "a"});
        answer(json!([{"index": 0, "message": message, "finish_reason": reason}]))
    };
    let good = ended(json!("stop")).to_string();
    let json = |value: &Value| Script::json(200, value.to_string());
    for (script, status_told) in [
        (
            json(&ended(json!("length"))),
            "spafe; fwd=miss; detail=length",
        ),
        (
            json(&ended(json!("content_filter"))),
            "spafe; fwd=miss; detail=content_filter",
        ),
        (
            json(&ended(json!(null))),
            "spafe; fwd=miss; detail=unfinished",
        ),
        (
            json(&ended(json!("tired"))),
            "spafe; fwd=miss; detail=unknown_finish",
        ),
        (
            json(&answer(json!([]))),
            "spafe; fwd=miss; detail=no_choices",
        ),
        (
            Script::json(206, good.clone()),
            "spafe; fwd=miss; detail=status",
        ),
        (
            Script::json(200, good.clone()).header("Cache-Control", "no-store"),
            "spafe; fwd=miss; detail=no_store",
        ),
        (
            Script::json(200, good.clone()).header("Cache-Control", "private, max-age=60"),
            "spafe; fwd=miss; detail=private",
        ),
        (
            Script::json(200, good.trim_end_matches('}').to_owned()),
            "spafe; fwd=miss",
        ),
        (
            json(&json!({"error": {"message": "no"}})),
            "spafe; fwd=miss",
        ),
        (Script::json(500, "{}"), "spafe; fwd=miss"),
        (
            Script::json(200, good.clone()).cut_after(good.len() - 1),
            "spafe; fwd=miss",
        ),
    ] {
        let kept = Kept::with(Setup::new().tables("[cache]\n[attempts]\nmax = 1\n")).await;
        kept.up.push(script.clone());
        let first = kept.ask(&question(1), &[]).await;
        if first.status == 200 {
            assert_eq!(status(&first), status_told, "{script:?}");
        }
        kept.up.push(completion("another"));
        let second = kept.ask(&question(1), &[]).await;
        assert_ne!(second.field("x-spafe-attempts"), Some("0"), "{script:?}");
        assert!(!status(&second).contains("hit"), "{script:?}");
    }
}

#[tokio::test]
async fn the_answer_of_another_model_is_not_kept_as_this_ones() {
    let broken = always(Script::json(500, "{}")).await;
    let up = always(completion("another model")).await;
    let gateway = Setup::new()
        .tables("[cache]\n")
        .pool("broken", &[&base(&broken)])
        .pool("p", &[&base(&up)])
        .model("other", &["p"])
        .model_with("m", &["broken"], "fallbacks = [\"other\"]")
        .start();
    for _ in 0..2 {
        let answer = super::ask(gateway.address, &question(1), &[]).await;
        assert_eq!(answer.field("x-spafe-model"), Some("other"));
        assert_eq!(status(&answer), "spafe; fwd=miss; detail=fallback");
    }
}

#[tokio::test]
async fn nothing_of_an_upstreams_head_is_kept() {
    let kept = Kept::start("").await;
    let script = completion("kept")
        .header("Set-Cookie", "a=b")
        .header("Access-Control-Allow-Origin", "https://upstream.test")
        .header("X-Request-Id", "the-upstreams-own")
        .header("X-RateLimit-Remaining-Requests", "7")
        .header("OpenAI-Organization", "ours")
        .header("Server", "upstream");
    kept.up.push(script);
    kept.ask(&question(1), &["Origin: https://one.test"]).await;
    let hit = kept
        .ask(
            &question(1),
            &["Origin: https://two.test", "X-Request-Id: mine"],
        )
        .await;
    assert!(status(&hit).starts_with("spafe; hit"));
    for absent in [
        "set-cookie",
        "openai-organization",
        "server",
        "x-ratelimit-remaining-requests",
    ] {
        assert_eq!(hit.field(absent), None, "{absent}");
    }
    assert_eq!(hit.field("x-request-id"), Some("mine"));
    assert_eq!(hit.field("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn one_answer_is_given_in_both_shapes() {
    let kept = Kept::start("").await;
    kept.up.push(completion("Grüße, 👋 you!"));
    let whole = kept.ask(&question(1), &[]).await;
    let stream = kept.ask(&streamed(1), &[]).await;
    assert!(status(&stream).starts_with("spafe; hit"));
    assert_eq!(stream.field("content-type"), Some("text/event-stream"));
    assert_eq!(content(&stream), ("Grüße, 👋 you!".to_owned(), true));
    assert!(!stream.text().contains("\"usage\":{"));
    let mut counted = streamed(1);
    counted["stream_options"] = json!({"include_usage": true});
    let stream = kept.ask(&counted, &[]).await;
    assert!(stream.text().contains("\"total_tokens\":8"));
    assert_eq!(kept.asked(), 1);
    assert_eq!(whole.json()["usage"]["total_tokens"], 8);
}

#[tokio::test]
async fn a_stream_is_kept_where_the_operator_says_so() {
    let kept = Kept::start("store_streams = true").await;
    // One that does not tell its tokens is not kept: who has it whole would miss them.
    kept.ask(&streamed(1), &[]).await;
    let mut counted = streamed(1);
    counted["stream_options"] = json!({"include_usage": true});
    let live = kept.ask(&counted, &[]).await;
    assert_eq!(status(&live), "spafe; fwd=miss");
    let whole = kept.ask(&question(1), &[]).await;
    assert!(status(&whole).starts_with("spafe; hit"), "{whole:?}");
    assert!(whole.json()["usage"]["total_tokens"].is_u64());
    let (said, done) = content(&live);
    assert!(done);
    assert_eq!(whole.json()["choices"][0]["message"]["content"], said);
    let again = kept.ask(&streamed(1), &[]).await;
    assert_eq!(content(&again), (said, true));
    assert_eq!(kept.asked(), 2);

    let not = Kept::start("").await;
    not.ask(&streamed(1), &[]).await;
    assert_eq!(
        status(&not.ask(&question(1), &[]).await),
        "spafe; fwd=miss; stored"
    );
}

#[tokio::test]
async fn an_answer_may_be_replayed_at_a_pace_and_left_in_the_middle() {
    let kept = Kept::start("replay_gap = \"1ms\"").await;
    kept.up.push(completion(&"word ".repeat(200)));
    kept.ask(&question(1), &[]).await;
    let stream = kept.ask(&streamed(1), &[]).await;
    assert_eq!(content(&stream), ("word ".repeat(200), true));
}

#[tokio::test]
async fn whoever_has_a_key_has_answers_of_its_own() {
    let keys = "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"a\"\nsha256 = \"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\"\n[[keys]]\nname = \"b\"\nsha256 = \"3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d\"\n";
    let callers: [&[&str]; 3] = [
        &[],
        &["Authorization: Bearer a"],
        &["Authorization: Bearer b"],
    ];
    for (cache, asked) in [
        ("", 3),
        ("scope = \"per_client\"\n", 3),
        ("scope = \"shared\"\n", 1),
        ("anonymous = false\n", 4),
    ] {
        let kept = Kept::with(Setup::new().tables(&format!("[cache]\n{cache}{keys}"))).await;
        for _ in 0..2 {
            for lines in callers {
                assert_eq!(kept.ask(&question(1), lines).await.status, 200);
            }
        }
        assert_eq!(kept.asked(), asked, "{cache}");
    }
}

#[tokio::test]
async fn a_model_has_its_own_policy_and_one_that_is_too_large_is_not_kept() {
    let up = always(completion(&"x".repeat(2_000))).await;
    let gateway = Setup::new()
        .tables("[cache]\nentry_bytes_max = \"1KiB\"\n")
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .model_with("never", &["p"], "cache = { enabled = false }")
        .start();
    let answer = super::ask(gateway.address, &question(1), &[]).await;
    assert_eq!(status(&answer), "spafe; fwd=miss; detail=too_large");
    let mut body = question(1);
    body["model"] = json!("never");
    let answer = super::ask(gateway.address, &body, &[]).await;
    assert_eq!(status(&answer), "spafe; fwd=bypass; detail=disabled");
}

#[tokio::test]
async fn an_image_is_kept_as_long_as_its_answer_and_its_answer_no_longer() {
    let gateway = Setup::demo().start();
    let body = json!({"model": "flux", "messages": [{"role": "user", "content": "a cat"}]});
    let first = super::ask(gateway.address, &body, &[]).await;
    assert_eq!(status(&first), "spafe; fwd=miss; stored");
    let again = super::ask(gateway.address, &body, &[]).await;
    assert!(status(&again).starts_with("spafe; hit"));
    assert_eq!(again.body, first.body);
}

#[tokio::test]
async fn an_answer_that_names_an_image_which_is_gone_is_not_given() {
    // Each of them is charged for four KiB at least: there is room for one.
    let tables = "[cache]\n[images]\nstore_bytes_max = \"6KiB\"\nimage_bytes_max = \"6KiB\"\n";
    let up = upstream().await;
    let gateway = Setup::new()
        .tables(tables)
        .pool_with("painter", &[&base(&up)], "dialect = \"images\"")
        .model_with("m", &["painter"], "modality = \"image\"")
        .start();
    for number in 1..=3_u8 {
        let pixel = png(number);
        let data = json!({"created": 1, "data": [{"b64_json": pixel}]});
        up.push(Script::json(200, data.to_string()));
    }
    let ask = async |number| super::ask(gateway.address, &question(number), &[]).await;
    ask(1).await;
    assert!(status(&ask(1).await).starts_with("spafe; hit"));
    let second = ask(2).await;
    assert_eq!(second.status, 200, "{second:?}");
    assert_eq!(status(&ask(1).await), "spafe; fwd=miss; stored");
    assert_eq!(up.requests().len(), 3);
}

/// A picture of one pixel, in this shade.
fn png(shade: u8) -> String {
    use base64::Engine as _;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[shade]).unwrap();
    writer.finish().unwrap();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn what_nobody_was_asked_for_costs_no_tokens() {
    let limit = "[[limits]]\nname = \"t\"\nby = \"client\"\ntokens = { count = 100000, per = \"1d\" }\nrequests = { count = 100, per = \"1d\" }\n";
    for (charge, costs) in [("false", false), ("true", true)] {
        let cache = format!("[cache]\ncharge_tokens = {charge}\n");
        let kept = Kept::with(Setup::new().tables(&format!("{cache}{limit}"))).await;
        kept.up.push(completion("a"));
        kept.ask(&question(1), &[]).await;
        let left = |answer: &crate::kit::client::Answer, of: &str| -> u64 {
            let name = format!("x-ratelimit-remaining-{of}");
            answer.field(&name).unwrap().parse().unwrap()
        };
        let first = kept.ask(&question(1), &[]).await;
        let second = kept.ask(&question(1), &[]).await;
        assert_eq!(left(&second, "requests") + 1, left(&first, "requests"));
        let used = left(&first, "tokens") - left(&second, "tokens");
        assert_eq!(used, if costs { 8 } else { 0 });
    }
}
