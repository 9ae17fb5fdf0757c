//! What does nobody notice while somebody attacks?
//!
//! A caller asks twenty times a second, each time on a connection of its own, and all of
//! it must be answered in time. Afterwards memory, descriptors and gauges must be what
//! they were.

use std::time::Duration;

use spafe::simulator::Simulator;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::kit::client::{Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::upstream::{base, upstream};

/// Where a model is asked.
pub(crate) const CHAT: &str = "/v1/chat/completions";
/// The model that attackers ask.
pub(crate) const MODEL: &str = "m";
/// The model that the caller asks, whose upstream is its own.
const OTHERS: &str = "others";
/// The descriptors that the gateway has open.
const DESCRIPTORS: &str = "process_open_fds";
/// The caller's address, `127.0.0.n`; attackers have those below.
const CALLER: u8 = 250;
/// Time between two of its requests.
const PACE: Duration = Duration::from_millis(50);
/// The slowest but one of a hundred of its requests may take this long.
const P99_MAX: Duration = Duration::from_millis(250);
/// What may take this long to be as it was.
const CALM: Duration = Duration::from_mins(1);

/// Connections of one attacker's address, within its cap.
pub(crate) const PER_ADDRESS: usize = 40;
/// Connections that are there once before anything is measured: the allocator keeps what
/// so many took, which is no growth.
const ONCE: usize = 4_000;
/// Time between two attackers, so that it is not their coming at once that is measured.
const ARRIVAL: Duration = Duration::from_millis(2);

/// A gateway under attack.
pub(crate) struct Siege {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Simulator,
    caller: JoinHandle<Vec<Option<Duration>>>,
    stop: watch::Sender<bool>,
    /// What the gateway held before anybody had come.
    pub(crate) fresh_bytes: u64,
    resident_bytes: u64,
    descriptors: f64,
    _others: Simulator,
}

impl Siege {
    /// Starts everything, with the limits that are shipped and these lines over them.
    pub(crate) async fn begin(setup: Setup) -> Self {
        let (upstream, others) = (upstream().await, upstream().await);
        let setup = setup
            .tables("[log]\nrequests = \"off\"")
            .pool("main", &[&base(&upstream)])
            .model(MODEL, &["main"])
            .pool("others", &[&base(&others)])
            .model(OTHERS, &["others"]);
        let gateway = setup.start();
        let fresh_bytes = gateway.resident_bytes();
        // What is made with the first requests is no growth.
        for _ in 0..20 {
            one(gateway.address, CALLER).await.unwrap();
        }
        let mut once = Vec::new();
        for number in 0..ONCE {
            let n = u8::try_from(number / PER_ADDRESS + 1).unwrap();
            let mut client = Connection::open_from(n, gateway.address).await;
            client
                .send("GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
                .await;
            client.answer().await;
            once.push(client);
        }
        drop(once);
        gateway.counts("spafe_connections", 0).await;
        let (stop, stopped) = watch::channel(false);
        Self {
            caller: tokio::spawn(call(gateway.address, stopped)),
            stop,
            fresh_bytes,
            resident_bytes: gateway.resident_bytes(),
            descriptors: gateway.metric(DESCRIPTORS).await,
            gateway,
            upstream,
            _others: others,
        }
    }

    /// Ends the attack: the caller has noticed nothing, and nothing is left of it.
    pub(crate) async fn end(self) {
        self.stop.send(true).unwrap();
        let calls = self.caller.await.unwrap();
        let mut took: Vec<Duration> = calls.iter().flatten().copied().collect();
        let lost = calls.len() - took.len();
        took.sort();
        let p99 = took[took.len() * 99 / 100];
        println!("{} calls, {lost} lost, p99 {p99:?}", calls.len());
        assert_eq!(lost, 0, "of {} calls", calls.len());
        assert!(p99 < P99_MAX, "p99 {p99:?} of {} calls", calls.len());

        let began = now();
        let most_bytes = self.resident_bytes + self.resident_bytes / 10;
        loop {
            let left = [
                self.gateway.metric("spafe_connections").await,
                self.gateway.metric("spafe_requests_in_flight").await,
                self.gateway.metric("spafe_bodies_bytes").await,
            ];
            let resident_bytes = self.gateway.resident_bytes();
            let descriptors = self.gateway.metric(DESCRIPTORS).await;
            // One more for the connection that asks for metrics, and idle ones to upstreams.
            let calm = left.iter().all(|left| *left == 0.0)
                && descriptors <= self.descriptors + 2.0
                && resident_bytes <= most_bytes;
            if calm {
                break;
            }
            assert!(
                began.elapsed() < CALM,
                "connections, requests, bodies {left:?}; descriptors {descriptors} for {}; {resident_bytes} bytes for {}",
                self.descriptors,
                self.resident_bytes
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Asks at its pace until it is told to stop; `None` is a call that was lost.
async fn call(
    address: std::net::SocketAddr,
    mut stopped: watch::Receiver<bool>,
) -> Vec<Option<Duration>> {
    let mut calls = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            _ = stopped.changed() => break,
        }
        calls.push(tokio::spawn(one(address, CALLER)));
    }
    let mut took = Vec::new();
    for call in calls {
        took.push(call.await.ok().flatten());
    }
    took
}

/// So many connections, so many to an address, addresses counted from `127.0.0.1`.
pub(crate) async fn crowd(
    gateway: &Gateway,
    clients: usize,
    per_address: usize,
) -> Vec<Connection> {
    let mut crowd = Vec::new();
    let mut arrival = tokio::time::interval(ARRIVAL);
    for number in 0..clients {
        arrival.tick().await;
        let n = u8::try_from(number / per_address + 1).unwrap();
        crowd.push(Connection::open_from(n, gateway.address).await);
    }
    crowd
}

/// One question on a connection of its own; how long it took, if it was answered.
async fn one(address: std::net::SocketAddr, n: u8) -> Option<Duration> {
    let began = now();
    let mut client = Connection::open_from(n, address).await;
    let close = ["Connection: close"];
    client
        .send(post(CHAT, &close, ask(OTHERS, false).as_bytes()))
        .await;
    let answer = client.answer().await;
    (answer.status == 200).then(|| began.elapsed())
}
