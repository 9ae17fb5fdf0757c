//! Does each caller get what its limits say, and nobody what others have had?

/// Places, and shadows.
mod places;
/// What was reserved, and what was used.
mod settled;
/// What may be spent in a span of the calendar.
mod budgets;
/// Who begins anew after a reload, and who does not.
mod reloads;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::config::{Config, example};
use crate::gateway::client::subject::V6Times;
use crate::money::Usd;
use crate::sys;

const ROOM: Bounds = Bounds {
    all: 1000,
    per_client: usize::MAX,
};

/// A limiter, and limits that can be replaced.
struct Scene {
    limiter: Limiter,
    config: Config,
    limits: Limits,
    began: Now,
}

impl Scene {
    fn new(tables: &str) -> Self {
        let (config, began) = (example(tables), sys::now());
        Self {
            limiter: Limiter::new(&config.limiter, sys::hasher(), began),
            limits: Limits::new(&config),
            config,
            began,
        }
    }

    fn reload(&mut self, tables: &str) {
        self.config = example(tables);
        self.limits = Limits::new(&self.config);
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.began.instant + Duration::from_millis(milliseconds)
    }

    fn enter(&self, client: &Client, milliseconds: u64) -> Result<Permit<'_>, Refused> {
        let now = self.at(milliseconds);
        self.limiter.enter(&self.limits, client, ROOM, now)
    }

    fn ask(&self, client: &Client, milliseconds: u64) -> Result<Reservation<'_>, Refused> {
        self.ask_for(client, (1, 0), false, milliseconds)
    }

    fn ask_for(
        &self,
        client: &Client,
        (requests, tokens): (u32, u64),
        stream: bool,
        milliseconds: u64,
    ) -> Result<Reservation<'_>, Refused> {
        let asked = Asked {
            client,
            model: &ModelId::new("m"),
            stream,
            cost: Cost {
                requests,
                tokens,
                usd: Usd::ZERO,
            },
            shared: None,
        };
        let now = self.at(milliseconds);
        at_once(self.limiter.reserve(&self.limits, &asked, now))
    }

    /// Asks for what is taken to cost so many billionths of a dollar.
    fn spend(&self, client: &Client, nanos: u64, now: Instant) -> Result<Reservation<'_>, Refused> {
        let asked = Asked {
            client,
            model: &ModelId::new("m"),
            stream: false,
            cost: Cost {
                requests: 1,
                tokens: 1,
                usd: Usd::nanos(nanos),
            },
            shared: None,
        };
        at_once(self.limiter.reserve(&self.limits, &asked, now))
    }

    /// How many of so many requests are let in at one moment.
    fn admitted(&self, client: &Client, of: usize, milliseconds: u64) -> usize {
        (0..of)
            .filter(|_| self.ask(client, milliseconds).is_ok())
            .count()
    }

    fn keyed(&self, name: &str) -> Client {
        let mut client = client("192.0.2.99");
        let mut keys = self.config.keys.iter();
        let key = keys.find(|key| key.name.as_str() == name);
        client.key = key.cloned().map(Arc::new);
        client
    }
}

/// So many tokens, of no price.
fn tokens(tokens: u64) -> Used {
    let usd = Usd::ZERO;
    Used { tokens, usd }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for somebody"),
    }
}

fn client(address: &str) -> Client {
    let mut client = Client::new(address.parse().ok());
    client.v6 = V6Times { of_56: 4, of_48: 8 };
    client
}

#[track_caller]
fn limited<T: std::fmt::Debug>(result: Result<T, Refused>) -> Limited {
    match result {
        Err(Refused::Limited(limited)) => limited,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_has_its_burst_and_then_its_rate() {
    let scene = Scene::new(
        "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 60, per = \"1m\", burst = 5 }",
    );
    let (one, other) = (client("192.0.2.1"), client("192.0.2.2"));
    assert_eq!(scene.admitted(&one, 10, 0), 5);
    assert_eq!(scene.admitted(&other, 10, 0), 5);
    let refused = limited(scene.ask(&one, 200));
    assert_eq!((refused.name.as_str(), refused.kind), ("l", Kind::Requests));
    assert_eq!(refused.retry_after, Duration::from_millis(800));
    assert_eq!(
        (refused.count, refused.per),
        (60, Some(Duration::from_mins(1)))
    );
    // Who is over is told so before its body is read, and the same.
    assert_eq!(limited(scene.enter(&one, 200)), refused);
    assert_eq!(scene.admitted(&one, 10, 1000), 1);
    assert_eq!(scene.admitted(&one, 10, 600_000), 5);
}

#[test]
fn who_is_refused_by_one_limit_has_taken_nothing_of_others() {
    let scene = Scene::new(
        r#"
[[limits]]
name = "wide"
by = "global"
requests = { count = 100, per = "1h" }
[[limits]]
name = "narrow"
by = "client"
requests = { count = 2, per = "1h" }
[[limits]]
name = "model"
by = "client+model"
streams = 1
"#,
    );
    let one = client("192.0.2.1");
    assert_eq!(scene.admitted(&one, 50, 0), 2);
    let other = client("192.0.2.2");
    let stream = scene.ask_for(&other, (1, 0), true, 0).unwrap();
    let refused = limited(scene.ask_for(&other, (1, 0), true, 0));
    assert_eq!(
        (refused.name.as_str(), refused.kind),
        ("model", Kind::Streams)
    );
    // 3 of 100, and of its own 1 of 2: the tightest is told.
    assert_eq!(refused.quota.requests.unwrap().remaining, 1);
    let everywhere = scene.limiter.standing(&scene.limits, &other, scene.at(0));
    let wide = everywhere
        .iter()
        .find(|standing| standing.limit.as_str() == "wide");
    assert_eq!(wide.unwrap().level.unwrap().remaining, 97);
    drop(stream);
    assert!(scene.ask_for(&other, (1, 0), true, 0).is_ok());
}

#[test]
fn the_longest_wait_is_told_and_is_enough() {
    let scene = Scene::new(
        r#"
[[limits]]
name = "second"
by = "client"
requests = { count = 1, per = "1s" }
[[limits]]
name = "minute"
by = "client"
requests = { count = 1, per = "1m" }
[[limits]]
name = "tokens"
by = "client"
tokens = { count = 100, per = "10s" }
"#,
    );
    let one = client("192.0.2.1");
    scene.ask_for(&one, (1, 100), false, 0).unwrap();
    let refused = limited(scene.ask_for(&one, (1, 50), false, 0));
    assert_eq!(refused.name.as_str(), "minute");
    let back = u64::try_from(refused.retry_after.as_millis()).unwrap();
    assert_eq!(back, 60_000);
    assert!(scene.ask_for(&one, (1, 50), false, back - 1).is_err());
    assert!(scene.ask_for(&one, (1, 50), false, back).is_ok());
}

#[test]
fn an_address_is_limited_with_its_networks() {
    let scene = Scene::new(
        "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 10, per = \"1h\" }",
    );
    let admitted = |subnets: std::ops::Range<u32>, hosts: std::ops::Range<u32>| -> usize {
        let all = subnets.flat_map(|subnet| {
            let hosts = hosts.clone();
            hosts.map(move |host| client(&format!("2001:db8:1:{subnet:x}::{host:x}")))
        });
        all.filter(|client| scene.ask(client, 0).is_ok()).count()
    };
    // 256 addresses of one /64; then all of a /56; then all of a /48.
    assert_eq!(admitted(0..1, 0..256), 10);
    assert_eq!(admitted(0..256, 0..1), 30);
    assert_eq!(admitted(0..65_536, 0..1), 40);
    assert!(scene.ask(&client("2001:db8:2::1"), 0).is_ok());
}

#[test]
fn a_network_of_many_has_many_shares() {
    let scene = Scene::new(
        "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 10, per = \"10s\" }\nconcurrent = 3",
    );
    let mut nat = client("192.0.2.1");
    nat.times = 20;
    assert_eq!(scene.admitted(&nat, 300, 0), 200);
    assert_eq!(scene.admitted(&nat, 300, 1000), 20);
    let permits: Vec<_> = (0..70).map(|_| scene.enter(&nat, 20_000)).collect();
    assert_eq!(permits.iter().filter(|permit| permit.is_ok()).count(), 60);
}

const KEYS: &str = r#"
[auth]
keys = "optional"
[[keys]]
name = "team-a"
sha256 = "0000000000000000000000000000000000000000000000000000000000000001"
requests = { count = 2, per = "1h" }
concurrent = 1
[[keys]]
name = "team-b"
sha256 = "0000000000000000000000000000000000000000000000000000000000000002"
[[limits]]
name = "each"
by = "client"
requests = { count = 3, per = "1h" }
[[limits]]
name = "anonymous"
by = "client"
callers = "anonymous"
requests = { count = 1, per = "1h" }
"#;

#[test]
fn a_key_has_limits_of_its_own_and_is_counted_by_itself() {
    let scene = Scene::new(KEYS);
    let (a, b) = (scene.keyed("team-a"), scene.keyed("team-b"));
    assert_eq!(scene.admitted(&a, 9, 0), 2);
    assert_eq!(scene.admitted(&b, 9, 0), 3);
    let mut nobody = b.clone();
    nobody.key = None;
    assert_eq!(scene.admitted(&nobody, 9, 0), 1);
    let refused = limited(scene.ask(&a, 0));
    assert_eq!(refused.name.as_str(), "key:team-a");
    assert_eq!(limited(scene.enter(&a, 0)).name.as_str(), "key:team-a");
    let _place = scene.enter(&a, 3_600_000 * 2).unwrap();
    let refused = limited(scene.enter(&a, 3_600_000 * 2));
    assert_eq!(refused.kind, Kind::Concurrent);
    assert_eq!((refused.count, refused.per), (1, None));
}

#[test]
fn who_is_forgiven_begins_anew() {
    let scene = Scene::new(KEYS);
    let one = client("2001:db8::1");
    assert_eq!(scene.admitted(&one, 9, 0), 1);
    let all = scene.limiter.standing(&scene.limits, &one, scene.at(0));
    let counted: Vec<&str> = all
        .iter()
        .map(|standing| standing.counted.as_str())
        .collect();
    assert_eq!(
        counted[..3],
        ["2001:db8::/64", "2001:db8::/56", "2001:db8::/48"]
    );
    assert_eq!(scene.limiter.forgive(&scene.limits, &one, scene.at(0)), 6);
    assert_eq!(scene.limiter.forgive(&scene.limits, &one, scene.at(0)), 0);
    assert_eq!(scene.admitted(&one, 9, 0), 1);
    assert_eq!(scene.limiter.kept(scene.at(0)).keys, 6);
}

#[test]
fn eight_threads_get_what_one_would() {
    let scene = Scene::new(
        r#"
[[limits]]
name = "all"
by = "global"
requests = { count = 1000, per = "1s", burst = 100 }
[[limits]]
name = "each"
by = "client"
requests = { count = 400, per = "1s", burst = 50 }
"#,
    );
    let (asked, admitted) = (AtomicU64::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (scene, asked, admitted) = (&scene, &asked, &admitted);
            scope.spawn(move || {
                let client = client(&format!("192.0.2.{}", number % 4));
                // Time passes as they ask, the same for all of them: two seconds.
                let moments = std::iter::repeat_with(|| asked.fetch_add(1, Ordering::Relaxed) / 80);
                let moments = moments.take_while(|milliseconds| *milliseconds <= 2000);
                let count = moments
                    .filter(|moment| scene.ask(&client, *moment).is_ok())
                    .count();
                admitted.fetch_add(count, Ordering::Relaxed);
            });
        }
    });
    let admitted = admitted.into_inner();
    assert!((2058..=2100).contains(&admitted), "{admitted}");
}
