//! What comes with a good status and is no answer?

use std::time::Duration;

use crate::drill::fault::{
    Failed, Fault, INVALID, LIMITED, Means, OVERLOADED, TIMEOUT, UNAVAILABLE, Upstream,
};
use crate::drill::said::FIRST;
use crate::simulator::script::Script;

/// A JSON answer is held back up to this size; what is larger passes through.
const HELD_BYTES: usize = 8 * 1024 * 1024;

/// Answers that are no stream.
pub(super) fn whole(first: Duration) -> Vec<Fault> {
    let (answer, bytes) = FIRST.answer(false);
    let (length, half) = (bytes.len(), bytes.len() / 2);
    let says = Fault::says;
    let broken = UNAVAILABLE.passing();
    let mut faults = vec![
        says("json-cut", answer.clone().cut_after(half), broken),
        says("json-reset", answer.clone().reset_after(half), broken),
        says("json-stall", answer.clone().stall_after(half), TIMEOUT).costing(first),
        says(
            "json-length-too-long",
            answer.clone().content_length(9_999).cut_after(length),
            broken,
        ),
        says(
            "json-length-too-short",
            answer.clone().content_length(half as u64),
            INVALID,
        )
        .http1(),
        says(
            "json-no-last-chunk",
            answer.clone().chunked().cut_after(length),
            broken,
        )
        .http1(),
        says(
            "malformed-chunk",
            answer.chunked().malformed_chunk_after(length),
            INVALID,
        )
        .http1(),
        says(
            "json-truncated",
            Script::json(200, "{\"choices\":[{"),
            INVALID,
        ),
        says("json-empty", Script::json(200, ""), INVALID),
        says("json-no-object", Script::json(200, "[1,2]"), INVALID),
        html(),
    ];
    faults.extend(disguised(false));
    faults.push(severed());
    faults
}

/// What comes in place of a first event.
pub(super) fn first_events(first: Duration) -> Vec<Fault> {
    let (answer, _) = FIRST.answer(true);
    let says = Fault::says;
    let broken = UNAVAILABLE.passing();
    let mut faults = vec![
        says("stream-cut-at-once", answer.clone().cut_after(0), broken),
        says(
            "stream-reset-at-once",
            answer.clone().reset_after(0),
            broken,
        ),
        says(
            "stream-half-first-event",
            answer.clone().cut_after(20),
            broken,
        ),
        says(
            "stream-stall-at-once",
            answer.clone().stall_after(0),
            TIMEOUT,
        )
        .costing(first),
        says(
            "stream-stall-in-first-event",
            answer.stall_after(20),
            TIMEOUT,
        )
        .costing(first),
        says("stream-empty", Script::sse_bytes(&[]), broken),
        says(
            "stream-comments-only",
            Script::sse_bytes(&[b": hello\n\n"]),
            broken,
        ),
        says("stream-done-at-once", Script::sse(&[]), INVALID),
        says("stream-no-json", Script::sse(&["hello"]), INVALID),
        says("stream-json-instead", FIRST.answer(false).0, INVALID),
        html(),
    ];
    faults.extend(disguised(true));
    faults
}

fn html() -> Fault {
    let page = Script::body(200, "text/html", "<p>Welcome to the captive portal.</p>");
    Fault::says("html", page, INVALID)
}

/// Errors under a good status, as some vendors send them.
fn disguised(stream: bool) -> impl Iterator<Item = Fault> {
    let cases: [(&str, &str, Failed); 3] = [
        (
            "error-under-200-overloaded",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            OVERLOADED.from(503).passing(),
        ),
        (
            "error-under-200-limited",
            r#"{"error":{"message":"Rate limited","code":429}}"#,
            LIMITED.from(429),
        ),
        (
            "error-under-200-other",
            r#"{"error":{"message":"Provider returned error","code":502}}"#,
            UNAVAILABLE.from(502).passing(),
        ),
    ];
    cases.into_iter().map(move |(name, error, failed)| {
        let script = if stream {
            Script::sse(&[error])
        } else {
            Script::json(200, error)
        };
        Fault::says(name, script, failed)
    })
}

/// Too large to be held back, and cut on its way through: after a moment, in which what
/// came before has been taken for an answer.
fn severed() -> Fault {
    const MOMENT: Duration = Duration::from_millis(300);
    let filler = "x".repeat(HELD_BYTES + 1024 * 1024);
    let (begin, end) = (format!("{{\"filler\":\"{filler}"), "\",\"choices\":[]}");
    let script = Script::sse_bytes(&[begin.as_bytes(), end.as_bytes()])
        .without_header("Content-Type")
        .header("Content-Type", "application/json")
        .gap(MOMENT)
        .cut_after(begin.len() + 5);
    let means = Means::Severed(format!("{begin}{end}").into());
    Fault::new("json-9-mib-cut", Upstream::Says(script), means).costing(MOMENT)
}
