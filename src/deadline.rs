//! What does a future give before its time is over?
//!
//! tokio's `timeout` begins with its timer: it reads the clock and takes hold of the runtime,
//! which is more work than a write that is done at once. Most of what we bound is ready when
//! it is first asked, so here a timer is made only for what is not.
//!
//! Futures come pinned, for one that is bounded is often large, and would be moved.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// What a future gives before this moment.
pub async fn until<F: Future + Unpin>(deadline: Instant, future: F) -> Option<F::Output> {
    sooner(future, || tokio::time::sleep_until(deadline.into())).await
}

/// What a future gives within this time.
pub async fn within<F: Future + Unpin>(allowed: Duration, future: F) -> Option<F::Output> {
    sooner(future, || tokio::time::sleep(allowed)).await
}

/// What a future gives before a timer that is made when it is first needed.
async fn sooner<F: Future + Unpin>(
    mut future: F,
    make: impl FnOnce() -> Sleep,
) -> Option<F::Output> {
    let mut make = Some(make);
    let mut timer = pin!(None);
    poll_fn(|cx| {
        if let Poll::Ready(output) = pin!(&mut future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        if let Some(make) = make.take() {
            timer.set(Some(make()));
        }
        let timer = timer.as_mut().as_pin_mut();
        timer.map_or(Poll::Pending, |timer| timer.poll(cx).map(|()| None))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_ready_needs_no_timer() {
        // There is no runtime that could make one.
        let mut bounded = pin!(within(SECOND, ready(1)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert_eq!(bounded.as_mut().poll(&mut cx), Poll::Ready(Some(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_given_and_nothing_else() {
        let later = pin!(async {
            tokio::time::sleep(SECOND).await;
            2
        });
        assert_eq!(within(2 * SECOND, later).await, Some(2));
        assert_eq!(within(SECOND, pending::<()>()).await, None);
        let now = tokio::time::sleep(Duration::ZERO).deadline().into_std();
        assert_eq!(until(now + SECOND, pending::<()>()).await, None);
        // Also where the time is over, what is there is given.
        assert_eq!(until(now, ready(3)).await, Some(3));
    }
}
