//! Which connections go on behind a body that nobody read?
//!
//! Whoever is refused because of who they are, or because there is no room, is told so before
//! their body is read. Where that is small and its end in no doubt it is read away, and the
//! connection serves the next request; behind any other nothing is a request.

use std::time::Duration;

use futures_util::future::join_all;
use spafe::simulator::script::{Gate, Script};
use spafe::simulator::{Simulator, When};

use super::{CHAT, MODEL, assert_is_refusal, marked, recorded};
use crate::kit::client::{Answer, Connection};
use crate::kit::gateway::Gateway;

/// As much is read away.
const UNWANTED_BYTES_MAX: usize = 64 * 1024;
/// A body that is refused for its type, before it is read.
const TEXT: &str = "Content-Type: text/plain";
const JSON: &str = "Content-Type: application/json";

/// A gateway with one place, and the request that has it until the gate is opened.
struct Full {
    gateway: Gateway,
    upstream: Simulator,
    gate: Gate,
    inside: Connection,
}

impl Full {
    async fn start() -> Self {
        let (setup, upstream) = recorded().await;
        let one = "[bounds]\nin_flight_max = 1\nin_flight_per_client_max = 1";
        let gateway = setup.tables(one).start();
        let gate = Gate::new();
        let held = Script::chat(MODEL, "held").hold_head(&gate);
        upstream.push_when(When::Body("inside".to_owned()), held);
        let mut inside = Connection::open(gateway.address).await;
        inside.send(request(&[JSON], &marked("inside"))).await;
        upstream.next_request().await.unwrap();
        Self {
            gateway,
            upstream,
            gate,
            inside,
        }
    }

    /// Lets the one inside go, and waits until its place is free.
    async fn make_room(&mut self) {
        self.gate.open();
        assert_eq!(self.inside.answer().await.status, 200);
        self.gateway.idle().await;
    }
}

/// A request with these fields and, unless they say how it is framed, its body's length.
fn request(fields: &[&str], body: &str) -> Vec<u8> {
    let framed = fields.iter().any(|field| field.contains("chunked"));
    let length = format!("Content-Length: {}\r\n", body.len());
    let length = if framed { "" } else { &length };
    let fields = fields.join("\r\n");
    format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\n{length}{fields}\r\n\r\n{body}").into_bytes()
}

/// A question of exactly so many bytes.
fn sized(mark: &str, bytes: usize) -> String {
    let question = marked(mark);
    let padding = " ".repeat(bytes - question.len());
    format!("{question}{padding}")
}

/// What upstreams were asked, in order.
fn arrived(upstream: &Simulator) -> Vec<String> {
    let requests = upstream.requests();
    let bodies = requests.iter().map(|request| request.body.to_vec());
    bodies
        .map(|body| String::from_utf8(body).unwrap())
        .collect()
}

#[track_caller]
fn assert_goes_on(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_eq!(answer.field("connection"), Some("keep-alive"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_request_that_is_shed_leaves_its_connection() {
    let mut full = Full::start().await;
    let mut connection = Connection::open(full.gateway.address).await;
    // Around what comes with its head, and to the last byte that is read away.
    for bytes in [100, 4_000, 5_000, 20_000, UNWANTED_BYTES_MAX] {
        let body = sized("shed", bytes);
        let answer = connection.post(CHAT, &body).await;
        assert_goes_on(&answer, 503, &format!("{bytes} bytes"));
        assert_is_refusal(&answer, "shed");
    }
    full.make_room().await;
    let answer = connection.post(CHAT, marked("served")).await;
    assert_goes_on(&answer, 200, "when there is room");
    assert_eq!(
        arrived(&full.upstream),
        [marked("inside"), marked("served")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_has_room_for_leaves_its_connection() {
    const MIB: usize = 1024 * 1024;
    let (setup, _upstream) = recorded().await;
    let bounds = "[bounds]\nbody_bytes_max = \"1MiB\"\nbodies_bytes_max = \"2MiB\"";
    let gateway = setup.tables(bounds).start();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(gateway.address).await;
        let all = request(&[JSON], &" ".repeat(MIB));
        connection.send(&all[..all.len() - 1]).await;
        held.push(connection);
    }
    gateway
        .counts("spafe_bodies_bytes", 2 * (MIB as u64 - 1))
        .await;
    let mut connection = Connection::open(gateway.address).await;
    assert_goes_on(&connection.post(CHAT, marked("a")).await, 503, "no room");
    drop(held);
    gateway.counts("spafe_bodies_bytes", 0).await;
    assert_goes_on(&connection.post(CHAT, marked("b")).await, 200, "room");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_asks_for_no_body_leaves_its_connection() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let mut connection = Connection::open(gateway.address).await;
    let body = marked("unread");
    for (start, status) in [
        (format!("POST {CHAT} HTTP/1.1\r\n{TEXT}"), 415),
        (
            format!("OPTIONS {CHAT} HTTP/1.1\r\nOrigin: https://a.example"),
            204,
        ),
        (format!("GET /v1/models HTTP/1.1\r\n{JSON}"), 200),
    ] {
        let length = body.len();
        let head = format!("{start}\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        connection.send(head + &body).await;
        assert_goes_on(&connection.answer().await, status, &start);
    }
    let answer = connection.post(CHAT, marked("read")).await;
    assert_goes_on(&answer, 200, "behind all of them");
    assert_eq!(arrived(&upstream), [marked("read")]);
}

/// What stands behind a refused body is the next request, in however many pieces it all comes;
/// what stands inside of one is none.
#[tokio::test(flavor = "multi_thread")]
async fn requests_behind_bodies_that_nobody_read_are_answered_once_and_in_order() {
    const PIECES: [usize; 5] = [1, 7, 64, 1_000, 100_000];
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let inner = String::from_utf8(request(&[JSON], &marked("smuggled"))).unwrap();
    let tries = PIECES.map(|piece_bytes| {
        let (inner, address) = (&inner, gateway.address);
        async move {
            let [first, last] = marks(piece_bytes);
            let all = [
                request(&[TEXT], "x"),
                request(&[JSON], &first),
                request(&[TEXT], inner),
                request(&[TEXT], &inner.repeat(3)),
                request(&[JSON, "Connection: close"], &last),
            ];
            statuses(Connection::open(address).await, &all.concat(), piece_bytes).await
        }
    });
    let tries = join_all(tries).await;
    let arrived = arrived(&upstream);
    assert!(!arrived.iter().any(|body| body.contains("smuggled")));
    for (piece_bytes, statuses) in PIECES.into_iter().zip(&tries) {
        let what = format!("by {piece_bytes}: {statuses:?}");
        assert!([415, 200, 415, 415, 200].starts_with(statuses), "{what}");
        let mut expected = marks(piece_bytes).to_vec();
        expected.truncate(statuses.iter().filter(|status| **status == 200).count());
        let tag = format!("-{piece_bytes}-");
        let of_this_try = arrived.iter().filter(|body| body.contains(&tag));
        assert_eq!(of_this_try.cloned().collect::<Vec<_>>(), expected, "{what}");
    }
    // Of many pieces one may come too late where a machine has much to do; of one none can.
    assert_eq!(tries.last().unwrap().len(), 5);
    assert!(tries[..4].iter().any(|statuses| statuses.len() == 5));
}

/// How everything was answered that was sent by so many bytes at a time.
async fn statuses(mut connection: Connection, all: &[u8], piece_bytes: usize) -> Vec<u16> {
    for piece in all.chunks(piece_bytes) {
        if !connection.offer(piece).await {
            break;
        }
        tokio::task::yield_now().await;
    }
    let answers = Answer::all(&connection.closed().await);
    answers.iter().map(|answer| answer.status).collect()
}

/// What is asked by one that sends so many bytes at a time.
fn marks(piece_bytes: usize) -> [String; 2] {
    ["first", "last"].map(|name| marked(&format!("{name}-{piece_bytes}-")))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_a_request_behind_a_body_that_is_large_or_in_doubt() {
    let full = Full::start().await;
    let inner = request(&[JSON], &marked("smuggled"));
    let body = marked("shed");
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let length = format!("Content-Length: {}", body.len());
    let chunked = "Transfer-Encoding: chunked";
    let large = sized("shed", UNWANTED_BYTES_MAX + 1);
    let old = String::from_utf8(request(&[JSON], &body)).unwrap();
    let tries = [
        ("large", request(&[JSON], &large)),
        ("chunked", request(&[JSON, chunked], &chunks)),
        ("two framings", request(&[JSON, chunked, &length], &chunks)),
        (
            "and the other way",
            request(&[JSON, &length, chunked], &body),
        ),
        (
            "awaits a word",
            request(&[JSON, "Expect: 100-continue"], &body),
        ),
        ("old", old.replace("HTTP/1.1", "HTTP/1.0").into_bytes()),
        ("closes", request(&[JSON, "Connection: close"], &body)),
        (
            "names its length",
            request(&[JSON, "Connection: content-length"], &body),
        ),
    ];
    for (what, first) in tries {
        let mut connection = Connection::open(full.gateway.address).await;
        connection.offer(&[first, inner.repeat(3)].concat()).await;
        let answers = Answer::all(&connection.ended().await.unwrap());
        let [only] = answers.as_slice() else {
            panic!("{what}: {answers:?}");
        };
        assert_eq!(only.field("connection"), Some("close"), "{what}");
        assert_is_refusal(only, what);
    }
    assert_eq!(arrived(&full.upstream), [marked("inside")]);
}

/// Neither by silence nor by a byte now and then is a connection held.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_that_does_not_come_ends_its_connection() {
    let mut full = Full::start().await;
    let first = request(&[JSON], &sized("late", UNWANTED_BYTES_MAX));
    let (head, body) = first.split_at(first.len() - UNWANTED_BYTES_MAX);
    let mut silent = Connection::open(full.gateway.address).await;
    silent.send(head).await;
    assert_eq!(silent.answer().await.status, 503);
    let mut slow = Connection::open(full.gateway.address).await;
    slow.send(head).await;
    assert_eq!(slow.answer().await.status, 503);
    for byte in body.chunks(1).take(200) {
        if !slow.offer(byte).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(slow.closed().await, b"");
    assert_eq!(silent.ended().await.unwrap(), b"");
    full.make_room().await;
    // Too late, and so no request.
    let late = [body, &request(&[JSON], &marked("smuggled"))].concat();
    silent.offer(&late).await;
    slow.offer(&late).await;
    assert_eq!(silent.closed().await, b"");
    assert_eq!(slow.closed().await, b"");
    assert_eq!(arrived(&full.upstream), [marked("inside")]);
}

/// Many a library sends a body for itself, behind its head.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_come_behind_its_answer() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.start();
    let body = marked("behind");
    let first = request(&[TEXT], &body);
    let head = &first[..first.len() - body.len()];
    let next = request(&[JSON, "Connection: close"], &marked("next"));
    // A machine with much to do may let the time pass, but not every time.
    for _ in 0..20 {
        let mut connection = Connection::open(gateway.address).await;
        connection.send(head).await;
        assert_goes_on(&connection.answer().await, 415, "before its body");
        let sent = connection.offer(body.as_bytes()).await && connection.offer(&next).await;
        let came = connection.closed().await;
        if sent && !came.is_empty() {
            assert_eq!(Answer::all(&came)[0].status, 200);
            assert_eq!(arrived(&upstream), [marked("next")]);
            return;
        }
    }
    panic!("no connection waited for its body");
}
