//! Which connections are used again, and which never?

use std::time::Duration;

use serde_json::json;
use spafe::simulator::When;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::Setup;
use crate::kit::pair::{Pair, Upstream, WIRES, Wire, chunk, completion, stop};
use crate::kit::upstream::{always, base, upstream};

const CHAT: &str = "/v1/chat/completions";

fn saying(answer: &crate::kit::client::Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    body["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_read_to_its_end_gives_its_connection_back() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let mut client = Connection::open(pair.gateway.address).await;
        for number in 0..10 {
            let answer = client.post(CHAT, ask("alone", number % 2 == 1)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            // The gateway looks for the end of a stream after its client has it.
            pair.gateway.counts("spafe_requests_in_flight", 0).await;
        }
        // Of HTTP/2 pingora now and then takes a new one although one is idle.
        let most = if wire == Wire::Http1 { 1 } else { 3 };
        let made = pair.first.simulator.connections().len();
        assert!(made <= most, "{made} connections over {wire:?}");
        let used = |reused: bool| {
            format!("spafe_upstream_connections_total{{pool=\"first\",reused=\"{reused}\"}}")
        };
        pair.gateway.counts(&used(false), made as u64).await;
        pair.gateway.counts(&used(true), 10 - made as u64).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_said_to_close_is_not_used_again() {
    let pair = Pair::start(Wire::Http1).await;
    pair.first
        .simulator
        .default(completion("x").header("Connection", "close"));
    for _ in 0..3 {
        assert_eq!(saying(&pair.ask("alone", false).await), "x");
    }
    assert_eq!(pair.first.simulator.connections().len(), 3);
}

/// 1,000 in all: the other side ends a reused connection instead of answering, and of its
/// own accord at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_connection_is_never_the_clients_problem() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let upstream = &pair.first.simulator;
        upstream.default(completion("alive"));
        let mut client = Connection::open(pair.gateway.address).await;
        for number in 0..375 {
            let dying = match number % 2 {
                0 => Script::close(),
                _ => reset_or_close(wire),
            };
            upstream.push_when(When::Reused, dying);
            let answer = client.post(CHAT, ask("alone", false)).await;
            let attempts = answer.field("x-spafe-attempts");
            assert_eq!(attempts, Some("1"), "{number}: {}", answer.text());
            assert_eq!(saying(&answer), "alive", "{number} over {wire:?}");
        }
        let died = upstream.requests().len() - 375;
        assert!(died > 300, "only {died} connections were reused and died");
        if wire == Wire::Http2 {
            // There the end of a connection may overtake the answer before it.
            continue;
        }
        upstream.clear_scripts();
        upstream.default(completion("closing").then_close(Duration::ZERO));
        for number in 0..250 {
            let answer = client.post(CHAT, ask("alone", false)).await;
            assert_eq!(saying(&answer), "closing", "{number} over {wire:?}");
        }
    }
}

/// On HTTP/2 a reset is the stream's and means that somebody looked at the request.
fn reset_or_close(wire: Wire) -> Script {
    match wire {
        Wire::Http1 => Script::reset(),
        Wire::Http2 => Script::close(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_goodbye_costs_no_request() {
    let pair = Pair::start(Wire::Http2).await;
    pair.first
        .simulator
        .default(completion("bye").goaway_after(0));
    let mut client = Connection::open(pair.gateway.address).await;
    for _ in 0..20 {
        let answer = client.post(CHAT, ask("alone", false)).await;
        assert_eq!(saying(&answer), "bye");
        assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
    }
    assert_eq!(pair.first.simulator.requests().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_answer_had_begun_is_not_sent_again() {
    let begun: [(Wire, Script); 4] = [
        (Wire::Http1, Script::raw("HTTP/1.1 200 O").cut_after(14)),
        (Wire::Http1, Script::raw("HTTP/1.1 200 O").reset_after(14)),
        (
            Wire::Http1,
            Script::raw("HTTP/1.1 100 Continue\r\n\r\n").cut_after(25),
        ),
        (Wire::Http2, Script::reset()),
    ];
    for (wire, script) in begun {
        let once = Setup::new().tables("[attempts]\nper_pool_max = 1");
        let pair = Pair::with(wire, once).await;
        let upstream = &pair.first.simulator;
        upstream.default(completion("alive"));
        upstream.push_when(When::Reused, script.clone());
        let mut client = Connection::open(pair.gateway.address).await;
        let mut answer = client.post(CHAT, ask("alone", false)).await;
        let mut asked = 1;
        // Of HTTP/2 pingora now and then takes a new one although one is idle.
        while answer.status == 200 && asked < 20 {
            answer = client.post(CHAT, ask("alone", false)).await;
            asked += 1;
        }
        assert_eq!(answer.status, 502, "{script:?}");
        let requests = upstream.requests();
        assert_eq!(requests.len(), asked, "{script:?}");
        assert!(requests.last().unwrap().reused, "{script:?}");
    }
}

/// Answers that leave doubt about where they end, or are none.
fn malformed() -> Vec<Vec<u8>> {
    let body = "{\"choices\":[]}";
    let head = |fields: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{fields}\r\n\r\n")
            .into_bytes()
    };
    let with = |fields: &str, body: &str| [head(fields), body.as_bytes().to_vec()].concat();
    let chunked = "Transfer-Encoding: chunked";
    let mut many = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    for number in 0..300 {
        many.extend_from_slice(format!("X-Field-{number}: {number}\r\n").as_bytes());
    }
    let large = format!("X-Large: {}\r\nContent-Length: 14", "x".repeat(40 * 1024));
    vec![
        with(
            "Content-Length: 14\r\nTransfer-Encoding: chunked",
            "e\r\n{\"choices\":[]}\r\n0\r\n\r\n",
        ),
        with("Content-Length: 14\r\nContent-Length: 15", body),
        with("Content-Length: 14, 15", body),
        with("Content-Length: -1", body),
        with("Content-Length: +14", body),
        with("Content-Length: 0x0e", body),
        with(
            "Transfer-Encoding: gzip, chunked",
            "e\r\n{\"choices\":[]}\r\n0\r\n\r\n",
        ),
        with(chunked, "0xe\r\n{\"choices\":[]}\r\n0\r\n\r\n"),
        with(chunked, "zz\r\n{\"choices\":[]}\r\n0\r\n\r\n"),
        with(
            chunked,
            "ffffffffffffffffff\r\n{\"choices\":[]}\r\n0\r\n\r\n",
        ),
        with(&large, body),
        [many, b"\r\n".to_vec()].concat(),
        with("X-Nul: a\0b\r\nContent-Length: 14", body),
        with("Bad Name: x\r\nContent-Length: 14", body),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
            .to_vec(),
        b"HTTP/1.1 204 No Content\r\nContent-Length: 14\r\n\r\n{\"choices\":[]}".to_vec(),
        b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000),
        b"ICY 200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 abc OK\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00".to_vec(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_answer_is_a_502_and_its_connection_is_not_used_again() {
    let setup =
        Setup::new().tables("[attempts]\nper_pool_max = 1\n[timeouts]\nconnect = \"1s\"\nanswer = \"1s\"\nfirst_event = \"1s\"");
    let pair = Pair::with(Wire::Http1, setup).await;
    let upstream = &pair.first.simulator;
    for (number, bytes) in malformed().into_iter().enumerate() {
        for stream in [false, true] {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
            // A head that never ends is ended by its sender.
            let script = Script::raw(bytes.clone()).then_close(Duration::from_millis(50));
            upstream.push(script);
            let answer = pair.ask("alone", stream).await;
            assert_eq!(answer.status, 502, "{shown:?}: {}", answer.text());
            let bad = upstream.requests().pop().unwrap().connection;
            let text = format!("after {number}");
            upstream.push(completion(&text));
            assert_eq!(saying(&pair.ask("alone", false).await), text, "{shown:?}");
            let next = upstream.requests().pop().unwrap().connection;
            assert_ne!(next, bad, "{shown:?}");
        }
    }
}

fn raw_answer(text: &str) -> Vec<u8> {
    let body = json!({"choices": [{"index": 0, "message": {"content": text}}]}).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
    format!("{head} {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_answer_never_reach_the_next_client() {
    let pair = Pair::start(Wire::Http1).await;
    let upstream = &pair.first.simulator;
    // At once behind the answer.
    upstream.push(Script::raw(
        [raw_answer("mine"), raw_answer("poison")].concat(),
    ));
    assert_eq!(saying(&pair.ask("alone", false).await), "mine");
    upstream.push(completion("yours"));
    assert_eq!(saying(&pair.ask("alone", false).await), "yours");
    // Later, while the connection is idle.
    let gate = Gate::new();
    let (answer, poison) = (raw_answer("mine"), raw_answer("poison"));
    let script = Script::raw_pieces(&[&answer, &poison]).hold_after(answer.len(), &gate);
    upstream.push(script);
    assert_eq!(saying(&pair.ask("alone", false).await), "mine");
    let number = upstream.requests().pop().unwrap().number;
    gate.open();
    upstream.answered(number).await.unwrap();
    upstream.push(completion("yours"));
    assert_eq!(saying(&pair.ask("alone", false).await), "yours");
    // Behind the end of a stream.
    let last = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        chunk("mine"),
        stop(0)
    );
    let chunk = format!("{:x}\r\n{last}\r\n0\r\n\r\n", last.len());
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = [head.as_bytes(), chunk.as_bytes(), &raw_answer("poison")].concat();
    upstream.push(Script::raw(bytes));
    assert_eq!(pair.ask("alone", true).await.text(), last);
    upstream.push(completion("yours"));
    assert_eq!(saying(&pair.ask("alone", false).await), "yours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_gets_no_byte_of_a_request() {
    for http2 in [false, true] {
        let unknown = Upstream::secure("127.0.0.1", http2).await;
        let elsewhere = Upstream::secure("elsewhere.test", http2).await;
        let plain = upstream().await;
        let backup = always(completion("backup")).await;
        let setup = Setup::new()
            .tables("[timeouts]\nconnect = \"500ms\"")
            .pool("unknown", &[&base(&unknown.simulator)])
            .pool("plain", &[&base(&plain).replace("http:", "https:")])
            .pool("backup", &[&base(&backup)]);
        let gateway = elsewhere
            .pool(setup, "elsewhere", "")
            .model("unknown", &["unknown"])
            .model("elsewhere", &["elsewhere"])
            .model("plain", &["plain"])
            .model("backed", &["elsewhere", "backup"])
            .start();
        for model in ["unknown", "elsewhere", "plain"] {
            for stream in [false, true] {
                let answer = chat(gateway.address, model, stream).await;
                // Who speaks no TLS may wait for the rest of what it takes for a head.
                let code = match (model, answer.status) {
                    ("plain", 504) => "upstream_timeout",
                    _ => "upstream_unavailable",
                };
                assert!(matches!(answer.status, 502 | 504), "{model}");
                assert_eq!(answer.json()["error"]["code"], json!(code), "{model}");
            }
        }
        assert_eq!(
            saying(&chat(gateway.address, "backed", false).await),
            "backup"
        );
        // An operator sees that it is the trust, and not the way, that is missing.
        let series = "spafe_attempts_total{outcome=\"tls_failed\",pool=\"unknown\"}";
        assert!(gateway.metric(series).await >= 2.0);
        for upstream in [&unknown.simulator, &elsewhere.simulator] {
            assert_eq!(upstream.requests().len(), 0);
        }
        let heads: Vec<_> = plain
            .requests()
            .into_iter()
            .map(|request| request.head)
            .collect();
        assert!(
            heads.iter().all(|head| !head.starts_with(b"POST")),
            "{heads:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_mebibytes_of_json_pass_through_and_a_break_in_them_breaks_the_framing() {
    for wire in WIRES {
        let pair = Pair::start(wire).await;
        let upstream = &pair.first.simulator;
        let large = || completion(&"x".repeat(9 * 1024 * 1024));
        for script in [large(), large().chunked()] {
            upstream.push(script);
            let answer = pair.ask("alone", false).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body.len(), large().body_bytes(), "{wire:?}");
            assert_eq!(saying(&answer).len(), 9 * 1024 * 1024);
        }
        let (gate, at) = (Gate::new(), large().body_bytes() - 100);
        upstream.push(large().chunked().hold_after(at, &gate).cut_after(at));
        let mut client = Connection::open(pair.gateway.address).await;
        let body = ask("backed", false);
        client.send(post(CHAT, &[], body.as_bytes())).await;
        let head = client.head().await;
        assert_eq!(head.status, 200);
        let mut seen = 0;
        while seen <= 8 * 1024 * 1024 {
            seen += client.piece(&head).await.expect("more of it").len();
        }
        gate.open();
        let rest = client.closed().await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "an end was told");
        assert_eq!(pair.second.simulator.requests().len(), 0);
    }
}

/// In HTTP/1.0 the end of a connection is all that tells the end of such an answer.
#[tokio::test(flavor = "multi_thread")]
async fn for_http_1_0_a_break_resets_the_connection() {
    let pair = Pair::start(WIRES[0]).await;
    let upstream = &pair.first.simulator;
    let large = || completion(&"x".repeat(9 * 1024 * 1024)).chunked();
    let request = String::from_utf8(post(CHAT, &[], ask("alone", false).as_bytes()));
    let request = request.unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
    let (gate, at) = (Gate::new(), large().body_bytes() - 100);
    for (script, is_whole) in [
        (large(), true),
        (large().hold_after(at, &gate).cut_after(at), false),
    ] {
        upstream.push(script);
        let mut client = Connection::open(pair.gateway.address).await;
        client.send(&request).await;
        if !is_whole {
            assert_eq!(client.head().await.status, 200);
            gate.open();
        }
        assert_eq!(client.ended().await.is_ok(), is_whole);
    }
}
