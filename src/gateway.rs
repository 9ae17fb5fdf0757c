//! The way of a request.
//!
//! The modules stand in the order in which a request meets them. [`Gateway::serve`]
//! is the caller's side of it and [`Gateway::answer`] the upstreams' side; each
//! line there is one question to one step, and no step calls another.

/// What was called?
pub mod door;
/// Who is asking?
pub mod client;
/// What did they send?
pub mod body;
/// What is asked?
pub mod inspect;
/// Who may answer?
pub mod route;
/// Who answers, in fact?
pub mod exchange;
/// How does it reach the client?
pub mod relay;
/// What happened?
pub mod record;

/// Which errors can a client see?
pub mod refusal;
/// Who could answer, and in which state are they?
pub mod pools;
/// How is a model's name replaced in a body?
pub mod splice;
/// What do other protocols look like as OpenAI's?
pub mod dialect;
/// Which generated images are kept, and where?
pub mod images;
/// Which models are there?
pub mod models;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::IF_NONE_MATCH;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;

use crate::config::Modality;
use crate::snapshot::Snapshot;
use crate::sys;
use crate::telemetry::RequestLog;
use body::BodyError;
use client::ClientId;
use door::Endpoint;
use exchange::{Answer, Body, Exchange, ImageQuestion, Question, Trail};
use images::ImageStore;
use record::metrics::Metrics;
use record::{Outcome, RequestId, RequestRecord};
use refusal::Refusal;
use relay::head::{Common, Provenance};
use relay::{Delivered, Delivery};

/// How long the stream of an image model is silent before it is told that work goes on.
const COMMENT_AFTER: Duration = Duration::from_secs(3);

/// Serves requests: what is in force, and what outlives it.
pub struct Gateway {
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Generated images.
    pub images: Arc<ImageStore>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    exchange: Exchange,
    log: RequestLog,
    process_id: u64,
    requests: AtomicU64,
}

/// How a request did not come to an answer.
enum Unanswered {
    Refused(Refusal),
    /// The client left; in what state the answer was is in the record.
    Gone,
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// One request on its way: its session, and what is learned about it.
struct Visit<'a> {
    session: &'a mut ServerSession,
    snapshot: Arc<Snapshot>,
    common: Common,
    record: RequestRecord,
    /// The head of a stream has left before there was an answer.
    head_sent: bool,
    /// An answer was delivered to its end.
    orderly: bool,
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
            snapshot: ArcSwap::from_pointee(snapshot),
            images,
            metrics,
            exchange: Exchange::new(),
            log,
            process_id: sys::random(),
            requests: AtomicU64::new(1),
        }
    }

    /// Lines of the request log that were dropped since the start.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// Serves one request whose head has been read.
    ///
    /// True where the answer is complete and the connection can go on.
    pub async fn serve(
        &self,
        session: &mut ServerSession,
        peer: Option<IpAddr>,
        tls: bool,
    ) -> bool {
        let _in_flight = self.count_in_flight();
        let mut visit = self.begin(session, peer);
        let served = match visit.enter() {
            Ok(Endpoint::ChatCompletions) => self.chat(&mut visit, tls).await,
            Ok(Endpoint::Models) => visit.models().await,
            Ok(Endpoint::Model(id)) => visit.model(&id).await,
            Ok(Endpoint::Image(id)) => visit.image(&self.images, &id).await,
            Ok(Endpoint::Preflight(wished)) => visit.preflight(wished.as_ref()).await,
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(unanswered) = served {
            visit.unanswered(unanswered).await;
        }
        visit
            .record
            .finish(sys::instant(), &self.metrics, &self.log);
        visit.orderly
    }

    /// Answers a head that could not be read.
    pub async fn refuse_head(
        &self,
        session: &mut ServerSession,
        peer: Option<IpAddr>,
        refusal: Refusal,
    ) {
        let mut record = RequestRecord::begin(sys::now(), self.next_id(), ClientId::new(peer));
        record.endpoint = "malformed";
        let common = Common {
            id: record.id.clone(),
            origin: door::AllowOrigin::Any,
            chunks: true,
        };
        let snapshot = self.snapshot.load_full();
        let mut visit = Visit {
            session,
            snapshot,
            common,
            record,
            head_sent: false,
            orderly: false,
        };
        visit.unanswered(Unanswered::Refused(refusal)).await;
        visit
            .record
            .finish(sys::instant(), &self.metrics, &self.log);
    }

    /// A chat completion: read, understood, routed, answered, delivered.
    async fn chat(&self, visit: &mut Visit<'_>, tls: bool) -> Result<(), Unanswered> {
        let snapshot = Arc::clone(&visit.snapshot);
        let body = visit.body().await?;
        let ask = inspect::inspect(&body, &snapshot.bounds).map_err(Refusal::Body)?;
        let plan = snapshot.router.route(&ask.model);
        let plan = plan.ok_or_else(|| Refusal::UnknownModel(echo(&ask.model)))?;
        visit.record.plan = Some(Arc::clone(plan));
        visit.record.stream = ask.stream;
        let image = match plan.modality {
            Modality::Text => None,
            Modality::Image => Some(ImageQuestion {
                ask: inspect::image::image_ask(&body, &ask).map_err(Refusal::Body)?,
                base_url: snapshot.rules.base_url(visit.session.req_header(), tls),
            }),
        };
        let question = Question {
            plan: Arc::clone(plan),
            ask,
            body,
            id: visit.record.id.clone(),
            attempts: snapshot.config.attempts.clone(),
            deadline: visit.record.began() + plan.request_timeout(),
            image,
        };
        let answer = self.answer(visit, &question).await?;
        visit.deliver(&question, answer, &self.metrics).await;
        Ok(())
    }

    /// What the upstreams say, for as long as the client waits.
    async fn answer(
        &self,
        visit: &mut Visit<'_>,
        question: &Question,
    ) -> Result<Answer, Unanswered> {
        let mut trail = Trail::default();
        let answered = {
            let asked = self.exchange.run(question, &self.images, &mut trail);
            tokio::pin!(asked);
            let waits_for_image = question.ask.stream && question.plan.modality == Modality::Image;
            loop {
                tokio::select! {
                    biased;
                    answer = &mut asked => break answer.map_err(Unanswered::Refused),
                    () = relay::gone(visit.session) => break Err(Unanswered::Gone),
                    () = tokio::time::sleep(COMMENT_AFTER), if waits_for_image => {
                        if !visit.comment().await {
                            break Err(Unanswered::Gone);
                        }
                    }
                }
            }
        };
        visit.record.attempts = trail.attempts;
        visit.record.upstream = trail.upstream;
        answered
    }

    fn begin<'a>(&self, session: &'a mut ServerSession, peer: Option<IpAddr>) -> Visit<'a> {
        let snapshot = self.snapshot.load_full();
        let head = session.req_header();
        let sent = head.headers.get("x-request-id").and_then(RequestId::accept);
        let id = sent.unwrap_or_else(|| self.next_id());
        let common = Common {
            id: id.clone(),
            origin: snapshot.rules.allow_origin(head),
            chunks: head.version != http::Version::HTTP_10,
        };
        let record = RequestRecord::begin(sys::now(), id, ClientId::new(peer));
        Visit {
            session,
            snapshot,
            common,
            record,
            head_sent: false,
            orderly: false,
        }
    }

    fn next_id(&self) -> RequestId {
        RequestId::made(
            self.process_id,
            self.requests.fetch_add(1, Ordering::Relaxed),
        )
    }

    fn count_in_flight(&self) -> impl Drop + use<> {
        struct Guard(prometheus::IntGauge);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.dec();
            }
        }
        self.metrics.in_flight.inc();
        Guard(self.metrics.in_flight.clone())
    }
}

impl Visit<'_> {
    /// What was called, where the head may come in.
    fn enter(&mut self) -> Result<Endpoint, Refusal> {
        let raw = raw_head(self.session);
        let endpoint = self
            .snapshot
            .rules
            .enter(self.session.req_header(), raw.as_deref())?;
        self.record.endpoint = endpoint.name();
        Ok(endpoint)
    }

    /// The whole body, where it may come in.
    async fn body(&mut self) -> Result<Bytes, Unanswered> {
        let raw = raw_head(self.session);
        let framing = self
            .snapshot
            .rules
            .body(self.session.req_header(), raw.as_deref())?;
        let limits = &self.snapshot.config.limits;
        let body = body::read(self.session, framing, limits, sys::instant).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge { .. } => Refusal::BodyTooLarge.into(),
            BodyError::TooSlow { .. } => Refusal::BodyTimeout.into(),
            BodyError::Malformed(_) => Refusal::MalformedBody.into(),
            BodyError::Gone { .. } => Unanswered::Gone,
        })?;
        if framing.length.is_none() && body.is_empty() {
            // A parser that takes an empty line for a chunk of no bytes is not to be
            // trusted with what follows it.
            self.session.set_keepalive(None);
        }
        self.record.bytes_in = body.len() as u64;
        Ok(body)
    }

    async fn models(&mut self) -> Result<(), Unanswered> {
        let list = self.snapshot.models.list().clone();
        self.own_json(list).await
    }

    async fn model(&mut self, id: &str) -> Result<(), Unanswered> {
        let one = self.snapshot.models.one(id).cloned();
        let one = one.ok_or_else(|| Refusal::UnknownModel(echo(id)))?;
        self.own_json(one).await
    }

    async fn own_json(&mut self, json: Bytes) -> Result<(), Unanswered> {
        let head = self
            .common
            .own_json(json.len())
            .map_err(|_| Refusal::Internal)?;
        self.whole(head, json).await;
        Ok(())
    }

    async fn image(&mut self, images: &ImageStore, id: &str) -> Result<(), Unanswered> {
        let stored = images
            .read(id, self.record.began_wall())
            .await
            .map_err(|error| {
                tracing::error!(%error, "image not read");
                Refusal::Internal
            })?;
        let image = stored.ok_or(Refusal::UnknownImage)?;
        let asked = self.session.get_header(IF_NONE_MATCH);
        let known = asked.is_some_and(|tags| lists_tag(tags.as_bytes(), &image.etag));
        let head = self
            .common
            .image(image.content_type, &image.etag, image.bytes.len(), known)
            .map_err(|_| Refusal::Internal)?;
        self.whole(head, if known { Bytes::new() } else { image.bytes })
            .await;
        Ok(())
    }

    async fn preflight(&mut self, wished: Option<&http::HeaderValue>) -> Result<(), Unanswered> {
        let head = self
            .common
            .preflight(wished)
            .map_err(|_| Refusal::Internal)?;
        self.whole(head, Bytes::new()).await;
        Ok(())
    }

    async fn whole(&mut self, head: ResponseHeader, body: Bytes) {
        self.record.status = head.status.as_u16();
        let delivered = relay::whole(self.session, head, body).await;
        self.delivered(&delivered);
    }

    /// Tells a client whose stream waits that work goes on.
    async fn comment(&mut self) -> bool {
        let head = if self.head_sent {
            None
        } else {
            match self.common.stream(None) {
                Ok(head) => Some(head),
                Err(_) => return false,
            }
        };
        self.head_sent = true;
        self.record.status = 200;
        relay::comment(self.session, head).await
    }

    /// Sends an answer and gives its upstream's connection back.
    async fn deliver(&mut self, question: &Question, answer: Answer, metrics: &Metrics) {
        let Some(leg) = question.plan.legs.get(answer.leg) else {
            return;
        };
        self.record.leg = Some(Arc::clone(&leg.metrics));
        self.record.status = 200;
        let provenance = Provenance {
            model: question.plan.model.as_str(),
            pool: leg.pool.name.as_str(),
            attempts: self.record.attempts.len(),
            gateway: (sys::instant() - self.record.began()).saturating_sub(self.record.upstream),
            upstream: self.record.upstream,
        };
        let length = match &answer.body {
            Body::Whole { bytes, .. } => Some(bytes.len()),
            Body::Through(through) => through.length,
            Body::Events(_) | Body::Said(_) => None,
        };
        let streamed = matches!(answer.body, Body::Events(_) | Body::Said(_));
        let head = if streamed {
            self.common.stream(Some(provenance))
        } else {
            self.common.answer(length, provenance)
        };
        let Ok(head) = head else {
            return self
                .unanswered(Unanswered::Refused(Refusal::Internal))
                .await;
        };
        let unsent = (!self.head_sent).then_some(head);
        let delivered = match (answer.body, unsent) {
            (Body::Whole { bytes, usage }, Some(head)) => {
                self.tokens(usage);
                relay::whole(self.session, head, bytes).await
            }
            (Body::Through(through), Some(head)) => {
                relay::through(self.session, head, *through).await
            }
            (Body::Said(events), head) => relay::ready_events(self.session, head, events).await,
            (Body::Events(stream), head) => {
                let (delivered, stream) = relay::events(self.session, head, *stream).await;
                self.tokens(stream.usage());
                if delivered.how == Delivery::Complete {
                    stream.finish().await;
                }
                delivered
            }
            // A head left early is a stream's, and its answer events.
            (Body::Whole { .. } | Body::Through(_), None) => {
                return self
                    .unanswered(Unanswered::Refused(Refusal::Internal))
                    .await;
            }
        };
        if delivered.done_added {
            metrics.terminators_added.inc();
        }
        self.delivered(&delivered);
    }

    fn tokens(&mut self, usage: Option<crate::openai::Usage>) {
        self.record.tokens_in = usage.map(|usage| usage.prompt_tokens);
        self.record.tokens_out = usage.map(|usage| usage.completion_tokens);
    }

    /// Ends a request that has no answer: with a status, or, behind a head that
    /// already left, with an event.
    async fn unanswered(&mut self, unanswered: Unanswered) {
        let Unanswered::Refused(refusal) = unanswered else {
            self.record.outcome = Outcome::ClientGone;
            self.record.status = 499;
            return;
        };
        let envelope = refusal.envelope();
        self.record.code = Some(match refusal {
            Refusal::UpstreamRefused(_) => "upstream_refused".to_owned(),
            _ => envelope.code.clone().unwrap_or_default().into_owned(),
        });
        self.record.outcome = match envelope.status.as_u16() {
            429 | 500.. if !self.record.attempts.is_empty() => Outcome::UpstreamFailed,
            _ => Outcome::Refused,
        };
        if self.head_sent {
            self.record.outcome = Outcome::StreamBroken("before_first_event");
            let delivered = relay::failed_stream(self.session, &refusal).await;
            return self.delivered(&delivered);
        }
        let body = Bytes::from(envelope.json());
        let attempts = self.record.attempts.len();
        let head = self
            .common
            .refusal(&refusal, envelope.status, body.len(), attempts);
        match head {
            Ok(head) => self.whole(head, body).await,
            Err(error) => tracing::error!(%error, "the head of a refusal could not be built"),
        }
    }

    fn delivered(&mut self, delivered: &Delivered) {
        self.record.bytes_out = delivered.bytes;
        self.record.first_byte = delivered.first_byte;
        match delivered.how {
            Delivery::Complete => self.orderly = true,
            Delivery::Broken(broken) => {
                self.orderly = delivered.orderly;
                self.record.outcome = Outcome::StreamBroken(broken.as_str());
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

/// What is told of a name nobody knows: at most 64 printable characters.
fn echo(name: &str) -> String {
    let printable = name.chars().filter(|c| !c.is_control());
    printable.take(64).collect()
}

/// Whether an `If-None-Match` names this tag.
fn lists_tag(tags: &[u8], etag: &str) -> bool {
    tags.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|tag| {
            let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
            tag == b"*" || tag == etag.as_bytes()
        })
}
