//! Is an endpoint out when it should be, and back when it may?

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(10);
/// Half of all chance: neither longer nor shorter.
const EVEN: u64 = 1 << 63;

fn policy() -> Ejection {
    Ejection {
        failures: 3,
        failure_percent: 50,
        requests_min: 20,
        window: 30 * SECOND,
        latency: None,
        time: 10 * SECOND,
        time_max: 300 * SECOND,
        pool_percent_max: 50,
    }
}

fn check() -> Check {
    Check {
        path: None,
        interval: 10 * SECOND,
        timeout: SECOND,
        healthy_after: 2,
        unhealthy_after: 3,
    }
}

/// An endpoint under a made-up clock, in a pool that always lets it rest.
struct Tried {
    health: Health,
    policy: Ejection,
    start: Instant,
    now: Instant,
    /// When it began to rest and when it came back.
    changes: Vec<Instant>,
}

impl Tried {
    fn new() -> Self {
        let start = crate::sys::instant();
        Self {
            health: Health::default(),
            policy: policy(),
            start,
            now: start,
            changes: Vec::new(),
        }
    }

    fn later(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    fn fails(&mut self) -> &mut Self {
        let learned = self.health.failed(self.now, &self.policy);
        self.follow(learned);
        self
    }

    fn answers(&mut self) -> &mut Self {
        self.answers_after(FAST)
    }

    fn answers_after(&mut self, took: Duration) -> &mut Self {
        let learned = self.health.answered(took, self.now, &self.policy);
        self.follow(learned);
        self
    }

    fn follow(&mut self, learned: Learned) {
        match learned {
            Learned::Nothing => {}
            Learned::Returned => self.changes.push(self.now),
            Learned::Eject(_) => {
                if !self.health.is_ejected() {
                    self.changes.push(self.now);
                }
                self.health.eject(self.now, &self.policy, EVEN);
            }
        }
    }

    fn falls(&mut self) -> &mut Self {
        self.fails().fails().fails()
    }

    fn claims(&self) -> bool {
        self.health.begins(self.now, self.policy.time)
    }

    fn look(&self) -> Look {
        let view = View {
            checks: true,
            slow_start: 10 * SECOND,
        };
        self.health.look(self.now, view)
    }

    #[track_caller]
    fn is(&mut self, expected: Verdict) -> &mut Self {
        let after = self.now - self.start;
        assert_eq!(self.health.verdict(self.now), expected, "after {after:?}");
        self
    }
}

#[test]
fn three_failures_in_a_row_eject_and_less_do_not() {
    let mut tried = Tried::new();
    tried.policy.requests_min = 1_000;
    for _ in 0..10 {
        tried.fails().fails().answers().is(Verdict::Fit);
    }
    tried.fails().fails().is(Verdict::Fit);
    tried.fails().is(Verdict::Ejected);
}

#[test]
fn half_of_many_attempts_eject_though_never_two_in_a_row() {
    let mut tried = Tried::new();
    for _ in 0..9 {
        tried.fails().later(SECOND).answers();
    }
    tried.is(Verdict::Fit).answers().is(Verdict::Fit);
    tried.fails().fails().is(Verdict::Ejected);
}

#[test]
fn a_slow_answer_is_a_failure_where_the_policy_says_so() {
    let mut tried = Tried::new();
    for _ in 0..10 {
        tried.answers_after(20 * SECOND).is(Verdict::Fit);
    }
    tried.policy.latency = Some(20 * SECOND);
    tried.answers_after(20 * SECOND).answers_after(21 * SECOND);
    tried.answers_after(19 * SECOND).is(Verdict::Fit);
    for _ in 0..3 {
        tried.answers_after(20 * SECOND);
    }
    tried.is(Verdict::Ejected);
}

#[test]
fn after_its_rest_one_request_probes_and_nobody_else() {
    let mut tried = Tried::new();
    tried.falls().later(10 * SECOND).is(Verdict::Due);
    assert!(tried.claims());
    tried.is(Verdict::Ejected);
    assert!(!tried.claims(), "a second request probed");
    tried.later(FAST).answers().is(Verdict::Fit);
}

#[test]
fn a_failed_probe_ejects_for_longer_each_time_up_to_the_longest() {
    let mut tried = Tried::new();
    tried.policy.time_max = 35 * SECOND;
    tried.falls();
    for rest in [10, 20, 30, 35, 35] {
        let nearly = Duration::from_millis(rest * 1_000 - 10);
        tried.later(nearly).is(Verdict::Ejected);
        tried.later(FAST).is(Verdict::Due);
        assert!(tried.claims());
        tried.fails().is(Verdict::Ejected);
    }
}

#[test]
fn a_claim_that_nobody_answers_for_ends_by_itself() {
    let mut tried = Tried::new();
    tried.falls().later(10 * SECOND);
    assert!(tried.claims());
    tried.later(10 * SECOND).is(Verdict::Due);
    assert!(tried.claims());
}

#[test]
fn what_was_asked_before_it_fell_is_no_news() {
    let mut tried = Tried::new();
    tried.falls().later(6 * SECOND);
    tried.answers_after(7 * SECOND).is(Verdict::Ejected);
    // What fell with it makes its rest no longer.
    tried.falls().later(4 * SECOND).is(Verdict::Due);
}

#[test]
fn in_need_a_success_brings_it_back_before_its_time() {
    let mut tried = Tried::new();
    tried.falls().later(6 * SECOND).answers().is(Verdict::Fit);
}

#[test]
fn time_in_good_health_shortens_the_next_rest_again() {
    let mut tried = Tried::new();
    tried.falls();
    for rest in [10, 20, 30] {
        tried.later(rest * SECOND);
        assert!(tried.claims());
        tried.fails();
    }
    tried.later(40 * SECOND);
    assert!(tried.claims());
    tried.answers().is(Verdict::Fit);
    // Four in a row; two are forgiven.
    tried.later(25 * SECOND).falls();
    tried.later(29 * SECOND).is(Verdict::Ejected);
    tried.later(SECOND).is(Verdict::Due);
}

#[test]
fn rests_vary_by_a_tenth_the_longest_too() {
    let rest = |chance| Health::default().eject(crate::sys::instant(), &policy(), chance);
    assert_eq!(rest(0), 9 * SECOND);
    assert_eq!(rest(EVEN), 10 * SECOND);
    assert!(rest(u64::MAX) > Duration::from_millis(10_999) && rest(u64::MAX) <= 11 * SECOND);
    let mut shortest = policy();
    shortest.time_max = 10 * SECOND;
    shortest.time = 10 * SECOND;
    let rest = |chance| Health::default().eject(crate::sys::instant(), &shortest, chance);
    // Else all that have failed for long would be probed together.
    assert_ne!(rest(EVEN), rest(EVEN + EVEN / 2));
}

#[test]
fn one_that_flaps_each_second_changes_once_in_five_seconds_at_most() {
    let mut tried = Tried::new();
    // As a pool asks it: twenty requests a second while it is fit, one that probes, and
    // one a second in need.
    for second in 0..60_u32 {
        for _ in 0..20 {
            let verdict = tried.health.verdict(tried.now);
            let asked = match verdict {
                Verdict::Fit => true,
                Verdict::Due => tried.claims(),
                _ => tried.now.duration_since(tried.start).subsec_millis() == 0,
            };
            tried.later(SECOND / 20);
            match (asked, second % 2 == 0) {
                (true, true) => tried.answers(),
                (true, false) => tried.fails(),
                (false, _) => &mut tried,
            };
        }
    }
    assert!(tried.changes.len() >= 4, "{}", tried.changes.len());
    for pair in tried.changes.windows(2) {
        assert!(pair[1] - pair[0] >= 5 * SECOND, "{:?}", pair[1] - pair[0]);
    }
}

#[test]
fn one_that_is_busy_is_left_alone_for_as_long_as_it_says_and_no_longer_than_a_minute() {
    #[track_caller]
    fn check(wait: Option<u64>, expected: Duration) {
        let mut tried = Tried::new();
        tried.health.busy(wait.map(Duration::from_secs), tried.now);
        assert_eq!(tried.health.cooling(tried.now), Some(expected));
        tried
            .later(expected.saturating_sub(FAST))
            .is(Verdict::Cooling);
        tried.later(FAST).is(Verdict::Fit);
        assert_eq!(tried.health.cooling(tried.now), None);
        assert!((tried.look().share - 1.0).abs() < f64::EPSILON);
    }
    check(None, SECOND);
    check(Some(7), 7 * SECOND);
    check(Some(99_999), 60 * SECOND);
}

#[test]
fn being_busy_is_no_failure_and_a_shorter_wait_does_not_shorten_a_longer() {
    let mut tried = Tried::new();
    tried.fails().fails();
    tried.health.busy(Some(7 * SECOND), tried.now);
    tried.health.busy(Some(2 * SECOND), tried.now);
    tried.later(3 * SECOND).is(Verdict::Cooling);
    tried.later(4 * SECOND).is(Verdict::Fit);
    tried.fails().is(Verdict::Ejected);
}

#[test]
fn a_refused_credential_is_tried_by_one_request_after_a_minute() {
    let mut tried = Tried::new();
    tried.health.refused(tried.now);
    tried.later(59 * SECOND).is(Verdict::Refused);
    assert!(!tried.health.is_ejected());
    tried.later(SECOND).is(Verdict::Due);
    assert!(tried.claims());
    tried.is(Verdict::Refused);
    tried.health.refused(tried.now);
    tried.later(59 * SECOND).is(Verdict::Refused);
    tried.later(SECOND);
    assert!(tried.claims());
    tried.later(FAST).answers().is(Verdict::Fit);
}

#[test]
fn another_credential_is_asked_with_at_once_and_ends_no_other_rest() {
    let mut tried = Tried::new();
    tried.health.refused(tried.now);
    tried.is(Verdict::Refused).health.credential_changed();
    tried.is(Verdict::Fit).falls();
    tried.health.credential_changed();
    tried.is(Verdict::Ejected);
}

#[test]
fn what_comes_back_grows_into_its_share_and_what_is_new_has_it() {
    let mut tried = Tried::new();
    let share = |tried: &Tried| tried.look().share;
    assert!((share(&tried) - 1.0).abs() < 1e-9);
    tried.falls().later(10 * SECOND);
    assert!(tried.claims());
    tried.answers();
    assert!((share(&tried) - 0.1).abs() < 1e-9);
    tried.later(5 * SECOND);
    assert!((share(&tried) - 0.55).abs() < 1e-9);
    tried.later(5 * SECOND);
    assert!((share(&tried) - 1.0).abs() < 1e-9);
}

#[test]
fn checks_take_out_after_three_and_bring_back_after_two() {
    let mut tried = Tried::new();
    let checked = |tried: &mut Tried, passed| {
        let changed = tried.health.checked(passed, &check(), tried.now);
        tried.later(10 * SECOND);
        changed
    };
    for _ in 0..3 {
        assert!(!checked(&mut tried, false));
        assert!(!checked(&mut tried, false));
        assert!(!checked(&mut tried, true));
    }
    assert!(!checked(&mut tried, false) && !checked(&mut tried, false));
    assert!(checked(&mut tried, false));
    tried.is(Verdict::CheckFailed);
    // Requests that succeed in need do not overrule it.
    tried.answers().is(Verdict::CheckFailed);
    let unchecked = View {
        checks: false,
        slow_start: SECOND,
    };
    let look = tried.health.look(tried.now, unchecked);
    assert_eq!(look.verdict, Verdict::Fit, "nobody would bring it back");
    tried.is(Verdict::CheckFailed);
    assert!(!checked(&mut tried, true));
    assert!(checked(&mut tried, true));
    tried.is(Verdict::Fit);
    assert!(tried.look().share >= 1.0, "ten seconds have passed");
}

#[test]
fn the_least_bad_is_the_one_whose_rest_ends_first() {
    let start = crate::sys::instant();
    let [first, second, both] = [(); 3].map(|()| Health::default());
    first.eject(start, &policy(), EVEN);
    second.eject(start + SECOND, &policy(), EVEN);
    both.eject(start, &policy(), EVEN);
    for _ in 0..3 {
        both.checked(false, &check(), start + 6 * SECOND);
    }
    let now = start + 7 * SECOND;
    assert!(first.badness(now) < second.badness(now));
    assert!(second.badness(now) < both.badness(now));
}

proptest! {
    #[test]
    fn whatever_happens_it_changes_rarely_and_comes_back_in_the_end(
        happenings in proptest::collection::vec((0_u64..3_000, 0_u8..6), 1..200),
    ) {
        let mut tried = Tried::new();
        for (pause_ms, what) in happenings {
            tried.later(Duration::from_millis(pause_ms));
            match what {
                0 | 1 => { tried.fails(); }
                2 | 3 => { tried.answers(); }
                4 => { tried.claims(); }
                _ => tried.health.busy(None, tried.now),
            }
            let share = tried.look().share;
            prop_assert!((0.1..=1.0).contains(&share));
        }
        for pair in tried.changes.windows(2) {
            prop_assert!(pair[1] - pair[0] >= 5 * SECOND);
        }
        tried.later(400 * SECOND);
        prop_assert!(tried.health.verdict(tried.now).may_be_asked());
    }
}
