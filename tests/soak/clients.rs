//! What do clients cost that say little, or take little?
//!
//! Two thousand of each kind, from many addresses, within the caps that are shipped.
//! Each is let go in its time.

use std::time::Duration;

use futures_util::future::join_all;
use spafe::simulator::record::Request;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Setup;
use crate::kit::http2::{Http2, secure};
use crate::kit::now;
use crate::kit::pair::chunk;
use crate::siege::{CHAT, MODEL, PER_ADDRESS, Siege, crowd};

/// Clients of one kind.
const CLIENTS: usize = 2_000;
/// Requests of one address, within its bound.
const REQUESTS_PER_ADDRESS: usize = 16;
/// How often a slow client says something.
const PAUSE: Duration = Duration::from_secs(5);
/// A request that costs nothing.
const LIST: &str = "GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n";

/// Says these bytes at once, then one more now and then until the peer has closed; how
/// long that took, and what it said.
async fn trickle(mut client: Connection, first: Vec<u8>, more: bool) -> (Duration, Vec<u8>) {
    let began = now();
    client.offer(&first).await;
    loop {
        if let Ok(told) = tokio::time::timeout(PAUSE, client.closed()).await {
            return (began.elapsed(), told);
        }
        if more {
            client.offer(b"a").await;
        }
    }
}

fn assert_within(took: &[Duration], max: Duration) {
    let most = took.iter().max().unwrap();
    println!("{} let go within {most:?}", took.len());
    assert!(*most <= max, "one was let go after {most:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_trickle() {
    let siege = Siege::begin(Setup::new()).await;
    let clients = crowd(&siege.gateway, CLIENTS, PER_ADDRESS).await;
    let head = b"GET /v1/models HTTP/1.1\r\nX: ".to_vec();
    let all = clients
        .into_iter()
        .map(|client| trickle(client, head.clone(), true));
    let took: Vec<_> = join_all(all)
        .await
        .into_iter()
        .map(|(took, _)| took)
        .collect();
    assert_within(&took, Duration::from_secs(15));
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_trickle_or_do_not_come() {
    let siege = Siege::begin(Setup::new()).await;
    let clients = crowd(&siege.gateway, CLIENTS, REQUESTS_PER_ADDRESS).await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    );
    let all = clients.into_iter().enumerate().map(|(number, client)| {
        let comes = number % 2 == 0;
        let first = [head.as_bytes(), if comes { b"{" } else { b"" }].concat();
        trickle(client, first, comes)
    });
    let all = join_all(all).await;
    let took: Vec<_> = all.iter().map(|(took, _)| *took).collect();
    assert_within(&took, Duration::from_secs(25));
    for (_, told) in &all {
        let told = String::from_utf8_lossy(told);
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    }
    assert!(siege.upstream.requests().is_empty());
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_http2_that_trickle_or_do_not_come() {
    let siege = Siege::begin(Setup::new().tls()).await;
    let mut client = Http2::open(&siege.gateway).await;
    let began = now();
    let mut uploads = Vec::new();
    for number in 0..REQUESTS_PER_ADDRESS {
        let mut upload = client.begin(CHAT, Some(100_000)).await;
        if number % 2 == 0 {
            upload.send(bytes::Bytes::from_static(b"{"), false).await;
        }
        uploads.push(upload.answer());
    }
    for answer in join_all(uploads).await {
        assert_eq!(answer.status, 408, "{answer:?}");
    }
    assert_within(&[began.elapsed()], Duration::from_secs(25));
    assert!(siege.upstream.requests().is_empty());
    client.leave();
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_taken_slowly() {
    // The system takes megabytes for each of them before it is slow, and to write those
    // is work; so they are few and come one after the other.
    const SLOW: usize = 32;
    let mut arrival = tokio::time::interval(Duration::from_millis(200));
    let siege = Siege::begin(Setup::new()).await;
    let event = chunk(&"a".repeat(16 << 10));
    let events = Script::sse(&vec![event.as_str(); 2_000]);
    let most = events.body_bytes() - 1;
    siege.upstream.default(events.stall_after(most));
    let mut clients = Vec::new();
    for number in 0..SLOW {
        arrival.tick().await;
        let n = u8::try_from(number / REQUESTS_PER_ADDRESS + 1).unwrap();
        let mut client = Connection::open_narrow(n, siege.gateway.address).await;
        client
            .send(post(CHAT, &[], ask(MODEL, true).as_bytes()))
            .await;
        clients.push(client);
    }
    let taking: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, mut client)| {
            let pause = Duration::from_secs(if number % 2 == 0 { 1 } else { 15 });
            tokio::spawn(async move { client.take_slowly(10, pause).await })
        })
        .collect();
    // They go on with what is in the system's hands; their upstreams are let go.
    let began = now();
    let working = |request: &Request| request.aborted.is_none();
    while siege
        .upstream
        .requests()
        .iter()
        .filter(|request| working(request))
        .count()
        > 0
    {
        assert!(
            began.elapsed() < Duration::from_secs(45),
            "an upstream still works"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(siege.upstream.requests().len(), SLOW);
    println!("let go within {:?}", began.elapsed());
    for client in taking {
        client.abort();
    }
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_idle_or_half_a_head_further() {
    let siege = Siege::begin(Setup::new()).await;
    let clients = crowd(&siege.gateway, CLIENTS, PER_ADDRESS).await;
    let all = clients
        .into_iter()
        .enumerate()
        .map(|(number, mut client)| async move {
            client.send(LIST).await;
            assert_eq!(client.answer().await.status, 200);
            let half = number % 2 == 0;
            let first = if half {
                b"GET /v1/mo".to_vec()
            } else {
                Vec::new()
            };
            let (took, _) = trickle(client, first, false).await;
            (half, took)
        });
    let all = join_all(all).await;
    for (half, max_s) in [(false, 61), (true, 76)] {
        let these = all.iter().filter(|(is_half, _)| *is_half == half);
        let took: Vec<_> = these.map(|(_, took)| *took).collect();
        assert_within(&took, Duration::from_secs(max_s));
    }
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_do_not_come_and_protocols_that_do_not_begin() {
    let siege = Siege::begin(Setup::new().tls()).await;
    let tls = siege.gateway.tls_address.unwrap();
    let mut silent = Vec::new();
    for n in 1..=12 {
        for _ in 0..PER_ADDRESS {
            silent.push(Connection::open_from(n, tls).await);
        }
    }
    let began = now();
    // Half of them begin and go on by a byte now and then.
    let all = silent.into_iter().enumerate().map(|(number, client)| {
        let first = if number % 2 == 0 {
            b"\x16\x03\x01\x02\x00".to_vec()
        } else {
            Vec::new()
        };
        trickle(client, first, number % 2 == 0)
    });
    let agreed = async {
        let client = secure(&siege.gateway, "h2").await;
        let (mut client, began) = (client, now());
        let mut told = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut told).await;
        began.elapsed()
    };
    let (all, agreed) = tokio::join!(join_all(all), agreed);
    assert!(agreed < Duration::from_secs(11), "HTTP/2: {agreed:?}");
    println!("all of them within {:?}", began.elapsed());
    let took: Vec<_> = all.into_iter().map(|(took, _)| took).collect();
    assert_within(&took, Duration::from_secs(66));
    siege.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_idle_connections_than_there_are_places() {
    // 4,096 less what the caller needs for itself.
    const PLACES: usize = 4_000;
    const BYTES_MAX: u64 = 56 << 10;
    let setup = Setup::new().tables("[bounds]\nconnections_max = 4096\nhead_timeout = \"60s\"");
    let siege = Siege::begin(setup).await;
    let clients = crowd(&siege.gateway, PLACES, PER_ADDRESS).await;
    let grown = siege
        .gateway
        .resident_bytes()
        .saturating_sub(siege.fresh_bytes);
    let each = grown / PLACES as u64;
    println!("{each} bytes a connection");
    assert!(each <= BYTES_MAX, "{each} bytes a connection");
    // What an address opens beyond its share is closed at once.
    let mut took = Vec::new();
    let mut kept = Vec::new();
    for _ in 0..24 {
        kept.push(Connection::open_from(1, siege.gateway.address).await);
    }
    for _ in 0..1_000 {
        let began = now();
        let mut beyond = Connection::open_from(1, siege.gateway.address).await;
        beyond.closed().await;
        took.push(began.elapsed());
    }
    assert_within(&took, Duration::from_millis(100));
    drop((clients, kept));
    siege.end().await;
}
