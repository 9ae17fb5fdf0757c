//! What if descriptors are few?
//!
//! They must not run out: who cannot be accepted is asked for again and again, and who
//! was accepted cannot be answered. So the caps are lowered until they are met first.

use std::time::Duration;

use spafe::simulator::script::{Gate, Script};

use super::{LIST, PATH, asking, limited};
use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::Setup;
use crate::kit::now;
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::upstream::{base, upstream};

#[tokio::test(flavor = "multi_thread")]
async fn connections_do_not_use_up_the_descriptors() {
    // (256 - 64) / 3
    const ROOM: usize = 64;
    let (setup, upstream) = limited("head_timeout = \"60s\"").await;
    let gateway = setup.descriptors(256).start();
    let told = gateway.output();
    assert!(told.contains("bounds.connections_max is 64 and not 4096"));
    let gate = Gate::new();
    let first = chunk("Hello");
    let waits = Script::sse(&[&first, &stop(0)]).hold_after(8 + first.len(), &gate);
    upstream.push(waits);
    let mut stream = asking(1, gateway.address).await;
    let head = stream.head().await;

    let mut crowd = Vec::new();
    for number in 0..400_usize {
        let n = u8::try_from(number / 40 + 2).unwrap();
        crowd.push(Connection::open_from(n, gateway.address).await);
    }
    let beyond = (400 + 1 - ROOM) as u64;
    let refused = "spafe_connections_refused_total{reason=\"all\"}";
    gateway.counts(refused, beyond).await;
    let (began, before) = (now(), gateway.processor_time());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = gateway.processor_time().saturating_sub(before);
    let share = used.as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(share < 0.05, "{share} of a core for nothing");

    // A request that was there goes on, and so does one on a connection that was kept.
    gate.open();
    while stream.piece(&head).await.is_some() {}
    crowd[0].send(LIST).await;
    assert_eq!(crowd[0].answer().await.status, 200);
    drop(crowd);
    gateway.counts("spafe_connections", 1).await;
    let answer = asking(9, gateway.address).await.answer().await;
    assert_eq!(answer.status, 200);
    assert!(!gateway.output().contains("Accept() failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_upstreams_do_not_use_them_up_either() {
    const CLIENTS: usize = 60;
    let mut setup = Setup::new()
        .tables("[bounds]\nhead_timeout = \"60s\"")
        .descriptors(256);
    let mut upstreams = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let upstream = upstream().await;
        setup = setup.pool(name, &[&base(&upstream)]).model(name, &[name]);
        upstreams.push((name, upstream));
    }
    let gateway = setup.start();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let n = u8::try_from(number / 10 + 1).unwrap();
        clients.push(Connection::open_from(n, gateway.address).await);
    }
    // So many connections to one upstream after another, each of which is kept.
    for (name, upstream) in &upstreams {
        let gate = Gate::new();
        upstream.default(completion("x").hold_head(&gate));
        for client in &mut clients {
            let request = post(PATH, &[], ask(name, false).as_bytes());
            client.send(request).await;
        }
        for _ in 0..CLIENTS {
            upstream.next_request().await.unwrap();
        }
        gate.open();
        for client in &mut clients {
            assert_eq!(client.answer().await.status, 200, "{name}");
        }
    }
    let answer = asking(9, gateway.address).await.answer().await;
    assert_eq!(answer.status, 404);
    assert!(!gateway.output().contains("Accept() failed"));
}
