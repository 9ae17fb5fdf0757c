//! What lies there is somebody else's, broken, or too old.

use std::time::Duration;

use spafe::gateway::shared::answers::Deposit;
use spafe::names::Secret;

use super::{KEY, MINUTE, Replica, cache, deposit, name, settings, wall};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::soon;

/// Something in place of an answer is no answer, is counted, goes, and makes room for one.
async fn check(replace: impl AsyncFnOnce(&Redis, &str)) {
    let redis = Redis::start().await;
    let replica = Replica::at(&redis).await;
    replica.writes(&KEY, &deposit("an answer")).await;
    let name = name(&redis);
    replace(&redis, &name).await;
    assert_eq!(replica.reads(&KEY).await, None);
    assert_eq!(replica.count("reads", "garbage"), 1);
    soon("what is gone", async {
        while redis.ask::<bool>(&["EXISTS", &name]) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    // Redis itself has done nothing wrong.
    assert!(replica.answers.is_up());
    let left = deposit("another answer");
    replica.writes(&KEY, &left).await;
    assert_eq!(replica.reads(&KEY).await, Some(left));
}

#[tokio::test]
async fn words_of_somebody_else() {
    check(async |redis, name| redis.put(name, b"somebody else's")).await;
}

#[tokio::test]
async fn bytes_that_begin_like_ours() {
    check(async |redis, name| redis.put(name, &[b"spafe\x01", [9; 4096].as_slice()].concat()))
        .await;
}

#[tokio::test]
async fn an_answer_that_was_cut() {
    check(async |redis, name| {
        let value: Vec<u8> = redis.ask(&["GET", name]);
        redis.put(name, &value[..value.len() - 1]);
    })
    .await;
}

#[tokio::test]
async fn more_than_an_answer_can_be() {
    check(async |redis, name| redis.put(name, &vec![b'x'; 20 << 20])).await;
}

#[tokio::test]
async fn no_more_is_fetched_than_an_answer_can_have() {
    let redis = Redis::start().await;
    let replica = Replica::at(&redis).await;
    replica.writes(&KEY, &deposit("an answer")).await;
    redis.put(&name(&redis), &vec![b'x'; 20 << 20]);
    let sent = || -> u64 {
        let stats: String = redis.ask(&["INFO", "stats"]);
        let sent = stats.split("total_net_output_bytes:").nth(1).unwrap();
        sent.lines().next().unwrap().parse().unwrap()
    };
    let before = sent();
    assert_eq!(replica.reads(&KEY).await, None);
    let sent = sent() - before;
    assert!(sent < 3 << 20, "{sent}");
}

#[tokio::test]
async fn what_is_no_text_at_all() {
    check(async |redis, name| {
        let () = redis.ask(&["DEL", name]);
        let () = redis.ask(&["LPUSH", name, "x"]);
    })
    .await;
}

#[tokio::test]
async fn an_answer_to_something_else() {
    check(async |redis, name| {
        let replica = Replica::at(redis).await;
        replica.writes(&[8; 32], &deposit("of another")).await;
        let keys: Vec<String> = redis.ask(&["KEYS", "{spafe}:answer:v1:*"]);
        let other = keys.iter().find(|key| *key != name).unwrap();
        let () = redis.ask(&["COPY", other, name, "REPLACE"]);
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_who_has_another_secret() {
    check(async |redis, name| {
        let mut settings = settings(&redis.url());
        settings.secret = Secret::new("another secret of tests");
        let stranger = Replica::with(&settings, &cache()).await;
        // By another secret everything has another name.
        assert_eq!(stranger.reads(&KEY).await, None);
        assert_eq!(stranger.count("reads", "miss"), 1);
        stranger.writes(&KEY, &deposit("of a stranger")).await;
        let keys: Vec<String> = redis.ask(&["KEYS", "{spafe}:answer:v1:*"]);
        let other = keys.iter().find(|key| *key != name).unwrap();
        let () = redis.ask(&["COPY", other, name, "REPLACE"]);
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_a_clock_that_is_ahead() {
    let redis = Redis::start().await;
    let replica = Replica::at(&redis).await;
    let ahead = Deposit {
        made: wall() + MINUTE,
        ..deposit("of tomorrow")
    };
    replica.writes(&KEY, &ahead).await;
    assert_eq!(replica.reads(&KEY).await, None);
    assert_eq!(replica.count("reads", "ahead"), 1);
}

#[tokio::test]
async fn an_answer_whose_time_is_over() {
    let redis = Redis::start().await;
    let replica = Replica::at(&redis).await;
    let short = Deposit {
        fresh: Duration::from_secs(2),
        ..deposit("of a moment")
    };
    replica.writes(&KEY, &short).await;
    replica.writes(&[8; 32], &short).await;
    let keys: Vec<String> = redis.ask(&["KEYS", "{spafe}:answer:v1:*"]);
    // One of them Redis would keep for ever.
    let () = redis.ask(&["PERSIST", &keys[0]]);
    soon("the end of its time", async {
        while replica.reads(&KEY).await.is_some() || replica.reads(&[8; 32]).await.is_some() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    soon("what Redis lets go", async {
        while redis.ask::<bool>(&["EXISTS", &keys[1]]) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert!(redis.ask::<bool>(&["EXISTS", &keys[0]]));
}

#[tokio::test]
async fn a_redis_that_was_flushed_begins_anew() {
    let redis = Redis::start().await;
    let (first, second) = (Replica::at(&redis).await, Replica::at(&redis).await);
    first.writes(&KEY, &deposit("of before")).await;
    let value: Vec<u8> = redis.ask(&["GET", &name(&redis)]);
    let name = name(&redis);
    let () = redis.ask(&["FLUSHALL"]);
    assert_eq!(second.reads(&KEY).await, None);
    soon("an answer that all have", async {
        loop {
            first.answers.lead(&KEY).share(deposit("of now"));
            if first.reads(&KEY).await.is_some() && second.reads(&KEY).await.is_some() {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    // What Redis has forgotten once is not believed when it comes back.
    redis.put(&name, &value);
    assert_eq!(second.reads(&KEY).await, None);
}
