//! Does everybody get what the limits say, and nobody more?
//!
//! The arithmetic is tested beside it; here it is asked over connections, by many at once,
//! through reloads and pauses of the whole process.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::now;
use crate::kit::pair::{chunk, completion};
use crate::kit::reload::replace;
use crate::kit::upstream::{base, upstream};

const MODEL: &str = "m";
const PATH: &str = "/v1/chat/completions";

/// A gateway with one limit on each client, in front of an upstream that answers at once.
async fn limited(limit: &str) -> (Gateway, Simulator) {
    let upstream = upstream().await;
    upstream.default(completion("Hello."));
    let setup = Setup::new()
        .tables(&format!(
            "[bounds]\naccepts_per_second_max = 65536\n[[limits]]\nname = \"per-client\"\nby = \"client\"\n{limit}"
        ))
        .pool("main", &[&base(&upstream)])
        .model(MODEL, &["main"]);
    (setup.start(), upstream)
}

/// One request on a connection of its own: whoever is refused early has a body unread.
async fn once(address: SocketAddr) -> Answer {
    once_from(1, address).await
}

async fn once_from(last: u8, address: SocketAddr) -> Answer {
    let mut client = Connection::open_from(last, address).await;
    client.post(PATH, ask(MODEL, false)).await
}

fn number(answer: &Answer, field: &str) -> u64 {
    let value = answer.field(field);
    let value = value.unwrap_or_else(|| panic!("no {field}: {answer:?}"));
    value.parse().unwrap()
}

/// When each of the requests that eight connections at once make was admitted.
async fn stormed(gateway: &Gateway, length: Duration) -> Vec<Instant> {
    let (address, end) = (gateway.address, now() + length);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                let mut admitted = Vec::new();
                while now() < end {
                    let answer = once(address).await;
                    match answer.status {
                        200 => admitted.push(now()),
                        status => assert_eq!(status, 429, "{answer:?}"),
                    }
                }
                admitted
            })
        })
        .collect();
    let mut all = Vec::new();
    for client in clients {
        all.append(&mut client.await.unwrap());
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_at_once_get_what_one_may_and_all_of_it() {
    let (gateway, _upstream) = limited("requests = { count = 40, per = \"1s\", burst = 20 }").await;
    let admitted = stormed(&gateway, Duration::from_secs(3)).await;
    for from in 0..admitted.len() {
        for (count, at) in (1_u32..).zip(&admitted[from..]) {
            // A moment is seen where the answer came, which is later than where it was asked for.
            let span = at.duration_since(admitted[from]) + Duration::from_millis(250);
            let most = 20.0 + span.as_secs_f64() * 40.0;
            assert!(f64::from(count) <= most, "{count} in {span:?}");
        }
    }
    // In three seconds; the machine may have been busy for a part of them.
    assert!(admitted.len() >= 125, "{}", admitted.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_when_told_is_let_in() {
    let (gateway, _upstream) = limited("requests = { count = 20, per = \"1s\", burst = 2 }").await;
    let (mut refused, mut again) = (0, 0);
    while refused < 40 {
        let answer = once(gateway.address).await;
        if answer.status == 200 {
            continue;
        }
        refused += 1;
        assert_eq!(number(&answer, "retry-after"), 1);
        let wait = number(&answer, "retry-after-ms");
        assert!((1..=50).contains(&wait), "{wait}");
        assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if once(gateway.address).await.status == 200 {
            again += 1;
        }
    }
    assert!(again >= 38, "{again} of {refused}");
    let series = "spafe_limit_refused_total{kind=\"requests\",limit=\"per-client\"}";
    assert!(gateway.metric(series).await >= 40.0);
    gateway.counts("spafe_limiter_evictions_total", 0).await;
}

#[tokio::test]
async fn each_address_is_a_client() {
    let (gateway, _upstream) = limited("requests = { count = 3, per = \"1h\" }").await;
    for last in 1..=4 {
        for left in (0..3).rev() {
            let answer = once_from(last, gateway.address).await;
            assert_eq!(answer.status, 200);
            assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), left);
        }
        assert_eq!(once_from(last, gateway.address).await.status, 429);
    }
    gateway.counts("spafe_limiter_keys", 4).await;
}

#[tokio::test]
async fn an_image_that_is_asked_for_wrongly_counts_in_no_limit() {
    let limits =
        "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 3, per = \"1h\" }";
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables(limits)
        .pool_with("painter", &[&base(&upstream)], "dialect = \"images\"")
        .model_with("flux", &["painter"], "modality = \"image\"")
        .start();
    let mut client = Connection::open(gateway.address).await;
    for _ in 0..2 {
        let body = r#"{"model":"flux","size":7,"messages":[{"role":"user","content":"a cat"}]}"#;
        let answer = client.post(PATH, body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), 3);
    }
}

/// How many tokens are left for the next request, as the answer to this one says.
fn left(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    number(answer, "x-ratelimit-remaining-tokens")
}

#[tokio::test]
async fn tokens_are_settled_to_what_was_used() {
    let (gateway, upstream) = limited("tokens = { count = 100000, per = \"31d\" }").await;
    // What the upstream tells: 3 and 5. The answer's own head knows.
    let mut before = left(&once(gateway.address).await);
    assert_eq!(before, 100_000 - 8);
    let mut now_left = left(&once(gateway.address).await);
    assert_eq!(before - now_left, 8);
    // It tells nothing: bytes are counted, four for a token.
    let untold = Script::json(200, format!("{{\"id\":\"{}\"}}", "x".repeat(391)));
    upstream.push(untold);
    once(gateway.address).await;
    before = now_left - 8;
    now_left = left(&once(gateway.address).await);
    let question = ask(MODEL, false).len().div_ceil(4) as u64;
    assert_eq!(before - now_left, question + 100);
    // It fails, or refuses: nobody has used anything.
    upstream.push(Script::json(500, "{}"));
    upstream.push(Script::json(500, "{}"));
    assert_eq!(once(gateway.address).await.status, 502);
    upstream.push(Script::json(400, "{\"error\":{\"message\":\"no\"}}"));
    assert_eq!(once(gateway.address).await.status, 400);
    before = now_left - 8;
    assert_eq!(left(&once(gateway.address).await), before);
}

#[tokio::test]
async fn a_picture_is_not_reckoned_by_its_bytes() {
    let (gateway, upstream) = limited("tokens = { count = 100000, per = \"31d\" }").await;
    upstream.push(Script::json(200, "{\"id\":\"1234567\"}"));
    let question = |bytes: &str| {
        let url = format!(r#"{{"url":"data:image/png;base64,{bytes}"}}"#);
        let part = format!(r#"{{"type":"image_url","image_url":{url}}}"#);
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#)
    };
    let mut client = Connection::open(gateway.address).await;
    let answer = client.post(PATH, question(&"A".repeat(600_000))).await;
    let counted = question("").len().div_ceil(4) as u64 + 1000 + 4;
    assert_eq!(left(&answer), 100_000 - counted);
}

#[tokio::test]
async fn who_waits_a_second_and_no_more_has_its_estimate_counted() {
    let (gateway, upstream) = limited("tokens = { count = 100000, per = \"31d\" }").await;
    let before = left(&once(gateway.address).await);
    let gate = Gate::new();
    upstream.push(completion("Hello.").hold_after(0, &gate));
    let body = ask(MODEL, false);
    let mut client = Connection::open(gateway.address).await;
    let impatient = "x-stainless-timeout: 1";
    client.send(post(PATH, &[impatient], body.as_bytes())).await;
    assert_eq!(client.answer().await.status, 504);
    let estimate = body.len().div_ceil(4) as u64 + 1000;
    assert_eq!(before - left(&once(gateway.address).await), estimate + 8);
    gate.open();
}

#[tokio::test]
async fn a_stream_whose_upstream_counts_nothing_is_counted_here() {
    let (gateway, upstream) = limited("tokens = { count = 100000, per = \"31d\" }").await;
    let before = left(&once(gateway.address).await);
    let nothing = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    upstream.push(Script::sse(&[&chunk("one"), &chunk("two"), nothing]));
    let body = ask(MODEL, true);
    let mut client = Connection::open(gateway.address).await;
    assert_eq!(client.post(PATH, &body).await.status, 200);
    gateway.idle().await;
    let counted = body.len().div_ceil(4) as u64 + 4;
    assert_eq!(before - left(&once(gateway.address).await), counted + 8);
}

#[tokio::test]
async fn a_stream_that_is_left_is_settled_to_what_had_come() {
    let (gateway, upstream) = limited("tokens = { count = 100000, per = \"31d\" }").await;
    let before = left(&once(gateway.address).await) - 8;
    let gate = Gate::new();
    let words: Vec<String> = (0..7).map(|_| chunk("word")).collect();
    let events: Vec<&str> = words.iter().map(String::as_str).collect();
    let bytes = words.iter().map(|word| "data: \n\n".len() + word.len());
    upstream.push(Script::sse(&events).hold_after(bytes.sum(), &gate));
    let mut client = Connection::open(gateway.address).await;
    client
        .send(post(PATH, &[], ask(MODEL, true).as_bytes()))
        .await;
    let head = client.head().await;
    let mut seen = 0;
    while seen < 7 {
        let piece = client.piece(&head).await.unwrap();
        seen += String::from_utf8_lossy(&piece).matches("data:").count();
    }
    drop(client);
    gateway.idle().await;
    let question = ask(MODEL, true).len().div_ceil(4) as u64;
    assert_eq!(before - left(&once(gateway.address).await), question + 7);
    gate.open();
}

#[tokio::test]
async fn reloads_give_nobody_a_new_bucket() {
    let limit = |count: u32| format!("count = {count}, per = \"1h\"");
    let (gateway, _upstream) = limited(&format!("requests = {{ {} }}", limit(100))).await;
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let mut admitted = 0;
    for reload in 0..100 {
        let count = 99 + reload % 2;
        let next = text.replace(&limit(100), &limit(count));
        replace(&gateway.config, &next);
        assert_eq!(gateway.reload().await.status, 200);
        for _ in 0..3 {
            let answer = once(gateway.address).await;
            admitted += u32::from(answer.status == 200);
            // The new limit is in force with the next request.
            let told = number(&answer, "x-ratelimit-limit-requests");
            assert_eq!(told, u64::from(count));
        }
    }
    assert!((99..=105).contains(&admitted), "{admitted}");
}

#[tokio::test]
async fn a_process_that_was_stopped_owes_one_burst_and_no_more() {
    let (gateway, _upstream) = limited("requests = { count = 10, per = \"1s\", burst = 5 }").await;
    while once(gateway.address).await.status == 200 {}
    gateway.signal(Signal::STOP);
    // Four bursts' worth of time.
    tokio::time::sleep(Duration::from_secs(2)).await;
    gateway.signal(Signal::CONT);
    let began = now();
    let mut admitted = 0;
    for _ in 0..20 {
        admitted += u32::from(once(gateway.address).await.status == 200);
    }
    let most = 5.0 + began.elapsed().as_secs_f64() * 10.0;
    assert!(admitted >= 5 && f64::from(admitted) <= most, "{admitted}");
}

#[tokio::test]
async fn a_shadow_is_told_of_and_refuses_nobody() {
    let (gateway, _upstream) =
        limited("requests = { count = 1, per = \"1h\" }\nshadow = true").await;
    for _ in 0..4 {
        let answer = once(gateway.address).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("x-ratelimit-limit-requests"), None);
    }
    let series = "spafe_limit_shadow_refused_total{kind=\"requests\",limit=\"per-client\"}";
    gateway.counts(series, 3).await;
}

#[tokio::test]
async fn a_stream_that_ends_makes_room_for_another() {
    let (gateway, upstream) = limited("streams = 2").await;
    let gate = Gate::new();
    let first = chunk("Hello");
    let head_bytes = "data: \n\n".len() + first.len();
    upstream.default(Script::sse(&[&first, &first]).hold_after(head_bytes, &gate));
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut client = Connection::open(gateway.address).await;
        client
            .send(post(PATH, &[], ask(MODEL, true).as_bytes()))
            .await;
        assert_eq!(client.head().await.status, 200);
        streams.push(client);
    }
    let mut client = Connection::open(gateway.address).await;
    let answer = client.post(PATH, ask(MODEL, true)).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["error"]["code"], "concurrency_limit_exceeded");
    streams.pop();
    upstream.push(completion("x"));
    gateway.counts("spafe_requests_in_flight", 1).await;
    let mut again = Connection::open(gateway.address).await;
    again
        .send(post(PATH, &[], ask(MODEL, true).as_bytes()))
        .await;
    assert_ne!(again.head().await.status, 429);
    gate.open();
}
