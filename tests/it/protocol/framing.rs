//! Where does a request end?
//!
//! Every row of the corpus is sent alone and with a second request behind it. What
//! was answered with success must have arrived, as often and with just its bytes, and its
//! answer is its own; whatever else the payload carried must not.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::corpus::{CHUNKS, CODINGS, EARLY, FIELDS, Fate, LENGTHS, LINES, Row};
use super::{CHAT, assert_is_refusal, marked, recorded};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::Gateway;
use spafe::simulator::Simulator;

/// What the marks of requests begin with that no upstream may ever see.
const HIDDEN: &str = "hidden-";

#[tokio::test(flavor = "multi_thread")]
async fn codings_that_readers_disagree_on_are_refused_or_one_request() {
    assert!(CODINGS.len() >= 60);
    check(CODINGS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_readers_disagree_on_are_refused_or_one_request() {
    check(LENGTHS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_readers_disagree_on_are_refused_or_one_request() {
    check(CHUNKS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_readers_disagree_on_are_refused_or_one_request() {
    check(LINES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_readers_disagree_on_are_refused_or_one_request() {
    check(FIELDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_bodies_that_nobody_reads_are_not_executed() {
    check(EARLY).await;
}

async fn check(rows: &[Row]) {
    let (setup, upstream) = recorded().await;
    // A connection that goes on is closed when nothing follows; that ends the test of a row.
    // Those of the rows before may not be closed yet when the next ones come.
    let bounds = "[bounds]\nkeep_alive = \"1s\"\nnext_head_timeout = \"1s\"\nbody_first_byte_timeout = \"1s\"\nin_flight_per_client_max = 64\nconnections_per_address_max = 512";
    let gateway = setup.tables(bounds).start();
    let tries = rows.iter().enumerate().flat_map(|(number, row)| {
        [false, true].map(|followed| Try {
            row,
            first: format!("first-{number:03}-{}", way(followed)),
            second: followed.then(|| format!("second-{number:03}-{}", way(followed))),
            hidden: format!("{HIDDEN}{number:03}-{}", way(followed)),
        })
    });
    let tries: Vec<Try<'_>> = tries.collect();
    let answered = AtomicUsize::new(0);
    for some in tries.chunks(48) {
        let checks = some.iter().map(async |one| {
            let succeeded = one.check(&gateway, &upstream).await;
            answered.fetch_add(succeeded, Ordering::Relaxed);
        });
        join_all(checks).await;
    }
    let seen = upstream.requests();
    assert_eq!(seen.len(), answered.into_inner(), "asked, and answered");
    for request in seen {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!head.contains(HIDDEN) && !body.contains(HIDDEN));
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"));
        assert!(request.malformed.is_none(), "{head}");
    }
}

/// One row, sent once.
struct Try<'a> {
    row: &'a Row,
    first: String,
    second: Option<String>,
    hidden: String,
}

impl Try<'_> {
    /// How many questions were answered.
    async fn check(&self, gateway: &Gateway, upstream: &Simulator) -> usize {
        let answers = self.answers(gateway).await;
        let what = format!("{:?}, followed: {}", self.row.name, self.second.is_some());
        for answer in answers.iter().filter(|answer| answer.status >= 400) {
            assert_is_refusal(answer, &what);
        }
        let questions = self.questions(&answers, &what);
        for (answer, mark) in answers
            .iter()
            .filter(|answer| is_chat(answer))
            .zip(&questions)
        {
            assert!(answer.text().contains(*mark), "{what}: {}", answer.text());
        }
        let expected: Vec<String> = questions.iter().map(|mark| marked(mark)).collect();
        let arrived = self.arrived(upstream);
        assert_eq!(arrived, expected, "{what}");
        expected.len()
    }

    /// The marks of what must have been asked, in order, where the answers are what they must be.
    fn questions(&self, answers: &[Answer], what: &str) -> Vec<&str> {
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let expected = self.row.fate;
        let first = self.first.as_str();
        match (expected, self.second.as_deref(), statuses.as_slice()) {
            (Fate::Refused | Fate::Either, _, [400..500, rest @ ..])
                if rest.iter().all(|status| *status >= 400) =>
            {
                Vec::new()
            }
            (Fate::Unfinished, _, [] | [400]) => Vec::new(),
            (Fate::Told(told), _, [status]) if told == *status => Vec::new(),
            (Fate::Told(told), Some(second), [status, 200]) if told == *status => vec![second],
            (Fate::Last | Fate::Either, _, [200])
            | (Fate::Accepted, None, [200])
            // Of half a request with its head there is one who may be told that it is late.
            | (Fate::Glued(_), None, [200] | [200, 408]) => vec![first],
            (Fate::Accepted, Some(second), [200, 200]) => vec![first, second],
            (Fate::Glued(told), Some(_), [200, status, ..]) if told == *status => vec![first],
            _ => panic!("{what}: {expected:?} became {statuses:?}"),
        }
    }

    /// What of this row's came upstream.
    fn arrived(&self, upstream: &Simulator) -> Vec<String> {
        let requests = upstream.requests();
        let bodies = requests.iter().map(|request| &request.body);
        let bodies = bodies.map(|body| String::from_utf8_lossy(body).into_owned());
        let marks = [Some(&self.first), self.second.as_ref(), Some(&self.hidden)];
        let is_ours = |body: &String| marks.iter().flatten().any(|mark| body.contains(*mark));
        bodies.filter(is_ours).collect()
    }

    /// Everything that is answered until the connection ends.
    async fn answers(&self, gateway: &Gateway) -> Vec<Answer> {
        let hidden = String::from_utf8(post(CHAT, &[], marked(&self.hidden).as_bytes())).unwrap();
        let mut bytes = self.row.bytes(&marked(&self.first), &hidden);
        if let Some(second) = &self.second {
            bytes.extend(post(CHAT, &[], marked(second).as_bytes()));
        }
        let mut connection = Connection::open(gateway.address).await;
        connection.send(&bytes).await;
        if self.row.fate == Fate::Unfinished {
            connection.finish().await;
        }
        let mut answers = Answer::all(&connection.closed().await);
        // A word that is waited for is no answer.
        answers.retain(|answer| answer.status >= 200);
        answers
    }
}

/// How a row is sent, in five letters: no mark is the beginning of another.
pub(super) fn way(followed: bool) -> &'static str {
    if followed { "queue" } else { "alone" }
}

/// Whether a model says this.
pub(super) fn is_chat(answer: &Answer) -> bool {
    answer.status == 200 && answer.body.starts_with(b"{\"id\":\"chatcmpl-")
}
