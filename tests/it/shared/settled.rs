//! What was used in the end: all of it counts, and nothing comes back twice.

use std::time::Duration;

use spafe::gateway::shared::{Shared, Window};

use super::decisions::take;
use super::{replica, settings, window};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::soon;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn what_was_not_used_comes_back_and_no_more_than_that() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let window = Window {
        cost: 60,
        ..window(&shared, "tokens", 100, MINUTE)
    };
    assert!(take(&shared, window).await);
    assert!(!take(&shared, window).await);
    shared.settle(&window, -50);
    soon("what comes back", async {
        while !take(&shared, window).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    // More than was taken makes it whole, and not more than whole.
    shared.settle(&window, -100_000);
    soon("a whole window", async {
        while redis.ask::<bool>(&["EXISTS", &name(&window)]) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let all = Window {
        cost: 100,
        ..window
    };
    assert!(take(&shared, all).await);
    // What was used beyond the estimate is owed.
    shared.settle(&window, 200);
    let owed = soon("what is owed", async {
        loop {
            let level = shared.admit(&[window]).await.unwrap().windows[0];
            if level.debt > MINUTE {
                return level.debt;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert!(owed > 2 * MINUTE && owed <= 3 * MINUTE, "{owed:?}");
}

#[tokio::test]
async fn corrections_of_one_window_in_one_question_all_count() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let window = Window {
        cost: 60,
        ..window(&shared, "tokens", 100, Duration::from_hours(1))
    };
    assert!(take(&shared, window).await);
    // Nobody else has a turn in between, so they go out together.
    for _ in 0..4 {
        shared.settle(&window, 10);
    }
    all_settled(&shared, &redis).await;
    assert_eq!(owed(&redis, &window), 100);
    for _ in 0..6 {
        shared.settle(&window, -10);
    }
    all_settled(&shared, &redis).await;
    assert_eq!(owed(&redis, &window), 40);
}

/// What a window is called there.
fn name(window: &Window) -> String {
    format!("{{spafe}}:{:032x}", window.key)
}

/// The moment at which a window is whole again, by Redis's clock in microseconds; 0: it is.
fn moment(redis: &Redis, window: &Window) -> u64 {
    let kept: Option<String> = redis.ask(&["GET", &name(window)]);
    kept.map_or(0, |kept| kept.split(':').next().unwrap().parse().unwrap())
}

/// How many have been taken of a window that have not come back, one that is on its way with them.
fn owed(redis: &Redis, window: &Window) -> u64 {
    let time: Vec<u64> = redis.ask(&["TIME"]);
    let owed_us = moment(redis, window).saturating_sub(time[0] * 1_000_000 + time[1]);
    let each_us = u64::try_from(window.per.as_micros()).unwrap() / window.count;
    owed_us.div_ceil(each_us)
}

/// Waits until all that was told to be settled is.
async fn all_settled(shared: &Shared, redis: &Redis) {
    let last = window(shared, "last", 1, MINUTE);
    shared.settle(&last, 1);
    soon("the last settlement", async {
        while redis.ask::<u32>(&["DEL", &name(&last)]) == 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}
