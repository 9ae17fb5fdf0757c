//! Is it the same answer, however an SDK asks for it and wherever it comes from?
//!
//! Every SDK joins the parts of a stream in its own way. So each asks for answers of every
//! kind (text in many scripts, none, calls side by side, several choices, what no SDK knows)
//! whole and streamed, from an upstream and from memory, which keeps them whole. What it
//! makes of all these must be equal.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatChoice, ChatChoiceStream, ChatCompletionMessageToolCalls, ChatCompletionStreamOptions,
    CompletionUsage,
};
use futures_util::StreamExt as _;
use serde::Serialize;
use spafe::gateway::cache::replay;
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use super::{rust_ask, rust_client};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{always, base};
use crate::kit::{repository, script, soon};

/// Choices of every kind, as an upstream writes them.
fn answers() -> Vec<(&'static str, String)> {
    let one = |message: &str, reason: &str| {
        format!(r#"[{{"index":0,"message":{message},"finish_reason":"{reason}"}}]"#)
    };
    let words = "Words upon words, and more of them. ".repeat(200);
    let said = |content: &str| {
        one(
            &format!(r#"{{"role":"assistant","content":{content}}}"#),
            "stop",
        )
    };
    let calls = r#"[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\": \"K\u00f6ln\", \"unit\": \"celsius\"}"}},
        {"id":"call_2","type":"function","function":{"name":"time","arguments":"{}"}},
        {"id":"call_3","type":"function","function":{"name":"weather","arguments":"{\"city\":\"東京\"}"}}]"#;
    vec![
        ("words", said(&format!("\"{words}\""))),
        ("unicode", said(r#""Grüße, 世界! \ud83d\ude42 👨‍👩‍👧 \"quoted\" \\ \u0000 \n\n\tمرحبا é""#)),
        ("empty", said(r#""""#)),
        ("one-letter", said(r#""a""#)),
        ("full", one(r#"{"role":"assistant","content":"Hello there, friend.","refusal":null,"annotations":[]}"#, "stop")),
        ("refused", one(r#"{"role":"assistant","content":null,"refusal":"I can not help with that, sorry."}"#, "stop")),
        ("calls", one(&format!(r#"{{"role":"assistant","content":null,"tool_calls":{calls}}}"#), "tool_calls")),
        ("text-and-calls", one(&format!(r#"{{"role":"assistant","content":"Let me look that up for you.","tool_calls":{calls}}}"#), "tool_calls")),
        ("function", one(r#"{"role":"assistant","content":null,"refusal":null,"function_call":{"name":"f","arguments":"{\"a\": [1, 2, 3], \"b\": null}"}}"#, "function_call")),
        ("thoughts", one(r#"{"role":"assistant","content":"Four, of course.","reasoning_content":"Two and two make four, as everybody knows."}"#, "stop")),
        ("choices", r#"[{"index":0,"message":{"role":"assistant","content":"First of all the answers"},"finish_reason":"stop"},
            {"index":1,"message":{"role":"assistant","content":""},"finish_reason":"stop"},
            {"index":2,"message":{"role":"assistant","content":"Third of all the answers"},"finish_reason":"stop"}]"#.to_owned()),
        ("logprobs", r#"[{"index":0,"message":{"role":"assistant","content":"Hi there"},"finish_reason":"stop",
            "logprobs":{"content":[{"token":"Hi","logprob":-0.25,"bytes":[72,105],"top_logprobs":[]},{"token":" there","logprob":-1.5,"bytes":null,"top_logprobs":[]}],"refusal":null}}]"#.to_owned()),
    ]
}

fn completion(choices: &str) -> String {
    format!(
        r#"{{
  "id": "chatcmpl-1", "object": "chat.completion", "created": 1730888458, "model": "m", "choices": {choices},
  "usage": {{"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}
}}"#
    )
}

/// A gateway that keeps answers, the upstreams behind it, and who is asked for the same.
struct Same {
    gateway: Gateway,
    upstreams: Vec<Simulator>,
    cases: Vec<Case>,
}

/// An answer, and in which ways it is asked for.
#[derive(Serialize)]
struct Case {
    name: String,
    asks: Vec<Ask>,
}

#[derive(Serialize)]
struct Ask {
    model: String,
    stream: bool,
    /// What `cache-status` says.
    cache: &'static str,
}

fn ask(model: &str, stream: bool, cache: &'static str) -> Ask {
    Ask {
        model: model.to_owned(),
        stream,
        cache,
    }
}

impl Same {
    /// Two models for each kind of answer: one says it whole, and one as a stream. One more
    /// says a stream as OpenAI does.
    async fn start() -> Self {
        let mut setup = Setup::new().tables("[cache]\nstore_streams = true");
        let mut upstreams = Vec::new();
        let mut cases = Vec::new();
        let mut add = async |setup: Setup, model: &str, script: Script| {
            let upstream = always(script).await;
            let setup = setup.pool(model, &[&base(&upstream)]);
            upstreams.push(upstream);
            setup.model(model, &[model])
        };
        for (name, choices) in answers() {
            let whole = completion(&choices);
            let events = replay::events(whole.as_bytes(), true).unwrap();
            let events: Vec<&[u8]> = events.iter().map(|event| &**event).collect();
            let streamed = format!("{name}-streamed");
            setup = add(setup, &streamed, Script::sse_bytes(&events)).await;
            setup = add(setup, name, Script::json(200, whole)).await;
            let asks = vec![
                ask(name, false, "fwd=miss"),
                ask(name, false, "hit"),
                ask(name, true, "hit"),
                ask(&streamed, true, "fwd=miss"),
                ask(&streamed, true, "hit"),
                ask(&streamed, true, "hit"),
                ask(&streamed, false, "hit"),
            ];
            cases.push((name, asks));
        }
        let recorded = std::fs::read(repository("tests/golden/cache/live-choices.sse")).unwrap();
        setup = add(setup, "live", Script::sse_bytes(&[&recorded])).await;
        let asks = vec![
            ask("live", true, "fwd=miss"),
            ask("live", true, "hit"),
            ask("live", false, "hit"),
        ];
        cases.push(("live", asks));
        let cases = cases.into_iter().map(|(name, asks)| Case {
            name: name.to_owned(),
            asks,
        });
        Self {
            gateway: setup.start(),
            upstreams,
            cases: cases.collect(),
        }
    }

    /// What the scripts are told.
    fn environment(&self) -> [(&'static str, String); 2] {
        let cases = serde_json::to_string(&self.cases).unwrap();
        [("SPAFE_URL", self.gateway.url("")), ("SPAFE_CASES", cases)]
    }

    fn assert_asked_once(&self) {
        let asked = self.upstreams.iter().map(|up| up.requests().len());
        assert_eq!(asked.max(), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_makes_the_same_of_an_answer_in_every_form() {
    let same = Same::start().await;
    let environment = same.environment();
    script::python(
        "same.py",
        &environment
            .each_ref()
            .map(|(name, value)| (*name, &**value)),
    );
    same.assert_asked_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_makes_the_same_of_an_answer_in_every_form() {
    let same = Same::start().await;
    let environment = same.environment();
    script::node(
        "same.mjs",
        &environment
            .each_ref()
            .map(|(name, value)| (*name, &**value)),
    );
    same.assert_asked_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_makes_the_same_of_an_answer_in_every_form() {
    let same = Same::start().await;
    let client = rust_client(&same.gateway);
    for Case { name, asks } in &same.cases {
        let mut first = None;
        for (place, ask) in asks.iter().enumerate() {
            let said = if ask.stream {
                streamed(&client, &ask.model).await
            } else {
                whole(&client, &ask.model).await
            };
            let first = first.get_or_insert_with(|| said.clone());
            assert_eq!(&said, first, "{name}, answer {place}");
        }
    }
    same.assert_asked_once();
}

async fn whole(client: &Client<OpenAIConfig>, model: &str) -> (Vec<Said>, Option<CompletionUsage>) {
    let answer = soon("an answer", client.chat().create(rust_ask(model))).await;
    let answer = answer.unwrap_or_else(|error| panic!("{model}: {error}"));
    (
        answer.choices.into_iter().map(Said::of).collect(),
        answer.usage,
    )
}

async fn streamed(
    client: &Client<OpenAIConfig>,
    model: &str,
) -> (Vec<Said>, Option<CompletionUsage>) {
    let mut ask = rust_ask(model);
    ask.stream_options = Some(ChatCompletionStreamOptions {
        include_usage: Some(true),
        include_obfuscation: None,
    });
    let mut events = soon("a stream", client.chat().create_stream(ask))
        .await
        .unwrap();
    let mut said: Vec<Said> = Vec::new();
    let mut usage = None;
    while let Some(event) = soon("an event", events.next()).await {
        let event = event.unwrap_or_else(|error| panic!("{model}: {error}"));
        usage = event.usage.or(usage);
        for choice in event.choices {
            let index = usize::try_from(choice.index).unwrap();
            said.resize_with(said.len().max(index + 1), Said::default);
            said[index].add(choice);
        }
    }
    (said, usage)
}

/// What a choice says, as this SDK's callers join it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Said {
    content: Option<String>,
    refusal: Option<String>,
    calls: Vec<[String; 3]>,
    logprobs: Vec<String>,
    finish_reason: String,
}

impl Said {
    fn of(choice: ChatChoice) -> Self {
        let calls = choice.message.tool_calls.unwrap_or_default();
        let calls = calls.into_iter().map(|call| match call {
            ChatCompletionMessageToolCalls::Function(call) => {
                [call.id, call.function.name, call.function.arguments]
            }
            ChatCompletionMessageToolCalls::Custom(call) => panic!("{call:?}"),
        });
        let logprobs = choice.logprobs.and_then(|logprobs| logprobs.content);
        Self {
            content: choice.message.content,
            refusal: choice.message.refusal,
            calls: calls.collect(),
            logprobs: logprobs
                .unwrap_or_default()
                .iter()
                .map(|it| format!("{it:?}"))
                .collect(),
            finish_reason: format!("{:?}", choice.finish_reason.unwrap()),
        }
    }

    fn add(&mut self, part: ChatChoiceStream) {
        let join = |text: &mut Option<String>, more: Option<String>| {
            if let Some(more) = more {
                text.get_or_insert_default().push_str(&more);
            }
        };
        join(&mut self.content, part.delta.content);
        join(&mut self.refusal, part.delta.refusal);
        for call in part.delta.tool_calls.unwrap_or_default() {
            let index = usize::try_from(call.index).unwrap();
            self.calls
                .resize_with(self.calls.len().max(index + 1), Default::default);
            let function = call.function.unwrap();
            let [id, name, arguments] = &mut self.calls[index];
            id.push_str(&call.id.unwrap_or_default());
            name.push_str(&function.name.unwrap_or_default());
            arguments.push_str(&function.arguments.unwrap_or_default());
        }
        let logprobs = part.logprobs.and_then(|logprobs| logprobs.content);
        self.logprobs.extend(
            logprobs
                .unwrap_or_default()
                .iter()
                .map(|it| format!("{it:?}")),
        );
        if let Some(reason) = part.finish_reason {
            self.finish_reason = format!("{reason:?}");
        }
    }
}
