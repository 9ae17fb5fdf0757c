//! When is a second target asked beside a slow one?
//!
//! Where 95 of 100 answers of a pool have come by now and this one has not, it is
//! probably one of the slow ones, and another target of the pool would be sooner. So a
//! second one is asked, the first to answer is taken, and the other is cancelled at once.
//! What that costs is paid for: a few percent of the pool's requests, and no more.

use std::time::Duration;

use crate::gateway::exchange::course::{Course, Next};
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::exchange::{Answer, Asking};
use crate::gateway::pools::pace::Pace;
use crate::gateway::splice::Spliced;
use crate::operation::Operation;
use crate::sys;

impl<'q> Asking<'q> {
    /// After what time a second target is to be asked; `None`: never.
    pub(super) fn hedged_after(&self, next: &Next<'_>) -> Option<Duration> {
        let pool = &next.leg.pool;
        if !pool.hedging.enabled || self.question.image.is_some() || !self.is_chat() {
            return None;
        }
        let usual = self.pace(next).p95()?;
        Some(usual.max(pool.hedging.after_min))
    }

    /// An answer came after this time.
    pub(super) fn paced(&self, next: &Next<'_>, after: Duration) {
        if next.leg.pool.hedging.enabled && self.is_chat() {
            self.pace(next).answered(after);
        }
    }

    /// What is usual of chats says nothing of anything else, and the other way round.
    fn is_chat(&self) -> bool {
        self.question.ask.operation == Operation::Chat
    }

    fn pace<'n>(&self, next: &'n Next<'_>) -> &'n Pace {
        let state = &next.leg.pool.state;
        if self.question.ask.stream {
            &state.first_events
        } else {
            &state.answers
        }
    }

    /// One attempt, and after a time another beside it. The error is of the one that
    /// failed last; the other's is taken down in `course`.
    pub(super) async fn ask_hedged(
        &self,
        course: &mut Course<'q>,
        first: Next<'q>,
        body: &Spliced,
        after: Duration,
    ) -> Result<Answer, (Next<'q>, AttemptError)> {
        let mut asked = std::pin::pin!(self.ask(&first, body));
        tokio::select! {
            biased;
            answer = &mut asked => return answer.map_err(|error| (first.clone(), error)),
            () = tokio::time::sleep(after) => {}
        }
        let Some(second) = course.beside(&first, sys::instant(), sys::chance()) else {
            return asked.await.map_err(|error| (first.clone(), error));
        };
        first.leg.metrics.hedges.inc();
        let mut beside = std::pin::pin!(self.ask(&second, body));
        let (answer, failed, sooner) = tokio::select! {
            biased;
            answer = &mut asked => (answer, &first, false),
            answer = &mut beside => (answer, &second, true),
        };
        match answer {
            Ok(answer) => {
                if sooner {
                    first.leg.metrics.hedges_sooner.inc();
                }
                Ok(answer)
            }
            Err(error) => {
                // Whether it may be replaced or not: the other is on its way already.
                course.failed(failed, error);
                if sooner {
                    asked.await.map_err(|error| (first.clone(), error))
                } else {
                    beside.await.map_err(|error| (second.clone(), error))
                }
            }
        }
    }
}
