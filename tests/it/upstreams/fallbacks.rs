//! Who answers in another model's place, and what is the caller told?

use serde_json::{Value, json};
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Answer, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::completion;
use crate::kit::upstream::{always, base, upstream};

fn error(status: u16, code: &str, message: &str) -> Script {
    let error = json!({"error": {"message": message, "type": "t", "param": null, "code": code}});
    Script::json(status, error.to_string())
}

/// The model's name in the last request that arrived.
fn asked_for(upstream: &Simulator) -> Value {
    let request = upstream.requests().pop().unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["model"].clone()
}

/// A model `m` at one upstream, and `other` and `third` each at one of its own.
struct Family {
    gateway: Gateway,
    own: Simulator,
    other: Simulator,
    third: Simulator,
}

impl Family {
    async fn with(keys: &str) -> Self {
        let (own, other, third) = (upstream().await, upstream().await, upstream().await);
        // That a target rests after failures is looked at elsewhere.
        let gateway = Setup::new()
            .tables("[ejection]\nfailures = 1000\nrequests_min = 1000")
            .pool("own", &[&base(&own)])
            .pool("other", &[&base(&other)])
            .pool("third", &[&base(&third)])
            .model_with("m", &["own"], keys)
            .model_with("other", &["other"], "aliases = [\"alias\"]")
            .model("third", &["third"])
            .start();
        Self {
            gateway,
            own,
            other,
            third,
        }
    }

    async fn ask(&self, stream: bool) -> Answer {
        chat(self.gateway.address, "m", stream).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_answers_where_no_pool_of_the_first_can_and_says_so() {
    let family = Family::with("fallbacks = [\"alias\"]").await;
    family.own.default(error(503, "busy", "Too busy."));
    for stream in [false, true] {
        let answer = family.ask(stream).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-model"), Some("other"));
        assert_eq!(answer.field("x-spafe-upstream"), Some("other"));
        assert_eq!(asked_for(&family.other), "other");
        assert_eq!(answer.text().contains("data: [DONE]"), stream);
    }
    let series = "spafe_fallbacks_total{model=\"m\"}";
    family.gateway.counts(series, 2).await;
    // What it used is of the model that answered, as the requests are.
    let metrics = family.gateway.metrics().await;
    let tokens = |model| {
        metrics.contains(&format!(
            "spafe_tokens_total{{direction=\"out\",model=\"{model}\""
        ))
    };
    assert!(tokens("other") && !tokens("m"), "{metrics}");
    // And the first again as soon as it can.
    family.own.default(completion("well again"));
    let answer = family.ask(false).await;
    assert_eq!(
        answer.field("x-spafe-model"),
        Some("m"),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_attempt_is_kept_for_the_model_in_its_place() {
    let (a, b) = (always(Script::close()).await, always(Script::close()).await);
    let (c, other) = (always(Script::close()).await, upstream().await);
    let gateway = Setup::new()
        .pool("first", &[&base(&a), &base(&b)])
        .pool("second", &[&base(&c)])
        .pool("other", &[&base(&other)])
        .model_with("m", &["first", "second"], "fallbacks = [\"other\"]")
        .model("other", &["other"])
        .start();
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("x-spafe-model"), Some("other"));
    assert_eq!(answer.field("x-spafe-attempts"), Some("3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_and_forbidden_have_models_of_their_own() {
    let keys = "context_fallbacks = [\"other\"]\npolicy_fallbacks = [\"third\"]";
    let family = Family::with(keys).await;
    let long = || error(400, "context_length_exceeded", "Too long.");
    let forbidden = || error(400, "content_policy_violation", "Forbidden.");
    let flagged = || {
        error(
            403,
            "403",
            "This model requires moderation. Your input was flagged.",
        )
    };
    for stream in [false, true] {
        for (script, model) in [
            (long(), "other"),
            (forbidden(), "third"),
            (flagged(), "third"),
        ] {
            family.own.push(script);
            let answer = family.ask(stream).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.field("x-spafe-model"), Some(model));
            assert_eq!(answer.field("x-spafe-attempts"), Some("2"));
        }
    }
    // Anything else the request is refused for is nobody's to answer.
    family.own.push(error(400, "odd", "That is odd."));
    let answer = family.ask(false).await;
    assert_eq!(
        (answer.status, answer.field("x-spafe-attempts")),
        (400, Some("1"))
    );
    // And neither refusal is held against the target or its credential.
    family.own.default(completion("here"));
    assert_eq!(family.ask(false).await.field("x-spafe-model"), Some("m"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_one_target_answers_for_both_models() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .pool("one", &[&base(&upstream)])
        .model_with("small", &["one"], "context_fallbacks = [\"long\"]")
        .model("long", &["one"])
        .start();
    for stream in [false, true] {
        upstream.push(error(400, "context_length_exceeded", "Too long."));
        let answer = chat(gateway.address, "small", stream).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-model"), Some("long"));
        assert_eq!(answer.field("x-spafe-attempts"), Some("2"));
        assert_eq!(asked_for(&upstream), "long");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_for_it_a_refusal_is_told_as_the_upstream_said_it() {
    let family = Family::with("fallbacks = [\"other\"]").await;
    for (status, code, told) in [
        (400, "context_length_exceeded", 400),
        (413, "context_length_exceeded", 413),
        (403, "content_policy_violation", 400),
    ] {
        family.own.push(error(status, code, "No."));
        let answer = family.ask(false).await;
        assert_eq!(answer.status, told);
        assert_eq!(answer.json()["error"]["code"], code);
        assert_eq!(family.other.requests().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_in_its_place_refuses_is_not_told_of_the_one_that_was_asked() {
    let family = Family::with("fallbacks = [\"other\", \"third\"]").await;
    family
        .own
        .default(error(429, "slow", "Slow down.").header("Retry-After", "2"));
    family
        .other
        .default(error(400, "no_such_field", "What is this?"));
    let answer = family.ask(false).await;
    assert_eq!(
        answer.status,
        200,
        "the next one is asked: {}",
        answer.text()
    );
    assert_eq!(answer.field("x-spafe-model"), Some("third"));
    assert_eq!(asked_for(&family.third), "third");
    let family = Family::with("fallbacks = [\"other\"]").await;
    family.own.default(error(500, "broken", "Broken."));
    family
        .other
        .default(error(400, "no_such_field", "What is this?"));
    let answer = family.ask(false).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "upstream_unavailable");
    assert_eq!(answer.field("x-should-retry"), Some("false"));
}
