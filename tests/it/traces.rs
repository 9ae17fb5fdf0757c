//! What does a collector learn, and from whom?
//!
//! Behind a gateway stands a collector that reads with the official messages of another language,
//! over HTTP or gRPC. What it is told is compared with what callers and upstreams saw.

/// Numbers by the conventions for generative AI.
mod numbers;
/// Whose trace a request belongs to, and whether it is told of.
mod parents;
/// A collector that is away, or late, or wants less.
mod away;

use serde_json::{Value, json};
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, post};
use crate::kit::collector::{Collector, attribute, hex};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::upstream::{base, upstream};

const CHAT: &str = "/v1/chat/completions";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A question with this in it.
fn question(words: &str, stream: bool) -> String {
    let messages = json!([{ "role": "user", "content": words }]);
    json!({ "model": "m", "stream": stream, "messages": messages }).to_string()
}

/// What a caller says of its trace.
fn traceparent(flags: &str) -> String {
    format!("Traceparent: 00-{TRACE}-{PARENT}-{flags}")
}

/// Asks with these lines in the head; answered well.
async fn asked(gateway: &Gateway, lines: &[&str], body: &str) {
    let mut client = Connection::open(gateway.address).await;
    client.send(post(CHAT, lines, body.as_bytes())).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_sees_a_request_and_both_of_its_attempts() {
    for protocol in ["http", "grpc"] {
        for stream in [false, true] {
            failover(protocol, stream).await;
        }
    }
}

async fn failover(protocol: &'static str, stream: bool) {
    let collector = Collector::start(protocol).await;
    let (first, second) = (upstream().await, upstream().await);
    first.default(Script::json(500, "{}"));
    second.default(if stream {
        Script::sse(&[&chunk("a"), &stop(0), "[DONE]"])
    } else {
        completion("a")
    });
    let gateway = Setup::new()
        .variable("OTLP_TOKEN", "Bearer of-the-collector")
        .tables(&collector.table(
            "traces = 1\nservice_name = \"edge\"\nattributes = [{ name = \"site\", value = \"here\" }]\nheaders = [{ name = \"Authorization\", value = { env = \"OTLP_TOKEN\" } }]",
        ))
        .pool("first", &[&base(&first)])
        .pool_with("second", &[&base(&second)], "traceparent = true")
        .model("m", &["first", "second"])
        .start();
    let lines = [
        &traceparent("00"),
        "Tracestate: a=1",
        "Tracestate: b=2",
        "X-Request-Id: r-1",
    ];
    asked(&gateway, &lines, &question("Hi", stream)).await;
    let spans = collector.has_spans(3).await;
    let [request, failed, answered] = &spans[..] else {
        panic!("three spans and not {spans:?}");
    };
    for span in &spans {
        assert_eq!(hex(&span["traceId"]), TRACE);
        assert_eq!(span["traceState"], "a=1,b=2");
        assert!(number(&span["startTimeUnixNano"]) <= number(&span["endTimeUnixNano"]));
        let began = number(&request["startTimeUnixNano"]);
        assert!(number(&span["startTimeUnixNano"]) >= began);
        let ended = number(&request["endTimeUnixNano"]);
        assert!(number(&span["endTimeUnixNano"]) <= ended);
    }
    assert!(number(&failed["endTimeUnixNano"]) <= number(&answered["startTimeUnixNano"]));
    is_the_request(request);
    is_attempt(failed, request, ["first", "500", "server_error"]);
    is_attempt(answered, request, ["second", "200", ""]);
    assert_eq!(
        attribute(answered, "server.port"),
        second.addr().port().to_string()
    );
    // Who is not to be told of a trace is not.
    assert_eq!(
        first.next_request().await.unwrap().header("traceparent"),
        None
    );
    let told = second.next_request().await.unwrap();
    let expected = format!("00-{TRACE}-{}-01", hex(&answered["spanId"]));
    assert_eq!(told.header("traceparent"), Some(expected.as_str()));
    assert_eq!(told.header("tracestate"), Some("a=1,b=2"));
    assert_eq!(gateway.logged("r-1").await["trace_id"], TRACE);
    let export = &collector.exports("traces")[0];
    assert_eq!(export["fields"]["authorization"], "Bearer of-the-collector");
    let resource = &export["message"]["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), "edge");
    assert_eq!(attribute(resource, "site"), "here");
    gateway
        .counts("spafe_exports_total{result=\"sent\",signal=\"traces\"}", 3)
        .await;
    assert!(!gateway.output().contains("of-the-collector"));
}

fn is_the_request(span: &Value) {
    assert_eq!(hex(&span["parentSpanId"]), PARENT);
    assert_eq!(span["kind"], "SPAN_KIND_SERVER");
    assert_eq!(span["name"], "POST /v1/chat/completions");
    assert_eq!(span["status"], Value::Null);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", CHAT),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.response.model", "m"),
        ("gen_ai.provider.name", "openai"),
        ("spafe.pool", "second"),
        ("spafe.attempts", "2"),
        ("spafe.outcome", "served"),
        ("spafe.request_id", "r-1"),
    ] {
        assert_eq!(attribute(span, name), value, "{name}");
    }
    assert_eq!(
        attribute(span, "gen_ai.response.finish_reasons"),
        json!([{ "stringValue": "stop" }])
            .as_array()
            .map(|values| json!({ "values": values }))
            .unwrap()
    );
    assert_eq!(attribute(span, "error.type"), Value::Null);
}

fn is_attempt(span: &Value, request: &Value, [pool, status, error]: [&str; 3]) {
    assert_eq!(span["parentSpanId"], request["spanId"]);
    assert_eq!(span["kind"], "SPAN_KIND_CLIENT");
    assert_eq!(span["name"], "chat m");
    assert_eq!(attribute(span, "spafe.pool"), pool);
    assert_eq!(attribute(span, "http.response.status_code"), status);
    assert_eq!(attribute(span, "server.address"), "127.0.0.1");
    let is_error = span["status"]["code"] == "STATUS_CODE_ERROR";
    assert_eq!(is_error, !error.is_empty());
    let said = attribute(span, "error.type");
    assert_eq!(said.as_str().unwrap_or_default(), error);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_conversation_leaves_unless_that_is_wanted_and_then_within_its_bound() {
    #[derive(Clone, Copy)]
    struct Case(&'static str, bool, [bool; 2]);
    for Case(keys, stream, expected) in [
        Case("traces = 1", false, [false, false]),
        Case("traces = 1", true, [false, false]),
        Case("traces = 1\ncontent = true", false, [true, true]),
        Case("traces = 1\ncontent = true", true, [true, true]),
        Case(
            "traces = 1\ncontent = true\ncontent_bytes_max = \"16B\"",
            false,
            [false, false],
        ),
    ] {
        let collector = Collector::start("http").await;
        let up = upstream().await;
        up.default(if stream {
            Script::sse(&[&chunk("canary-of-the-answer"), &stop(0), "[DONE]"])
        } else {
            completion("canary-of-the-answer")
        });
        let gateway = Setup::new()
            .tables(&collector.table(keys))
            .pool("p", &[&base(&up)])
            .model("m", &["p"])
            .start();
        asked(&gateway, &[], &question("canary-of-the-question", stream)).await;
        collector.has_spans(2).await;
        let sent: String = collector
            .exports("traces")
            .iter()
            .map(|export| export["raw"].as_str().unwrap().to_owned())
            .collect();
        let found = ["canary-of-the-question", "canary-of-the-answer"].map(|it| sent.contains(it));
        assert_eq!(found, expected, "{keys}, stream: {stream}");
    }
}
