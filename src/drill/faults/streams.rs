//! What goes wrong in a stream that has begun, and what only looks as if it did?

use bytes::Bytes;

use crate::drill::fault::{Fault, Means, Upstream};
use crate::drill::policy::Policy;
use crate::drill::said::{DONE, FIRST, body};
use crate::simulator::script::Script;

const CUT: &str = "upstream_unavailable";
const STALLED: &str = "upstream_timeout";
const MALFORMED: &str = "upstream_invalid_response";

/// Streams after their first event.
pub(super) fn faults(policy: &Policy) -> Vec<Fault> {
    let mut faults = broken(policy);
    faults.extend(endings());
    faults.extend(odd());
    faults
}

fn events() -> Vec<String> {
    FIRST.events()
}

fn script(events: &[String]) -> Script {
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    Script::sse(&events)
}

/// The first events of a stream as bytes.
fn prefix(events: &[String], count: usize) -> Bytes {
    let events: Vec<&str> = events.iter().take(count).map(String::as_str).collect();
    body(&events).into()
}

fn broken(policy: &Policy) -> Vec<Fault> {
    let times = &policy.pool.timeouts;
    let events = events();
    let whole = || script(&events);
    let after = prefix(&events, 40);
    let at = after.len();
    let broke = |name: &str, script: Script, code: &'static str| {
        let means = Means::Broke {
            code,
            events: after.clone(),
            all: true,
        };
        Fault::new(name, Upstream::Says(script), means)
    };
    let mut reset = broke("reset-inside-an-event", whole().reset_after(at + 50), CUT);
    if let Means::Broke { all, .. } = &mut reset.means {
        *all = false;
    }
    let utf8 = {
        let mut odd = events.clone();
        if let Some(event) = odd.get_mut(40) {
            *event = event.replace("first-40", "\u{1F680}\u{1F680}");
        }
        let event = odd.get(40).map_or("", String::as_str);
        let inside = event.find('\u{1F680}').unwrap_or_default();
        script(&odd).cut_after(at + "data: ".len() + inside + 2)
    };
    let slow = times.event_gap.mul_f64(0.5);
    vec![
        broke("cut-after-40-of-60", whole().cut_after(at), CUT),
        broke("cut-inside-an-event", whole().cut_after(at + 50), CUT),
        broke("cut-inside-a-character", utf8, CUT),
        reset,
        broke("stall", whole().stall_after(at), STALLED).costing(times.event_gap),
        broke(
            "stall-inside-an-event",
            whole().stall_after(at + 50),
            STALLED,
        )
        .costing(times.event_gap),
        broke(
            "malformed-chunk",
            whole().malformed_chunk_after(at),
            MALFORMED,
        )
        .http1(),
        endless(slow).costing(times.stream),
    ]
}

/// Something comes all the time and it never ends.
fn endless(gap: std::time::Duration) -> Fault {
    let events: Vec<String> = events().into_iter().cycle().take(400).collect();
    let script = script(&events).gap(gap);
    let means = Means::Broke {
        code: STALLED,
        events: prefix(&events, 400),
        all: false,
    };
    Fault::new("drip-for-ever", Upstream::Says(script), means)
}

/// Ends without a terminator, in order and not.
fn endings() -> Vec<Fault> {
    let all = events();
    let whole = || script(&all).without_done();
    let bytes = format!(
        "{}{DONE}",
        String::from_utf8_lossy(&prefix(&all, all.len()))
    );
    let unfinished: Vec<String> = all.iter().take(40).cloned().collect();
    let error = r#"{"error":{"message":"Out of memory","type":"server_error","code":"oom"}}"#;
    let mut told: Vec<String> = unfinished.clone();
    told.push(error.to_owned());
    let without = Means::Broke {
        code: CUT,
        events: prefix(&unfinished, 40),
        all: true,
    };
    vec![
        Fault::new(
            "no-done",
            Upstream::Says(whole()),
            Means::Good(bytes.into()),
        ),
        Fault::new(
            "no-done-unfinished",
            Upstream::Says(script(&unfinished).without_done()),
            without,
        ),
        Fault::new(
            "error-event-in-the-middle",
            Upstream::Says(script(&told).without_done()),
            Means::ToldItself(prefix(&told, told.len())),
        ),
    ]
}

/// What is unusual and good: passed on byte for byte.
fn odd() -> Vec<Fault> {
    let (_, plain) = FIRST.answer(true);
    let text = String::from_utf8_lossy(&plain).into_owned();
    let good = |name: &str, text: String, piece_bytes: usize| {
        let bytes = Bytes::from(text);
        let pieces: Vec<&[u8]> = bytes.chunks(piece_bytes).collect();
        let script = Script::sse_bytes(&pieces);
        Fault::new(name, Upstream::Says(script), Means::Good(bytes))
    };
    let long = events()
        .first()
        .map(|event| event.replace("first-0", &"long ".repeat(420_000)));
    let long = format!("data: {}\n\n{text}", long.unwrap_or_default());
    let few = prefix(&events(), 4);
    let short = format!("{}{DONE}", String::from_utf8_lossy(&few));
    let fields = text.replace("data: ", "id: 7\nretry: 3000\nevent: message\ndata: ");
    vec![
        good("odd-byte-by-byte", short, 1),
        good("odd-cr-only", text.replace('\n', "\r"), 1_000),
        good("odd-crlf", text.replace('\n', "\r\n"), 1_000),
        good("odd-byte-order-mark", format!("\u{FEFF}{text}"), 1_000),
        good(
            "odd-comments",
            text.replace("data: ", ": hello\n\ndata: "),
            1_000,
        ),
        good("odd-fields", fields, 1_000),
        good("odd-2-mib-line", long, 64 * 1024),
    ]
}
