//! Which requests are kept in mind, and how much memory is that?

use super::*;
use crate::gateway::client::Client;
use crate::gateway::record::id::RequestId;
use crate::gateway::record::outcome::Shed;
use crate::gateway::record::policy::LogPolicy;
use crate::gateway::record::transcript::Transcript;
use crate::gateway::record::{Outcome, RequestRecord};
use crate::sys;

fn ended(number: u64, change: impl FnOnce(&mut RequestRecord)) -> Ended {
    let client = Client::new(None);
    let mut record = RequestRecord::begin(sys::now(), RequestId::made(0, number), client);
    record.status = 200;
    record.bytes_in = number;
    change(&mut record);
    let began = record.began();
    let policy = LogPolicy::new(&crate::config::example(""));
    Ended::new(record, began, &policy, &[0; 32])
}

fn well(number: u64) -> Ended {
    ended(number, |_| {})
}

fn failed(number: u64) -> Ended {
    ended(number, |record| {
        record.status = 502;
        record.outcome = Outcome::UpstreamFailed;
    })
}

fn numbers(kept: &[Arc<Kept>]) -> Vec<u64> {
    let kept = kept.iter();
    kept.map(|kept| kept.ended.record().bytes_in).collect()
}

#[test]
fn the_newest_stay_and_come_first() {
    let recent = Recent::new(3);
    for number in 0..5 {
        recent.note(well(number));
    }
    assert_eq!(numbers(&recent.all()), [4, 3, 2]);
    assert!(recent.failures().is_empty());
}

#[test]
fn failures_are_not_pushed_out_by_what_went_well_nor_told_twice() {
    let recent = Recent::new(3);
    recent.note(failed(0));
    for number in 1..5 {
        recent.note(well(number));
    }
    recent.note(failed(5));
    assert_eq!(numbers(&recent.all()), [5, 4, 3, 0]);
    assert_eq!(numbers(&recent.failures()), [5, 0]);
    // And not by a crowd that was not let in.
    for number in 6..100 {
        recent.note(ended(number, |record| {
            record.status = 503;
            record.shed = Some(Shed::InFlight);
        }));
    }
    assert_eq!(numbers(&recent.failures()), [5, 0]);
    assert_eq!(numbers(&recent.all()), [99, 98, 97, 5, 0]);
}

#[test]
fn so_many_failures_stay_and_nothing_that_was_said() {
    let recent = Recent::new(3);
    for number in 0..60 {
        let mut heard = Transcript::new(Some(1024));
        heard.question(b"a question");
        heard.answer(b"an answer");
        let broken = |record: &mut RequestRecord| {
            record.status = 502;
            record.outcome = Outcome::UpstreamFailed;
            record.heard = Some(Box::new(heard));
        };
        recent.note(ended(number, broken));
    }
    // What `conf/reference.toml` says of them.
    let failures = recent.failures();
    assert_eq!(numbers(&failures), (10..60).rev().collect::<Vec<_>>());
    assert_eq!(recent.all().len(), 50);
    assert!(
        failures
            .iter()
            .all(|kept| kept.ended.record().heard.is_none())
    );
}

#[test]
fn another_size_keeps_what_fits() {
    let recent = Recent::new(4);
    (0..4).for_each(|number| recent.note(well(number)));
    recent.resize(2);
    assert_eq!(numbers(&recent.all()), [3, 2]);
    recent.resize(5);
    (4..6).for_each(|number| recent.note(well(number)));
    assert_eq!(numbers(&recent.all()), [5, 4, 3, 2]);
    recent.resize(0);
    recent.note(well(6));
    recent.note(failed(7));
    assert_eq!(numbers(&recent.all()), [7]);
}

#[test]
fn requests_side_by_side_are_each_kept_once() {
    let recent = Recent::new(1000);
    std::thread::scope(|scope| {
        for part in 0..4 {
            let recent = &recent;
            scope.spawn(move || {
                (part * 250..(part + 1) * 250).for_each(|number| recent.note(well(number)));
            });
        }
    });
    let mut kept = numbers(&recent.all());
    kept.sort_unstable();
    assert_eq!(kept, (0..1000).collect::<Vec<_>>());
}

/// What `conf/reference.toml` says of its memory.
#[test]
fn a_request_takes_no_more_memory_than_is_said() {
    let size = size_of::<Kept>() + size_of::<crate::gateway::record::AttemptRecord>() * 4;
    assert!(size <= 1536, "{size}");
}
