//! What is too much?
//!
//! Each flood ends its own connection, costs no other caller anything and leaves nothing
//! behind. What it costs at full size is measured in the long runs.

use std::time::Duration;

use spafe::simulator::Simulator;

use super::super::{MODEL, recorded};
use super::cases::{chat_head, list};
use crate::kit::floods::{FLOODS, bomb};
use crate::kit::frames::{
    CANCEL, DATA, END_STREAM, ENHANCE_YOUR_CALM, Frames, INITIAL_WINDOW_SIZE, PING, Told, begin,
    field, frame, headers, integer, last, post, reset, text, window,
};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::load::Load;

/// How often each is sent, if it is taken: many times what is too much.
const TIMES: u32 = 10_000;
/// What a flood may leave in memory: the allocator's, and nobody's.
const LEFT_BYTES_MAX: u64 = 8 << 20;

async fn gateway() -> (Gateway, Simulator) {
    let (setup, upstream): (Setup, Simulator) = recorded().await;
    (setup.tls().start(), upstream)
}

/// What the gateway has counted of heads in HTTP/2.
async fn heads(gateway: &Gateway) -> f64 {
    gateway
        .metric("spafe_http_requests_total{version=\"2\"}")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_ends_its_connection_and_nobody_else_notices() {
    let (gateway, upstream) = gateway().await;
    let others = Load::start(gateway.address, MODEL, 2, Duration::from_millis(50));
    others.goes_on(2).await;
    let before = gateway.resident_bytes();
    let mut wrong = Vec::new();
    for flood in FLOODS {
        let began = heads(&gateway).await;
        let client = Frames::open_from(2, &gateway, &[]).await;
        let mut client = client.expect("a connection");
        flood.pour(&mut client, TIMES).await;
        let told = client.until(flood.name, |told| told.closed).await;
        // Some of these pingora counts as well, and says nothing.
        let is_told = told.go_away == Some(ENHANCE_YOUR_CALM)
            || told.go_away.is_none() && flood.name == "paths that are none";
        let asked = heads(&gateway).await - began;
        if !is_told || asked > 1_000.0 {
            let why = told.go_away;
            wrong.push(format!("{}: {asked} requests, {why:?}", flood.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let tally = others.end().await;
    assert!(tally.lost.is_empty() && tally.refused == 0, "{tally:?}");
    gateway.idle().await;
    gateway.counts("spafe_connections", 0).await;
    let left = gateway.resident_bytes().saturating_sub(before);
    assert!(left <= LEFT_BYTES_MAX, "{left} bytes are left");
    drop(upstream);
}

/// Each is known to the gateway before it is reset, so that h2's own bound does not see them.
#[tokio::test(flavor = "multi_thread")]
async fn resets_one_after_the_other_are_too_many_as_well() {
    let (gateway, upstream) = gateway().await;
    let mut client = Frames::open(&gateway).await;
    for number in 0..1_000_u32 {
        let stream = 2 * number + 1;
        let ping = frame(PING, 0, 0, u64::from(number).to_be_bytes());
        client.offer(&[chat_head(stream), ping].concat()).await;
        let told = client
            .until("a pong", |told| {
                told.closed || told.pongs.len() > number as usize
            })
            .await;
        if told.closed {
            break;
        }
        client.offer(&reset(stream, CANCEL)).await;
    }
    let told = client.until("the end", |told| told.closed).await;
    assert_eq!(told.go_away, Some(ENHANCE_YOUR_CALM), "{told:?}");
    assert!(told.pongs.len() > 250, "too few: {}", told.pongs.len());
    let ended = "spafe_connections_ended_total{reason=\"resets\"}";
    gateway.counts(ended, 1).await;
    gateway.idle().await;
    assert!(upstream.requests().is_empty());
}

/// Thirty-two mistakes are many; 31 in a row cost no more than their streams.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_keeps_making_mistakes_is_let_go() {
    let (gateway, _upstream) = gateway().await;
    for (mistakes, lives) in [(31_u32, true), (40, false)] {
        let mut client = Frames::open(&gateway).await;
        for number in 0..mistakes {
            let wrong = [begin("GET", "/v1/models"), field("te", "gzip")].concat();
            client
                .offer(&headers(2 * number + 1, END_STREAM, wrong))
                .await;
        }
        client.offer(&list(1_001)).await;
        let enough = |told: &Told| told.closed || told.answered(1_001);
        let told = client.until("an answer or the end", enough).await;
        assert_eq!(told.closed, !lives, "{told:?}");
        if !lives {
            assert_eq!(told.go_away, Some(ENHANCE_YOUR_CALM), "{told:?}");
        }
    }
    gateway
        .counts("spafe_connections_ended_total{reason=\"faults\"}", 1)
        .await;
}

/// Whoever takes an answer in order may open windows for each part of it, say hello now and
/// then and leave a stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_lively_client_is_no_flood() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let event = crate::kit::pair::chunk("one word");
    let many = vec![event.as_str(); 5_000];
    upstream.default(spafe::simulator::script::Script::sse(&many));
    // Thousands of events have left before it says anything of the first.
    let wide = [(INITIAL_WINDOW_SIZE, 4 << 20)];
    let mut client = Frames::open_with(&gateway, &wide).await;
    let question = crate::kit::client::ask(MODEL, true);
    let asked = [window(0, 4 << 20), chat_head(1), last(1, question)];
    client.offer(&asked.concat()).await;
    let mut windows = 0;
    while !client.told.answered(1) {
        let part = client.next().await.expect("a part of the answer");
        let bytes = u32::try_from(part.payload.len()).unwrap();
        if part.kind == DATA && bytes > 0 && part.flags & END_STREAM == 0 {
            client
                .offer(
                    &[
                        window(0, bytes),
                        window(1, bytes),
                        frame(PING, 0, 0, [1; 8]),
                    ]
                    .concat(),
                )
                .await;
            windows += 2;
        }
    }
    assert!(!client.told.closed);
    assert_eq!(client.told.statuses.get(&1), Some(&200));
    println!("{windows} windows");
    for number in 1..60_u32 {
        client
            .offer(&[chat_head(2 * number + 1), reset(2 * number + 1, CANCEL)].concat())
            .await;
        client.offer(&frame(PING, 0, 0, [2; 8])).await;
        let seen = |told: &Told| {
            told.pongs.iter().filter(|pong| pong[..] == [2; 8]).count() >= number as usize
        };
        client.until("a pong", seen).await;
    }
    client.offer(&list(1_001)).await;
    client.until("an answer", |told| told.answered(1_001)).await;
}

/// Heads that are a thousand times as large as what was sent, and answers that are not taken.
#[tokio::test(flavor = "multi_thread")]
async fn heads_that_grow_are_refused_and_not_held() {
    const STREAMS: u32 = 64;
    const CONNECTIONS: usize = 16;
    // A task for each stream; the fields would be two mebibytes more.
    const HELD_BYTES_MAX: u64 = 2 << 20;
    let (gateway, upstream) = gateway().await;
    list_once(&gateway).await;
    let before = gateway.resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Frames::open_with(&gateway, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        let heads: Vec<u8> = (0..STREAMS)
            .flat_map(|number| bomb(2 * number + 1))
            .collect();
        client.offer(&heads).await;
        let all = |told: &Told| told.closed || told.statuses.len() == STREAMS as usize;
        let told = client.until("every status", all).await;
        assert!(!told.closed, "{told:?}");
        assert!(
            told.statuses.values().all(|status| *status == 431),
            "{told:?}"
        );
        clients.push(client);
    }
    let held = gateway.resident_bytes().saturating_sub(before) / CONNECTIONS as u64;
    println!("{held} bytes a connection");
    assert!(held <= HELD_BYTES_MAX, "{held} bytes a connection");
    assert!(upstream.requests().is_empty());
    drop(clients);
    gateway.idle().await;
}

/// What is made with the first request is not held for it.
async fn list_once(gateway: &Gateway) {
    let mut client = Frames::open(gateway).await;
    client.offer(&list(1)).await;
    client.until("an answer", |told| told.answered(1)).await;
}

/// More than a head may have in all is refused by what h2 has read of it, far more ends the
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn heads_beyond_their_bound_are_refused_or_end_the_connection() {
    let (gateway, _upstream) = gateway().await;
    let heads = |fields: usize| {
        let kept = [&[0x40][..], &text(b"a"), &text(b"")].concat();
        let named = integer(0x80, 7, 62).repeat(fields);
        [post("/v1/nothing"), kept, named].concat()
    };
    let mut client = Frames::open(&gateway).await;
    client.offer(&headers(1, END_STREAM, heads(600))).await;
    let told = client
        .until("an answer", |told| told.closed || told.answered(1))
        .await;
    assert_eq!(told.statuses.get(&1), Some(&431), "{told:?}");
    client.offer(&headers(3, END_STREAM, heads(16_000))).await;
    let told = client.until("the end", |told| told.closed).await;
    assert_eq!(told.go_away, Some(ENHANCE_YOUR_CALM), "{told:?}");
}
