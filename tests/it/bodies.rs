//! Does exactly what was sent arrive, or nothing?
//!
//! A body is either understood by every reader in the same way and then reaches an
//! upstream to the byte, or it is refused and no upstream hears of it. What the
//! inspection makes of each case is tabled beside it; here are some of every kind, on
//! the way they come from a client.

/// Bodies of every size, by every way, to every upstream.
mod arrival;
/// Bodies that are too large or too slow.
mod bounds;
/// Bodies and heads that name somebody else.
mod elsewhere;
/// What costly bodies hold.
mod memory;
/// Bodies by chance, and other readers.
mod readers;
/// Clients that leave in the middle.
mod departure;

use std::time::Duration;

use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::upstream::{always, base};

const PATH: &str = "/api/v1/chat/completions";

/// What the upstream says to everything: it is no judge of what it is asked.
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1730888458,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],"usage":null}"#;

/// A gateway with one model, `m`, and the upstream that must not hear of it.
struct Bench {
    gateway: Gateway,
    upstream: Simulator,
}

/// Status, code and parameter of a refusal.
type Refusal = (u16, &'static str, Option<&'static str>);

const NO_JSON: Refusal = (400, "invalid_json", None);

async fn bench() -> Bench {
    bench_with(Setup::new()).await
}

async fn bench_with(setup: Setup) -> Bench {
    let upstream = always(Script::json(200, ANSWER)).await;
    let gateway = setup
        .pool("main", &[&base(&upstream)])
        .model("m", &["main"])
        .start();
    Bench { gateway, upstream }
}

impl Bench {
    async fn connect(&self) -> Connection {
        Connection::open(self.gateway.address).await
    }

    async fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.connect().await.post(PATH, body).await
    }

    /// The body is refused so.
    async fn refuses(&self, body: impl AsRef<[u8]>, expected: Refusal) {
        let body = body.as_ref();
        let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
        expect_refusal(&self.post(body).await, expected, &start);
    }

    /// The body reaches the upstream as it is.
    async fn forwards(&self, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let answer = self.post(body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let arrived = self.upstream.next_request().await.unwrap();
        assert_eq!(arrived.body_hash, blake3::hash(body));
    }

    /// Nothing has reached the upstream that the test has not asked for by itself.
    fn nothing_arrived(&self, but: usize) {
        assert_eq!(self.upstream.requests().len(), but);
    }
}

/// The answer is a refusal in the envelope, with its request id and for browsers.
fn expect_refusal(answer: &Answer, (status, code, param): Refusal, of: &str) {
    assert_eq!(answer.status, status, "{of}: {}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{of}: {error}");
    assert_eq!(error["param"].as_str(), param, "{of}: {error}");
    assert!(error["message"].as_str().unwrap().ends_with('.'), "{error}");
    assert!(answer.field("x-request-id").is_some(), "{answer:?}");
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
}

fn with(members: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],{members}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_refused_as_body_and_as_value() {
    let bench = bench().await;
    let good = with("\"x\":1");
    for body in [
        "",
        " ",
        "null",
        "[]",
        "\"model\"",
        "7",
        "{",
        "{]",
        "model=m",
        "{'model':'m'}",
        "// c\n{}",
        good.strip_suffix('}').unwrap(),
        &format!("{good}{good}"),
        &format!("{good}\n{good}\n"),
        &format!("{good} // c"),
        &format!("{good}\0"),
        &format!("\u{feff}{good}"),
    ] {
        bench.refuses(body, NO_JSON).await;
    }
    for value in [
        "",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "0x1",
        "'a'",
        "\"a",
        r#""\x""#,
        r#""\u12""#,
        "\"\n\"",
        "\"\0\"",
        "[1,]",
        "[1",
        "{a:1}",
        "{\"a\":1,}",
        "/**/1",
    ] {
        bench
            .refuses(with(&format!("\"x\":{value}")), NO_JSON)
            .await;
    }
    bench.nothing_arrived(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_utf8_are_refused() {
    let bench = bench().await;
    for bytes in [
        &b"\xFF"[..],
        b"\x80",
        b"\xC0\x80",
        b"\xE0\x80\xAF",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
    ] {
        let body = [&br#"{"model":"m","messages":[],"x":""#[..], bytes, b"\"}"].concat();
        bench.refuses(body, NO_JSON).await;
    }
    let good = with("\"x\":1");
    let little: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    bench.refuses(&little, NO_JSON).await;
    bench
        .refuses([b"\xFF\xFE", &little[..]].concat(), NO_JSON)
        .await;
    let wide: Vec<u8> = good
        .chars()
        .flat_map(|c| u32::from(c).to_be_bytes())
        .collect();
    bench.refuses(wide, NO_JSON).await;
    bench.refuses(with(r#""\ud800":1"#), NO_JSON).await;
    bench.nothing_arrived(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_once_and_is_spelled_one_way() {
    let bench = bench().await;
    let twice = |key| (400, "duplicate_key", key);
    for (members, key) in [
        (r#""model":"m""#, Some("model")),
        (r#""mod\u0065l":"b""#, Some("model")),
        (r#""messages":[]"#, Some("messages")),
        (r#""stream":true,"stream":false"#, Some("stream")),
        (r#""x":1,"x":1"#, None),
        (r#""x":1,"\u0078":1"#, None),
        (r#""x":{"a":1,"a":2}"#, None),
        (r#""x":[{"y":{"a":1,"\u0061":2}}]"#, None),
        (r#""Model":"b""#, Some("model")),
        (r#""MODEL":"b""#, Some("model")),
        (r#""model ":"b""#, Some("model")),
        (r#""model\u0000":"b""#, Some("model")),
        ("\"mo\u{200b}del\":\"b\"", Some("model")),
        ("\"\u{17f}tream\":true", Some("stream")),
        ("\"max_to\u{212a}ens\":1", Some("max_tokens")),
    ] {
        bench.refuses(with(members), twice(key)).await;
    }
    bench.nothing_arrived(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_mistyped_fields_are_named() {
    let bench = bench().await;
    let missing = |field| (400, "missing_field", Some(field));
    let unusable = |field| (400, "invalid_value", Some(field));
    bench.refuses("{}", missing("model")).await;
    bench.refuses(r#"{"messages":[]}"#, missing("model")).await;
    bench.refuses(r#"{"model":"m"}"#, missing("messages")).await;
    let body = r#"{"messages":[],"model":["m"]}"#;
    bench.refuses(body, unusable("model")).await;
    let body = r#"{"messages":[],"model":"\ud800"}"#;
    bench.refuses(body, unusable("model")).await;
    let body = r#"{"messages":"Hi","model":"m"}"#;
    bench.refuses(body, unusable("messages")).await;
    for (field, value) in [
        ("stream", "1"),
        ("stream", "\"true\""),
        ("user", "7"),
        ("n", "1E2"),
        ("n", "-0"),
        ("n", "1.0"),
        ("n", "1e400"),
        ("n", "18446744073709551617"),
        ("max_tokens", "\"5\""),
        ("max_tokens", "18446744073709551617"),
    ] {
        let body = with(&format!("\"{field}\":{value}"));
        bench.refuses(body, unusable(field)).await;
    }
    let digits = "7".repeat(1_000_000);
    let body = with(&format!("\"max_tokens\":{digits}"));
    bench.refuses(body, unusable("max_tokens")).await;
    bench.nothing_arrived(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_json_arrives_byte_for_byte() {
    let bench = bench().await;
    for value in [
        "null",
        "-0",
        "1e400",
        "1E+5",
        "18446744073709551617",
        r#""\ud800""#,
        r#""\u0000\/\u00e9""#,
        "\"\u{2028}\u{feff}é😀\"",
        "\t[ {\"Model\" : 1,\r\n\"model\":2 } ]",
        &"7".repeat(1_000_000),
    ] {
        bench.forwards(with(&format!("\"x\": {value} "))).await;
    }
    bench
        .forwards(format!("\r\n\t {} \r\n", with("\"X-Title\":1")))
        .await;
    bench
        .forwards(r#"{ "messages" : [ {"content":"Hi"} ] , "mod\u0065l" : "\u006d" }"#)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_is_refused_at_once_and_the_process_lives() {
    let bench = bench().await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for body in [
        with(&format!("\"x\":{}", nested(64))),
        with(&format!("\"x\":{}", nested(1_000))),
        with(&format!("\"x\":{}", nested(1_000_000))),
        format!("{{\"x\":{}", "[".repeat(1_000_000)),
        "{\"a\":".repeat(1_000_000),
        "[".repeat(1_000_000),
    ] {
        let began = now();
        bench.refuses(body, NO_JSON).await;
        // Sending the megabytes included; the reading alone is far below this.
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
    bench.nothing_arrived(0);
    // The object itself is the first level.
    bench.forwards(with(&format!("\"x\":{}", nested(63)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_plain_json_is_taken_and_nothing_is_inflated() {
    let bench = bench().await;
    let unsupported: Refusal = (415, "unsupported_media_type", None);
    for lines in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: multipart/form-data; boundary=a\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/json; charset=utf-16\r\n",
        "Content-Type: application/jsonp\r\n",
        "Content-Type: application/json\r\nContent-Type: application/json\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
        "Content-Type: application/json\r\nContent-Encoding: deflate\r\n",
        "Content-Type: application/json\r\nContent-Encoding: br\r\n",
        "Content-Type: application/json\r\nContent-Encoding: identity, gzip\r\n",
    ] {
        // The body never comes: who answers before has neither read nor inflated it.
        let mut client = bench.connect().await;
        let head =
            format!("POST {PATH} HTTP/1.1\r\nHost: a\r\n{lines}Content-Length: 43008\r\n\r\n");
        client.send(head).await;
        let answer = client.head().await;
        let body = client.piece(&answer).await.unwrap();
        expect_refusal(&Answer { body, ..answer }, unsupported, lines);
    }
    bench.nothing_arrived(0);
    for kind in [
        "application/json;charset=utf-8",
        "Application/JSON; charset=\"UTF-8\"",
    ] {
        let mut client = bench.connect().await;
        let body = with("\"x\":1");
        let length = body.len();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        client.send(head + &body).await;
        assert_eq!(client.answer().await.status, 200, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_unknown_is_told_by_name_within_bounds() {
    let bench = bench().await;
    for (model, echoed) in [
        ("nobody", "nobody"),
        ("../x", "../x"),
        ("a:b", "a:b"),
        ("M", "M"),
        (" m", " m"),
        ("*", "*"),
        (r"a\r\nX-Injected: 1", "aX-Injected: 1"),
        (&"m".repeat(10 * 1024), &"m".repeat(64)),
    ] {
        let answer = bench
            .post(format!(r#"{{"messages":[],"model":"{model}"}}"#))
            .await;
        expect_refusal(&answer, (404, "model_not_found", Some("model")), model);
        let expected = format!(
            "The model '{echoed}' does not exist here. GET /api/v1/models lists the models that do."
        );
        assert_eq!(answer.json()["error"]["message"], expected);
        assert_eq!(answer.field("x-injected"), None);
    }
    let empty = r#"{"messages":[],"model":""}"#;
    bench
        .refuses(empty, (400, "invalid_value", Some("model")))
        .await;
    bench.nothing_arrived(0);
}
