//! The way of a request.
//!
//! The modules stand in the order in which a request meets them. [`Gateway::serve`]
//! is the caller's side of it and [`Gateway::answer`] the upstreams' side; each
//! line there is one question to one step, and no step calls another.

/// What was called?
pub mod door;
/// Who is asking?
pub mod client;
/// May they ask at all now?
pub mod limit;
/// Is there memory for more?
pub mod pressure;
/// What did they send?
pub mod body;
/// What is asked?
pub mod inspect;
/// Who may answer?
pub mod route;
/// Is the answer here, or on its way?
pub mod cache;
/// Who answers, in fact?
pub mod exchange;
/// How does it reach the client?
pub mod relay;
/// What happened?
pub mod record;

/// Where does one request stand?
mod visit;
/// Who works for everybody who asks the same?
mod work;
/// Which errors can a client see?
pub mod refusal;
/// Who could answer, and in which state are they?
pub mod pools;
/// What have all replicas together let in?
pub mod shared;
/// How is a model's name replaced in a body?
pub mod splice;
/// In which protocol does a caller ask?
pub mod idiom;
/// What do other protocols look like as OpenAI's?
pub mod dialect;
/// Which generated images are kept, and where?
pub mod images;
/// Which models are there?
pub mod models;
/// What is here for people, and for the programs that read for them?
pub mod pages;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use pingora_core::protocols::http::ServerSession;
use pingora_core::upstreams::peer::HttpPeer;

use crate::config::Modality;
use crate::fail_point::{Phase, reach};
use crate::operation::Operation;
use crate::phase::Outlook;
use crate::snapshot::Snapshot;
use crate::sys;
use crate::telemetry::RequestLog;
use body::Budget;
use cache::Cache;
use cache::flights::Flights;
use client::Client;
use door::Endpoint;
use exchange::{Exchange, Question};
use images::ImageStore;
use limit::Limiter;
use limit::heaviest::Heaviest;
use record::RequestRecord;
use record::id::RequestId;
use record::journal::Journal;
use record::metrics::Metrics;
use record::outcome::arriving::Spoken;
use record::usage::Usage;
use record::witness::Witness;
use refusal::Refusal;
use relay::departure::Departure;
use relay::head::Common;
use visit::kept::Sought;
use visit::shown::Shown;
use visit::{Unanswered, Visit};
use work::boarding::{Boarding, Turn};
use work::{Came, Landed};

/// The caller's own id of its request.
const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

/// Serves requests: what is in force, and what outlives it.
pub struct Gateway {
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Generated images.
    pub images: Arc<ImageStore>,
    /// Those of them that are on their way.
    shown: Shown,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Bytes of bodies held, of requests and of answers.
    pub bodies: Arc<Budget>,
    /// Whether there is memory for more.
    pub memory: pressure::Memory,
    /// Who has had how much.
    pub limiter: Limiter,
    /// Answers that are kept.
    pub cache: Cache,
    /// Who asks for most.
    pub heaviest: Heaviest,
    /// Who has used how much.
    pub usage: Usage,
    /// What happened.
    pub journal: Journal,
    /// Whether the process goes on.
    pub outlook: Outlook,
    exchange: Exchange,
    flights: Arc<Flights<Arc<Landed>>>,
    process_id: u64,
    requests: AtomicU64,
}

impl Gateway {
    /// A gateway that serves this snapshot.
    #[must_use]
    pub fn new(
        snapshot: Snapshot,
        images: Arc<ImageStore>,
        metrics: Arc<Metrics>,
        log: RequestLog,
    ) -> Self {
        Self {
            limiter: Limiter::new(&snapshot.config.limiter, sys::hasher(), sys::now()),
            cache: Cache::new(&snapshot.config),
            journal: Journal::new(log, &snapshot.log, std::array::from_fn(|_| sys::random())),
            snapshot: ArcSwap::from_pointee(snapshot),
            images,
            shown: Shown::default(),
            metrics,
            bodies: Arc::default(),
            memory: pressure::Memory::default(),
            heaviest: Heaviest::new(sys::instant()),
            usage: Usage::new(sys::now().wall),
            outlook: Outlook::default(),
            exchange: Exchange::default(),
            flights: Arc::default(),
            process_id: sys::random(),
            requests: AtomicU64::new(1),
        }
    }

    /// The same, with so many idle upstream connections of each version of HTTP at most.
    #[must_use]
    pub fn keeping_idle(mut self, idle_max: usize) -> Self {
        self.exchange = Exchange::new(idle_max);
        self
    }

    /// Answers on their way that others may share.
    #[must_use]
    pub fn flights_open(&self) -> i64 {
        i64::try_from(self.flights.open()).unwrap_or(i64::MAX)
    }

    /// Connections to upstreams that no request is on.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.exchange.idle_connections()
    }

    /// Closes the upstream connections to a peer that no request is on.
    pub fn close_idle(&self, peer: &HttpPeer) {
        self.exchange.close_idle(peer);
    }

    /// Serves one request whose head has been read.
    ///
    /// True where the answer is complete and the connection can go on.
    pub async fn serve(
        self: &Arc<Self>,
        session: &mut ServerSession,
        departure: &mut Departure,
        peer: Option<IpAddr>,
        tls: bool,
    ) -> bool {
        let mut visit = self.begin(session, departure, peer);
        visit.trace(tls);
        let _witness = Witness::of(&visit.record.id, &self.metrics);
        let entered = visit.enter().and_then(|endpoint| {
            visit.admit(&endpoint)?;
            Ok(endpoint)
        });
        let is_asked = matches!(entered, Ok(Endpoint::Operation(_) | Endpoint::Messages));
        let served = match entered {
            Ok(Endpoint::Operation(operation)) => self.ask(&mut visit, operation, tls).await,
            Ok(Endpoint::Messages) => self.ask(&mut visit, Operation::Chat, tls).await,
            Ok(Endpoint::Models) => visit.models().await,
            Ok(Endpoint::Model(id)) => visit.model(&id).await,
            Ok(Endpoint::Image(id)) => {
                visit
                    .image((&self.images, &self.shown), &id, &self.bodies)
                    .await
            }
            Ok(Endpoint::Page(page)) => visit.page(page).await,
            Ok(Endpoint::Preflight(wished)) => visit.preflight(wished.as_ref()).await,
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(unanswered) = served {
            Box::pin(visit.unanswered(unanswered)).await;
        }
        reach(Phase::Record, visit.record.id.as_str());
        let now = sys::instant();
        visit.settle(now);
        if is_asked {
            self.heaviest
                .note(&visit.record.client, visit.record.tokens(), now);
            let costs = &visit.snapshot.config.costs;
            self.usage.note(&visit.record, costs, now);
        }
        visit.export(now);
        visit.finish(now, &self.metrics, &self.journal)
    }

    /// Answers a head that could not be read.
    pub async fn refuse_head(
        &self,
        session: &mut ServerSession,
        departure: &mut Departure,
        peer: Option<IpAddr>,
        refusal: Refusal,
    ) {
        let mut record = RequestRecord::begin(sys::now(), self.next_id(), Client::new(peer));
        record.endpoint = "malformed";
        let snapshot = self.snapshot.load_full();
        let (id, origin) = (record.id.clone(), snapshot.rules.allow_unknown_origin());
        let common = Common::new(id, origin, true, snapshot.version_header.clone());
        // Nobody knows where the next request would begin.
        session.set_keepalive(None);
        let mut visit = Visit::new(session, snapshot, common, record, departure);
        visit.unanswered(Unanswered::Refused(refusal)).await;
        visit.finish(sys::instant(), &self.metrics, &self.journal);
    }

    /// What a model is asked: read, understood, routed, answered, delivered.
    async fn ask<'v>(
        self: &'v Arc<Self>,
        visit: &mut Visit<'v>,
        operation: Operation,
        tls: bool,
    ) -> Result<(), Unanswered> {
        let snapshot = Arc::clone(&visit.snapshot);
        reach(Phase::Door, visit.record.id.as_str());
        visit.permit(&self.limiter, self.memory.pressure())?;
        let (body, boundary) = visit.body(&self.bodies, operation.question()).await?;
        let (body, original) = visit.understood(operation, body)?;
        visit.hear_question(&body, original.as_ref(), boundary.is_none());
        reach(Phase::Body, visit.record.id.as_str());
        let ask = visit.inspected(operation, &body, boundary)?;
        let plan = snapshot.router.route(&ask.model);
        let plan = plan.ok_or_else(|| Refusal::unknown_model(&ask.model))?;
        visit.record.plan = Some(Arc::clone(plan));
        visit.record.stream = ask.stream;
        let client = &visit.record.client;
        client.may_ask_for(&plan.model).map_err(Refusal::Client)?;
        if !plan.serves(operation) {
            return Err(Refusal::NotServed(operation).into());
        }
        // Before anything is counted: what is refused for its body counts in no limit.
        let image = match (plan.modality, operation) {
            (Modality::Image, Operation::Chat) => {
                Some(inspect::image::image_ask(&body, &ask).map_err(Refusal::Body)?)
            }
            _ => None,
        };
        let shows_images = plan.shows_images && operation == Operation::Chat;
        let base_url = || snapshot.rules.base_url(visit.session.req_header(), tls);
        let base_url = shows_images.then(base_url);
        visit.reserve(&self.limiter, plan, &ask, &body).await?;
        reach(Phase::Route, visit.record.id.as_str());
        let question = Arc::new(Question {
            plan: Arc::clone(plan),
            ask,
            body,
            original,
            beta: visit.beta(),
            id: visit.record.id.clone(),
            client: visit.record.client.id().key(),
            key: visit.record.client.key.clone(),
            deadline: visit.record.began() + plan.request_timeout(),
            attempts: Arc::clone(&snapshot.attempts),
            image,
            base_url,
            trace: visit.record.trace.clone(),
        });
        let sought = visit.look_up(&self.cache, &self.images, &question);
        if let Some(found) = &sought.found {
            if sought.is_to_be_renewed() {
                self.renew(&question, &sought);
            }
            if visit.deliver_kept(found, sought.form).await {
                return Ok(());
            }
        }
        // Apart, so that an answer from memory does not carry the room for asking an upstream.
        Box::pin(self.answer(visit, question, sought)).await
    }

    /// What the upstreams say, to whoever asks or to somebody who asks the same; for as long
    /// as the client waits.
    async fn answer(
        self: &Arc<Self>,
        visit: &mut Visit<'_>,
        question: Arc<Question>,
        sought: Sought,
    ) -> Result<(), Unanswered> {
        let mut before = None;
        for turn in Turn::ALL {
            let boarding = self.board(&question, &sought, turn, before.take().as_ref());
            let seat = match boarding {
                Boarding::Seat(seat) => seat,
                Boarding::Landed(found) if visit.deliver_kept(&found, sought.form).await => {
                    return Ok(());
                }
                Boarding::Landed(_) => continue,
            };
            let (landed, seat) = visit.wait(seat, &question).await?;
            let seat = &*before.insert(seat);
            visit.came_of_it(&landed, seat, sought.why);
            let given = match &landed.answer {
                Ok(Came::Given(given)) => given,
                Ok(Came::Kept(found)) if visit.deliver_kept(found, sought.form).await => {
                    return Ok(());
                }
                Ok(Came::Kept(_)) => continue,
                Err(refusal) if turn == Turn::First && seat.joins() && refusal.may_pass() => {
                    continue;
                }
                Err(refusal) => {
                    let spare = sought.spare.as_ref().filter(|_| refusal.may_pass());
                    return match spare {
                        Some(spare) if visit.deliver_kept(spare, sought.form).await => Ok(()),
                        _ => Err(refusal.clone().into()),
                    };
                }
            };
            if !visit.may_have(given, seat, &question) {
                continue;
            }
            let taken = match given.take(seat) {
                Some(taken) => visit.in_form(taken, sought.form, seat, &question).await?,
                None => None,
            };
            let Some(taken) = taken else {
                seat.flight.close();
                continue;
            };
            // A stream may last; what it was asked with need not.
            drop(question);
            reach(Phase::Deliver, visit.record.id.as_str());
            visit.deliver(given, taken, seat, &self.metrics).await;
            return Ok(());
        }
        Err(Refusal::Internal.into())
    }

    fn begin<'a>(
        &self,
        session: &'a mut ServerSession,
        departure: &'a mut Departure,
        peer: Option<IpAddr>,
    ) -> Visit<'a> {
        let snapshot = self.snapshot.load_full();
        let head = session.req_header();
        let heads = &self.metrics.arriving;
        heads.heads(Spoken::of(head.version)).inc();
        let sent = head.headers.get(REQUEST_ID).and_then(RequestId::accept);
        let id = sent.unwrap_or_else(|| self.next_id());
        let origin = snapshot.rules.allow_origin(head);
        let chunks = head.version != http::Version::HTTP_10;
        let common = Common::new(id.clone(), origin, chunks, snapshot.version_header.clone());
        let client = snapshot.clients.behind(peer, head);
        let mut record = RequestRecord::begin(sys::now(), id, client);
        record.user_agent = snapshot.log.user_agent(&head.headers);
        Visit::new(session, snapshot, common, record, departure)
    }

    fn next_id(&self) -> RequestId {
        RequestId::made(
            self.process_id,
            self.requests.fetch_add(1, Ordering::Relaxed),
        )
    }
}
