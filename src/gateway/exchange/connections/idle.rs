//! Which connections wait for their next request?
//!
//! Those of HTTP/1.1, by what tells for whom one may be used. The one that has waited least
//! is used first, so that the others come to their time where there are too many.
//!
//! pingora keeps connections in a pool of its own, with a task, two channels and a timer
//! for each time that one waits, and asks the system for its address before it is used
//! again. That was a tenth of all instructions of a small request. Here waiting is to lie
//! in a queue: the connection is looked at when it is taken, and once a second, by one
//! task for all of them, so that one whose other side has closed it does not stay for long.
//!
//! Looking costs no system call: tokio knows what the system has told it of the socket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pingora_core::protocols::Stream;
use tokio::io::AsyncReadExt;

use crate::sys;

/// How often all of them are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Connections that no request is on.
pub(super) struct Idle {
    count_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By key, those that came last at the back.
    queues: HashMap<u64, VecDeque<Waiting>>,
    /// `count = Σ queues.len() ≤ count_max`
    count: usize,
    /// Whether the task that looks at them runs. `count > 0 ⇒ is_tended`
    is_tended: bool,
}

struct Waiting {
    stream: Stream,
    since: Instant,
    until: Instant,
}

impl Idle {
    /// None yet, and never more than this.
    pub(super) fn new(count_max: usize) -> Self {
        Self {
            count_max,
            kept: Mutex::default(),
        }
    }

    /// One that can carry a request now.
    pub(super) fn take(&self, key: u64, now: Instant) -> Option<Stream> {
        loop {
            let mut waiting = self.kept().newest(key)?;
            if waiting.is_good(now) {
                return Some(waiting.stream);
            }
        }
    }

    /// Keeps one for so long. Where there are too many, the one that has waited longest goes.
    pub(super) fn put(self: &Arc<Self>, key: u64, stream: Stream, now: Instant, idle: Duration) {
        let waiting = Waiting {
            stream,
            since: now,
            until: now + idle,
        };
        let mut kept = self.kept();
        let too_many = kept.count >= self.count_max;
        let displaced = if too_many { kept.oldest() } else { None };
        kept.queues.entry(key).or_default().push_back(waiting);
        kept.count += 1;
        let is_tended = std::mem::replace(&mut kept.is_tended, true);
        // Closing and spawning are not done under the lock.
        drop(kept);
        drop(displaced);
        if !is_tended {
            tokio::spawn(tend(Arc::downgrade(self)));
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.kept().count
    }

    /// Closes those of this key.
    pub(super) fn close(&self, key: u64) {
        let closed = {
            let mut kept = self.kept();
            let closed = kept.queues.remove(&key).unwrap_or_default();
            kept.count -= closed.len();
            closed
        };
        drop(closed);
    }

    /// Closes those whose time is over or whose other side has spoken or gone. False where
    /// none is left, and nobody looks at them any more.
    fn sweep(&self, now: Instant) -> bool {
        let mut closed = Vec::new();
        let mut kept = self.kept();
        for queue in kept.queues.values_mut() {
            for mut waiting in std::mem::take(queue) {
                if waiting.is_good(now) {
                    queue.push_back(waiting);
                } else {
                    closed.push(waiting);
                }
            }
        }
        kept.queues.retain(|_, queue| !queue.is_empty());
        kept.count -= closed.len();
        kept.is_tended = kept.count > 0;
        let is_tended = kept.is_tended;
        drop(kept);
        drop(closed);
        is_tended
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at them until none is left, or the gateway is gone.
async fn tend(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(idle) = idle.upgrade() else {
            return;
        };
        if !idle.sweep(sys::instant()) {
            return;
        }
    }
}

impl Kept {
    fn newest(&mut self, key: u64) -> Option<Waiting> {
        let waiting = self.queues.get_mut(&key)?.pop_back()?;
        self.count -= 1;
        Some(waiting)
    }

    fn oldest(&mut self) -> Option<Waiting> {
        let queues = self.queues.values_mut();
        let queue = queues.min_by_key(|queue| {
            let since = queue.front().map(|waiting| waiting.since);
            // None comes before all.
            (since.is_none(), since)
        })?;
        let waiting = queue.pop_front()?;
        self.count -= 1;
        Some(waiting)
    }
}

impl Waiting {
    /// Whether it has time left, and nothing came on it since its last answer: neither its
    /// end nor a word that nobody asked for.
    fn is_good(&mut self, now: Instant) -> bool {
        let mut word = [0; 1];
        // What a task may do at a stretch is not asked for: a connection would seem silent
        // where that is used up.
        let read = tokio::task::unconstrained(self.stream.read(&mut word));
        now < self.until && read.now_or_never().is_none()
    }
}

#[cfg(test)]
mod tests {
    use pingora_core::protocols::l4::stream::Stream as Tcp;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    /// A connection and its other side.
    async fn connection() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Box::new(Tcp::from(near.unwrap())), far.unwrap().0)
    }

    /// Some that are kept under these keys in turn, a second apart, and the other sides.
    async fn kept(idle: &Arc<Idle>, keys: &[u64], start: Instant) -> (Vec<i32>, Vec<TcpStream>) {
        let (mut ids, mut others) = (Vec::new(), Vec::new());
        for (second, key) in (0_u64..).zip(keys) {
            let (stream, other) = connection().await;
            ids.push(stream.id());
            others.push(other);
            let now = start + Duration::from_secs(second);
            idle.put(*key, stream, now, IDLE);
        }
        (ids, others)
    }

    fn taken(idle: &Idle, key: u64, now: Instant) -> Option<i32> {
        idle.take(key, now).map(|stream| stream.id())
    }

    #[tokio::test]
    async fn the_last_that_came_is_taken_first_and_none_of_another_key() {
        let idle = Arc::new(Idle::new(10));
        let start = sys::instant();
        let (ids, _others) = kept(&idle, &[1, 1, 2], start).await;
        let now = start + Duration::from_secs(3);
        assert_eq!(taken(&idle, 3, now), None);
        assert_eq!(taken(&idle, 1, now), Some(ids[1]));
        assert_eq!(taken(&idle, 1, now), Some(ids[0]));
        assert_eq!(taken(&idle, 1, now), None);
        assert_eq!(taken(&idle, 2, now), Some(ids[2]));
        assert_eq!(idle.kept().count, 0);
    }

    #[tokio::test]
    async fn the_one_that_waited_longest_makes_room() {
        let idle = Arc::new(Idle::new(2));
        let start = sys::instant();
        let (ids, _others) = kept(&idle, &[1, 2, 2], start).await;
        assert_eq!(idle.kept().count, 2);
        assert_eq!(taken(&idle, 1, start), None);
        assert_eq!(taken(&idle, 2, start), Some(ids[2]));
        assert_eq!(taken(&idle, 2, start), Some(ids[1]));
    }

    #[tokio::test]
    async fn one_whose_time_is_over_is_closed() {
        let idle = Arc::new(Idle::new(10));
        let start = sys::instant();
        let (ids, mut others) = kept(&idle, &[1, 1], start).await;
        assert!(idle.sweep(start + IDLE));
        assert_eq!(others[0].read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(taken(&idle, 1, start + IDLE), Some(ids[1]));
        let (_, mut others) = kept(&idle, &[1], start).await;
        assert_eq!(taken(&idle, 1, start + IDLE), None);
        assert_eq!(others[0].read(&mut [0; 1]).await.unwrap(), 0);
        assert!(!idle.sweep(start));
    }

    #[tokio::test]
    async fn one_that_was_closed_or_spoke_is_not_used_again() {
        let idle = Arc::new(Idle::new(10));
        let start = sys::instant();
        for speaks in [true, false] {
            let (_, mut others) = kept(&idle, &[1], start).await;
            if speaks {
                others[0].write_all(b"HTTP/1.1 408").await.unwrap();
            } else {
                others.clear();
            }
            let mut turns = 0..10_000;
            while idle.sweep(start) && turns.next().is_some() {
                tokio::task::yield_now().await;
            }
            assert_eq!(idle.kept().count, 0, "speaks: {speaks}");
            assert_eq!(taken(&idle, 1, start), None);
        }
    }

    #[tokio::test]
    async fn those_of_a_key_are_closed_at_once() {
        let idle = Arc::new(Idle::new(10));
        let start = sys::instant();
        let (ids, mut others) = kept(&idle, &[1, 2, 1], start).await;
        idle.close(1);
        for closed in [0, 2] {
            assert_eq!(others[closed].read(&mut [0; 1]).await.unwrap(), 0);
        }
        assert_eq!(taken(&idle, 2, start), Some(ids[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_task_looks_at_all_and_none_where_there_are_none() {
        let idle = Arc::new(Idle::new(10));
        let start = sys::instant();
        let alive = || {
            let runtime = tokio::runtime::Handle::current();
            runtime.metrics().num_alive_tasks()
        };
        let (_, others) = kept(&idle, &[1, 2, 1], start).await;
        assert_eq!(alive(), 1);
        drop(others);
        let mut turns = 0..10;
        while alive() > 0 && turns.next().is_some() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        assert_eq!((idle.kept().count, alive()), (0, 0));
        let _others = kept(&idle, &[1], start).await;
        assert_eq!(alive(), 1);
        drop(idle);
        tokio::time::sleep(LOOK_AGAIN * 2).await;
        assert_eq!(alive(), 0);
    }
}
