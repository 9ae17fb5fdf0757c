//! One decision: exact, whole, true.

use std::sync::Arc;
use std::time::Duration;

use spafe::gateway::shared::{Receipt, Shared, Window};
use tokio::task::JoinSet;

use super::{replica, settings, window};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::{now, soon};

const MINUTE: Duration = Duration::from_mins(1);
const MONTH: Duration = Duration::from_hours(31 * 24);
const MONTH_US: u64 = 31 * 24 * 3600 * 1_000_000;

/// Takes a window's cost; true where it was admitted.
pub(super) async fn take(shared: &Shared, window: Window) -> bool {
    shared.admit(&[window]).await.unwrap().admitted
}

/// How many are admitted while they are asked for all the time.
async fn take_for(shared: Arc<Shared>, window: Window, time: Duration) -> u32 {
    let began = now();
    let mut admitted = 0;
    while began.elapsed() < time {
        let told = shared.admit(&[window]).await.unwrap();
        admitted += u32::from(told.admitted);
        tokio::time::sleep(told.windows[0].wait).await;
    }
    admitted
}

#[tokio::test(flavor = "multi_thread")]
async fn four_replicas_together_admit_what_one_would() {
    let redis = Redis::start().await;
    let settings = settings(&redis.url());
    let (count, burst) = (200_u32, 50_u32);
    let mut replicas = Vec::new();
    for name in ["a", "b", "c", "d"] {
        replicas.push(replica(name, &settings).await);
    }
    let began = now();
    let asking = replicas.iter().chain(&replicas).map(|shared| {
        let window = Window {
            burst: burst.into(),
            ..window(shared, "all", count, Duration::from_secs(1))
        };
        take_for(Arc::clone(shared), window, Duration::from_secs(3))
    });
    let admitted: u32 = asking.collect::<JoinSet<_>>().join_all().await.iter().sum();
    let admitted = f64::from(admitted);
    let allowed = f64::from(burst) + f64::from(count) * began.elapsed().as_secs_f64();
    assert!(admitted <= allowed, "{admitted} of {allowed}");
    assert!(admitted >= 0.9 * allowed, "{admitted} of {allowed}");
}

#[tokio::test]
async fn whoever_comes_back_after_the_wait_is_admitted() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let window = window(&shared, "all", 3, Duration::from_secs(1));
    for _ in 0..3 {
        assert!(take(&shared, window).await);
    }
    let told = shared.admit(&[window]).await.unwrap();
    assert!(!told.admitted);
    let level = told.windows[0];
    assert!(level.wait <= Duration::from_secs(1) / 3, "{level:?}");
    assert!(level.debt > level.wait, "{level:?}");
    tokio::time::sleep(level.wait).await;
    assert!(take(&shared, window).await);
}

#[tokio::test]
async fn a_request_takes_of_all_its_windows_or_of_none() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let wide = window(&shared, "wide", 100, MINUTE);
    let tight = window(&shared, "tight", 1, MINUTE);
    assert!(shared.admit(&[wide, tight]).await.unwrap().admitted);
    for _ in 0..10 {
        let told = shared.admit(&[wide, tight]).await.unwrap();
        assert!(!told.admitted);
        assert_eq!(told.windows[0].wait, Duration::ZERO);
        assert!(told.windows[1].wait > Duration::from_secs(50));
    }
    let debt = shared.admit(&[wide]).await.unwrap().windows[0].debt;
    assert!(debt <= 2 * MINUTE / 100, "{debt:?}");
}

#[tokio::test]
async fn a_shadow_refuses_nobody_and_tells_whom_it_would() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let shadow = Window {
        shadow: true,
        ..window(&shared, "shadow", 1, MINUTE)
    };
    let real = window(&shared, "real", 2, MINUTE);
    let first = shared.admit(&[shadow, real]).await.unwrap();
    assert!(first.admitted && first.windows[0].wait.is_zero());
    let second = shared.admit(&[shadow, real]).await.unwrap();
    assert!(second.admitted && !second.windows[0].wait.is_zero());
    // It holds no more than one: what it would have refused has taken nothing of it.
    assert!(second.windows[0].debt <= MINUTE);
    assert!(!shared.admit(&[shadow, real]).await.unwrap().admitted);
}

#[tokio::test]
async fn no_rounding_adds_up() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    // A seventh of a month is no whole number of microseconds.
    let window = Window {
        burst: 1_000_000,
        ..window(&shared, "sevenths", 7, MONTH)
    };
    let key = format!("{{spafe}}:{:032x}", window.key);
    let stored = || -> Vec<i128> {
        let text: String = redis.ask(&["GET", &key]);
        text.split(':').map(|part| part.parse().unwrap()).collect()
    };
    assert!(take(&shared, window).await);
    let began = stored()[2];
    for _ in 1..700 {
        assert!(take(&shared, window).await);
    }
    let [moment, part, ..] = stored()[..] else {
        panic!("{:?}", stored())
    };
    let months = i128::try_from(MONTH.as_micros()).unwrap() * 100;
    assert_eq!((moment - began, part), (months, 0));
}

#[tokio::test]
async fn four_thousand_million_a_millisecond_are_counted_too() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let all = Window {
        cost: u32::MAX.into(),
        times: 3,
        ..window(&shared, "many", u32::MAX, Duration::from_millis(1))
    };
    assert!(take(&shared, all).await);
    let slow = Window {
        burst: u32::MAX.into(),
        times: 1000,
        cost: u64::MAX,
        ..window(&shared, "slow", 1, MONTH)
    };
    assert!(take(&shared, slow).await);
    let one = Window { cost: 1, ..slow };
    assert!(!take(&shared, one).await);
}

#[tokio::test]
async fn a_clock_that_goes_back_locks_nobody_out() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let window = window(&shared, "all", 60, MINUTE);
    let seconds: Vec<i64> = redis.ask(&["TIME"]);
    let tomorrow = (seconds[0] + 24 * 3600) * 1_000_000;
    let key = format!("{{spafe}}:{:032x}", window.key);
    let value = format!("{}:0:{tomorrow}:{tomorrow}:0", tomorrow + 30_000_000);
    let () = redis.ask(&["SET", &key, &value]);
    let debt = shared.admit(&[window]).await.unwrap().windows[0].debt;
    assert!(debt <= Duration::from_secs(31), "{debt:?}");
    assert!(debt > Duration::from_secs(20), "{debt:?}");
}

#[tokio::test]
async fn what_somebody_else_wrote_there_harms_nobody() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let window = window(&shared, "all", 60, MINUTE);
    let key = format!("{{spafe}}:{:032x}", window.key);
    let huge = "99999999999999999999999";
    let after_all = format!("{huge}:1:1:{huge}:{huge}");
    let written_then = format!("{huge}:{huge}:{huge}:{huge}:{huge}");
    for value in ["", "x", "1:2", "-1:0:0:0:0", &after_all, &written_then] {
        let () = redis.ask(&["SET", &key, value]);
        let receipt = Receipt::default();
        shared.settle(&window, receipt, 1);
        assert!(shared.admit(&[window]).await.is_ok(), "{value}");
    }
    let () = redis.ask(&["DEL", &key]);
    let () = redis.ask(&["LPUSH", &key, "x"]);
    assert!(take(&shared, window).await);
}

#[tokio::test]
async fn a_key_is_kept_as_long_as_it_says_something() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let ttl_ms = |window: &Window| -> i64 {
        redis.ask(&["PTTL", &format!("{{spafe}}:{:032x}", window.key)])
    };
    let short = window(&shared, "short", 60, MINUTE);
    assert!(take(&shared, short).await);
    assert!((0..=1001).contains(&ttl_ms(&short)), "{}", ttl_ms(&short));
    let month = window(&shared, "month", 1, MONTH);
    assert!(take(&shared, month).await);
    assert!(ttl_ms(&month) > 30 * 24 * 3600 * 1000);
    // What stands for an address is gone after a day.
    let personal = Window {
        personal: true,
        ..window(&shared, "personal", 1, MONTH)
    };
    assert!(take(&shared, personal).await);
    assert!((1..=24 * 3600 * 1000).contains(&ttl_ms(&personal)));
}

#[tokio::test]
async fn names_of_any_bytes_are_keys_of_one_length() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let long = "x".repeat(10_240);
    let names = [
        "",
        ":",
        "*",
        "a:b",
        "{other}",
        "\r\nFLUSHALL\r\n",
        "\0",
        &long,
    ];
    let mut windows = Vec::new();
    for name in names {
        windows.push(window(&shared, name, 60, MINUTE));
    }
    assert!(shared.admit(&windows).await.unwrap().admitted);
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]);
    let (counts, others): (Vec<_>, Vec<_>) =
        keys.iter().partition(|key| *key != "{spafe}:replicas");
    assert_eq!(others.len(), 1, "{keys:?}");
    assert_eq!(counts.len(), names.len(), "{keys:?}");
    for key in counts {
        let hash = key.strip_prefix("{spafe}:").unwrap();
        let is_hex = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(hash.len() == 32 && is_hex, "{key}");
    }
    // Parts are no text that could be cut elsewhere.
    assert_ne!(shared.key(&[b"ab", b"c"]), shared.key(&[b"a", b"bc"]));
}

#[tokio::test]
async fn a_server_that_has_forgotten_its_scripts_is_told_again() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let window = window(&shared, "all", 60, MINUTE);
    for _ in 0..3 {
        let () = redis.ask(&["SCRIPT", "FLUSH"]);
        assert!(take(&shared, window).await);
        let () = redis.ask(&["FLUSHALL"]);
        assert!(take(&shared, window).await);
    }
}

/// Five billionths each so long, of the calendar.
fn budget(shared: &Shared, per: Duration) -> Window {
    Window {
        calendar: true,
        ..window(shared, "budget", 5, per)
    }
}

#[tokio::test]
async fn a_budget_begins_anew_with_its_span_and_not_before() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let span = Duration::from_secs(2);
    let window = budget(&shared, span);
    // Begun right behind an edge, so that there is time.
    wait_for_edge(span).await;
    for _ in 0..5 {
        assert!(take(&shared, window).await);
    }
    let told = shared.admit(&[window]).await.unwrap();
    assert!(!told.admitted);
    let wait = told.windows[0].wait;
    assert!(wait <= span && wait > span / 2, "{wait:?}");
    // Refilled as time goes by it would have three of five by now.
    tokio::time::sleep(wait * 6 / 10).await;
    assert!(!take(&shared, window).await);
    tokio::time::sleep(wait * 4 / 10 + LOOK_AGAIN).await;
    for _ in 0..5 {
        assert!(take(&shared, window).await);
    }
    assert!(!take(&shared, window).await);
}

#[tokio::test]
async fn a_budget_that_is_raised_is_raised_by_that_much_for_all_replicas() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let all = Window {
        cost: 5,
        ..budget(&shared, MONTH)
    };
    assert!(take(&shared, all).await);
    let raised = Window {
        count: 8,
        burst: 8,
        ..all
    };
    assert!(!take(&shared, Window { cost: 4, ..raised }).await);
    let three = Window { cost: 3, ..raised };
    let told = shared.admit(&[three]).await.unwrap();
    assert!(told.admitted);
    // What was not used is given back exactly.
    shared.settle(&three, told.windows[0].receipt, -2);
    settled(&shared, Window { cost: 2, ..raised }).await;
    assert!(!take(&shared, Window { cost: 1, ..raised }).await);
}

#[tokio::test]
async fn a_clock_that_goes_back_forgives_nothing_of_a_budget() {
    let redis = Redis::start().await;
    let shared = replica("a", &settings(&redis.url())).await;
    let budget = budget(&shared, MONTH);
    let key = format!("{{spafe}}:{:032x}", budget.key);
    // By half a second, and by as many spans as it takes.
    for (back_us, moved_us) in [(500_000, 0), (2 * MONTH_US, 2 * MONTH_US)] {
        let () = redis.ask(&["DEL", &key]);
        assert!(take(&shared, Window { cost: 4, ..budget }).await);
        let text: String = redis.ask(&["GET", &key]);
        let mut kept: Vec<u64> = text.split(':').map(|part| part.parse().unwrap()).collect();
        kept[0] += moved_us;
        kept[2] += back_us;
        let kept: Vec<String> = kept.iter().map(u64::to_string).collect();
        let () = redis.ask(&["SET", &key, &kept.join(":")]);
        let told = shared.admit(&[Window { cost: 2, ..budget }]).await.unwrap();
        assert!(!told.admitted, "{back_us}");
        assert!(told.windows[0].wait <= MONTH, "{told:?}");
        assert!(take(&shared, budget).await, "{back_us}");
        assert!(!take(&shared, budget).await, "{back_us}");
    }
}

/// Waits until a span of the calendar has begun, by the clock that Redis goes by, too.
async fn wait_for_edge(span: Duration) {
    let unix = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let span_us = span.as_micros();
    let left = span_us - unix.as_micros() % span_us;
    tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap())).await;
}

/// Waits until so much can be taken, and takes it.
async fn settled(shared: &Shared, window: Window) {
    soon("a settlement", async {
        while !take(shared, window).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}
