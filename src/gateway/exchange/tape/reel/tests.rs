//! What each reader hears of a tape, in every order.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::gateway::body::{Budget, Held};

const START: Mark = Mark {
    at_boundary: true,
    said_its_last: false,
    events: 0,
    usage: None,
};
const END: Next = Next::End { add_done: false };

fn mark(events: u64) -> Mark {
    Mark { events, ..START }
}

/// A tape that keeps so much, out of a budget of so much.
fn keeping(bytes_max: usize, budget_bytes: usize) -> (Reel, Arc<Budget>) {
    let budget = Arc::new(Budget::default());
    let share = Held::new(Bytes::new(), budget.share(budget_bytes)).share_beside();
    (Reel::new(Some(Keep { bytes_max, share }), START), budget)
}

fn came(reel: &mut Reel, text: &'static str, number: u64) -> bool {
    let slices = vec![Bytes::from_static(text.as_bytes())];
    reel.append(slices, Ok(Next::Slices), mark(number))
}

/// All that a reader has not heard, and how it ends for it.
fn rest(reel: &mut Reel, number: usize) -> (String, Option<Result<Next, StreamBreak>>) {
    let mut out = Vec::new();
    loop {
        match reel.hear(number, &mut out) {
            Some(Heard::Slices(_) | Heard::Quiet) => {}
            Some(Heard::End(end, _)) => return (text(&out), Some(end)),
            None => return (text(&out), None),
        }
    }
}

fn text(slices: &[Bytes]) -> String {
    String::from_utf8(slices.concat()).unwrap()
}

#[test]
fn who_joins_late_hears_everything_from_the_beginning() {
    let (mut reel, _) = keeping(100, 100);
    let (first, start) = reel.join().unwrap();
    assert_eq!(start, START);
    assert!(!came(&mut reel, "a", 1), "nobody else waits");
    assert_eq!(rest(&mut reel, first), ("a".to_owned(), None));
    came(&mut reel, "b", 2);
    let (late, start) = reel.join().unwrap();
    assert_eq!(start, START);
    assert!(came(&mut reel, "c", 3), "somebody else waits perhaps");
    reel.end(Ok(END));
    assert_eq!(rest(&mut reel, late), ("abc".to_owned(), Some(Ok(END))));
    assert_eq!(rest(&mut reel, first), ("bc".to_owned(), Some(Ok(END))));
    let (latest, _) = reel.join().unwrap();
    assert_eq!(rest(&mut reel, latest), ("abc".to_owned(), Some(Ok(END))));
    assert_eq!(text(&reel.whole().unwrap()), "abc");
}

#[test]
fn each_part_tells_how_the_stream_stood_behind_it() {
    let (mut reel, _) = keeping(100, 100);
    let (reader, _) = reel.join().unwrap();
    came(&mut reel, "a", 1);
    came(&mut reel, "b", 2);
    let mut out = Vec::new();
    assert_eq!(reel.hear(reader, &mut out), Some(Heard::Slices(mark(1))));
    assert_eq!(reel.hear(reader, &mut out), Some(Heard::Slices(mark(2))));
    assert_eq!(reel.hear(reader, &mut out), None);
}

#[test]
fn past_its_bound_nobody_joins_and_only_what_somebody_needs_is_kept() {
    let (mut reel, budget) = keeping(4, 100);
    let (first, _) = reel.join().unwrap();
    let (slow, _) = reel.join().unwrap();
    came(&mut reel, "abc", 1);
    assert_eq!(budget.held_bytes(), 3);
    assert_eq!(rest(&mut reel, first), ("abc".to_owned(), None));
    assert_eq!(rest(&mut reel, slow), ("abc".to_owned(), None));
    came(&mut reel, "de", 2);
    assert!(reel.join().is_none());
    assert_eq!(budget.held_bytes(), 2);
    assert_eq!(rest(&mut reel, first), ("de".to_owned(), None));
    reel.leave(slow);
    assert_eq!(budget.held_bytes(), 0, "nobody else needs it");
    reel.end(Ok(END));
    assert_eq!(reel.whole(), None);
}

#[test]
fn who_is_too_far_behind_is_told_and_not_waited_for() {
    let (mut reel, budget) = keeping(4, 100);
    let (fast, _) = reel.join().unwrap();
    let (slow, _) = reel.join().unwrap();
    for (number, part) in (1..).zip(["ab", "cd", "ef"]) {
        came(&mut reel, part, number);
        assert_eq!(rest(&mut reel, fast), (part.to_owned(), None));
        assert!(budget.held_bytes() <= 4);
    }
    let lagged = Some(Err(StreamBreak::Lagged));
    assert_eq!(rest(&mut reel, slow), (String::new(), lagged));
    reel.end(Ok(END));
    assert_eq!(rest(&mut reel, fast), (String::new(), Some(Ok(END))));
}

#[test]
fn without_room_among_all_answers_nothing_is_kept_and_nothing_lost() {
    let (mut reel, budget) = keeping(100, 3);
    let (reader, _) = reel.join().unwrap();
    came(&mut reel, "abcd", 1);
    came(&mut reel, "ef", 2);
    assert_eq!(rest(&mut reel, reader), ("abcdef".to_owned(), None));
    assert!(reel.join().is_none());
    drop(reel);
    assert_eq!(budget.held_bytes(), 0);
}

#[test]
fn a_tape_that_nobody_else_reads_keeps_nothing() {
    let mut reel = Reel::new(None, START);
    let (reader, _) = reel.join().unwrap();
    assert!(reel.is_ones_own());
    assert!(reel.join().is_none());
    reel.end(Err(StreamBreak::Cut));
    let cut = Some(Err(StreamBreak::Cut));
    assert_eq!(rest(&mut reel, reader), (String::new(), cut));
}

#[test]
fn silence_is_told_to_everybody_once() {
    let (mut reel, _) = keeping(100, 100);
    let (first, _) = reel.join().unwrap();
    let (second, _) = reel.join().unwrap();
    reel.append(Vec::new(), Ok(Next::Quiet), START);
    for reader in [first, second] {
        assert_eq!(reel.hear(reader, &mut Vec::new()), Some(Heard::Quiet));
        assert_eq!(reel.hear(reader, &mut Vec::new()), None);
    }
}

#[test]
fn what_came_with_a_break_is_heard_before_it() {
    let (mut reel, _) = keeping(100, 100);
    let (reader, _) = reel.join().unwrap();
    let slices = vec![Bytes::from_static(b"a")];
    reel.append(slices, Err(StreamBreak::Cut), mark(1));
    let cut = Some(Err(StreamBreak::Cut));
    assert_eq!(rest(&mut reel, reader), ("a".to_owned(), cut));
    assert_eq!(reel.whole(), None);
}

/// What happens to a tape.
#[derive(Debug, Clone)]
enum Step {
    Part(u8),
    Join,
    Hear(prop::sample::Index),
    Leave(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_u8..6).prop_map(Step::Part),
        1 => Just(Step::Join),
        4 => any::<prop::sample::Index>().prop_map(Step::Hear),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
    ]
}

proptest! {
    #[test]
    fn a_reader_hears_a_beginning_of_the_stream_and_all_of_it_or_that_it_lagged(
        steps in prop::collection::vec(step(), 0..60),
        bytes_max in 0_usize..24,
        budget_bytes in 0_usize..24,
    ) {
        let (mut reel, budget) = keeping(bytes_max, budget_bytes);
        let mut said = Vec::new();
        let mut heard: Vec<Option<Vec<Bytes>>> = Vec::new();
        for step in steps {
            match step {
                Step::Part(length) => {
                    let part: Vec<u8> = (0..length).map(|at| at ^ (said.len() % 251).to_le_bytes()[0]).collect();
                    said.extend_from_slice(&part);
                    reel.append(vec![part.into()], Ok(Next::Slices), START);
                }
                Step::Join => {
                    let Some((number, _)) = reel.join() else {
                        continue;
                    };
                    // The place of one that has left may be another's.
                    if number == heard.len() {
                        heard.push(None);
                    }
                    prop_assert!(heard[number].is_none());
                    heard[number] = Some(Vec::new());
                }
                Step::Hear(at) if !heard.is_empty() => {
                    let at = at.index(heard.len());
                    if let Some(out) = &mut heard[at] {
                        reel.hear(at, out);
                    }
                }
                Step::Leave(at) if !heard.is_empty() => {
                    let at = at.index(heard.len());
                    heard[at] = None;
                    reel.leave(at);
                }
                Step::Hear(_) | Step::Leave(_) => {}
            }
            prop_assert!(budget.held_bytes() <= budget_bytes.min(bytes_max));
        }
        reel.end(Ok(END));
        for (number, out) in heard.into_iter().enumerate() {
            let Some(mut out) = out else { continue };
            let end = loop {
                match reel.hear(number, &mut out) {
                    Some(Heard::End(end, _)) => break end,
                    Some(_) => {}
                    None => prop_assert!(false, "an end is missing"),
                }
            };
            let heard = out.concat();
            prop_assert!(said.starts_with(&heard));
            match end {
                Ok(_) => prop_assert_eq!(heard.len(), said.len()),
                Err(broken) => prop_assert_eq!(broken, StreamBreak::Lagged),
            }
        }
    }
}
