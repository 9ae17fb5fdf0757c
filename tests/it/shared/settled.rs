//! What was used in the end: all of it counts, and nothing comes back twice.

use std::time::Duration;

use spafe::gateway::shared::{Receipt, Shared, Window};

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
    let first = taken(&shared, window).await;
    let told = shared.admit(&[window]).await.unwrap();
    assert!(!told.admitted);
    shared.settle(&window, first, -50);
    let second = soon("what comes back", async {
        loop {
            let told = shared.admit(&[window]).await.unwrap();
            if told.admitted {
                return told.windows[0].receipt;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    // More than was taken makes it whole, and not more than whole.
    shared.settle(&window, second, -100_000);
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
    let receipt = taken(&shared, all).await;
    // What was used beyond the estimate is owed.
    shared.settle(&window, receipt, 200);
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
    let receipt = taken(&shared, window).await;
    // Nobody else has a turn in between, so they go out together.
    for _ in 0..4 {
        shared.settle(&window, receipt, 10);
    }
    all_settled(&shared, &redis).await;
    assert_eq!(owed(&redis, &window), 100);
    for _ in 0..6 {
        shared.settle(&window, receipt, -10);
    }
    all_settled(&shared, &redis).await;
    assert_eq!(owed(&redis, &window), 40);
}

/// Ten a second, six hundred at once.
fn tokens(shared: &Shared, cost: u64) -> Window {
    Window {
        cost,
        ..window(shared, "tokens", 600, MINUTE)
    }
}

/// How long ten need to come back, and a little.
const TEN_ARE_BACK: Duration = Duration::from_millis(1100);

#[tokio::test]
async fn what_time_has_given_back_is_not_given_back_again() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let (few, many) = (tokens(&shared, 10), tokens(&shared, 500));
    let idle = taken(&shared, few).await;
    taken(&shared, many).await;
    tokio::time::sleep(TEN_ARE_BACK).await;
    let before = moment(&redis, &few);
    shared.settle(&few, idle, -10);
    all_settled(&shared, &redis).await;
    assert_eq!(moment(&redis, &few), before);
}

#[tokio::test]
async fn two_who_give_back_do_not_give_back_what_a_third_has_taken() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let (few, many) = (tokens(&shared, 10), tokens(&shared, 500));
    let first = taken(&shared, few).await;
    let second = taken(&shared, few).await;
    taken(&shared, many).await;
    shared.settle(&few, first, -10);
    all_settled(&shared, &redis).await;
    // The second's part has moved before the first's, and is back by itself before it was to be.
    tokio::time::sleep(TEN_ARE_BACK).await;
    let before = moment(&redis, &few);
    shared.settle(&few, second, -10);
    all_settled(&shared, &redis).await;
    assert_eq!(moment(&redis, &few), before);
}

#[tokio::test]
async fn what_was_taken_of_a_window_is_not_given_back_to_the_next() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let (few, all) = (tokens(&shared, 10), tokens(&shared, 600));
    let idle = taken(&shared, few).await;
    soon("a whole window", async {
        while !shared.admit(&[all]).await.unwrap().admitted {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let before = moment(&redis, &all);
    shared.settle(&few, idle, -10);
    all_settled(&shared, &redis).await;
    assert_eq!(moment(&redis, &all), before);
}

#[tokio::test]
async fn who_was_forgiven_gets_nothing_back_of_what_others_took_since() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let (few, all) = (tokens(&shared, 10), tokens(&shared, 600));
    let held = taken(&shared, few).await;
    assert_eq!(shared.forget(&[few.key]).await, Ok(1));
    taken(&shared, all).await;
    let before = moment(&redis, &all);
    shared.settle(&few, held, -10);
    all_settled(&shared, &redis).await;
    assert_eq!(moment(&redis, &all), before);
}

#[tokio::test]
async fn what_was_taken_goes_back_with_the_clock() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let (few, many) = (tokens(&shared, 10), tokens(&shared, 500));
    let mut held = taken(&shared, few).await;
    taken(&shared, many).await;
    // All of that was by a clock that is a day ahead, and is another one now.
    let text: String = redis.ask(&["GET", &name(&few)]);
    let kept: Vec<i64> = text.split(':').map(|part| part.parse().unwrap()).collect();
    let [moment_us, part, written, begun, back] = kept[..] else {
        panic!("{kept:?}")
    };
    let day = 24 * 3600 * 1_000_000;
    let ahead = format!(
        "{}:{part}:{}:{begun}:{back}",
        moment_us + day,
        written + day
    );
    let () = redis.ask(&["SET", &name(&few), &ahead]);
    held.moment_us += day;
    taken(&shared, tokens(&shared, 1)).await;
    tokio::time::sleep(TEN_ARE_BACK).await;
    let before = moment(&redis, &few);
    shared.settle(&few, held, -10);
    all_settled(&shared, &redis).await;
    assert_eq!(moment(&redis, &few), before);
}

/// Takes a window's cost.
async fn taken(shared: &Shared, window: Window) -> Receipt {
    let told = shared.admit(&[window]).await.unwrap();
    assert!(told.admitted, "{told:?}");
    told.windows[0].receipt
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
    shared.settle(&last, Receipt::default(), 1);
    soon("the last settlement", async {
        while redis.ask::<u32>(&["DEL", &name(&last)]) == 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}
