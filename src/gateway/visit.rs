//! Where does one request stand?
//!
//! A request on its way: its session, the snapshot it began with, and what is
//! learned about it for the record. Each method here asks one step and writes down
//! what it says; `gateway.rs` decides in which order.

/// What does it say, whatever protocol it is asked in?
mod understood;
/// May it come in, and how much is left for its caller?
mod entry;
/// How does an answer leave?
mod deliver;
/// Why was it answered like this?
mod explained;
/// Is it answered from memory?
pub(super) mod kept;
/// What is answered without asking anybody?
mod own;
/// Which images are on their way to somebody?
pub(in crate::gateway) mod shown;
/// What did it use in the end?
mod settlement;
/// What does a trace learn of it?
mod traced;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_http::{RequestHeader, ResponseHeader};

use crate::gateway::body::{self, BodyError, Budget, Held};
use crate::gateway::door::boundary::Boundary;
use crate::gateway::door::{Endpoint, Rules};
use crate::gateway::exchange::Question;
use crate::gateway::idiom::Idiom;
use crate::gateway::limit::stay::Stay;
use crate::gateway::record::journal::Journal;
use crate::gateway::record::metrics::Metrics;
use crate::gateway::record::outcome::Shed;
use crate::gateway::record::outcome::called::Called;
use crate::gateway::record::{BEFORE_FIRST_EVENT, Outcome, RequestRecord};
use crate::gateway::refusal::Refusal;
use crate::gateway::relay::departure::{Departure, Parting};
use crate::gateway::relay::head::Common;
use crate::gateway::relay::{self, Delivered, Delivery, Opening};
use crate::gateway::route::Plan;
use crate::gateway::work::Landed;
use crate::gateway::work::boarding::Seat;
use crate::operation;
use crate::phase::Phase;
use crate::snapshot::Snapshot;
use crate::sys;

/// How a request did not come to an answer.
pub(super) enum Unanswered {
    /// It was refused.
    Refused(Refusal),
    /// The client left; in what state the answer was is in the record.
    Gone,
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Parting> for Unanswered {
    fn from(parting: Parting) -> Self {
        match parting {
            Parting::Client => Self::Gone,
            Parting::Process => Self::Refused(Refusal::Stopping),
        }
    }
}

/// One request on its way: its session, and what is learned about it.
pub(super) struct Visit<'a> {
    pub(super) session: &'a mut ServerSession,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) common: Common,
    pub(super) record: RequestRecord,
    /// The head of a stream has left before there was an answer.
    pub(super) head_sent: bool,
    /// An answer was delivered to its end.
    pub(super) orderly: bool,
    /// Whether there is still a reason to go on.
    pub(super) departure: &'a mut Departure,
    /// How many attempts it is told of: its own, or those of whom it waited with.
    attempts: usize,
    /// It has left work that goes on for others, who pay nothing for it.
    owes: bool,
    /// In which protocol it is told what was answered, whatever is answered in between.
    told_in: Idiom,
    /// How many tokens its question is taken for.
    question_tokens: u64,
    /// And its answer, where that is no text of which tokens could be counted.
    answer_tokens: Option<u64>,
    /// How many images it asks for.
    images: u32,
    /// What it holds while it is answered.
    stay: Stay<'a>,
}

impl<'a> Visit<'a> {
    /// A request of which nothing is known yet but its head.
    pub(super) fn new(
        session: &'a mut ServerSession,
        snapshot: Arc<Snapshot>,
        common: Common,
        record: RequestRecord,
        departure: &'a mut Departure,
    ) -> Self {
        departure.begin(record.began());
        Self {
            session,
            snapshot,
            common,
            record,
            head_sent: false,
            orderly: false,
            departure,
            attempts: 0,
            owes: false,
            told_in: Idiom::default(),
            question_tokens: 0,
            answer_tokens: None,
            images: 0,
            stay: Stay::default(),
        }
    }

    /// What was called, where the head may come in.
    pub(super) fn enter(&mut self) -> Result<Endpoint, Refusal> {
        let raw = raw_head(self.session);
        let head = self.session.req_header();
        self.common.idiom = Rules::idiom(head);
        self.look_whether_why();
        let head = self.session.req_header();
        let entered = self.snapshot.rules.enter(head, raw.as_deref());
        if entered.is_err() {
            self.record.refused = Some(in_short(&head.method, head.uri.path()));
        }
        let is_soon_over = Rules::is_soon_over(head);
        if entered == Err(Refusal::HeadersTooLarge) {
            forget_fields(self.session);
        }
        let endpoint = entered?;
        self.record.endpoint = endpoint.name();
        self.record.called = Called::from(&endpoint);
        if is_soon_over {
            // Where it is answered before it is read, the connection need not end.
            self.session
                .set_close_on_response_before_downstream_finish(false);
        }
        Ok(endpoint)
    }

    /// The whole body, where it may come in and there is room for it.
    pub(super) async fn body(
        &mut self,
        budget: &Arc<Budget>,
        question: operation::Question,
    ) -> Result<(Held, Option<Boundary>), Unanswered> {
        let raw = raw_head(self.session);
        let framing =
            self.snapshot
                .rules
                .body(self.session.req_header(), raw.as_deref(), question)?;
        if framing.length.is_none() {
            // Parsers disagree about chunks, pingora's takes a line feed inside an extension:
            // nothing behind such a body is taken for a request. HTTP/2 is not concerned.
            self.session.set_keepalive(None);
        }
        let bounds = &self.snapshot.config.bounds;
        let asked = sys::instant();
        let body = tokio::select! {
            biased;
            body = body::read(self.session, framing, bounds, budget, sys::instant) => body,
            () = self.departure.outlook.reached(Phase::Over) => return Err(Refusal::Stopping.into()),
        };
        self.record.body = sys::instant() - asked;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge { .. } => Refusal::BodyTooLarge.into(),
            BodyError::TooSlow { .. } => Refusal::BodyTimeout.into(),
            BodyError::Malformed(_) => Refusal::MalformedBody.into(),
            BodyError::NoRoom { .. } => {
                self.record.shed = Some(Shed::Bodies);
                Refusal::Overloaded.into()
            }
            BodyError::Gone { .. } => Unanswered::Gone,
        })?;
        self.record.bytes_in = body.len() as u64;
        Ok((body, framing.boundary))
    }

    /// When the caller does not wait any longer, if it says so: earlier than the plan allows.
    pub(super) fn patience(&self, plan: &Plan) -> Option<Instant> {
        let waits = self.snapshot.rules.patience(self.session.req_header())?;
        (waits < plan.request_timeout()).then(|| self.record.began() + waits)
    }

    /// Waits for what comes of the work.
    pub(super) async fn wait(
        &mut self,
        seat: Seat,
        question: &Question,
    ) -> Result<(Arc<Landed>, Seat), Unanswered> {
        let Some(trail) = seat.trail.clone() else {
            let since = sys::instant();
            let landed = self.land(&seat, question).await;
            self.record.upstream = sys::instant().saturating_duration_since(since);
            return landed.map(|landed| (landed, seat));
        };
        let landed = self.land(&seat, question).await;
        match landed {
            Ok(landed) => {
                (self.record.attempts, self.record.upstream) = trail.take_parts();
                Ok((landed, seat))
            }
            Err(unanswered) => {
                self.leave(&seat);
                // The last one to leave ends the work, and the trail tells of that.
                drop(seat);
                (self.record.attempts, self.record.upstream) = trail.parts();
                self.attempts = self.record.attempts.len();
                Err(unanswered)
            }
        }
    }

    /// Waits, for no longer than the client says that it does, and tells one whose stream
    /// waits that work goes on.
    async fn land(&mut self, seat: &Seat, question: &Question) -> Result<Arc<Landed>, Unanswered> {
        let mut landing = seat.flight.landing();
        let patience = self.patience(&question.plan);
        // Work of its own knows when it must be over.
        let patience = patience.or(seat.joins().then_some(question.deadline));
        let comment_after = question.attempts.comment_after;
        // Behind a stream's head no answer can come that is whole.
        let is_told = question.ask.stream && !question.ask.operation.may_ignore_stream();
        loop {
            // In blocks, so that no timer is made where nothing waits for it.
            tokio::select! {
                biased;
                landed = &mut landing => return Ok(landed),
                parting = self.departure.watch(self.session) => return Err(parting.into()),
                () = async {
                    if let Some(patience) = patience {
                        tokio::time::sleep_until(patience.into()).await;
                    }
                }, if patience.is_some() => return Err(Refusal::UpstreamTimeout.into()),
                () = async { tokio::time::sleep(comment_after).await }, if is_told => {
                    if !self.comment().await {
                        return Err(Unanswered::Gone);
                    }
                }
            }
        }
    }

    async fn whole(&mut self, head: ResponseHeader, body: Bytes) {
        self.stay.release();
        self.record.status = head.status.as_u16();
        self.no_further_request_if_leaving();
        let delivered = relay::whole(self.session, head, body).await;
        self.delivered(&delivered);
    }

    /// Tells a client whose stream waits that work goes on.
    async fn comment(&mut self) -> bool {
        let unsent = !self.head_sent;
        let opening = self.opening(unsent.then(|| self.common.stream(None)));
        self.head_sent = true;
        self.record.status = 200;
        self.no_further_request_if_leaving();
        relay::comment(self.session, opening).await
    }

    /// What a stream begins with, and how its caller is told anything beside it.
    fn opening(&self, head: Option<ResponseHeader>) -> Opening {
        Opening {
            head,
            voice: self.common.voice(),
        }
    }

    /// Tells in the head that the next request needs another connection, while there is
    /// somebody to tell it. HTTP/2 has a frame for this, which pingora sends.
    fn no_further_request_if_leaving(&mut self) {
        if self.departure.outlook.is_leaving() {
            self.session.set_keepalive(None);
        }
    }

    fn tokens(&mut self, usage: Option<crate::openai::Usage>) {
        self.record.tokens_in = usage.map(|usage| usage.prompt_tokens);
        self.record.tokens_out = usage.map(|usage| usage.answer_tokens());
        self.record.tokens_cached = usage.map(|usage| usage.cached_tokens);
    }

    /// Ends a request that has no answer: with a status, or, behind a head that
    /// already left, with an event.
    pub(super) async fn unanswered(&mut self, unanswered: Unanswered) {
        let Unanswered::Refused(refusal) = unanswered else {
            self.record.outcome = Outcome::ClientGone;
            self.record.status = 499;
            return;
        };
        self.settle(sys::instant());
        let envelope = refusal.envelope();
        self.record.code = Some(match refusal {
            Refusal::UpstreamRefused(_) => "upstream_refused".to_owned(),
            _ => envelope.code.clone().unwrap_or_default().into_owned(),
        });
        self.record.outcome = match envelope.status.as_u16() {
            _ if refusal == Refusal::Stopping => Outcome::Refused,
            _ if refusal == Refusal::NoHealthyUpstream => Outcome::UpstreamFailed,
            429 | 500.. if self.attempts > 0 => Outcome::UpstreamFailed,
            _ => Outcome::Refused,
        };
        if self.head_sent {
            self.record.outcome = Outcome::StreamBroken(BEFORE_FIRST_EVENT);
            self.stay.release();
            let event = self.common.voice().refusal_event(&refusal);
            let delivered = relay::failed_stream(self.session, event).await;
            return self.delivered(&delivered);
        }
        if refusal == Refusal::UnknownPath && self.page_is_not_here().await {
            return;
        }
        self.look_what_is_left();
        self.explain(None, envelope.code.as_deref());
        let body = self.common.voice().refusal(&envelope);
        let head = self
            .common
            .refusal(&refusal, envelope.status, body.len(), self.attempts);
        self.whole(head, body).await;
    }

    /// Ends it: what happened is counted and written down. True where the connection can go on.
    pub(super) fn finish(self, now: Instant, metrics: &Metrics, journal: &Journal) -> bool {
        let policy = &self.snapshot.log;
        self.record.finish(now, metrics, journal, policy);
        self.orderly
    }

    fn delivered(&mut self, delivered: &Delivered) {
        self.record.bytes_out = delivered.bytes;
        self.record.first_byte = delivered.first_byte;
        match delivered.how {
            Delivery::Complete => self.orderly = true,
            Delivery::Broken(broken) => {
                self.orderly = delivered.orderly;
                self.record.outcome = Outcome::StreamBroken(broken.as_str());
                let told = relay::told_of(broken).filter(|_| delivered.orderly);
                let code = told.and_then(|refusal| refusal.envelope().code);
                self.record.code = code.map(Cow::into_owned);
            }
            Delivery::Gone => {
                self.record.outcome = Outcome::ClientGone;
                self.record.status = 499;
            }
        }
    }
}

/// The head as it came, for HTTP/1.
fn raw_head(session: &ServerSession) -> Option<Bytes> {
    session
        .as_http1()
        .map(pingora_core::protocols::http::v1::server::HttpSession::get_headers_raw_bytes)
}

/// Lets go of the fields of a head in HTTP/2, each of which may have come as a byte: its answer may
/// have to wait for a window.
fn forget_fields(session: &mut ServerSession) {
    if session.is_http2() {
        let head = session.req_header_mut();
        let mut bare = http::Request::new(()).into_parts().0;
        bare.method = head.method.clone();
        bare.uri = head.uri.clone();
        bare.version = head.version;
        *head = RequestHeader::from(bare);
    }
}

/// Method and path for the log: printable, and not long.
fn in_short(method: &http::Method, path: &str) -> String {
    let text = format!("{method} {path}");
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(128).collect()
}
