//! Whose trace does a request belong to, and is it told of?

use serde_json::Value;

use super::{PARENT, TRACE, asked, question, traceparent};
use crate::kit::collector::{Collector, hex};
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};

/// What comes of a request: whether its spans are sent, and the flag that its upstream is told.
#[derive(Debug, PartialEq, Eq)]
struct Comes {
    sampled: bool,
    told: Option<String>,
}

/// A request with this word of its caller's, with these keys of `[otlp]`.
async fn comes(keys: &str, flags: Option<&str>) -> Comes {
    let collector = Collector::start("http").await;
    let up = upstream().await;
    let gateway = Setup::new()
        .tables(&collector.table(keys))
        .pool_with("p", &[&base(&up)], "traceparent = true")
        .model("m", &["p"])
        .start();
    let said = flags.map(traceparent);
    let lines: Vec<&str> = said.as_deref().into_iter().collect();
    asked(&gateway, &lines, &question("Hi", false)).await;
    let request = up.next_request().await.unwrap();
    let told = request.header("traceparent").map(str::to_owned);
    // Its end sends whatever waits.
    assert!(gateway.terminate().await.success());
    let spans = collector.spans();
    if flags.is_some()
        && let Some(told) = &told
    {
        assert_eq!(part(told, 1), TRACE);
        assert_ne!(part(told, 2), PARENT);
    }
    if let Some(first) = spans.first() {
        assert_eq!(spans.len(), 2);
        let parent = if flags.is_some() { PARENT } else { "" };
        assert_eq!(hex(&first["parentSpanId"]), parent);
    }
    Comes {
        sampled: !spans.is_empty(),
        told: told.map(|told| part(&told, 3).to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_is_not_followed_has_their_requests_sampled() {
    #[track_caller]
    fn check(case: &str, comes: &Comes, sampled: bool, told: Option<&str>) {
        let told = told.map(str::to_owned);
        assert_eq!(*comes, Comes { sampled, told }, "{case}");
    }
    for (keys, flags, sampled, told) in [
        ("", Some("01"), false, None),
        ("traces = 0.000000001", Some("01"), false, Some("00")),
        ("traces = 1", Some("00"), true, Some("01")),
        ("traces = 1", None, true, Some("01")),
        ("parent = \"follow\"", Some("01"), true, Some("01")),
        ("parent = \"follow\"", Some("00"), false, Some("00")),
        ("parent = \"follow\"", None, false, Some("00")),
        (
            "parent = \"follow\"\ntraces = 1",
            Some("00"),
            false,
            Some("00"),
        ),
    ] {
        let comes = comes(keys, flags).await;
        check(&format!("{keys}, {flags:?}"), &comes, sampled, told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_trace_is_passed_over_and_one_is_begun() {
    let collector = Collector::start("http").await;
    let up = upstream().await;
    let gateway = Setup::new()
        .tables(&collector.table("traces = 1"))
        .pool_with("p", &[&base(&up)], "traceparent = true")
        .model("m", &["p"])
        .start();
    let good = traceparent("01");
    let long = format!("Tracestate: a={}", "1".repeat(600));
    for lines in [
        &["Traceparent: nonsense"][..],
        &["Traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
        &[&good, &good],
        &["Tracestate: a=1"],
        &["Traceparent: \u{fc}\u{fc}"],
        &[&long],
    ] {
        asked(&gateway, lines, &question("Hi", false)).await;
        let request = up.next_request().await.unwrap();
        let told = request.header("traceparent").unwrap().to_owned();
        assert_ne!(part(&told, 1), TRACE, "{lines:?}");
        assert_eq!(request.header("tracestate"), None, "{lines:?}");
    }
    asked(&gateway, &[&good, &long], &question("Hi", false)).await;
    let request = up.next_request().await.unwrap();
    assert_eq!(part(request.header("traceparent").unwrap(), 1), TRACE);
    assert_eq!(request.header("tracestate"), None);
    for span in collector.has_spans(14).await {
        assert_ne!(span["traceId"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_no_trace_goes_anywhere() {
    let up = upstream().await;
    let gateway = Setup::new()
        .pool_with("p", &[&base(&up)], "traceparent = true")
        .model("m", &["p"])
        .start();
    let said = traceparent("01");
    asked(
        &gateway,
        &[&said, "Tracestate: a=1", "X-Request-Id: r-1"],
        &question("Hi", false),
    )
    .await;
    let request = up.next_request().await.unwrap();
    assert_eq!(request.header("traceparent"), None);
    assert_eq!(request.header("tracestate"), None);
    assert_eq!(gateway.logged("r-1").await.get("trace_id"), None);
}

/// Version, trace, parent or flags.
fn part(told: &str, number: usize) -> &str {
    told.split('-').nth(number).unwrap()
}
