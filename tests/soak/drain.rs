//! Told to stop under all the load there can be: is a request lost?
//!
//! Clients without a pause, half of them with a connection for each request, so that the
//! queue of the listening socket is never empty; and two hundred streams that end long
//! after nobody is let in any more. Several times, because a race is won most of the time.

use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::script::Gate;

use crate::kit::gateway::Setup;
use crate::kit::load::{Load, OpenStream, held_stream};
use crate::kit::upstream::{always, base, upstream};

const ROUNDS: usize = 5;
const CLIENTS: usize = 64;
const STREAMS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_at_full_load_loses_nothing() {
    for round in 1..=ROUNDS {
        let gate = Gate::new();
        let streams = always(held_stream(&gate)).await;
        let quick = upstream().await;
        let mut gateway = Setup::new()
            .server("drain_delay = \"2s\"")
            .tables("[bounds]\nconnections_per_address_max = 4096\nin_flight_per_client_max = 1024")
            .pool("streams", &[&base(&streams)])
            .pool("quick", &[&base(&quick)])
            .model("streams", &["streams"])
            .model("quick", &["quick"])
            .start();
        let open = OpenStream::open_many(gateway.address, "streams", STREAMS).await;
        let load = Load::start(gateway.address, "quick", CLIENTS, Duration::ZERO);
        load.goes_on(1000).await;
        gateway.signal(Signal::TERM);
        let tally = load.refused().await;
        println!("round {round}: {} requests", tally.served);
        assert_eq!(tally.lost, Vec::<String>::new());
        assert_eq!(tally.refused, CLIENTS);
        gate.open();
        for stream in open {
            let rest = stream.rest().await;
            assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
        }
        assert_eq!(gateway.ended().await.code(), Some(0));
    }
}
