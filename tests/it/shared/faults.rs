//! Redis hurt, in every way.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use spafe::gateway::record::metrics::Metrics;
use spafe::gateway::record::outcome::Absence;
use spafe::gateway::shared::{Away, Shared, Window};

use super::{is_up, settings, text, window};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::wedge::{Does, Wedge};
use crate::kit::{now, soon};

/// How long Redis has here.
const TIMEOUT: Duration = Duration::from_millis(50);
/// Until replicas count together again. The promise is five seconds, on a machine that
/// does nothing else.
const BACK: Duration = Duration::from_secs(8);

/// A replica whose Redis can be hurt, and a window to ask it for.
struct Hurt {
    shared: Arc<Shared>,
    metrics: Metrics,
    window: Window,
}

impl Hurt {
    async fn new(url: &str) -> Self {
        let mut settings = settings(url);
        settings.timeout = TIMEOUT;
        let metrics = Metrics::new();
        let shared = Shared::new(&settings, "a", &metrics).unwrap();
        shared.start();
        is_up(&shared, true).await;
        let window = window(&shared, "all", 1_000_000, Duration::from_secs(1));
        let hurt = Self {
            shared: Arc::new(shared),
            metrics,
            window,
        };
        hurt.ask().await.unwrap();
        hurt
    }

    async fn ask(&self) -> Result<(), Away> {
        self.shared.admit(&[self.window]).await.map(|_| ())
    }

    /// Asks until nobody is asked any more: each time within the timeout, and always with
    /// this reason.
    async fn is_given_up(&self, expected: Absence) {
        let began = now();
        for _ in 0..5 {
            match self.ask().await.unwrap_err() {
                Away(Absence::Resting) => break,
                Away(absence) => assert_eq!(absence, expected),
            }
        }
        // Five answers were waited for at most.
        assert!(began.elapsed() < 5 * TIMEOUT + Duration::from_secs(2));
        assert!(!self.shared.is_up());
        let began = now();
        for _ in 0..1000 {
            assert_eq!(self.ask().await, Err(Away(Absence::Resting)));
        }
        assert!(began.elapsed() < Duration::from_secs(1));
        let text = text(&self.metrics);
        assert!(text.contains("spafe_shared_up 0"), "{text}");
    }

    async fn is_back(&self) {
        let began = now();
        is_up(&self.shared, true).await;
        assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
        self.ask().await.unwrap();
        let text = text(&self.metrics);
        assert!(text.contains("spafe_shared_up 1"), "{text}");
    }
}

async fn check(does: Does, expected: Absence) {
    let redis = Redis::start().await;
    let wedge = Wedge::before(redis.port).await;
    let hurt = Hurt::new(&wedge.url()).await;
    wedge.does(does);
    hurt.is_given_up(expected).await;
    // It stays away for as long as that lasts.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!hurt.shared.is_up());
    wedge.does(Does::Pass);
    hurt.is_back().await;
}

#[tokio::test]
async fn a_redis_that_loads() {
    check(Does::Say("-LOADING Redis is loading\r\n"), Absence::Loading).await;
}

#[tokio::test]
async fn a_redis_out_of_memory() {
    let answer = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    check(Does::Say(answer), Absence::OutOfMemory).await;
}

#[tokio::test]
async fn a_redis_that_may_only_be_read() {
    let answer = "-READONLY You can't write against a read only replica.\r\n";
    check(Does::Say(answer), Absence::ReadOnly).await;
}

#[tokio::test]
async fn a_redis_that_has_moved_its_keys() {
    check(Does::Say("-MOVED 866 127.0.0.1:1\r\n"), Absence::Moved).await;
}

#[tokio::test]
async fn a_redis_that_forgot_our_password() {
    let answer = "-NOAUTH Authentication required.\r\n";
    check(Does::Say(answer), Absence::Unauthorized).await;
}

#[tokio::test]
async fn a_redis_that_is_none() {
    check(
        Does::Say("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Absence::Garbage,
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_answers_something_else() {
    check(Does::Say("+OK\r\n"), Absence::Garbage).await;
}

#[tokio::test]
async fn a_redis_that_is_slow() {
    let does = Does::Delay(2 * TIMEOUT);
    check(does, Absence::Slow).await;
}

#[tokio::test]
async fn a_redis_that_swallows_everything() {
    check(Does::Nothing, Absence::Slow).await;
}

#[tokio::test]
async fn a_redis_that_closes_every_connection() {
    check(Does::Close, Absence::Lost).await;
}

#[tokio::test]
async fn a_redis_that_was_killed_and_comes_back() {
    let mut redis = Redis::start().await;
    let hurt = Hurt::new(&redis.url()).await;
    redis.kill();
    hurt.is_given_up(Absence::Lost).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.again().await;
    hurt.is_back().await;
}

#[tokio::test]
async fn a_redis_that_was_stopped_and_goes_on() {
    let redis = Redis::start().await;
    let hurt = Hurt::new(&redis.url()).await;
    redis.signal(Signal::STOP);
    hurt.is_given_up(Absence::Slow).await;
    redis.signal(Signal::CONT);
    hurt.is_back().await;
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_first() {
    let mut redis = Redis::start().await;
    redis.kill();
    let mut settings = settings(&redis.url());
    settings.replicas = Some(4);
    let metrics = Metrics::new();
    let shared = Shared::new(&settings, "a", &metrics).unwrap();
    shared.start();
    let window = window(&shared, "all", 1, Duration::from_mins(1));
    assert_eq!(shared.admit(&[window]).await, Err(Away(Absence::Resting)));
    soon("a refusal", async {
        while !text(&metrics).contains("spafe_shared_up 0") {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert_eq!(shared.replicas(), 4);
    redis.again().await;
    is_up(&shared, true).await;
}

#[tokio::test]
async fn one_answer_that_is_late_changes_nothing() {
    let redis = Redis::start().await;
    let wedge = Wedge::before(redis.port).await;
    let hurt = Hurt::new(&wedge.url()).await;
    for _ in 0..6 {
        wedge.does(Does::Delay(2 * TIMEOUT));
        assert_eq!(hurt.ask().await, Err(Away(Absence::Slow)));
        wedge.does(Does::Pass);
        soon("an answer in time", async {
            while hurt.ask().await.is_err() {}
        })
        .await;
    }
    assert!(hurt.shared.is_up());
}
