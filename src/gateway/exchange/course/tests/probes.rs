//! Is the one request that tries whether a rest is over one that is sent?

use super::*;
use crate::gateway::pools::Lesson;

/// The first target of pool `a` has fallen; gives when, and when its rest is over.
fn fallen(question: &Question) -> (Instant, Instant) {
    let pool = &question.plan.legs[0].pool;
    let endpoint = Arc::clone(&pool.targets[0].endpoints()[0]);
    let start = sys::instant();
    for _ in 0..3 {
        pool.learn(&endpoint, Lesson::Failed, start, 1 << 63);
    }
    (start, start + Duration::from_secs(20))
}

fn port(next: Option<Next<'_>>) -> Option<u16> {
    next.map(|next| next.endpoint.address.port())
}

#[test]
fn a_request_that_is_not_sent_leaves_the_probe_to_the_next() {
    let question = question("", "");
    let (_, over) = fallen(&question);
    for is_full in [false, true] {
        let mut course = Course::new(&question);
        let next = course.next(over, 1).unwrap();
        assert_eq!(next.endpoint.address.port(), 1);
        if is_full {
            course.full(&next);
        } else {
            course.unfit(&next, Inexpressible::unknown("seed"));
        }
    }
    assert_eq!(port(Course::new(&question).next(over, 1)), Some(1));
}

#[test]
fn of_two_that_are_named_it_one_tries_whether_its_rest_is_over() {
    let question = question("", "");
    let (_, over) = fallen(&question);
    let mut courses = [(); 2].map(|()| Course::new(&question));
    let named = courses.each_mut().map(|course| course.next(over, 1));
    let begun = std::iter::zip(&mut courses, named);
    let begun = begun.map(|(course, next)| port(course.begin(next?, over, 1)));
    assert_eq!(begun.collect::<Vec<_>>(), [Some(1), Some(2)]);
    // Both count once, as what they are.
    for course in &courses {
        assert_eq!(course.asked(&question.plan.legs[0].pool), 1);
    }
    assert_eq!(port(Course::new(&question).next(over, 1)), Some(2));
}

#[test]
fn in_need_one_is_asked_though_another_tries_whether_its_rest_is_over() {
    let question = question("[attempts]\nper_pool_max = 1", "");
    let pool = &question.plan.legs[1].pool;
    let endpoint = Arc::clone(&pool.targets[0].endpoints()[0]);
    let (_, over) = fallen(&question);
    for _ in 0..3 {
        pool.learn(&endpoint, Lesson::Failed, over, 1 << 63);
    }
    let later = over + Duration::from_secs(20);
    assert!(pool.begins(&endpoint, later));
    let mut course = Course::new(&question);
    let first = course.next(later, 1);
    let first = course.begin(first.unwrap(), later, 1).unwrap();
    assert!(course.failed(&first, slow()));
    let next = course.next(later, 1).unwrap();
    assert_eq!(port(course.begin(next, later, 1)), Some(3));
}

#[test]
fn an_attempt_that_nothing_pays_for_leaves_the_probe_to_the_next() {
    let unpaid = "[attempts]\nbudget_percent = 0\nbudget_per_second = 0";
    let question = question(unpaid, "");
    let (start, over) = fallen(&question);
    let mut course = Course::new(&question);
    let first = course.next(start, 1).unwrap();
    assert_eq!(first.endpoint.address.port(), 2);
    assert!(course.failed(&first, broken()));
    assert_eq!(port(course.next(over, 1)), Some(3));
    assert_eq!(port(Course::new(&question).next(over, 1)), Some(1));
}

#[test]
fn a_second_attempt_that_nothing_pays_for_leaves_the_probe_to_the_next() {
    let question = question("", "");
    let (start, over) = fallen(&question);
    let mut course = Course::new(&question);
    let first = course.next(start, 1).unwrap();
    assert_eq!(first.endpoint.address.port(), 2);
    assert!(course.beside(&first, over, 1).is_none());
    assert_eq!(port(Course::new(&question).next(over, 1)), Some(1));
}
