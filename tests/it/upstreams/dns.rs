//! Where are targets that are named, while their name server does what it likes?
//!
//! Upstreams stand on several addresses of the loopback network at one port, so that a
//! name can move between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use spafe::simulator::{Options, Simulator};

use crate::kit::client::{Connection, chat};
use crate::kit::dns::{NameServer, Said, addresses};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::soon;

const FIRST: &str = "127.0.0.2";
const SECOND: &str = "127.0.0.3";

/// Upstreams on both addresses, at the same port.
async fn upstreams() -> (Simulator, Simulator, u16) {
    loop {
        let any: SocketAddr = format!("{FIRST}:0").parse().unwrap();
        let first = Simulator::start(any, Options::test()).await.unwrap();
        let port = first.addr().port();
        let same: SocketAddr = format!("{SECOND}:{port}").parse().unwrap();
        // Somebody else may have that port there.
        if let Ok(second) = Simulator::start(same, Options::test()).await {
            return (first, second, port);
        }
    }
}

fn gateway(names: &NameServer, port: u16) -> Gateway {
    Setup::new()
        .tables(&names.table())
        .pool("named", &[&format!("http://up.test:{port}/v1")])
        .model("m", &["named"])
        .start()
}

async fn status(gateway: &Gateway) -> u16 {
    chat(gateway.address, "m", false).await.status
}

/// The addresses that are in use.
async fn located(gateway: &Gateway) -> Vec<String> {
    let mut admin = Connection::open(gateway.admin).await;
    admin
        .send("GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n")
        .await;
    let told = admin.answer().await.json();
    let endpoints = &told["pools"]["named"]["targets"][0]["endpoints"];
    let address = |endpoint: &Value| {
        let address: SocketAddr = endpoint["address"].as_str().unwrap().parse().unwrap();
        address.ip().to_string()
    };
    endpoints.as_array().unwrap().iter().map(address).collect()
}

async fn until_located(gateway: &Gateway, expected: &[&str]) {
    soon("addresses to be used", async {
        while located(gateway).await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_known_when_the_gateway_says_that_it_serves() {
    let (first, _second, port) = upstreams().await;
    let names = NameServer::start(addresses(&[FIRST])).await;
    names.takes(Duration::from_millis(400));
    let gateway = gateway(&names, port);
    assert_eq!(status(&gateway).await, 200);
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_a_name_is_asked_in_turn() {
    let (first, second, port) = upstreams().await;
    let names = NameServer::start(addresses(&[SECOND, FIRST])).await;
    let gateway = gateway(&names, port);
    for _ in 0..10 {
        assert_eq!(status(&gateway).await, 200);
    }
    assert_eq!((first.requests().len(), second.requests().len()), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moves_is_followed_when_its_answer_is_no_longer_good() {
    let (first, second, port) = upstreams().await;
    let names = NameServer::start(addresses(&[FIRST])).await;
    let gateway = gateway(&names, port);
    assert_eq!(status(&gateway).await, 200);
    names.says(addresses(&[SECOND]));
    until_located(&gateway, &[SECOND]).await;
    assert_eq!(status(&gateway).await, 200);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
    assert_eq!(gateway.output().matches("target has moved").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_last_stays_in_use_whatever_the_name_server_does() {
    let (first, _second, port) = upstreams().await;
    let names = NameServer::start(addresses(&[FIRST])).await;
    let gateway = gateway(&names, port);
    for said in [Said::NoSuchName, Said::Failure, addresses(&[])] {
        names.says(said);
        // The third question proves that the answer to the second was taken.
        names.asked(3).await;
        assert_eq!(located(&gateway).await, [FIRST]);
        assert_eq!(status(&gateway).await, 200);
    }
    assert_eq!(first.requests().len(), 3);
    let told = gateway.output();
    assert_eq!(told.matches("target not resolved").count(), 1, "{told}");
    names.says(addresses(&[FIRST]));
    soon("that it is told", async {
        while !gateway.output().contains("target resolved again") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_name_server_delays_no_request() {
    let (_first, _second, port) = upstreams().await;
    let names = NameServer::start(addresses(&[FIRST])).await;
    let gateway = gateway(&names, port);
    assert_eq!(status(&gateway).await, 200);
    names.says(Said::Silence);
    names.asked(1).await;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(status(&gateway).await, 200);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_never_found_is_a_pool_that_is_down_until_it_is() {
    let (_first, _second, port) = upstreams().await;
    let names = NameServer::start(Said::NoSuchName).await;
    let gateway = gateway(&names, port);
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "no_healthy_upstream");
    let port_of = format!("up.test:{port}");
    let unresolved =
        format!("spafe_target_state{{pool=\"named\",state=\"unresolved\",target=\"{port_of}\"}}");
    gateway.counts(&unresolved, 1).await;
    names.says(addresses(&[FIRST]));
    until_located(&gateway, &[FIRST]).await;
    assert_eq!(status(&gateway).await, 200);
    gateway.counts(&unresolved, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_addresses_sixty_four_are_used() {
    let many: Vec<String> = (1..=100).map(|last| format!("127.0.0.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let names = NameServer::start(addresses(&many)).await;
    let gateway = gateway(&names, 9);
    assert_eq!(located(&gateway).await.len(), 64);
    let told = gateway.output();
    assert_eq!(told.matches("more than 64 addresses").count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_says_nothing_at_the_start_holds_nobody_up_for_long() {
    let names = NameServer::start(Said::Silence).await;
    let began = Instant::now();
    let gateway = gateway(&names, 9);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(status(&gateway).await, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_own_file_of_names_is_asked_first() {
    let names = NameServer::start(Said::NoSuchName).await;
    let upstream = Simulator::start(([127, 0, 0, 1], 0).into(), Options::test())
        .await
        .unwrap();
    let gateway = Setup::new()
        .tables(&names.table())
        .pool(
            "named",
            &[&format!("http://localhost:{}/v1", upstream.addr().port())],
        )
        .model("m", &["named"])
        .start();
    assert_eq!(status(&gateway).await, 200);
}
