//! When is an attempt the answer?
//!
//! With the first event of a stream, or with what an upstream answers that makes none; with a
//! whole JSON answer; with a whole text of what was written down; with the first bytes of sound.
//! Up to there nothing has reached the client.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use crate::deadline::until;
use crate::gateway::dialect::{self, Names, Translation};
use crate::gateway::exchange::Body;
use crate::gateway::exchange::attempt::Attempt;
use crate::gateway::exchange::events::{EVENT_BYTES_MAX, EventStream, Times};
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::exchange::image::{self, Album};
use crate::gateway::exchange::putting::Putting;
use crate::gateway::exchange::through::{Through, media_type};
use crate::gateway::exchange::upstream::Upstream;
use crate::gateway::exchange::whole::{self, Wanted};
use crate::operation::{Ending, Operation};
use crate::sys;

impl Attempt<'_> {
    /// Events, the first of which has come and is good.
    pub(super) async fn events(
        &self,
        upstream: Upstream,
        deadline: Instant,
    ) -> Result<Body, AttemptError> {
        if !upstream.has_type("text/event-stream") {
            if self.question.ask.operation.may_ignore_stream() {
                return self.whole(upstream, deadline).await;
            }
            return Err(AttemptError::Invalid(
                "no event stream, though one was asked for",
            ));
        }
        let ask = &self.question.ask;
        let timeouts = &self.leg.timeouts;
        let times = Times {
            gap: timeouts.event_gap,
            quiet: self.question.attempts.comment_after,
            ends: self.began + timeouts.stream,
        };
        let dialect = self.leg.pool.dialect;
        let n = dialect::choices(dialect, ask.answers());
        let stream = EventStream::open(upstream, self.source(), times, n);
        let stream = match ask.operation.ending() {
            Some(Ending::Typed(last)) => stream.typed(last),
            Some(Ending::Choices) | None => stream.put(self.putting()),
        };
        let usage = dialect::asks_for_usage(dialect, self.leg.pool.stream_usage, ask);
        let stream = stream.asked_for_usage(usage);
        let stream = stream.with_first_event(deadline).await?;
        Ok(Body::Events(Box::new(stream)))
    }

    /// An answer that is no stream.
    pub(super) async fn whole(
        &self,
        upstream: Upstream,
        deadline: Instant,
    ) -> Result<Body, AttemptError> {
        let operation = self.question.ask.operation;
        if !upstream.has_type("application/json") {
            return match media_type(operation, &upstream) {
                Some(_) if operation == Operation::Speech => self.sound(upstream, deadline).await,
                Some(_) => self.text(upstream, deadline).await,
                None => Err(AttemptError::Invalid("no JSON")),
            };
        }
        if operation == Operation::Speech {
            return Err(AttemptError::Invalid("no sound"));
        }
        let pool = &self.leg.pool;
        let wanted = Wanted {
            deadline,
            operation,
            pool,
            share: match (&self.question.image, &self.question.original) {
                // What is made into another must be held.
                (Some(_), _) | (_, Some(_)) => self.question.body.share_beside(),
                (None, None) => self.question.body.share_of_answer(),
            },
            names: dialect::is_put(pool.dialect, operation).then(|| self.names()),
            album: self.album(),
        };
        let answer = whole::read(upstream, wanted, || self.source()).await?;
        match (&self.question.image, answer) {
            (Some(_), Body::Whole { bytes, .. }) => {
                let now = sys::now().wall;
                let base_url = self.question.base_url.as_deref().unwrap_or_default();
                let kept = image::answer(self.question, base_url, &bytes, self.images, now);
                // The store's fault and not the target's, so not a timeout of the attempt.
                until(self.question.deadline, pin!(kept))
                    .await
                    .unwrap_or_else(|| {
                        Err(AttemptError::Internal("image not kept in time".to_owned()))
                    })
            }
            (Some(_), Body::Through(through)) if !through.is_too_large => Err(AttemptError::NoRoom),
            (Some(_), _) => Err(AttemptError::Invalid("images too large to be held")),
            (None, answer) => Ok(answer),
        }
    }

    /// Sound, the first of which has come. It may go on as long as a stream.
    async fn sound(&self, mut upstream: Upstream, deadline: Instant) -> Result<Body, AttemptError> {
        let Some(first) = upstream.body(deadline, "no sound").await? else {
            return Err(AttemptError::Broken(
                "ended before its first byte".to_owned(),
            ));
        };
        let mut through = self.passing(upstream, vec![first])?;
        through.length = None;
        through.deadline = self.began + self.leg.timeouts.stream;
        through.gap = Some(self.leg.timeouts.event_gap);
        Ok(Body::Through(Box::new(through)))
    }

    /// A text that is all here, or too large for that.
    async fn text(&self, mut upstream: Upstream, deadline: Instant) -> Result<Body, AttemptError> {
        let share = self.question.body.share_of_answer();
        let gathered = whole::gather(&mut upstream, deadline, share).await?;
        let (all, length) = (gathered.is_all, upstream.length());
        if all && length.is_some_and(|length| length != gathered.bytes) {
            return Err(whole::shorter());
        }
        let mut through = self.passing(upstream, gathered.parts)?;
        through.share = Some(gathered.share);
        through.deadline = deadline;
        if all {
            through.length = Some(gathered.bytes);
        }
        Ok(Body::Through(Box::new(through)))
    }

    fn passing(
        &self,
        upstream: Upstream,
        begin: Vec<bytes::Bytes>,
    ) -> Result<Through, AttemptError> {
        let media_type = media_type(self.question.ask.operation, &upstream);
        Ok(Through {
            begin,
            share: None,
            is_too_large: true,
            length: upstream.length(),
            announced: upstream.length(),
            media_type: media_type.ok_or(AttemptError::Invalid("no JSON"))?,
            upstream,
            source: self.source(),
            deadline: self.question.deadline,
            gap: None,
            passed: 0,
        })
    }

    /// What puts a stream into OpenAI's words, where it is not in them.
    fn putting(&self) -> Option<Box<Putting>> {
        let dialect = self.leg.pool.dialect;
        if !dialect::is_translated(dialect) {
            return None;
        }
        let event_bytes_max = if dialect.shows_pictures() {
            // Base64 takes four characters for three bytes; there are words beside it.
            let picture = self.images.image_bytes_max() / 3 * 4;
            picture.saturating_add(EVENT_BYTES_MAX)
        } else {
            EVENT_BYTES_MAX
        };
        let translation = Translation::new(dialect, self.names(), event_bytes_max)?;
        let share = self.question.body.share_of_answer();
        let patience = self.leg.timeouts.event_gap;
        Some(Box::new(Putting::new(
            translation,
            share,
            self.album(),
            patience,
        )))
    }

    /// Where pictures are kept that stand among words.
    fn album(&self) -> Option<Album> {
        let base_url = self.question.base_url.clone();
        let base_url = base_url.filter(|_| self.leg.pool.dialect.shows_pictures());
        Some(Album {
            base_url: base_url?,
            store: Arc::clone(self.images),
        })
    }

    /// What an answer says of itself that is made here.
    fn names(&self) -> Names {
        let now = sys::now().wall.duration_since(UNIX_EPOCH);
        Names {
            id: format!("chatcmpl-{}", self.question.id.as_str()),
            created: i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX),
            model: self.leg.model(self.name).to_owned(),
            verbatim: self.question.original.is_some(),
        }
    }
}
