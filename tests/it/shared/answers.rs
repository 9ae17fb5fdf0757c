//! Which answers have all replicas?
//!
//! Two replicas over one Redis: what one leaves there the other finds, and whatever is wrong
//! with Redis, or with what lies there, is no answer and takes no time.

/// Whole gateways over one Redis.
mod gateways;
/// What lies there is somebody else's, broken, or too old.
mod garbage;
/// Redis hurt, in every way.
mod hurt;
/// Who makes an answer.
mod leases;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use spafe::config::cache::{Cache, CachePolicy, Scope};
use spafe::config::limits;
use spafe::gateway::record::metrics::Metrics;
use spafe::gateway::shared::answers::{Answers, Deposit};
use spafe::names::{ModelId, PoolName};
use spafe::openai::Usage;

use super::{settings, text};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::soon;

const KEY: [u8; 32] = [7; 32];
const MINUTE: Duration = Duration::from_mins(1);

/// A replica, and what it counts.
struct Replica {
    answers: Answers,
    metrics: Metrics,
}

/// `[cache]` where answers are shared.
fn cache() -> Cache {
    Cache {
        policy: CachePolicy {
            enabled: true,
            ttl: MINUTE,
            scope: Scope::Shared,
            temperature_max: None,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            store_streams: false,
            collapse: true,
        },
        max_bytes: 1 << 26,
        entry_bytes_max: 1 << 18,
        anonymous: true,
        ignored_fields: Vec::new(),
        collapse_streams: true,
        flight_bytes_max: 1 << 20,
        replay_gap: Duration::ZERO,
        charge_tokens: false,
        second_tier: true,
        second_tier_bytes_max: 1 << 20,
        lease: Duration::ZERO,
    }
}

/// An answer that was made just now.
fn deposit(body: impl Into<Bytes>) -> Deposit {
    Deposit {
        body: body.into(),
        usage: Some(Usage {
            prompt_tokens: 3,
            completion_tokens: 5,
            total_tokens: 8,
            cached_tokens: 0,
        }),
        model: ModelId::new("m"),
        pool: PoolName::new("p"),
        made: wall(),
        fresh: MINUTE,
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
    }
}

/// The time of day, as precisely as it is kept there.
fn wall() -> SystemTime {
    let since = spafe::sys::now().wall;
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_millis(since.as_millis().try_into().unwrap())
}

impl Replica {
    /// One that has found Redis.
    async fn at(redis: &Redis) -> Self {
        Self::with(&settings(&redis.url()), &cache()).await
    }

    async fn with(shared: &limits::Shared, cache: &Cache) -> Self {
        let metrics = Metrics::new();
        let answers = Answers::new(shared, cache, &metrics).unwrap();
        answers.start();
        let replica = Self { answers, metrics };
        replica.is_up(true).await;
        replica
    }

    async fn is_up(&self, expected: bool) {
        soon("shared answers", async {
            while self.answers.is_up() != expected {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// Leaves an answer there, and waits until it is.
    async fn writes(&self, key: &[u8; 32], deposit: &Deposit) {
        let before = self.count("writes", "written");
        self.answers.lead(key).share(deposit.clone());
        self.counts("writes", "written", before + 1).await;
    }

    async fn reads(&self, key: &[u8; 32]) -> Option<Deposit> {
        self.answers.read(key).await
    }

    fn count(&self, what: &str, result: &str) -> u64 {
        let name = format!("spafe_cache_second_{what}_total{{result=\"{result}\"}} ");
        let text = text(&self.metrics);
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    }

    async fn counts(&self, what: &str, result: &str, expected: u64) {
        soon(result, async {
            while self.count(what, result) != expected {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }
}

/// Whether an answer is shared over a Redis that is reached like this.
pub(super) async fn are_shared(settings: &limits::Shared) {
    let first = Replica::with(settings, &cache()).await;
    let second = Replica::with(settings, &cache()).await;
    let left = deposit("an answer");
    first.writes(&KEY, &left).await;
    assert_eq!(second.reads(&KEY).await, Some(left));
}

/// What an answer is called there: the only one.
fn name(redis: &Redis) -> String {
    let keys: Vec<String> = redis.ask(&["KEYS", "{spafe}:answer:v1:*"]);
    let [name] = keys.try_into().unwrap();
    name
}

#[tokio::test]
async fn what_one_was_answered_the_other_has() {
    let redis = Redis::start().await;
    let (first, second) = (Replica::at(&redis).await, Replica::at(&redis).await);
    assert_eq!(second.reads(&KEY).await, None);
    let bodies = [
        Bytes::new(),
        Bytes::from_static(b"a short answer"),
        Bytes::from("a long answer ".repeat(10_000)),
        // As long as one may be, and sealed beside the threads that serve.
        Bytes::from(vec![b'x'; 1 << 20]),
    ];
    for (index, body) in bodies.into_iter().enumerate() {
        let key = [u8::try_from(index).unwrap(); 32];
        let left = Deposit {
            usage: None,
            stale_if_error: 3 * MINUTE,
            ..deposit(body)
        };
        first.writes(&key, &left).await;
        assert_eq!(second.reads(&key).await, Some(left));
    }
    assert_eq!(second.reads(&KEY).await, None);
    assert_eq!(
        (second.count("reads", "hit"), second.count("reads", "miss")),
        (4, 2)
    );
}

#[tokio::test]
async fn what_lies_there_says_nothing_and_ends_with_its_time() {
    let redis = Redis::start().await;
    let replica = Replica::at(&redis).await;
    let body = "what nobody there needs to know";
    let left = Deposit {
        stale_while_revalidate: MINUTE,
        stale_if_error: 2 * MINUTE,
        ..deposit(body)
    };
    replica.writes(&KEY, &left).await;
    let name = name(&redis);
    let hash = name.strip_prefix("{spafe}:answer:v1:").unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(!hash.contains("0707"), "{hash}");
    let value: Vec<u8> = redis.ask(&["GET", &name]);
    let has = |text: &[u8]| value.windows(text.len()).any(|part| part == text);
    assert!(!has(body.as_bytes()) && !has(&KEY), "{value:?}");
    let left_ms: u64 = redis.ask(&["PTTL", &name]);
    assert!((120_000..=180_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test]
async fn what_is_too_large_or_over_is_not_written() {
    let redis = Redis::start().await;
    let replica = Replica::at(&redis).await;
    replica
        .answers
        .lead(&KEY)
        .share(deposit(vec![b'x'; (1 << 20) + 1]));
    replica.counts("writes", "too_large", 1).await;
    let over = Deposit {
        made: wall() - 2 * MINUTE,
        ..deposit("an old answer")
    };
    replica.answers.lead(&KEY).share(over);
    replica.counts("writes", "dropped", 1).await;
    assert_eq!(replica.reads(&KEY).await, None);
    let keys: Vec<String> = redis.ask(&["KEYS", "{spafe}:answer:v1:*"]);
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test]
async fn what_was_removed_is_not_given_again_wherever_it_comes_from() {
    let redis = Redis::start().await;
    let (first, second) = (Replica::at(&redis).await, Replica::at(&redis).await);
    first.writes(&KEY, &deposit("the first")).await;
    // Begun before, and shared after that.
    let begun = [first.answers.lead(&KEY), second.answers.lead(&KEY)];
    second.answers.remove_all().await.unwrap();
    for replica in [&first, &second] {
        assert_eq!(replica.reads(&KEY).await, None);
    }
    for lead in begun {
        lead.share(deposit("of before"));
    }
    first.counts("writes", "written", 2).await;
    second.counts("writes", "written", 1).await;
    for replica in [&first, &second] {
        assert_eq!(replica.reads(&KEY).await, None);
    }
    first.writes(&KEY, &deposit("the second")).await;
    let found = second.reads(&KEY).await.unwrap();
    assert_eq!(found.body, "the second");
}
