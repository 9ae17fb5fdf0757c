//! Ten processes, one after the other, under load: who notices?
//!
//! A hundred thousand requests, on connections that are kept, on ones that are not, and on
//! ones that are used every few seconds; two hundred streams, of which each process gets
//! its share and finishes it when it is long replaced.

use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::script::Gate;

use crate::kit::gateway::Setup;
use crate::kit::load::{Load, OpenStream, held_stream};
use crate::kit::now;
use crate::kit::upstream::{always, base, upstream};

const UPGRADES: usize = 10;
const STREAMS: usize = 200;
const REQUESTS: usize = 100_000;
/// As seldom as a client may ask and still hear that it should go, within `drain_delay`.
const SELDOM: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn ten_upgrades_cost_no_caller_an_answer() {
    let gate = Gate::new();
    let streams = always(held_stream(&gate)).await;
    let quick = upstream().await;
    let mut gateway = Setup::new()
        .server("drain_delay = \"5s\"")
        .tables("[bounds]\nconnections_per_address_max = 4096\nin_flight_per_client_max = 1024\n\n[timeouts]\nfirst_event = \"10m\"\nevent_gap = \"10m\"\nstream = \"15m\"")
        .pool("streams", &[&base(&streams)])
        .pool("quick", &[&base(&quick)])
        .model("streams", &["streams"])
        .model("quick", &["quick"])
        .start();
    let address = gateway.address;
    let began = now();
    let load = Load::start(address, "quick", 16, Duration::ZERO);
    let seldom = Load::start(address, "quick", 16, SELDOM);
    let mut open = Vec::new();
    let mut old = Vec::new();
    for number in 1..=UPGRADES {
        open.extend(OpenStream::open_many(address, "streams", STREAMS / UPGRADES).await);
        gateway.signal(Signal::QUIT);
        let new = gateway.successor().await;
        gateway.says("replaced").await;
        old.push(std::mem::replace(&mut gateway, new));
        load.goes_on(REQUESTS / UPGRADES).await;
        println!("{number} upgrades after {:?}", began.elapsed());
    }
    let mut tally = load.end().await;
    let seldom = seldom.end().await;
    println!("{} requests, {} seldom ones", tally.served, seldom.served);
    tally.lost.extend(seldom.lost);
    assert_eq!(tally.lost, Vec::<String>::new());
    assert_eq!(tally.refused + seldom.refused, 0);
    assert!(tally.served >= REQUESTS);
    gate.open();
    for stream in open {
        let rest = stream.rest().await;
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
    for mut gateway in old {
        assert_eq!(gateway.ended().await.code(), Some(0));
    }
    assert_eq!(gateway.terminate().await.code(), Some(0));
}
