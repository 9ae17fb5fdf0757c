//! Where does a request end?
//!
//! Every row of the corpus is sent alone and with a second request behind it. What
//! was answered with success must have arrived, as often and with just its bytes;
//! whatever else the payload carried must not.

use futures_util::future::join_all;

use super::corpus::{CHUNKS, CODINGS, Fate, LENGTHS, Row};
use super::{assert_is_refusal, marked, recorded};
use crate::kit::client::{Answer, Connection, post};
use crate::kit::gateway::Gateway;
use spafe::simulator::Simulator;

/// What no upstream may ever see.
const SMUGGLED: &str = "this-was-smuggled";

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

async fn check(rows: &[Row]) {
    let (setup, upstream) = recorded().await;
    // A connection that goes on is closed when nothing follows; that ends the test of a row.
    let gateway = setup
        .tables("[bounds]\nkeep_alive = \"1s\"\nnext_head_timeout = \"1s\"")
        .start();
    let tries = rows.iter().enumerate().flat_map(|(number, row)| {
        [false, true].map(|followed| Try {
            row,
            first: format!("first-{number:03}-{followed:05}"),
            second: followed.then(|| format!("second-{number:03}")),
        })
    });
    let tries: Vec<Try<'_>> = tries.collect();
    for some in tries.chunks(32) {
        join_all(some.iter().map(|one| one.check(&gateway, &upstream))).await;
    }
    let seen = upstream.requests();
    assert!(!seen.is_empty(), "none of the rows came through");
    for request in seen {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!head.contains(SMUGGLED) && !body.contains(SMUGGLED));
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"));
        assert!(request.malformed.is_none(), "{head}");
    }
}

/// One row, sent once.
struct Try<'a> {
    row: &'a Row,
    first: String,
    second: Option<String>,
}

impl Try<'_> {
    async fn check(&self, gateway: &Gateway, upstream: &Simulator) {
        let answers = self.answers(gateway).await;
        let what = format!("{:?}, followed: {}", self.row.name, self.second.is_some());
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_is_refusal(answer, &what);
        }
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let expected = self.row.fate;
        match (expected, self.second.is_some(), statuses.as_slice()) {
            (Fate::Refused | Fate::Either, _, [400..500, rest @ ..]) => {
                assert!(
                    rest.iter().all(|status| *status >= 400),
                    "{what}: {statuses:?}"
                );
            }
            (Fate::Unfinished, _, [] | [400])
            | (Fate::Last | Fate::Either, _, [200])
            | (Fate::Accepted, false, [200])
            | (Fate::Accepted, true, [200, 200]) => {}
            _ => panic!("{what}: {expected:?} became {statuses:?}"),
        }
        let succeeded = statuses.iter().filter(|status| **status == 200).count();
        self.compare(upstream, succeeded, &what);
    }

    /// What arrived is what was answered, byte for byte.
    fn compare(&self, upstream: &Simulator, succeeded: usize, what: &str) {
        let mut expected = vec![marked(&self.first)];
        expected.extend(self.second.as_deref().map(marked));
        expected.truncate(succeeded);
        let of_this_try = |body: &str| {
            body.contains(&self.first)
                || self.second.as_ref().is_some_and(|mark| body.contains(mark))
        };
        let arrived: Vec<String> = upstream
            .requests()
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .filter(|body| of_this_try(body))
            .collect();
        assert_eq!(arrived, expected, "{what}");
    }

    /// Everything that is answered until the connection ends.
    async fn answers(&self, gateway: &Gateway) -> Vec<Answer> {
        let smuggled = marked(SMUGGLED);
        let smuggled = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{smuggled}",
            smuggled.len()
        );
        let mut bytes = self.row.bytes(&marked(&self.first), &smuggled);
        if let Some(second) = &self.second {
            bytes.extend(post(super::CHAT, &[], marked(second).as_bytes()));
        }
        let mut connection = Connection::open(gateway.address).await;
        connection.send(&bytes).await;
        if self.row.fate == Fate::Unfinished {
            connection.finish().await;
        }
        Answer::all(&connection.closed().await)
    }
}
