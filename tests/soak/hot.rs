//! What does one question cost that thousands ask at once, or all the time?
//!
//! Who waits for another's answer must take hardly more than its connection. And when the
//! answer to what everybody asks is too old, one goes and fetches it, and nobody notices.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use spafe::simulator::script::{Gate, Script};
use spafe::simulator::{Options, Simulator};

use crate::kit::client::{Connection, ask};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::pair::completion;
use crate::kit::upstream::{always, base};
use crate::lasting;
use crate::load::{Course, open};

/// Who asks, and for how many there is room: what a process with 20,000 descriptors serves.
const CALLERS: usize = 8_800;
const IN_FLIGHT_MAX: usize = 8_000;
/// Callers of one address.
const PER_ADDRESS: usize = 100;
/// What each who waits may take beside its connection, so that ten thousand take 64 MiB.
const WAITING_BYTES_MAX: u64 = (64 << 20) / 10_000;
/// A request that costs nothing, after which a connection has what it needs.
const LIST: &str = "GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_who_wait_for_one_answer_take_little_memory() {
    let gate = Gate::new();
    let upstream = always(completion("Hello").hold_head(&gate)).await;
    let gateway = Setup::new()
        .tables(&format!(
            "[cache]\n[bounds]\nconnections_max = 8900\nconnections_per_address_max = 4096\naccepts_per_second_max = 100000\nin_flight_max = {IN_FLIGHT_MAX}\nin_flight_per_client_max = {IN_FLIGHT_MAX}"
        ))
        .tables("[log]\nrequests = \"off\"\n[timeouts]\nrequest = \"2m\"\nanswer = \"2m\"\nfirst_event = \"2m\"")
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    let mut callers = Vec::with_capacity(CALLERS);
    for number in 0..CALLERS {
        let n = u8::try_from(number / PER_ADDRESS + 1).unwrap();
        let mut caller = Connection::open_from(n, gateway.address).await;
        caller.send(LIST).await;
        assert_eq!(caller.answer().await.status, 200);
        callers.push(caller);
    }
    let before = gateway.resident_bytes();
    let request = crate::kit::client::post("/v1/chat/completions", &[], ask("m", false).as_bytes());
    for caller in &mut callers {
        caller.send(&request).await;
    }
    let waiting = u64::try_from(IN_FLIGHT_MAX).unwrap();
    gateway.counts("spafe_requests_in_flight ", waiting).await;
    let grown = gateway.resident_bytes().saturating_sub(before);
    gate.open();
    let answers = join_all(callers.iter_mut().map(Connection::answer)).await;
    let mut by_status: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in &answers {
        *by_status.entry(answer.status).or_default() += 1;
        assert!(answer.status != 200 || answer.text().contains("Hello"));
    }
    let after = gateway.resident_bytes().saturating_sub(before);
    println!(
        "{by_status:?}; {} KiB more while they waited, {} KiB afterwards",
        grown / 1024,
        after / 1024
    );
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(by_status[&200], IN_FLIGHT_MAX);
    assert_eq!(by_status.values().sum::<usize>(), CALLERS);
    assert!(grown.max(after) <= waiting * WAITING_BYTES_MAX);
}

/// How often the question is asked in a second, and how long an answer is good.
const PACE: f64 = 1_000.0;
const TTL: Duration = Duration::from_secs(1);
/// What the upstream takes.
const UPSTREAM: Duration = Duration::from_millis(50);

/// Answers of the upstream.
const ANSWERED: &str = r#"spafe_attempts_total{outcome="answered",pool="p"}"#;

/// Asks at that pace; what callers saw, and how often the upstream was asked.
async fn hot(keys: &str) -> (Course, f64) {
    let script = completion("Hello").delay_head(UPSTREAM);
    let upstream = quiet(script).await;
    let gateway = gateway(&upstream, keys);
    // The first answer is nobody's expiry.
    assert_eq!(
        crate::kit::client::chat(gateway.address, "m", false)
            .await
            .status,
        200
    );
    let course = open(&gateway, PACE, lasting(30)).await;
    course.tell(keys);
    assert_eq!(course.lost + course.refused.len(), 0);
    assert!(course.odd.is_empty(), "{:?}", course.odd);
    let asked = gateway.metric(ANSWERED).await;
    (course, asked)
}

/// An upstream that records nothing.
async fn quiet(script: Script) -> Simulator {
    let listen = ([127, 0, 0, 1], 0).into();
    let upstream = Simulator::start(listen, Options::instant()).await.unwrap();
    upstream.default(script);
    upstream
}

fn gateway(upstream: &Simulator, keys: &str) -> Gateway {
    Setup::new()
        .tables("[cache]\n[bounds]\nconnections_per_address_max = 4096\n[log]\nrequests = \"off\"")
        .pool("p", &[&base(upstream)])
        .model_with("m", &["p"], keys)
        .start()
}

/// How often it can have been too old: an answer's time may be a tenth shorter, by chance.
fn expiries() -> f64 {
    let shortest = TTL.mul_f64(0.9) + UPSTREAM;
    (lasting(30).as_secs_f64() / shortest.as_secs_f64()).floor() + 2.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetches_what_all_ask_for_when_it_is_too_old() {
    let began = now();
    let (course, asked) = hot("cache = { ttl = \"1s\" }").await;
    println!("asked {asked} times in {:?}", began.elapsed());
    assert!(
        asked >= 2.0 && asked <= expiries(),
        "{asked} of {}",
        expiries()
    );
    // Who comes while it is fetched waits for the rest of that, and for no more.
    let most = course.accepted.last().copied().unwrap_or_default();
    assert!(most < UPSTREAM * 3, "{most:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_where_an_old_answer_will_do_meanwhile() {
    let (usual, asked) = hot("cache = { ttl = \"1h\" }").await;
    assert!(asked < 1.5, "{asked}");
    let (course, asked) = hot("cache = { ttl = \"1s\", stale_while_revalidate = \"10s\" }").await;
    assert!(
        asked >= 2.0 && asked <= expiries(),
        "{asked} of {}",
        expiries()
    );
    let (with, without) = (course.accepted_p99(), usual.accepted_p99());
    println!(
        "p99 {without:?} where it is always fresh, {with:?} where it is not; the upstream takes {UPSTREAM:?}"
    );
    assert!(with < UPSTREAM / 2, "{with:?}");
}
