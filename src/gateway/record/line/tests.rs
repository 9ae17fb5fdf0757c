//! Are a request's facts told whole, in every form, and one line a request?

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::gateway::client::Client;
use crate::gateway::record::RequestRecord;
use crate::gateway::record::id::RequestId;
use crate::gateway::record::policy::LogPolicy;
use crate::names::PoolName;
use crate::sys;

fn attempt(began: Instant, pool: &str, cause: Option<&str>) -> AttemptRecord {
    AttemptRecord {
        pool: PoolName::new(pool),
        target: format!("{pool}.test:443"),
        outcome: if cause.is_some() {
            "broken"
        } else {
            "answered"
        },
        status: cause.is_none().then_some(200),
        began,
        duration: Duration::from_micros(12_500),
        reused: Some(cause.is_some()),
        cause: cause.map(str::to_owned),
        cut_off: false,
        span: None,
    }
}

fn ended(attempts: &[(&str, Option<&str>)]) -> Ended {
    let client = Client::new("203.0.113.77".parse().ok());
    let mut record = RequestRecord::begin(sys::now(), RequestId::made(1, 2), client);
    let began = record.began();
    let attempts = attempts.iter();
    record.attempts = attempts
        .map(|(pool, cause)| attempt(began, pool, *cause))
        .collect();
    record.status = 200;
    let policy = LogPolicy::new(&crate::config::example(""));
    Ended::new(record, began, &policy, &[0; 32])
}

fn json(ended: &Ended) -> Value {
    let line = ended.line(Form::Json);
    assert!(line.ends_with(b"\n"));
    assert_eq!(String::from_utf8_lossy(&line).lines().count(), 1);
    serde_json::from_slice(&line).unwrap()
}

fn text(ended: &Ended, form: Form) -> String {
    let line = String::from_utf8(ended.line(form)).unwrap();
    let line = line.strip_suffix('\n').unwrap().to_owned();
    assert!(!line.contains(char::is_control), "{line:?}");
    line
}

#[test]
fn attempts_are_told_where_they_tell_more_than_the_rest() {
    let one = json(&ended(&[("p", None)]));
    assert_eq!(
        (&one["attempt_count"], one.get("attempts")),
        (&1.into(), None)
    );
    let none = json(&ended(&[]));
    assert_eq!(
        (&none["attempt_count"], none.get("attempts")),
        (&0.into(), None)
    );
    let failed = json(&ended(&[("p", Some("reset"))]));
    assert_eq!(failed["attempts"][0]["cause"], "reset");
    let two = json(&ended(&[("p", Some("reset")), ("q", None)]));
    let expected = serde_json::json!([
        { "pool": "p", "target": "p.test:443", "outcome": "broken", "cause": "reset",
          "start_ms": 0, "duration_ms": 12.5, "reused": true },
        { "pool": "q", "target": "q.test:443", "status": 200, "outcome": "answered",
          "start_ms": 0, "duration_ms": 12.5, "reused": false },
    ]);
    assert_eq!(two["attempts"], expected);
    assert_eq!(two["pool"], "q");
    // Whoever asks for one request is told of each attempt.
    let mut whole = Vec::new();
    ended(&[("p", None)]).json(&mut whole, true);
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["attempts"][0]["pool"], "p");
}

#[test]
fn whoever_answered_is_told_and_not_whoever_was_asked_last() {
    let side_by_side = json(&ended(&[("p", None), ("q", Some("outrun"))]));
    assert_eq!(side_by_side["pool"], "p");
    assert_eq!(side_by_side["target"], "p.test:443");
    assert_eq!(side_by_side.get("answered_by"), None);
    let mut replaced = ended(&[("p", Some("reset")), ("q", None)]);
    replaced.record.answered = Some(ModelId::new("small"));
    assert_eq!(json(&replaced)["answered_by"], "small");
    // Nobody needs to be told twice.
    replaced.model = Some(ModelId::new("small"));
    assert_eq!(json(&replaced).get("answered_by"), None);
}

#[test]
fn what_a_stranger_says_stays_in_its_field() {
    let mut ended = ended(&[("p", Some("reset\n{\"request_id\":\"forged\"}"))]);
    ended.record.user_agent = Some("a\"b=c\r\nstatus=500 \u{1b}[2J\u{9b}1m".into());
    ended.record.refused = Some(format!("GET /{}", "x".repeat(1 << 20)));
    let told = json(&ended);
    assert_eq!(
        told["user_agent"],
        "a\"b=c\\u{d}\\u{a}status=500 \\u{1b}[2J\\u{9b}1m"
    );
    assert!(told["asked"].as_str().unwrap().len() <= 256);
    assert_eq!(told["request_id"], ended.record.id.as_str());
    for form in [Form::Logfmt, Form::People] {
        let line = text(&ended, form);
        assert!(line.len() < 2048, "{}", line.len());
    }
}

#[test]
fn logfmt_is_read_by_who_reads_logfmt() {
    let mut ended = ended(&[("p", Some("no \"route\"")), ("q", None)]);
    ended.record.user_agent = Some("x/1 (a=b)".into());
    ended.record.code = Some(String::new());
    let line = text(&ended, Form::Logfmt);
    let pairs = parsed(&line);
    let value = |name: &str| {
        let mut pairs = pairs.iter();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(value("client"), Some("203.0.113.0/24"), "{line}");
    assert_eq!(value("user_agent"), Some("x/1 (a=b)"), "{line}");
    assert_eq!(value("code"), Some(""), "{line}");
    assert_eq!(value("status"), Some("200"), "{line}");
    assert_eq!(value("attempt_count"), Some("2"), "{line}");
    assert_eq!(value("attempt.1.cause"), Some("no \"route\""), "{line}");
    assert_eq!(value("attempt.2.pool"), Some("q"), "{line}");
}

/// Reads pairs as others do: bare up to the next space, or quoted as JSON.
fn parsed(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=').unwrap();
        let end = if value.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
            let text = values.next().unwrap().unwrap();
            pairs.push((name.to_owned(), text));
            values.byte_offset()
        } else {
            let plain = value.split(' ').next().unwrap();
            pairs.push((name.to_owned(), plain.to_owned()));
            plain.len()
        };
        let (_, behind) = value.split_at(end);
        rest = behind.strip_prefix(' ').unwrap_or(behind);
    }
    pairs
}

proptest! {
    #[test]
    fn a_text_is_one_of_json_and_says_what_is_told_of_it(
        text in prop_oneof![any::<String>(), "[ -~]{0,300}", "[a-z\"\\\\]{0,8}"],
    ) {
        let mut told = Vec::new();
        Fact::Text(&text).json(&mut told);
        let read: String = serde_json::from_slice(&told).unwrap();
        prop_assert_eq!(read, bounded(&text));
    }
}
