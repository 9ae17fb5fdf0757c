//! Is what a server can do found, before servers that are only calculated?

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::sys;

/// A server with so many places, each busy with one request after the other, and callers
/// who ask it for as much as there is room for.
struct Server {
    room: Room,
    bounds: Concurrency,
    start: Instant,
    now: f64,
    /// When each place is free.
    places: BinaryHeap<Reverse<u64>>,
    /// Ends and begins of the requests in flight, in microseconds.
    in_flight: BinaryHeap<Reverse<(u64, u64)>>,
    chance: u64,
}

/// How it went for a while.
struct Course {
    /// The mean of the bound.
    bound: f64,
    /// The latency of the slowest hundredth, in service times.
    slow: f64,
}

impl Server {
    fn new(capacity: usize) -> Self {
        Self {
            room: Room::default(),
            bounds: bounds(1_000),
            start: sys::instant(),
            now: 0.0,
            places: (0..capacity).map(|_| Reverse(0)).collect(),
            in_flight: BinaryHeap::new(),
            chance: 88_172_645_463_325_252,
        }
    }

    fn uniform(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        f64::from(u32::try_from(self.chance >> 32).unwrap()) / f64::from(u32::MAX)
    }

    /// From now on it has this many places.
    fn has(&mut self, capacity: usize) {
        while self.places.len() > capacity {
            self.places.pop();
        }
        while self.places.len() < capacity {
            self.places.push(Reverse(micros(self.now)));
        }
    }

    /// Runs for so many service times; each request takes `service` seconds in the mean,
    /// from the half of it to half as much again, and at most `wanted` are asked at a time.
    fn run(&mut self, service: f64, times: f64, wanted: usize) -> Course {
        let ends = self.now + service * times;
        let mut bounds = Vec::new();
        let mut latencies = Vec::new();
        while self.now < ends {
            while self.in_flight.len() < wanted
                && self.room.has_room(self.in_flight.len(), &self.bounds)
            {
                let took = service * (0.5 + self.uniform());
                let Reverse(free) = self.places.pop().unwrap();
                let end = free.max(micros(self.now)) + micros(took);
                self.places.push(Reverse(end));
                self.in_flight.push(Reverse((end, micros(self.now))));
            }
            let in_flight = self.in_flight.len();
            let Reverse((end, begin)) = self.in_flight.pop().unwrap();
            let latency = Duration::from_micros(end - begin);
            self.now = Duration::from_micros(end).as_secs_f64();
            let now = self.start + Duration::from_micros(end);
            self.room
                .learn(Lesson::Answered(latency), in_flight, &self.bounds, now);
            bounds.push(number(self.room.bound(&self.bounds)));
            latencies.push(latency);
        }
        latencies.sort();
        let slow = latencies[latencies.len() * 99 / 100].as_secs_f64() / service;
        let bound = bounds.iter().sum::<f64>() / number(bounds.len());
        Course { bound, slow }
    }
}

fn micros(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_micros()).unwrap()
}

fn bounds(target_max: usize) -> Concurrency {
    Concurrency {
        target_max,
        pool_max: 1_000,
        queue_max: 0,
        queue_wait: Duration::ZERO,
        adaptive: true,
    }
}

#[track_caller]
fn check_near(course: &Course, capacity: usize, what: &str) {
    let share = course.bound / number(capacity);
    println!(
        "{what}: {capacity} places, bound {share:.2} of it, slow {:.2}",
        course.slow
    );
    assert!((0.7..=1.5).contains(&share), "{what}: {share:.2} N");
    assert!(
        course.slow < 3.0,
        "{what}: {:.2} service times",
        course.slow
    );
}

#[test]
fn what_a_server_can_do_is_found() {
    for capacity in [4, 10, 30, 100, 300] {
        let mut server = Server::new(capacity);
        server.run(0.3, 600.0, usize::MAX);
        let course = server.run(0.3, 1_000.0, usize::MAX);
        check_near(&course, capacity, "found");
    }
}

#[test]
fn half_of_a_server_is_found_and_the_whole_again() {
    for capacity in [20, 100] {
        let mut server = Server::new(capacity);
        server.run(0.3, 600.0, usize::MAX);
        server.has(capacity / 2);
        server.run(0.3, 100.0, usize::MAX);
        let course = server.run(0.3, 600.0, usize::MAX);
        check_near(&course, capacity / 2, "halved");
        server.has(capacity);
        server.run(0.3, 300.0, usize::MAX);
        let course = server.run(0.3, 600.0, usize::MAX);
        check_near(&course, capacity, "whole again");
    }
}

#[test]
fn a_tenth_of_a_server_is_found() {
    let mut server = Server::new(200);
    server.run(0.3, 600.0, usize::MAX);
    server.has(20);
    server.run(0.3, 1_200.0, usize::MAX);
    let course = server.run(0.3, 600.0, usize::MAX);
    check_near(&course, 20, "a tenth");
}

#[test]
fn longer_requests_are_no_crowd() {
    let mut server = Server::new(50);
    server.run(0.3, 600.0, usize::MAX);
    server.run(1.2, 400.0, usize::MAX);
    let course = server.run(1.2, 600.0, usize::MAX);
    check_near(&course, 50, "longer requests");
}

#[test]
fn a_bound_that_nobody_comes_near_does_not_grow() {
    let mut server = Server::new(1_000);
    server.run(0.3, 2_000.0, 10);
    let bound = server.room.bound(&server.bounds);
    assert!((10..=30).contains(&bound), "{bound}");
}

#[test]
fn there_is_never_more_than_the_configuration_allows() {
    let mut server = Server::new(1_000);
    server.bounds = bounds(40);
    server.run(0.3, 600.0, usize::MAX);
    let found = server.room.bound(&server.bounds);
    assert!((35..=40).contains(&found), "{found}");
    assert_eq!(server.room.bound(&bounds(7)), 7);
    let fixed = Concurrency {
        adaptive: false,
        ..bounds(512)
    };
    assert_eq!(server.room.bound(&fixed), 512);
    assert!(server.room.has_room(511, &fixed));
    assert!(!server.room.has_room(512, &fixed));
}

#[test]
fn a_target_that_says_it_is_busy_is_believed_once_a_round_trip() {
    let (room, bounds, now) = (Room::default(), bounds(100), sys::instant());
    assert!(room.learn(Lesson::Busy(None), 10, &bounds, now));
    assert_eq!(room.bound(&bounds), 7);
    // Those that were in flight with it say the same.
    for _ in 0..6 {
        assert!(!room.learn(Lesson::Busy(None), 10, &bounds, now));
    }
    for _ in 0..1_000 {
        room.learn(Lesson::Busy(None), 10, &bounds, now);
    }
    assert_eq!(room.bound(&bounds), 1, "one is always tried");
}

#[test]
fn many_failures_are_a_crowd_and_a_few_are_not() {
    #[track_caller]
    fn check(failures_of_ten: usize, shrinks: bool) {
        let (room, bounds, start) = (Room::default(), bounds(100), sys::instant());
        for turn in 0..400_u32 {
            let now = start + Duration::from_millis(10) * turn;
            let lesson = if (turn as usize % 10) < failures_of_ten {
                Lesson::Failed
            } else {
                Lesson::Answered(Duration::from_millis(100))
            };
            room.learn(lesson, 10, &bounds, now);
        }
        let bound = room.bound(&bounds);
        assert_eq!(bound < FIRST, shrinks, "{failures_of_ten} of ten: {bound}");
    }
    check(1, false);
    check(4, false);
    check(7, true);
    check(10, true);
}
