//! How much do all bodies hold together?
//!
//! What has arrived counts, for as long as an upstream might still be sent it.

use std::time::Duration;

use spafe::simulator::script::{Gate, Script};

use super::{MODEL, PATH, assert_shed, limited};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{chunk, stop};
use crate::kit::upstream::{base, upstream};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SHED: &str = "spafe_requests_shed_total{reason=\"bodies\"}";
/// Two bodies fit, and a bit more.
const LIMITS: &str = "body_bytes_max = \"1MiB\"\nbodies_bytes_max = \"2MiB\"";

/// A question of about this size.
fn question(bytes: usize, stream: bool) -> String {
    let padding = "a".repeat(bytes);
    format!(
        r#"{{"model":"{MODEL}","stream":{stream},"messages":[{{"role":"user","content":"{padding}"}}]}}"#
    )
}

/// A body of `announced` bytes of which `sent` are on their way.
async fn part(gateway: &Gateway, framing: &str, sent: usize) -> Connection {
    let mut client = Connection::open(gateway.address).await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    client.send(head).await;
    if framing.contains("chunked") {
        client.send("100000\r\n").await;
    }
    client.offer(&vec![b' '; sent]).await;
    client
}

#[track_caller]
fn assert_no_room(answer: &Answer) {
    assert_shed(answer, 503, "overloaded_error", "overloaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_room_is_refused_before_or_while_it_comes() {
    let (setup, upstream) = limited(LIMITS).await;
    let gateway = setup.start();
    let length = "Content-Length: 1048576";
    let halves = [
        part(&gateway, length, 900 * KIB).await,
        part(&gateway, length, 900 * KIB).await,
    ];
    let held = 2 * 900 * KIB as u64;
    gateway.counts("spafe_bodies_bytes", held).await;
    // Its length tells, so not a byte of it is waited for.
    let mut third = part(&gateway, length, 0).await;
    assert_no_room(&third.answer().await);
    // Nothing tells, so it is refused at the byte.
    let mut fourth = part(&gateway, "Transfer-Encoding: chunked", 400 * KIB).await;
    assert_no_room(&fourth.answer().await);
    gateway.counts(SHED, 2).await;
    // What it had sent is given back, and a small one is served.
    gateway.counts("spafe_bodies_bytes", held).await;
    let mut small = Connection::open(gateway.address).await;
    assert_eq!(small.post(PATH, question(8, false)).await.status, 200);
    assert_eq!(upstream.requests().len(), 1);
    drop(halves);
    gateway.counts("spafe_bodies_bytes", 0).await;
    let mut again = Connection::open(gateway.address).await;
    let whole = question(MIB - 200, false);
    assert_eq!(again.post(PATH, whole).await.status, 200);
    gateway.counts("spafe_bodies_bytes", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_held_until_the_answer_begins_and_no_longer() {
    let (setup, upstream) = limited(LIMITS).await;
    let gateway = setup.start();
    let (answering, ending) = (Gate::new(), Gate::new());
    let first = chunk("Hello");
    let script = Script::sse(&[&first, &stop(0)])
        .hold_head(&answering)
        .hold_after("data: \n\n".len() + first.len(), &ending);
    upstream.default(script);
    let body = question(500 * KIB, true);
    let mut client = Connection::open(gateway.address).await;
    client.send(post(PATH, &[], body.as_bytes())).await;
    gateway
        .counts("spafe_bodies_bytes", body.len() as u64)
        .await;
    answering.open();
    let head = client.head().await;
    assert_eq!(head.status, 200);
    gateway.counts("spafe_bodies_bytes", 0).await;
    gateway.counts("spafe_requests_in_flight", 1).await;
    ending.open();
    while client.piece(&head).await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_large_bodies_holds_no_more_than_it_may() {
    const BODIES: usize = 200;
    const BUDGET: u64 = 16 << 20;
    let limits = "body_bytes_max = \"1MiB\"\nbodies_bytes_max = \"16MiB\"";
    let (setup, upstream) = limited(limits).await;
    let gateway = setup.start();
    upstream.default(Script::stall());
    let before = gateway.resident_bytes();
    let body = question(MIB - 200, false);
    let request = post(PATH, &[], body.as_bytes());
    let mut crowd = Vec::new();
    for number in 0..BODIES {
        let n = u8::try_from(number / 8 + 1).unwrap();
        let mut client = Connection::open_from(n, gateway.address).await;
        let request = request.clone();
        crowd.push(tokio::spawn(async move {
            client.offer(&request).await;
            let answered = tokio::time::timeout(Duration::from_secs(3), client.answer()).await;
            answered.ok()
        }));
    }
    let mut refused = 0;
    for client in crowd {
        // Whoever has no answer by then is held.
        if let Some(answer) = client.await.unwrap() {
            assert_no_room(&answer);
            refused += 1;
        }
    }
    let served = BODIES - refused;
    assert!(
        (1..=16).contains(&served),
        "{served} bodies of 1 MiB are held"
    );
    gateway.counts(SHED, refused as u64).await;
    let grown = gateway.peak_memory_bytes().saturating_sub(before);
    // A body that grows is copied once; connections have their own buffers.
    assert!(grown < 4 * BUDGET, "{grown} bytes for a budget of {BUDGET}");
    gateway.idle().await;
    gateway.counts("spafe_bodies_bytes", 0).await;
}

/// An answer of about this size.
fn answer(bytes: usize) -> Script {
    let text = "a".repeat(bytes);
    Script::json(
        200,
        format!(
            r#"{{"id":"x","object":"chat.completion","created":1,"model":"{MODEL}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_held_while_there_is_room_and_else_passes_through() {
    let (first, second) = (upstream().await, upstream().await);
    let gateway = Setup::new()
        .tables(&format!("[bounds]\n{LIMITS}"))
        .pool("first", &[&base(&first)])
        .pool("second", &[&base(&second)])
        .model(MODEL, &["first", "second"])
        .start();
    // One that breaks in its middle is replaced where it is held.
    first.push(answer(900 * KIB).cut_after(800 * KIB));
    let mut client = Connection::open(gateway.address).await;
    let replaced = client.post(PATH, question(1, false)).await;
    assert_eq!(replaced.status, 200);
    assert_eq!(replaced.field("x-spafe-upstream"), Some("second"));
    gateway.counts("spafe_bodies_bytes", 0).await;

    // A request that is held takes of the half that answers may have.
    let gate = Gate::new();
    first.push(answer(1).hold_head(&gate));
    let body = question(900 * KIB, false);
    let mut waits = Connection::open(gateway.address).await;
    waits.send(post(PATH, &[], body.as_bytes())).await;
    let counted = body.len() as u64;
    gateway.counts("spafe_bodies_bytes", counted).await;
    while first.next_request().await.unwrap().body.len() != body.len() {}
    first.push(answer(900 * KIB));
    let whole = client.post(PATH, question(1, false)).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.field("x-spafe-upstream"), Some("first"));
    assert!(whole.json()["id"] == "x", "{} bytes", whole.body.len());
    first.push(answer(900 * KIB).cut_after(800 * KIB));
    client
        .send(post(PATH, &[], question(1, false).as_bytes()))
        .await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.field("x-spafe-upstream"), Some("first"));
    let cut = client.ended().await.unwrap();
    assert!(cut.len() <= 800 * KIB, "{} bytes", cut.len());
    gateway.counts("spafe_bodies_bytes", counted).await;

    // So little is always held, and there is always room for a request beside answers.
    first.push(answer(40 * KIB).cut_after(30 * KIB));
    let mut client = Connection::open(gateway.address).await;
    let replaced = client.post(PATH, question(900 * KIB, false)).await;
    assert_eq!(replaced.status, 200);
    assert_eq!(replaced.field("x-spafe-upstream"), Some("second"));
    gate.open();
    assert_eq!(waits.answer().await.status, 200);
    gateway.counts("spafe_bodies_bytes", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_until_its_client_has_taken_it_and_keeps_no_request_out() {
    let limits = "body_bytes_max = \"8MiB\"\nbodies_bytes_max = \"16MiB\"\nwrite_stall = \"60s\"";
    let (setup, upstream) = limited(limits).await;
    let gateway = setup.start();
    let mut slow = Vec::new();
    // Each is larger than the system holds for a client, and all are larger than there is room.
    for n in 1..=4 {
        upstream.push(answer(7 * MIB));
        let mut client = Connection::open_narrow(n, gateway.address).await;
        client
            .send(post(PATH, &[], question(1, false).as_bytes()))
            .await;
        let head = client.head().await;
        assert_eq!(head.status, 200);
        slow.push((client, head));
    }
    let held = gateway.metric("spafe_bodies_bytes ").await;
    let (least, most) = (6.5 * 1024.0 * 1024.0, 8.0 * 1024.0 * 1024.0);
    assert!((least..=most).contains(&held), "{held} bytes");
    let mut client = Connection::open_from(9, gateway.address).await;
    let served = client.post(PATH, question(7 * MIB, false)).await;
    assert_eq!(served.status, 200);
    for (mut client, head) in slow {
        let mut taken = 0;
        while taken < head.length().unwrap() {
            taken += client.piece(&head).await.unwrap().len();
        }
    }
    gateway.counts("spafe_bodies_bytes", 0).await;
}
