//! How often is anyone asked, and for how long?

use std::time::Duration;

use serde_json::json;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::Setup;
use crate::kit::now;
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::upstream::{always, base, upstream};

const CHAT: &str = "/v1/chat/completions";

fn error(status: u16, code: &str, message: &str) -> Script {
    let error = json!({"error": {"message": message, "type": "t", "param": null, "code": code}});
    Script::json(status, error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_another_beside_it_is_asked_once_more_after_a_moment() {
    for fault in [Script::json(500, "{}"), Script::reset(), Script::close()] {
        let up = upstream().await;
        let gateway = Setup::new()
            .pool("p", &[&base(&up)])
            .model("m", &["p"])
            .start();
        up.push(fault);
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-attempts"), Some("2"));
        // What is slow, too busy or not understood is not asked again.
        for fault in [
            Script::json(200, "nonsense"),
            error(429, "slow", "Slow down."),
        ] {
            let before = up.requests().len();
            up.push(fault);
            assert!(chat(gateway.address, "m", false).await.status > 400);
            assert_eq!(up.requests().len(), before + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_fails_wholly_is_asked_little_more_than_its_callers_ask() {
    let first = always(error(503, "busy", "Too busy.")).await;
    let second = always(Script::close()).await;
    let gateway = Setup::new()
        .tables("[bounds]\nin_flight_per_client_max = 64")
        .pool("p", &[&base(&first), &base(&second)])
        .model("m", &["p"])
        .start();
    let began = now();
    let (callers, each) = (4, 100);
    let asking = (0..callers).map(|_| async {
        let mut client = Connection::open(gateway.address).await;
        for _ in 0..each {
            let answer = client.post(CHAT, ask("m", false)).await;
            assert!(matches!(answer.status, 502 | 503), "{}", answer.text());
            assert_eq!(answer.field("x-should-retry"), Some("false"));
        }
    });
    futures_util::future::join_all(asking).await;
    let seconds = began.elapsed().as_secs_f64();
    let asked = u32::try_from(first.requests().len() + second.requests().len()).unwrap();
    let allowed = 1.2 * f64::from(callers * each) + 3.0 * (seconds + 1.0);
    assert!(
        f64::from(asked) <= allowed,
        "{asked} of {allowed} in {seconds} s"
    );
    assert!(
        gateway
            .metric("spafe_retries_unpaid_total{pool=\"p\"}")
            .await
            > 0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pool_is_asked_whatever_the_first_has_left_to_spend() {
    let first = always(error(500, "broken", "Broken.")).await;
    let second = always(completion("second")).await;
    let gateway = Setup::new()
        .tables("[attempts]\nbudget_percent = 0\nbudget_per_second = 0")
        .pool("first", &[&base(&first), &base(&upstream().await)])
        .pool("second", &[&base(&second)])
        .model("m", &["first", "second"])
        .start();
    first.default(error(500, "broken", "Broken."));
    for _ in 0..20 {
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_waits_less_long_is_answered_in_its_time() {
    let up = always(Script::stall()).await;
    let gateway = Setup::new()
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .start();
    for (field, stream) in [
        ("X-Stainless-Read-Timeout: 0.4", false),
        ("X-Stainless-Timeout: 0.4", true),
    ] {
        let began = now();
        let mut client = Connection::open(gateway.address).await;
        client
            .send(post(CHAT, &[field], ask("m", stream).as_bytes()))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 504, "{}", answer.text());
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(300), "{took:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    // What is no time says nothing: the request waits on, and its client may leave.
    let mut client = Connection::open(gateway.address).await;
    let head = ["X-Stainless-Timeout: soon"];
    client
        .send(post(CHAT, &head, ask("m", false).as_bytes()))
        .await;
    let waited = tokio::time::timeout(Duration::from_secs(1), client.head()).await;
    assert!(waited.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_patience_sends_no_target_to_rest() {
    let up = always(completion("in its time").delay_head(Duration::from_millis(600))).await;
    let gateway = Setup::new()
        .pool("p", &[&base(&up)])
        .model("m", &["p"])
        .start();
    for _ in 0..6 {
        let mut client = Connection::open(gateway.address).await;
        let field = "X-Stainless-Timeout: 0.1";
        client
            .send(post(CHAT, &[field], ask("m", false).as_bytes()))
            .await;
        assert_eq!(client.answer().await.status, 504);
    }
    gateway
        .counts_in_all("spafe_target_ejections_total", &[], 0)
        .await;
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_may_wait_longer_for_a_connection_than_its_pool_does() {
    let (address, _kept) = black_hole();
    let gateway = Setup::new()
        .tables("[timeouts]\nconnect = \"300ms\"")
        .pool("p", &[&format!("http://{address}/v1")])
        .model_with("m", &["p"], "timeouts = { connect = \"1s\" }")
        .start();
    let began = now();
    assert_eq!(chat(gateway.address, "m", false).await.status, 504);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(950), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_are_final_where_the_operator_says_so() {
    let first = always(error(500, "broken", "Broken.")).await;
    let second = upstream().await;
    let gateway = Setup::new()
        .tables("[attempts]\nfinal_statuses = [500]")
        .pool("first", &[&base(&first)])
        .pool("second", &[&base(&second)])
        .model("m", &["first", "second"])
        .start();
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(
        (answer.status, answer.field("x-spafe-attempts")),
        (502, Some("1"))
    );
    first.default(error(422, "odd", "That is odd."));
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(
        (answer.status, answer.field("x-spafe-attempts")),
        (200, Some("2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_streams_break_is_not_asked_for_more() {
    let broken = Script::sse(&[&chunk("Hello"), &stop(0)]);
    let cut = broken.body_bytes() - 60;
    let first = always(broken.cut_after(cut)).await;
    let second = upstream().await;
    let gateway = Setup::new()
        .pool("first", &[&base(&first)])
        .pool("second", &[&base(&second)])
        .model("m", &["first", "second"])
        .start();
    let mut breaks = 0;
    for _ in 0..6 {
        let answer = chat(gateway.address, "m", true).await;
        assert_eq!(answer.status, 200);
        breaks += usize::from(!answer.text().ends_with("data: [DONE]\n\n"));
    }
    // It commits each time, and is never wrong to whoever looks at first events only.
    assert_eq!(
        breaks, 3,
        "the target is asked although all its streams break"
    );
    assert!(!second.requests().is_empty());
}

/// An address where a connection is neither made nor refused: its queue is full, and the
/// system drops what would come next. The sockets keep it so.
fn black_hole() -> (std::net::SocketAddr, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = new();
    let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&anywhere.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut kept = vec![listener];
    for _ in 0..4 {
        let filler = new();
        filler.set_nonblocking(true).unwrap();
        // That it is on its way is all there is to it.
        let _ = filler.connect(&address.into());
        kept.push(filler);
    }
    (address, kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_takes_no_connection_costs_its_deadline_and_no_more() {
    let (address, _kept) = black_hole();
    let second = upstream().await;
    let gateway = Setup::new()
        .tables("[timeouts]\nconnect = \"500ms\"")
        .pool("first", &[&format!("http://{address}/v1")])
        .pool("second", &[&base(&second)])
        .model("backed", &["first", "second"])
        .model("alone", &["first"])
        .start();
    for stream in [false, true] {
        let began = now();
        let answer = chat(gateway.address, "backed", stream).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-spafe-upstream"), Some("second"));
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(450), "{took:?}");
        assert!(took < Duration::from_millis(1_500), "{took:?}");
    }
    let answer = chat(gateway.address, "alone", false).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.field("x-spafe-attempts"), Some("1"));
}
