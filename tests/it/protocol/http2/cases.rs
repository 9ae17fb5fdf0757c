//! What must come of a sequence of frames?
//!
//! RFC 9113 says for each mistake whether it costs the stream or the connection, and often leaves
//! a choice. So a case says what is sent on a new connection and what may come of it; and
//! where the connection has to live, another request on it has to be answered.

use std::time::Duration;

use crate::kit::frames::{
    END_STREAM, Frames, NO_ERROR, PROTOCOL_ERROR, Told, begin, headers, post,
};
use crate::kit::gateway::Gateway;

use super::super::{CHAT, marked};

/// The stream of the request that has to be answered after all.
const FOLLOWING: u32 = 1_000_001;
/// How long a case that is not in order may take to show it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is sent on a new connection, and what must come of it.
pub(super) struct Case {
    name: &'static str,
    sent: Vec<u8>,
    then: Then,
    /// What comes of it instead, where h2 is not in order, and why that does no harm.
    but: Option<(Then, &'static str)>,
}

/// What comes of stream 1, or of its connection.
#[derive(Debug)]
pub(super) enum Then {
    /// The connection ends, for one of these reasons.
    Ends(&'static [u32]),
    /// As [`Then::Ends`], and the reason need not be told.
    Closes,
    /// The stream is reset, for one of these reasons. The connection may end for it as well:
    /// RFC 9113, 5.4.
    Resets(&'static [u32]),
    /// The stream is reset or refused with 400, or the connection ends: RFC 9113, 8.1.1.
    Malformed,
    /// Nothing.
    Ignored,
    /// It is answered with this status.
    Answers(u16),
    /// The stream is closed already: what comes may be ignored, or the connection may
    /// end for one of these reasons.
    IgnoredOrEnds(&'static [u32]),
}

use Then::{Answers, Closes, Ends, Ignored, IgnoredOrEnds, Malformed, Resets};

/// This is sent, and that must come of it.
pub(super) fn case(name: &'static str, sent: impl Into<Vec<u8>>, then: Then) -> Case {
    Case {
        name,
        sent: sent.into(),
        then,
        but: None,
    }
}

impl Case {
    /// This comes of it instead, and does no harm.
    pub(super) fn but(mut self, then: Then, why: &'static str) -> Self {
        self.but = Some((then, why));
        self
    }
}

/// A request for the list of models.
pub(super) fn list(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, begin("GET", "/v1/models"))
}

/// The head of a chat whose body is still to come.
pub(super) fn chat_head(stream: u32) -> Vec<u8> {
    headers(stream, 0, post(CHAT))
}

/// The body of a chat.
pub(super) fn question() -> Vec<u8> {
    marked("by frames").into_bytes()
}

/// Tries each on a connection of its own, and tells all that are not as they must be.
pub(super) async fn try_all(gateway: &Gateway, cases: Vec<Case>) {
    let count = cases.len();
    let mut wrong = Vec::new();
    for case in cases {
        let told = case.told(gateway).await;
        let is_right = case.then.is_seen(&told);
        let is_as_known = match &case.but {
            None => is_right,
            Some((instead, why)) => {
                println!(
                    "{}: {instead:?} instead of {:?}: {why}",
                    case.name, case.then
                );
                !is_right && instead.is_seen(&told)
            }
        };
        if !is_as_known {
            wrong.push(format!("{}: not {:?} but {told:?}", case.name, case.then));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

impl Case {
    async fn told(&self, gateway: &Gateway) -> Told {
        let mut client = match self.then {
            // It is the beginning that is tried.
            Closes => Frames::silent(gateway).await,
            _ => Frames::open(gateway).await,
        };
        client.offer(&self.sent).await;
        let (then, but) = (&self.then, self.but.as_ref().map(|(then, _)| then));
        let goes_on = but.unwrap_or(then).goes_on();
        if goes_on {
            client.offer(&list(FOLLOWING)).await;
        }
        let decided = |told: &Told| {
            let is_over = told.resets.contains_key(&1) || told.answered(1);
            let lives = told.answered(FOLLOWING);
            match but.unwrap_or(then) {
                Ignored | IgnoredOrEnds(_) => lives,
                Ends(_) | Closes => false,
                _ => lives && is_over,
            }
        };
        let reading = async { while !decided(&client.told) && client.next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, reading).await;
        client.told
    }
}

impl Then {
    /// Whether another request may be answered behind it.
    fn goes_on(&self) -> bool {
        !matches!(self, Ends(_) | Closes)
    }

    fn is_seen(&self, told: &Told) -> bool {
        let ended_for = |reasons: &[u32]| {
            told.closed && told.go_away.is_some_and(|reason| reasons.contains(&reason))
        };
        let reset = told.resets.get(&1);
        let status = told.statuses.get(&1);
        let lives =
            !told.closed && told.go_away.is_none() && told.statuses.get(&FOLLOWING) == Some(&200);
        match self {
            Ends(reasons) => ended_for(reasons),
            Closes => told.closed,
            Resets(reasons) => {
                lives && reset.is_some_and(|reason| reasons.contains(reason)) || ended_for(reasons)
            }
            Malformed => {
                let is_refused = reset == Some(&PROTOCOL_ERROR) || status == Some(&400);
                lives && is_refused || ended_for(&[PROTOCOL_ERROR])
            }
            Ignored => lives && told.resets.is_empty(),
            // What is left of its body is not wanted any more.
            Answers(expected) => {
                lives && status == Some(expected) && matches!(reset, None | Some(&NO_ERROR))
            }
            IgnoredOrEnds(reasons) => {
                let is_fine = reset.is_none_or(|reason| reasons.contains(reason));
                lives && is_fine || ended_for(reasons)
            }
        }
    }
}
