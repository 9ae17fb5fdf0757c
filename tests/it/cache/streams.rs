//! Streams that are shared.
//!
//! Whoever joins late gets the beginning at once and then what comes, byte for byte what the
//! first one got.

use serde_json::json;
use spafe::simulator::script::{Gate, Script};

use super::{CHAT, Kept, content, status, streamed};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::pair::{chunk, stop};

/// A caller that reads a stream piece by piece.
struct Reader {
    client: Connection,
    head: Answer,
    read: Vec<u8>,
}

impl Reader {
    async fn open(kept: &Kept, options: bool) -> Self {
        let mut body = streamed(1);
        if options {
            body["stream_options"] = json!({"include_usage": true});
        }
        let mut client = Connection::open(kept.gateway.address).await;
        let body = body.to_string();
        client.send(post(CHAT, &[], body.as_bytes())).await;
        let head = client.head().await;
        Self {
            client,
            head,
            read: Vec::new(),
        }
    }

    /// Reads until it has seen this.
    async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.read).contains(text) {
            let piece = self.client.piece(&self.head).await;
            self.read.extend(piece.expect("it ended before that"));
        }
    }

    /// Reads to the end.
    async fn rest(mut self) -> Answer {
        while let Some(piece) = self.client.piece(&self.head).await {
            self.read.extend(piece);
        }
        self.head.body = self.read;
        self.head
    }
}

/// A stream of two events, the second of which is held back.
fn held(gate: &Gate) -> Script {
    let first = chunk("one");
    let first_bytes = "data: \n\n".len() + first.len();
    Script::sse(&[&first, &chunk(" two"), &stop(0)]).hold_after(first_bytes, gate)
}

#[tokio::test]
async fn who_joins_late_gets_the_beginning_at_once_and_the_rest_as_it_comes() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    kept.up.push(held(&gate));
    let mut first = Reader::open(&kept, false).await;
    first.until("one").await;
    let mut second = Reader::open(&kept, false).await;
    second.until("one").await;
    assert_eq!(status(&second.head), "spafe; fwd=miss; collapsed");
    gate.open();
    let (first, second) = (first.rest().await, second.rest().await);
    assert_eq!(content(&first), ("one two".to_owned(), true));
    assert_eq!(first.text(), second.text());
    assert_eq!(kept.asked(), 1);
}

#[tokio::test]
async fn who_began_the_stream_leaves_in_the_middle_and_the_others_read_on() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    kept.up.push(held(&gate));
    let mut first = Reader::open(&kept, false).await;
    first.until("one").await;
    let mut second = Reader::open(&kept, false).await;
    second.until("one").await;
    first.client.reset();
    kept.gateway.counts("spafe_requests_in_flight", 1).await;
    gate.open();
    assert_eq!(content(&second.rest().await), ("one two".to_owned(), true));
    assert_eq!(kept.asked(), 1);
}

#[tokio::test]
async fn the_last_reader_takes_the_stream_along() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    kept.up.push(held(&gate));
    let mut first = Reader::open(&kept, false).await;
    first.until("one").await;
    let mut second = Reader::open(&kept, false).await;
    second.until("one").await;
    first.client.reset();
    kept.gateway.counts("spafe_requests_in_flight", 1).await;
    assert!(kept.up.requests()[0].aborted.is_none());
    second.client.reset();
    kept.up.aborted(0).await.unwrap();
}

#[tokio::test]
async fn a_break_is_told_to_everybody_who_reads() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    let first_bytes = "data: \n\n".len() + chunk("one").len();
    kept.up.push(held(&gate).cut_after(first_bytes + 10));
    let mut first = Reader::open(&kept, false).await;
    first.until("one").await;
    let second = Reader::open(&kept, false).await;
    gate.open();
    for reader in [first, second] {
        let text = reader.rest().await.text();
        assert!(text.contains("\"error\""), "{text}");
        assert!(!text.contains("[DONE]"));
    }
}

#[tokio::test]
async fn usage_is_told_to_who_asked_for_it_and_to_nobody_else() {
    let usage = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#;
    let kept = Kept::start("").await;
    let gate = Gate::new();
    let first = chunk("one");
    let first_bytes = "data: \n\n".len() + first.len();
    let script = Script::sse(&[&first, &stop(0), usage]);
    kept.up.push(script.hold_after(first_bytes, &gate));
    let mut counted = Reader::open(&kept, true).await;
    counted.until("one").await;
    let mut plain = Reader::open(&kept, false).await;
    plain.until("one").await;
    gate.open();
    let (counted, plain) = (counted.rest().await.text(), plain.rest().await.text());
    assert!(counted.contains("total_tokens"));
    assert_eq!(plain, counted.replace(&format!("data: {usage}\n\n"), ""));
    assert_eq!(kept.asked(), 1);
}

#[tokio::test]
async fn who_asks_for_usage_does_not_join_a_stream_that_will_not_tell_it() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    kept.up.push(held(&gate));
    let mut plain = Reader::open(&kept, false).await;
    plain.until("one").await;
    let counted = Reader::open(&kept, true).await;
    assert_eq!(status(&counted.head), "spafe; fwd=miss");
    gate.open();
    counted.rest().await;
    plain.rest().await;
    assert_eq!(kept.asked(), 2);
}

#[tokio::test]
async fn past_what_is_kept_of_it_a_stream_is_begun_anew_for_who_comes() {
    let kept = Kept::start("flight_bytes_max = \"1KiB\"").await;
    let gate = Gate::new();
    let first = chunk(&"x".repeat(2_000));
    let first_bytes = "data: \n\n".len() + first.len();
    let long = Script::sse(&[&first, &stop(0)]).hold_after(first_bytes, &gate);
    kept.up.push(long);
    let mut one = Reader::open(&kept, false).await;
    one.until("xxx").await;
    let late = Reader::open(&kept, false).await.rest().await;
    assert_eq!(status(&late), "spafe; fwd=miss");
    gate.open();
    assert_eq!(content(&one.rest().await).0.len(), 2_000);
    assert_eq!(kept.asked(), 2);
}

#[tokio::test]
async fn streams_are_not_shared_where_the_operator_says_so() {
    let kept = Kept::start("collapse_streams = false").await;
    let gate = Gate::new();
    kept.up.push(held(&gate));
    let mut first = Reader::open(&kept, false).await;
    first.until("one").await;
    let second = Reader::open(&kept, false).await.rest().await;
    assert_eq!(status(&second), "spafe; fwd=miss");
    gate.open();
    first.rest().await;
    assert_eq!(kept.asked(), 2);
}

#[tokio::test]
async fn a_broken_stream_costs_those_who_wait_for_it_whole_one_more_question() {
    let kept = Kept::start("").await;
    let gate = Gate::new();
    let first_bytes = "data: \n\n".len() + chunk("one").len();
    kept.up.push(held(&gate).cut_after(first_bytes + 10));
    let mut first = Reader::open(&kept, false).await;
    first.until("one").await;
    let address = kept.gateway.address;
    let body = super::question(1);
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let body = body.clone();
            tokio::spawn(async move { super::ask(address, &body, &[]).await })
        })
        .collect();
    kept.gateway.counts("spafe_requests_in_flight", 11).await;
    gate.open();
    for caller in waiting {
        assert_eq!(caller.await.unwrap().status, 200);
    }
    assert!(first.rest().await.text().contains("\"error\""));
    assert_eq!(kept.asked(), 2);
}

#[tokio::test]
async fn who_leaves_a_stream_to_others_pays_what_it_was_taken_for() {
    let limit =
        "[[limits]]\nname = \"t\"\nby = \"client\"\ntokens = { count = 100000, per = \"1d\" }\n";
    let kept =
        Kept::with(crate::kit::gateway::Setup::new().tables(&format!("[cache]\n{limit}"))).await;
    let gate = Gate::new();
    kept.up.push(held(&gate));
    let mut first = Reader::open(&kept, false).await;
    first.until("one").await;
    let before = left(&first.head);
    let mut second = Reader::open(&kept, false).await;
    second.until("one").await;
    first.client.reset();
    kept.gateway.counts("spafe_requests_in_flight", 1).await;
    gate.open();
    second.rest().await;
    kept.gateway.idle().await;
    let mut refused = super::question(2);
    refused["max_tokens"] = json!(1);
    let after = super::ask(kept.gateway.address, &refused, &[]).await;
    // Its estimate of a thousand stays; whoever read on paid nothing.
    assert!(before - left(&after) < 100, "{before} {}", left(&after));
}

fn left(answer: &Answer) -> u64 {
    let left = answer.field("x-ratelimit-remaining-tokens");
    left.unwrap().parse().unwrap()
}
