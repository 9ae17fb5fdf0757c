//! Does each caller get what its limits say, and nobody what others have had?

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::config::{Config, example};
use crate::gateway::client::subject::V6Times;
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
    began: Instant,
}

impl Scene {
    fn new(tables: &str) -> Self {
        let (config, began) = (example(tables), sys::instant());
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
        self.began + Duration::from_millis(milliseconds)
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
            cost: Cost { requests, tokens },
            shared: None,
        };
        let now = self.at(milliseconds);
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

#[test]
fn a_dear_model_counts_more_and_is_never_refused_for_ever() {
    let scene = Scene::new(
        "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 10, per = \"10s\" }\ntokens = { count = 100, per = \"10s\" }",
    );
    let one = client("192.0.2.1");
    scene.ask_for(&one, (4, 5), false, 0).unwrap();
    let quota = scene.ask_for(&one, (4, 5), false, 0).unwrap().quota();
    assert_eq!(quota.requests.unwrap().remaining, 2);
    assert_eq!(quota.tokens.unwrap().remaining, 60);
    assert!(scene.ask_for(&one, (4, 5), false, 0).is_err());
    // More than a window holds is all of it.
    assert!(scene.ask_for(&one, (1000, 1 << 40), false, 10_000).is_ok());
    assert!(scene.ask_for(&one, (1, 1), false, 10_000).is_err());
}

#[test]
fn tokens_are_settled_and_places_given_back() {
    let scene = Scene::new(
        "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 9, per = \"1h\" }\ntokens = { count = 1000, per = \"1h\" }\nstreams = 1",
    );
    let one = client("192.0.2.1");
    let left = |scene: &Scene| {
        let all = scene.limiter.standing(&scene.limits, &one, scene.at(0));
        let level = |kind| {
            let standing = all.iter().find(|standing| standing.kind == kind).unwrap();
            standing.level.unwrap().remaining
        };
        (level(Kind::Requests), level(Kind::Tokens))
    };
    let ask = || scene.ask_for(&one, (1, 300), true, 0);
    ask().unwrap().settle(50, scene.at(0));
    assert_eq!(left(&scene), (8, 950));
    ask().unwrap().settle(650, scene.at(0));
    assert_eq!(left(&scene), (7, 300));
    ask().unwrap().hand_back(scene.at(0));
    assert_eq!(left(&scene), (7, 300));
    // Nobody knows what it used: its estimate stays.
    drop(ask().unwrap());
    assert_eq!(left(&scene), (6, 0));
    let mut held = scene.ask_for(&one, (1, 0), true, 0).unwrap();
    assert!(limited(scene.ask_for(&one, (1, 0), true, 0)).kind == Kind::Streams);
    held.release();
    held.release();
    assert!(scene.ask_for(&one, (1, 0), true, 0).is_ok());
    // What an upstream makes up does not shut its caller out for longer than the cap does.
    held.settle(u64::MAX, scene.at(0));
    assert_eq!(left(&scene).1, 0);
    let hours = (reservation::TOKENS_MAX / 1000 + 2) * 3_600_000;
    assert!(scene.ask_for(&one, (1, 1000), false, hours).is_ok());
}

#[test]
fn what_is_left_is_told_of_the_window_that_is_tightest_once_settled() {
    let scene = Scene::new(
        "[[limits]]\nname = \"hour\"\nby = \"client\"\ntokens = { count = 1000, per = \"1h\" }\n[[limits]]\nname = \"day\"\nby = \"client\"\ntokens = { count = 2000, per = \"1d\" }\n[[limits]]\nname = \"shadow\"\nby = \"client\"\ntokens = { count = 1000, per = \"31d\" }\nshadow = true",
    );
    let one = client("192.0.2.1");
    let left = |reservation: &Reservation<'_>| {
        let level = reservation.quota().tokens.unwrap();
        (level.limit, level.remaining)
    };
    let mut reservation = scene.ask_for(&one, (1, 900), false, 0).unwrap();
    assert_eq!(left(&reservation), (1000, 100));
    reservation.settle(600, scene.at(0));
    assert_eq!(left(&reservation), (1000, 400));
    reservation.settle(600, scene.at(0));
    assert_eq!(left(&reservation), (1000, 400));
    // An hour later the day remembers, and the hour does not until more is asked for.
    let mut reservation = scene.ask_for(&one, (1, 900), false, 3_600_000).unwrap();
    assert_eq!(left(&reservation), (1000, 100));
    reservation.settle(100, scene.at(3_600_000));
    assert_eq!(left(&reservation).0, 2000);
}

#[test]
fn a_shadow_refuses_nobody_and_tells() {
    let scene = Scene::new(
        "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 1, per = \"1h\" }\nconcurrent = 1\nshadow = true",
    );
    let one = client("2001:db8::1");
    let mut permit = scene.enter(&one, 0).unwrap();
    assert_eq!(permit.take_shadowed(), []);
    assert_eq!(scene.ask(&one, 0).unwrap().take_shadowed(), []);
    let mut second = scene.enter(&one, 0).unwrap();
    let met = |kind| (LimitName::new("l"), kind);
    assert_eq!(second.take_shadowed(), [met(Kind::Concurrent)]);
    let mut reservation = scene.ask(&one, 0).unwrap();
    assert_eq!(reservation.take_shadowed(), [met(Kind::Requests)]);
    assert_eq!(reservation.quota(), Quota::default());
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
fn reloads_give_nobody_a_new_bucket() {
    let limit = |count: u32| {
        format!(
            "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = {{ count = {count}, per = \"1h\" }}"
        )
    };
    let mut scene = Scene::new(&limit(1000));
    let one = client("192.0.2.1");
    let mut admitted = 0;
    for reload in 0..100 {
        let count = if reload % 2 == 0 { 999 } else { 1000 };
        scene.reload(&limit(count));
        admitted += scene.admitted(&one, 50, 10 * reload);
    }
    assert!((999..=1050).contains(&admitted), "{admitted}");
    // A smaller limit is in force with the next request, a larger one as soon.
    scene.reload(&limit(10));
    assert!(scene.ask(&one, 2000).is_err());
    scene.reload("");
    assert!(scene.ask(&one, 2000).is_ok());
    scene.reload(&limit(1000));
    assert!(scene.admitted(&one, 9, 2000) <= 1);
}

#[test]
fn bounds_of_all_and_of_each_client() {
    let scene = Scene::new("");
    let enter = |last: u8, bounds: Bounds| {
        let client = client(&format!("192.0.2.{last}"));
        scene
            .limiter
            .enter(&scene.limits, &client, bounds, scene.at(0))
    };
    let bounds = Bounds {
        all: 3,
        per_client: 2,
    };
    let first = enter(1, bounds).unwrap();
    let mut second = enter(1, bounds).unwrap();
    assert_eq!(enter(1, bounds).unwrap_err(), Full::Client.into());
    let _third = enter(2, bounds).unwrap();
    assert_eq!(enter(3, bounds).unwrap_err(), Full::All.into());
    // Bounds that shrink turn nobody out.
    let smaller = Bounds {
        all: 1,
        per_client: 1,
    };
    assert_eq!(enter(4, smaller).unwrap_err(), Full::All.into());
    drop(first);
    second.release();
    second.release();
    let _fourth = enter(1, bounds).unwrap();
    let _fifth = enter(3, bounds).unwrap();
    assert_eq!(enter(2, bounds).unwrap_err(), Full::All.into());
}

#[test]
fn who_is_refused_a_place_of_one_limit_holds_none_of_another() {
    let scene = Scene::new(
        "[[limits]]\nname = \"all\"\nby = \"global\"\nconcurrent = 2\n[[limits]]\nname = \"l\"\nby = \"client\"\nconcurrent = 1",
    );
    let (one, other) = (client("2001:db8::1"), client("192.0.2.1"));
    let first = scene.enter(&one, 0).unwrap();
    for _ in 0..9 {
        assert_eq!(limited(scene.enter(&one, 0)).name.as_str(), "l");
    }
    let _second = scene.enter(&other, 0).unwrap();
    assert_eq!(
        limited(scene.enter(&client("192.0.2.2"), 0)).name.as_str(),
        "all"
    );
    drop(first);
    assert!(scene.enter(&one, 0).is_ok());
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
