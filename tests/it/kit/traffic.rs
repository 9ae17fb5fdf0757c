//! What do callers see while configurations come and go?
//!
//! Each configuration of a row differs from the one before in everything that may be
//! replaced, and each answer tells which one it is of. So a caller can see whether all
//! of an answer is of the same one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use spafe::simulator::Simulator;

use super::client::{Answer, Connection, ask};
use super::gateway::{Gateway, Setup};
use super::now;
use super::pair::completion;
use super::reload::{replace, version};
use super::upstream::{always, base};

const CHAT: &str = "/v1/chat/completions";
const CLIENTS: usize = 8;
/// Less than the limit of requests on a connection.
const REQUESTS_ON_ONE: usize = 900;

/// A gateway and its row of configurations.
pub(crate) struct Row {
    pub(crate) gateway: Gateway,
    setups: Vec<Setup>,
    numbers: Arc<HashMap<String, usize>>,
    _upstreams: [Simulator; 2],
}

/// What callers saw.
pub(crate) struct Seen {
    /// Answers of each configuration.
    pub(crate) answers: Vec<usize>,
    /// How long each took, the shortest first.
    pub(crate) took: Vec<Duration>,
}

impl Row {
    /// Starts a gateway with the first of this many configurations and one more.
    pub(crate) async fn start(reloads: usize) -> Self {
        let upstreams = [always(completion("0")).await, always(completion("1")).await];
        let targets = [base(&upstreams[0]), base(&upstreams[1])];
        let setups: Vec<Setup> = (0..=reloads)
            .map(|number| setup(number, &targets[number % 2]))
            .collect();
        let numbers = setups.iter().enumerate();
        let numbers = numbers.map(|(number, setup)| (version(&setup.text()), number));
        Self {
            gateway: setups[0].clone().start(),
            numbers: Arc::new(numbers.collect()),
            setups,
            _upstreams: upstreams,
        }
    }

    /// Sends at least this many requests, and puts one configuration after the other into
    /// force meanwhile, from the one after `begin` up to `end`.
    pub(crate) async fn walk(&self, begin: usize, end: usize, requests: usize) -> Seen {
        let (asked, is_over) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let go_on = {
                    let (asked, is_over) = (Arc::clone(&asked), Arc::clone(&is_over));
                    move || {
                        asked.fetch_add(1, Ordering::Relaxed) < requests
                            || !is_over.load(Ordering::Relaxed)
                    }
                };
                tokio::spawn(ask_on(
                    self.gateway.address,
                    Arc::clone(&self.numbers),
                    go_on,
                ))
            })
            .collect();
        for number in begin + 1..=end {
            let due = requests * (number - begin) / (end - begin + 1);
            while asked.load(Ordering::Relaxed) < due {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.put(number).await;
        }
        is_over.store(true, Ordering::Relaxed);
        let mut seen = Seen {
            answers: vec![0; self.setups.len()],
            took: Vec::new(),
        };
        for client in clients {
            for (number, took) in client.await.unwrap() {
                seen.answers[number] += 1;
                seen.took.push(took);
            }
        }
        seen.took.sort();
        seen
    }

    /// Puts one of the configurations into force.
    pub(crate) async fn put(&self, number: usize) {
        let text = self.setups[number].text();
        replace(&self.gateway.config, &text);
        self.gateway.follows(&text).await;
    }
}

/// Pools, targets, limits, keys: each configuration differs in all of them.
fn setup(number: usize, target: &str) -> Setup {
    let name = format!("n-{number}");
    let keys = format!("api_key = {{ env = \"KEY_{}\" }}", number % 2);
    Setup::new()
        .variable("KEY_0", "sk-0")
        .variable("KEY_1", "sk-1")
        .server("config_header = true")
        .tables("[reload]\ndebounce = \"50ms\"")
        .tables(&format!("[bounds]\njson_depth_max = {}", 20 + number % 400))
        .pool_with(&name, &[target], &keys)
        .model("m", &[&name])
}

/// One client: which configuration each answer was of, and how long it took.
async fn ask_on(
    address: std::net::SocketAddr,
    numbers: Arc<HashMap<String, usize>>,
    go_on: impl Fn() -> bool,
) -> Vec<(usize, Duration)> {
    let mut seen = Vec::new();
    let mut client = Connection::open(address).await;
    while go_on() {
        if seen.len() % REQUESTS_ON_ONE == REQUESTS_ON_ONE - 1 {
            client = Connection::open(address).await;
        }
        let began = now();
        let answer = client.post(CHAT, ask("m", false)).await;
        seen.push((consistent(&answer, &numbers), began.elapsed()));
    }
    seen
}

/// The number of the configuration that an answer is of, in every part.
fn consistent(answer: &Answer, numbers: &HashMap<String, usize>) -> usize {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let version = answer.field("x-spafe-config").unwrap();
    let number = numbers[version];
    let pool = format!("n-{number}");
    assert_eq!(answer.field("x-spafe-upstream"), Some(&*pool));
    let said = answer.json()["choices"][0]["message"]["content"].clone();
    assert_eq!(said, (number % 2).to_string());
    number
}
