//! Redis hurt, in every way.

use std::time::Duration;

use rustix::process::Signal;

use super::{KEY, Replica, cache, deposit, settings};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::wedge::{Does, Wedge};
use crate::kit::{now, soon};

/// How long Redis has here.
const TIMEOUT: Duration = Duration::from_millis(50);

async fn replica(url: &str) -> Replica {
    let mut settings = settings(url);
    settings.timeout = TIMEOUT;
    let replica = Replica::with(&settings, &cache()).await;
    let left = deposit("an answer");
    replica.writes(&KEY, &left).await;
    soon("an answer in time", async {
        while replica.reads(&KEY).await.is_none() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    replica
}

/// What is hurt is a miss with this reason, and soon nobody is asked any more.
async fn is_given_up(replica: &Replica, expected: &str) {
    let before = replica.count("reads", expected);
    let began = now();
    for _ in 0..5 {
        assert_eq!(replica.reads(&KEY).await, None);
    }
    // Five answers were waited for at most.
    assert!(began.elapsed() < 5 * TIMEOUT + Duration::from_secs(2));
    assert!(replica.count("reads", expected) > before);
    replica.is_up(false).await;
    let (before, began) = (replica.count("reads", "away"), now());
    for _ in 0..1000 {
        assert_eq!(replica.reads(&KEY).await, None);
        replica.answers.lead(&KEY).share(deposit("another"));
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(replica.count("reads", "away"), before + 1000);
    assert!(replica.count("writes", "away") >= 1000);
}

async fn is_back(replica: &Replica) {
    replica.is_up(true).await;
    soon("an answer that is shared again", async {
        loop {
            replica.answers.lead(&KEY).share(deposit("another"));
            if replica.reads(&KEY).await.is_some() {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

async fn check(does: Does, expected: &str) {
    let redis = Redis::start().await;
    let wedge = Wedge::before(redis.port).await;
    let replica = replica(&wedge.url()).await;
    wedge.does(does);
    is_given_up(&replica, expected).await;
    wedge.does(Does::Pass);
    is_back(&replica).await;
}

#[tokio::test]
async fn a_redis_that_is_slow() {
    check(Does::Delay(2 * TIMEOUT), "late").await;
}

#[tokio::test]
async fn a_redis_that_swallows_everything() {
    check(Does::Nothing, "late").await;
}

#[tokio::test]
async fn a_redis_that_closes_every_connection() {
    check(Does::Close, "failed").await;
}

#[tokio::test]
async fn a_redis_that_loads() {
    check(Does::Say("-LOADING Redis is loading\r\n"), "failed").await;
}

#[tokio::test]
async fn a_redis_that_is_none() {
    check(Does::Say("HTTP/1.1 400 Bad Request\r\n\r\n"), "failed").await;
}

#[tokio::test]
async fn a_redis_that_answers_something_else() {
    // Nothing that it says is an answer, and so it is none.
    let redis = Redis::start().await;
    let wedge = Wedge::before(redis.port).await;
    let replica = replica(&wedge.url()).await;
    wedge.does(Does::Say("+OK\r\n"));
    assert_eq!(replica.reads(&KEY).await, None);
    wedge.does(Does::Pass);
    is_back(&replica).await;
}

#[tokio::test]
async fn a_redis_that_was_killed_and_comes_back() {
    let mut redis = Redis::start().await;
    let replica = replica(&redis.url()).await;
    redis.kill();
    is_given_up(&replica, "failed").await;
    redis.again().await;
    is_back(&replica).await;
}

#[tokio::test]
async fn a_redis_that_was_stopped_and_goes_on() {
    let redis = Redis::start().await;
    let replica = replica(&redis.url()).await;
    redis.signal(Signal::STOP);
    is_given_up(&replica, "late").await;
    redis.signal(Signal::CONT);
    is_back(&replica).await;
}

#[tokio::test]
async fn one_answer_that_is_late_is_a_miss_and_nothing_else() {
    let redis = Redis::start().await;
    let wedge = Wedge::before(redis.port).await;
    let replica = replica(&wedge.url()).await;
    for late in 1..=6 {
        wedge.does(Does::Delay(2 * TIMEOUT));
        assert_eq!(replica.reads(&KEY).await, None);
        assert!(replica.count("reads", "late") >= late);
        wedge.does(Does::Pass);
        soon("an answer in time", async {
            while replica.reads(&KEY).await.is_none() {}
        })
        .await;
    }
    assert!(replica.answers.is_up());
}

#[tokio::test]
async fn no_more_is_asked_for_at_once_than_there_is_room_for() {
    let redis = Redis::start().await;
    let wedge = Wedge::before(redis.port).await;
    let mut cache = cache();
    // So long that there is room for one.
    cache.second_tier_bytes_max = 64 << 20;
    let replica = Replica::with(&settings(&wedge.url()), &cache).await;
    wedge.does(Does::Nothing);
    let found = tokio::join!(replica.reads(&KEY), replica.reads(&KEY));
    assert_eq!(found, (None, None));
    let counts = ["late", "busy"].map(|result| replica.count("reads", result));
    assert_eq!(counts, [1, 1]);
}

#[tokio::test]
async fn answers_leave_room_for_limits_and_can_be_read_all_the_same() {
    let redis = Redis::with(&["--maxmemory", "8mb"]).await;
    let replica = Replica::at(&redis).await;
    let limits = super::super::replica("a", &settings(&redis.url())).await;
    replica.writes(&KEY, &deposit("an answer")).await;
    for key in 100..132_u8 {
        replica
            .answers
            .lead(&[key; 32])
            .share(deposit(noise(1 << 18)));
    }
    soon("a bound", async {
        while replica.count("writes", "full") == 0 || waiting_bytes(&replica) > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert_eq!(replica.count("writes", "failed"), 0);
    let window = super::super::window(&limits, "all", 1, Duration::from_mins(1));
    assert!(limits.admit(&[window]).await.unwrap().admitted);
    assert!(replica.reads(&KEY).await.is_some());
    // Also where others have taken all of it.
    let () = redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let before = replica.count("writes", "full");
    replica.answers.lead(&KEY).share(deposit("another"));
    replica.counts("writes", "full", before + 1).await;
    assert!(replica.reads(&KEY).await.is_some());
    assert!(replica.answers.is_up());
}

/// What no compression helps.
fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

fn waiting_bytes(replica: &Replica) -> u64 {
    let text = super::text(&replica.metrics);
    let name = "spafe_cache_second_waiting_bytes ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_waits_to_be_written_is_bounded() {
    let redis = Redis::start().await;
    let replica = replica(&redis.url()).await;
    redis.signal(Signal::STOP);
    let long = deposit(vec![b'x'; 1 << 20]);
    for key in 0..40_u8 {
        replica.answers.lead(&[key; 32]).share(long.clone());
    }
    let dropped = replica.count("writes", "dropped");
    assert!(dropped > 0, "{dropped}");
    redis.signal(Signal::CONT);
    is_back(&replica).await;
}
