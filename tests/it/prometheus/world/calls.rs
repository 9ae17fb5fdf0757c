//! Who asks for what, and how often?
//!
//! Each caller has an address of its own and asks the same way again and again, most with
//! another question each time. What they are answered is not looked at here.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::kit::client::{Connection, post};
use crate::kit::gateway::Gateway;

const CHAT: &str = "/v1/chat/completions";

/// All callers; they end with this.
pub(super) struct Callers(JoinSet<()>);

/// What a caller does over and over.
#[derive(Clone, Copy)]
struct Call {
    model: &'static str,
    stream: bool,
    /// After how many its questions come again; 0: never.
    repeat: u64,
    /// How many at once.
    at_once: usize,
    pause_ms: u64,
    line: &'static str,
}

const CALL: Call = Call {
    model: "chat",
    stream: false,
    repeat: 0,
    at_once: 1,
    pause_ms: 100,
    line: "X-Caller: a-test",
};

const CALLS: [Call; 21] = [
    CALL,
    Call {
        stream: true,
        ..CALL
    },
    Call {
        repeat: 3,
        at_once: 2,
        pause_ms: 50,
        ..CALL
    },
    Call {
        repeat: 1,
        stream: true,
        ..CALL
    },
    Call {
        line: "Authorization: Bearer secret",
        ..CALL
    },
    Call {
        line: "Cache-Control: no-store",
        ..CALL
    },
    Call {
        line: "Cache-Control: no-cache",
        repeat: 2,
        ..CALL
    },
    Call {
        line: "X-Request-Id: panic-1",
        pause_ms: 1000,
        ..CALL
    },
    Call {
        model: "flaky",
        ..CALL
    },
    Call {
        model: "flaky",
        stream: true,
        ..CALL
    },
    Call {
        model: "cutting",
        stream: true,
        ..CALL
    },
    Call {
        model: "locked",
        pause_ms: 300,
        ..CALL
    },
    Call {
        model: "busy",
        pause_ms: 300,
        ..CALL
    },
    Call {
        model: "late",
        ..CALL
    },
    Call {
        model: "narrow",
        at_once: 6,
        ..CALL
    },
    Call {
        model: "tight",
        line: "Authorization: Bearer secret",
        ..CALL
    },
    Call {
        model: "gone",
        repeat: 1,
        ..CALL
    },
    Call {
        model: "hedged",
        at_once: 4,
        pause_ms: 20,
        ..CALL
    },
    Call {
        model: "secure",
        ..CALL
    },
    Call {
        model: "weak",
        ..CALL
    },
    Call {
        model: "tight",
        ..CALL
    },
];
const MORE: [&str; 4] = ["named", "keyless", "flux", "no-such-model"];

impl Callers {
    pub(super) fn start(gateway: &Gateway) -> Self {
        let mut callers = JoinSet::new();
        let address = gateway.address;
        let more = MORE.map(|model| Call {
            model,
            pause_ms: 200,
            ..CALL
        });
        for (from, call) in (11..).zip(CALLS.into_iter().chain(more)) {
            for number in 0..call.at_once {
                // Those of one question ask it at the same time.
                let first = if call.repeat > 0 {
                    0
                } else {
                    1_000_000 * number as u64
                };
                callers.spawn(async move { asks(call, first, from, address).await });
            }
        }
        callers.spawn(leaves(address));
        callers.spawn(crowds(address));
        callers.spawn(shakes_hands(
            gateway.tls_address.unwrap(),
            trusting(gateway),
        ));
        Self(callers)
    }

    /// None of them has failed.
    pub(super) fn are_alive(&mut self) {
        if let Some(ended) = self.0.try_join_next() {
            panic!("a caller has ended: {ended:?}");
        }
    }
}

fn body(call: Call, number: u64) -> String {
    let number = number.checked_rem(call.repeat).unwrap_or(number);
    let text = format!("{} of {} {number}", call.model, call.repeat);
    let mut body = serde_json::json!({
        "model": call.model, "stream": call.stream,
        "messages": [{"role": "user", "content": text}],
    });
    if call.stream {
        body["stream_options"] = serde_json::json!({"include_usage": true});
    }
    body.to_string()
}

async fn asks(call: Call, first: u64, from: u8, address: SocketAddr) {
    for number in first.. {
        let mut client = Connection::open_from(from, address).await;
        client
            .send(post(
                CHAT,
                &[call.line, "Connection: close"],
                body(call, number).as_bytes(),
            ))
            .await;
        client.closed().await;
        tokio::time::sleep(Duration::from_millis(call.pause_ms)).await;
    }
}

/// Asks and goes before the answer.
async fn leaves(address: SocketAddr) {
    for number in 0.. {
        let mut client = Connection::open_from(200, address).await;
        let call = Call {
            model: "narrow",
            ..CALL
        };
        client
            .send(post(CHAT, &[], body(call, 2_000_000 + number).as_bytes()))
            .await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        drop(client);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// More connections than one address may have.
async fn crowds(address: SocketAddr) {
    loop {
        let mut crowd = Vec::new();
        for _ in 0..12 {
            crowd.push(Connection::open_from(201, address).await);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Handshakes that are done, with HTTP/2 behind them, and one that is none.
async fn shakes_hands(address: SocketAddr, client: reqwest::Client) {
    let url = format!("https://localhost:{}{CHAT}", address.port());
    for number in 0.. {
        let request = client.post(&url).header("content-type", "application/json");
        let answer = request
            .body(body(CALL, 3_000_000 + number))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        let mut nonsense = Connection::open_from(202, address).await;
        nonsense.offer(b"GET / HTTP/1.1\r\n\r\n").await;
        nonsense.closed().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn trusting(gateway: &Gateway) -> reqwest::Client {
    let pem = std::fs::read(gateway.certificate.as_ref().unwrap()).unwrap();
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([certificate])
        .build()
        .unwrap()
}
