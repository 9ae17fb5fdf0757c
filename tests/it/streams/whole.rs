//! Which bytes of a good stream arrive, and when?

use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::pair::{Pair, WIRES, Wire, chunk, stop};

const CHAT: &str = "/v1/chat/completions";
const DONE: &str = "data: [DONE]\n\n";

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

async fn begin(pair: &Pair, model: &str) -> (Connection, Answer) {
    let mut client = Connection::open(pair.gateway.address).await;
    client
        .send(post(CHAT, &[], ask(model, true).as_bytes()))
        .await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    (client, head)
}

/// Reads until these bytes and no more have come.
async fn expect(client: &mut Connection, head: &Answer, expected: &str) {
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.extend(client.piece(head).await.expect("more of the stream"));
    }
    assert_eq!(String::from_utf8_lossy(&seen), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_leaves_before_the_next_one_is_sent() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let events = [event(&chunk("one")), event(&chunk("two")), event(&stop(0))];
        let all = events.concat() + DONE;
        let gates = [Gate::new(), Gate::new(), Gate::new()];
        let mut script = Script::sse_bytes(&[all.as_bytes()]);
        let mut sent = 0;
        for (event, gate) in events.iter().zip(&gates) {
            sent += event.len();
            // With half a line of the next one behind it, which must wait.
            script = script.hold_after(sent + 3, gate);
        }
        pair.first.simulator.default(script);
        let (mut client, head) = begin(&pair, "alone").await;
        for (event, gate) in events.iter().zip(&gates) {
            expect(&mut client, &head, event).await;
            gate.open();
        }
        expect(&mut client, &head, DONE).await;
        assert_eq!(client.piece(&head).await, None, "{wire:?}");
    }
}

/// Everything that the specification of events allows, byte for byte.
fn peculiar() -> Vec<String> {
    let (one, end) = (chunk("é🙂"), stop(0));
    vec![
        format!("data: {one}\r\n\r\ndata: {end}\r\n\r\ndata: [DONE]\r\n\r\n"),
        format!("data: {one}\r\rdata: {end}\r\rdata: [DONE]\r\r"),
        format!("\u{feff}data: {one}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        format!(
            ": hello\n\nid: 7\nretry: 10\nevent: chunk\ndata:{one}\n\n: x\ndata: {end}\n\ndata:[DONE]\n\n"
        ),
        format!("\n\n\ndata: {one}\n\n\n\ndata: {end}\n\n: bye\n\ndata: [DONE]\n\n"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_byte_for_byte_however_it_is_cut() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        for stream in peculiar() {
            for piece_bytes in [1, 7, usize::MAX] {
                let pieces: Vec<&[u8]> = stream
                    .as_bytes()
                    .chunks(piece_bytes.min(stream.len()))
                    .collect();
                pair.first.simulator.push(Script::sse_bytes(&pieces));
                let answer = pair.ask("alone", true).await;
                // The line feed of the last line end of all may be on its way still.
                let expected = match stream.strip_suffix("\r\n") {
                    Some(rest) if !answer.text().ends_with('\n') => format!("{rest}\r"),
                    _ => stream.clone(),
                };
                assert_eq!(
                    answer.text(),
                    expected,
                    "{wire:?} in pieces of {piece_bytes}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_the_terminator_reaches_a_client() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let stream = event(&chunk("x")) + &event(&stop(0)) + DONE;
        let more = stream.clone() + &event(&chunk("you should not see this"));
        pair.first
            .simulator
            .push(Script::sse_bytes(&[more.as_bytes()]));
        assert_eq!(pair.ask("alone", true).await.text(), stream, "in one piece");
        let pieces = [stream.as_bytes(), &more.as_bytes()[stream.len()..]];
        pair.first.simulator.push(Script::sse_bytes(&pieces));
        assert_eq!(pair.ask("alone", true).await.text(), stream, "in two");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminator_is_added_where_every_choice_had_finished() {
    for wire in WIRES {
        for until_close in [false, true] {
            if until_close && wire == Wire::Http2 {
                continue;
            }
            let pair = Pair::start(wire).await;
            let script = Script::sse(&[&chunk("x"), &stop(0)]).without_done();
            let script = if until_close {
                script.until_close()
            } else {
                script
            };
            pair.first.simulator.default(script);
            let answer = pair.ask("alone", true).await;
            assert_eq!(answer.text(), event(&chunk("x")) + &event(&stop(0)) + DONE);
            pair.gateway
                .counts("spafe_stream_terminators_added_total", 1)
                .await;
            // Of two choices one is not all.
            let body = ask("alone", true).replace("\"stream\"", "\"n\":2,\"stream\"");
            let mut client = Connection::open(pair.gateway.address).await;
            let answer = client.post(CHAT, body).await;
            assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
            pair.gateway
                .counts("spafe_stream_terminators_added_total", 1)
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_two_mebibytes_passes() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let large = chunk(&"x".repeat(2 * 1024 * 1024));
        let stream = event(&chunk("first")) + &event(&large) + &event(&stop(0)) + DONE;
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(100_000).collect();
        pair.first.simulator.push(Script::sse_bytes(&pieces));
        let answer = pair.ask("alone", true).await;
        assert!(
            answer.text() == stream,
            "{wire:?}: {} bytes",
            answer.body.len()
        );
        // As the first event, too, and where no event ever ends.
        let stream = event(&large) + &event(&stop(0)) + DONE;
        pair.first
            .simulator
            .push(Script::sse_bytes(&[stream.as_bytes()]));
        assert!(pair.ask("alone", true).await.text() == stream, "{wire:?}");
    }
}
