//! Who has a place, and who is only told of?

use super::*;

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
