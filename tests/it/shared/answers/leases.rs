//! Who makes an answer, where many replicas want it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spafe::gateway::shared::answers::{Deposit, Found, Lead};

use super::{KEY, MINUTE, Replica, cache, deposit, settings};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::{now, soon};

/// A replica that waits so long for another one.
async fn replica(redis: &Redis, lease: Duration) -> Arc<Replica> {
    let mut cache = cache();
    cache.lease = lease;
    Arc::new(Replica::with(&settings(&redis.url()), &cache).await)
}

/// Until long after the test.
fn late() -> Instant {
    now() + 10 * MINUTE
}

async fn leads(replica: &Replica) -> Lead {
    match replica.answers.find(&KEY, late(), |_| true).await {
        Found::Lead { lead, spare: None } => lead,
        Found::Lead { spare, .. } => panic!("{spare:?}"),
        Found::Answer(answer) => panic!("{answer:?}"),
    }
}

fn leases(redis: &Redis) -> Vec<String> {
    redis.ask(&["KEYS", "{spafe}:answer:lease:*"])
}

async fn no_lease_is_left(redis: &Redis) {
    soon("a lease that is given back", async {
        while !leases(redis).is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// One that looks for the answer while another makes it, from when it was told to wait.
async fn waiting(replica: &Arc<Replica>) -> tokio::task::JoinHandle<Found> {
    let before = looks(replica);
    let waiting = Arc::clone(replica);
    let waiting = tokio::spawn(async move { waiting.answers.find(&KEY, late(), |_| true).await });
    looks_so_often(replica, before + 3).await;
    waiting
}

/// Until Redis was asked so often, all in all.
async fn looks_so_often(replica: &Replica, expected: u64) {
    soon("somebody who waits", async {
        while looks(replica) < expected {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// How often Redis was asked in time.
fn looks(replica: &Replica) -> u64 {
    let text = super::text(&replica.metrics);
    let name = "spafe_cache_second_read_seconds_count ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn one_makes_it_and_the_others_have_it() {
    let redis = Redis::start().await;
    let first = replica(&redis, MINUTE).await;
    let second = replica(&redis, MINUTE).await;
    let lead = leads(&first).await;
    assert_eq!(first.count("leases", "taken"), 1);
    let waiting = waiting(&second).await;
    lead.share(deposit("an answer"));
    drop(lead);
    let Found::Answer(found) = waiting.await.unwrap() else {
        panic!("it was made twice");
    };
    assert_eq!(found.body, "an answer");
    assert_eq!(second.count("leases", "answered"), 1);
    assert_eq!(second.count("leases", "taken"), 0);
    no_lease_is_left(&redis).await;
}

#[tokio::test]
async fn where_one_fails_the_next_makes_it_at_once() {
    let redis = Redis::start().await;
    let first = replica(&redis, 10 * MINUTE).await;
    let second = replica(&redis, 10 * MINUTE).await;
    let lead = leads(&first).await;
    let waiting = waiting(&second).await;
    drop(lead);
    let found = soon("the next", waiting).await.unwrap();
    assert!(matches!(found, Found::Lead { .. }));
    assert_eq!(second.count("leases", "taken"), 1);
    drop(found);
    no_lease_is_left(&redis).await;
}

#[tokio::test]
async fn nobody_waits_for_one_that_is_gone_or_slow() {
    let redis = Redis::start().await;
    let first = replica(&redis, MINUTE).await;
    let lead = leads(&first).await;
    let [name] = leases(&redis).try_into().unwrap();
    let left_ms: u64 = redis.ask(&["PTTL", &name]);
    assert!((1..=60_000).contains(&left_ms), "{left_ms}");
    // As long as its lease, or as long as it has itself.
    let second = replica(&redis, Duration::from_millis(300)).await;
    let found = leads(&second).await;
    assert_eq!(second.count("leases", "expired"), 1);
    let until = now() + Duration::from_millis(100);
    let found_in_time = first.answers.find(&KEY, until, |_| true);
    let found_in_time = soon("whoever has no time", found_in_time).await;
    assert!(matches!(found_in_time, Found::Lead { .. }));
    // Whoever did not have it does not give it back.
    drop((found, found_in_time));
    second.writes(&[8; 32], &deposit("another")).await;
    first.writes(&[8; 32], &deposit("another")).await;
    assert_eq!(leases(&redis), [name]);
    drop(lead);
    no_lease_is_left(&redis).await;
}

#[tokio::test]
async fn who_comes_too_late_takes_nobody_elses_turn() {
    let redis = Redis::start().await;
    let first = replica(&redis, MINUTE).await;
    let lead = leads(&first).await;
    let [name] = leases(&redis).try_into().unwrap();
    // It ended, and another replica has one.
    redis.put(&name, b"of another replica");
    drop(lead);
    first
        .writes(&[8; 32], &deposit("what is done behind that"))
        .await;
    assert_eq!(redis.ask::<String>(&["GET", &name]), "of another replica");
}

#[tokio::test]
async fn who_leaves_while_waiting_leaves_nothing() {
    let redis = Redis::start().await;
    let first = replica(&redis, MINUTE).await;
    let second = replica(&redis, MINUTE).await;
    let lead = leads(&first).await;
    let waiting = waiting(&second).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    drop(lead);
    no_lease_is_left(&redis).await;
}

#[tokio::test]
async fn what_does_not_suit_is_made_anew_by_one_and_is_there_meanwhile() {
    let redis = Redis::start().await;
    let first = replica(&redis, MINUTE).await;
    let second = replica(&redis, MINUTE).await;
    first.writes(&KEY, &deposit("an old answer")).await;
    let wants = |found: &Deposit| found.body == "a new answer";
    let Found::Lead { lead, spare } = first.answers.find(&KEY, late(), wants).await else {
        panic!("it does not suit");
    };
    assert_eq!(spare.unwrap().body, "an old answer");
    let waiting = Arc::clone(&second);
    let before = looks(&second);
    let waiting = tokio::spawn(async move { waiting.answers.find(&KEY, late(), wants).await });
    looks_so_often(&second, before + 3).await;
    lead.share(deposit("a new answer"));
    drop(lead);
    let Found::Answer(found) = waiting.await.unwrap() else {
        panic!("it was made twice");
    };
    assert_eq!(found.body, "a new answer");
}

#[tokio::test]
async fn where_there_are_no_leases_nobody_waits() {
    let redis = Redis::start().await;
    let first = replica(&redis, Duration::ZERO).await;
    let (one, two) = (leads(&first).await, leads(&first).await);
    assert!(leases(&redis).is_empty());
    one.share(deposit("the first"));
    two.share(deposit("the second"));
    first.counts("writes", "written", 2).await;
    assert_eq!(first.reads(&KEY).await.unwrap().body, "the second");
}

#[tokio::test]
async fn while_redis_is_away_nobody_waits() {
    let mut redis = Redis::start().await;
    let first = replica(&redis, MINUTE).await;
    redis.kill();
    assert_eq!(first.reads(&KEY).await, None);
    first.is_up(false).await;
    let began = now();
    for _ in 0..1000 {
        leads(&first).await.share(deposit("an answer"));
    }
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(first.count("writes", "away"), 1000);
}
