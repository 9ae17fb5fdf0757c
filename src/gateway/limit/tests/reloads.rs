//! Who begins anew after a reload, and who does not?

use super::*;

const USD: u64 = 1_000_000_000;

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
fn who_has_used_up_a_day_is_not_kept_out_of_a_minute_for_the_rest_of_it() {
    let limit = |count: u32, per: &str| {
        format!(
            "[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = {{ count = {count}, per = \"{per}\" }}"
        )
    };
    let mut scene = Scene::new(&limit(300, "1d"));
    let one = client("192.0.2.1");
    assert_eq!(scene.admitted(&one, 400, 0), 300);
    scene.reload(&limit(300, "1m"));
    let told = scene.limiter.standing(&scene.limits, &one, scene.at(0));
    assert_eq!(told[0].level.unwrap().remaining, 300);
    assert!(scene.enter(&one, 0).is_ok());
    assert_eq!(scene.admitted(&one, 400, 0), 300);
    // A larger count of the same span is no new bucket, however that is written.
    scene.reload(&limit(400, "60s"));
    assert_eq!(scene.admitted(&one, 400, 0), 0);
    assert_eq!(scene.limiter.forgive(&scene.limits, &one, scene.at(0)), 1);
    assert_eq!(scene.admitted(&one, 500, 0), 400);
    // The day goes on where it was.
    scene.reload(&limit(300, "1d"));
    assert_eq!(scene.admitted(&one, 400, 0), 0);
}

#[test]
fn a_budget_of_another_span_begins_anew() {
    let budget = |usd: u32, per: &str| {
        format!(
            "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"a\"\nsha256 = \"{:064x}\"\ncost = {{ usd = {usd}, per = \"{per}\" }}",
            1
        )
    };
    let mut scene = Scene::new(&budget(5, "7d"));
    let (key, now) = (scene.keyed("a"), scene.at(0));
    drop(scene.spend(&key, 5 * USD, now).unwrap());
    assert!(scene.spend(&key, 1, now).is_err());
    scene.reload(&budget(5, "1d"));
    drop(scene.spend(&key, 5 * USD, now).unwrap());
    assert!(scene.spend(&key, 1, now).is_err());
    scene.reload(&budget(6, "1d"));
    drop(scene.spend(&key, USD, now).unwrap());
    assert!(scene.spend(&key, 1, now).is_err());
    // The week goes on where it was.
    scene.reload(&budget(5, "7d"));
    assert!(scene.spend(&key, 1, now).is_err());
}
