//! Is what was reserved made good by what was used?

use super::*;

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
    ask().unwrap().settle(tokens(50), scene.at(0));
    assert_eq!(left(&scene), (8, 950));
    ask().unwrap().settle(tokens(650), scene.at(0));
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
    held.settle(tokens(u64::MAX), scene.at(0));
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
    reservation.settle(tokens(600), scene.at(0));
    assert_eq!(left(&reservation), (1000, 400));
    reservation.settle(tokens(600), scene.at(0));
    assert_eq!(left(&reservation), (1000, 400));
    // An hour later the day has more left than the hour, though more of it is used.
    let mut reservation = scene.ask_for(&one, (1, 900), false, 3_600_000).unwrap();
    assert_eq!(left(&reservation), (1000, 100));
    reservation.settle(tokens(100), scene.at(3_600_000));
    assert_eq!(left(&reservation), (1000, 900));
}
