//! Does somebody who reads before the gateway see the same requests?
//!
//! Every row of the corpus goes through a real nginx and a real HAProxy, which ask the gateway
//! over connections that all their callers share. Right behind it somebody else asks. Both get
//! what is theirs: whatever the two readers think of a payload, the gateway has answered no
//! request that its sender did not get the answer of, and no other's.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use spafe::simulator::Simulator;

use super::corpus::{ALL, Row};
use super::framing::{is_chat, way};
use super::{CHAT, marked, recorded};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::front::{Front, Kind};

/// Rows that are tried at the same time.
const LANES: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_that_holds_bodies_everybody_gets_their_own() {
    check(Kind::NginxHolding, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_that_streams_bodies_everybody_gets_their_own() {
    check(Kind::NginxStreaming, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_haproxy_everybody_gets_their_own() {
    check(Kind::Haproxy, 250).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_lenient_haproxy_everybody_gets_their_own() {
    check(Kind::HaproxyLenient, 300).await;
}

/// Sends every row through such a front, of which so many must reach the gateway.
async fn check(kind: Kind, reached_min: usize) {
    let (setup, upstream) = recorded().await;
    let gateway = setup
        .tables("[bounds]\nin_flight_per_client_max = 64")
        .start();
    let front = Front::start(kind, gateway.address, LANES).await;
    let rows = ALL.iter().flat_map(|table| table.iter()).enumerate();
    let tries = rows.flat_map(|(number, row)| {
        [false, true].map(|followed| Try {
            row,
            tag: format!("{number:03}-{}", way(followed)),
            followed,
        })
    });
    let tries: Vec<Try<'_>> = tries.collect();
    let lanes = front.lanes.iter().enumerate();
    let lanes = lanes.map(async |(number, lane)| {
        let mut came = Came::default();
        // Those for which a front waits stand side by side, so each lane takes one of them.
        for one in tries.iter().skip(number).step_by(LANES) {
            let of_one = one.check(*lane, &upstream).await;
            came.reached += of_one.reached;
            came.answered += of_one.answered;
        }
        came
    });
    let lanes = join_all(lanes).await;
    let reached: usize = lanes.iter().map(|came| came.reached).sum();
    let answered: usize = lanes.iter().map(|came| came.answered).sum();
    gateway.idle().await;
    let seen = upstream.requests();
    assert_eq!(seen.len(), answered, "asked, and answered");
    for request in seen {
        assert!(request.malformed.is_none(), "{:?}", request.head);
    }
    // What a front refuses by itself says nothing of us.
    let all = tries.len();
    assert!(reached >= reached_min, "{reached} of {all} reached us");
}

/// What came of rows.
#[derive(Default)]
struct Came {
    /// How many the gateway saw.
    reached: usize,
    /// How many questions were answered.
    answered: usize,
}

/// One row, sent once, and somebody else's request behind it.
struct Try<'a> {
    row: &'a Row,
    tag: String,
    followed: bool,
}

impl Try<'_> {
    async fn check(&self, lane: SocketAddr, upstream: &Simulator) -> Came {
        let what = format!("{:?}, followed: {}", self.row.name, self.followed);
        let mut sender = Connection::open(lane).await;
        sender.offer(&self.bytes()).await;
        // By then the front has its connection back, or waits for more of the payload.
        sender.hears_within(Duration::from_millis(100)).await;
        let mark = self.mark("victim");
        let answer = Connection::open(lane).await.post(CHAT, marked(&mark)).await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert!(answer.text().contains(&mark), "{what}: {}", answer.text());

        let received = sender.closed().await;
        let heads = received.starts_with(b"HTTP/1.");
        // What an old version is told has no head, and is the front's.
        let answers = if heads {
            Answer::all(&received)
        } else {
            Vec::new()
        };
        let mut answered = vec![marked(&mark)];
        answered.extend(
            answers
                .iter()
                .filter(|it| is_chat(it))
                .map(|it| self.asked(it, &what)),
        );
        answered.sort();
        assert_eq!(self.arrived(upstream), answered, "{what}");
        let is_ours = |answer: &Answer| answer.field("x-request-id").is_some();
        Came {
            reached: usize::from(answers.iter().any(is_ours)),
            answered: answered.len(),
        }
    }

    /// What was asked that this is the answer of; it must be one of ours.
    fn asked(&self, answer: &Answer, what: &str) -> String {
        let marks = ["first", "second", "hidden"].map(|kind| self.mark(kind));
        let mark = marks.iter().find(|mark| answer.text().contains(*mark));
        let mark = mark.unwrap_or_else(|| panic!("{what}: {}", answer.text()));
        marked(mark)
    }

    /// What came upstream of this row and behind it, sorted.
    fn arrived(&self, upstream: &Simulator) -> Vec<String> {
        let requests = upstream.requests();
        let bodies = requests.iter().map(|request| &request.body);
        let bodies = bodies.map(|body| String::from_utf8_lossy(body).into_owned());
        let mut bodies: Vec<String> = bodies.filter(|body| body.contains(&self.tag)).collect();
        bodies.sort();
        bodies
    }

    fn bytes(&self) -> Vec<u8> {
        let hidden = post(CHAT, &[], marked(&self.mark("hidden")).as_bytes());
        let hidden = String::from_utf8(hidden).unwrap();
        let mut bytes = self.row.bytes(&marked(&self.mark("first")), &hidden);
        if self.followed {
            bytes.extend(post(CHAT, &[], marked(&self.mark("second")).as_bytes()));
        }
        bytes
    }

    fn mark(&self, kind: &str) -> String {
        format!("{kind}-{}", self.tag)
    }
}
