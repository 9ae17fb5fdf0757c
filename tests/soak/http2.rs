//! What do clients of HTTP/2 cost that make work for nothing?
//!
//! Each flood at full size, over many connections that come again when they were ended, while the
//! caller goes on asking; and heads that are a thousand times as large as what was sent.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::kit::floods::{FLOODS, Flood, bomb};
use crate::kit::frames::{Frames, INITIAL_WINDOW_SIZE};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::lasting;
use crate::siege::{PER_ADDRESS, Siege};

/// What one flood sends on a connection, where nobody ends it.
const TIMES: u32 = 10_000;
/// Connections that pour at once.
const CONNECTIONS: u8 = 16;
/// What is left of the processor time soon after: a twentieth of a core.
const REST_MAX: f64 = 0.05;
/// What a flood may add to what is resident while it lasts.
const GROWS_BYTES_MAX: u64 = 64 << 20;

fn flood(name: &str) -> Flood {
    *FLOODS.iter().find(|flood| flood.name == name).unwrap()
}

/// How much of a core the gateway uses.
async fn share(gateway: &Gateway, over: Duration) -> f64 {
    let before = gateway.processor_time();
    tokio::time::sleep(over).await;
    let used = gateway.processor_time().saturating_sub(before);
    used.as_secs_f64() / over.as_secs_f64()
}

/// Pours on one connection until it is ended; whether it was.
async fn once(gateway: &Gateway, n: u8, flood: Flood) -> bool {
    let Some(mut client) = Frames::open_from(n, gateway, &[]).await else {
        return true;
    };
    let poured = flood.pour(&mut client, TIMES).await;
    poured < TIMES || client.until(flood.name, |told| told.closed).await.closed
}

/// Comes again as often as it is ended, until then; how often that was, and the most that was
/// resident.
async fn again_and_again(gateway: &Gateway, n: u8, flood: Flood, until: Instant) -> (u32, u64) {
    let (mut connections, mut most_bytes) = (0, 0);
    while now() < until {
        assert!(once(gateway, n, flood).await, "{}", flood.name);
        connections += 1;
        most_bytes = most_bytes.max(gateway.resident_bytes());
    }
    (connections, most_bytes)
}

/// Rapid reset: ten thousand on each of fifty connections.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_resets_on_each_of_fifty_connections() {
    const RESETTING: u8 = 50;
    let siege = Siege::begin(Setup::new().tls()).await;
    let gateway = &siege.gateway;
    for name in ["resets at once", "questions that are reset at once"] {
        let heads = "spafe_http_requests_total{version=\"2\"}";
        let before = gateway.metric(heads).await;
        let asked_before = siege.upstream.requests().len();
        let pouring = (1..=RESETTING).map(|n| once(gateway, n, flood(name)));
        assert!(join_all(pouring).await.iter().all(|ended| *ended));
        let begun = gateway.metric(heads).await - before;
        let asked = siege.upstream.requests().len() - asked_before;
        println!("{name}: {begun} requests begun, {asked} upstream");
        let most = usize::from(RESETTING) * 1_000;
        assert!(asked <= most && begun <= f64::from(RESETTING) * 1_000.0);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let rest = share(gateway, Duration::from_secs(1)).await;
        // The caller's own requests are some of it.
        println!("{name}: {rest:.3} of a core afterwards");
        assert!(rest <= REST_MAX + 0.10, "{rest} of a core");
    }
    siege.end().await;
}

/// Every flood, from sixteen addresses at once that come again as soon as they are let in.
#[tokio::test(flavor = "multi_thread")]
async fn every_flood_from_sixteen_addresses() {
    let siege = Siege::begin(Setup::new().tls()).await;
    let gateway = &siege.gateway;
    let time = lasting(60) / u32::try_from(FLOODS.len()).unwrap();
    for flood in FLOODS {
        let (before, until) = (gateway.processor_time(), now() + time);
        let fresh_bytes = gateway.resident_bytes();
        let pouring = (1..=CONNECTIONS).map(|n| again_and_again(gateway, n, flood, until));
        let poured = join_all(pouring).await;
        let used = gateway.processor_time().saturating_sub(before);
        let connections: u32 = poured.iter().map(|(connections, _)| connections).sum();
        let most_bytes = poured.iter().map(|(_, most)| *most).max().unwrap();
        let most_bytes = most_bytes.saturating_sub(fresh_bytes);
        println!(
            "{}: {connections} connections in {time:?}, {used:?} of the processor, {most_bytes} bytes more",
            flood.name
        );
        assert!(
            most_bytes <= GROWS_BYTES_MAX,
            "{}: {most_bytes} bytes",
            flood.name
        );
    }
    siege.end().await;
}

/// Heads of a byte a field, 64 on each of 64 connections, whose answers are not taken.
#[tokio::test(flavor = "multi_thread")]
async fn heads_of_a_byte_a_field_are_not_held() {
    const BOMBING: usize = 64;
    const EACH_BYTES_MAX: u64 = 4 << 20;
    const ALL_BYTES_MAX: u64 = 128 << 20;
    let siege = Siege::begin(Setup::new().tls()).await;
    let gateway = &siege.gateway;
    let before = gateway.resident_bytes();
    let mut clients = Vec::new();
    for number in 0..BOMBING {
        let n = u8::try_from(number / PER_ADDRESS + 1).unwrap();
        let narrow = [(INITIAL_WINDOW_SIZE, 0)];
        let mut client = Frames::open_from(n, gateway, &narrow).await.unwrap();
        let heads: Vec<u8> = (0..64).flat_map(|number| bomb(2 * number + 1)).collect();
        client.offer(&heads).await;
        client
            .until("every status", |told| told.statuses.len() == 64)
            .await;
        clients.push(client);
        let held = gateway.resident_bytes().saturating_sub(before);
        assert!(
            held <= ALL_BYTES_MAX,
            "{held} bytes for {} connections",
            number + 1
        );
        assert!(
            held <= EACH_BYTES_MAX * (number as u64 + 1),
            "{held} bytes for {} connections",
            number + 1
        );
    }
    let held = gateway.resident_bytes().saturating_sub(before);
    println!("{held} bytes for {BOMBING} connections");
    drop(clients);
    siege.end().await;
}
