//! Is every place given on, whoever leaves in whatever moment?

use super::*;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::interleavings::{check, together};

/// What a caller does who has to wait.
#[derive(Clone, Copy)]
enum Manner {
    Waits,
    Leaves,
}

fn places(in_flight_max: usize) -> Places {
    Places {
        capacity: in_flight_max.into(),
        queue_max: 3,
    }
}

/// Holds a place for a moment, and looks who else does.
fn hold(slot: Slot, held: &AtomicUsize, most: usize) {
    assert!(held.fetch_add(1, Ordering::Relaxed) < most);
    held.fetch_sub(1, Ordering::Relaxed);
    drop(slot);
}

/// A caller. One who waits has to get a place, or nobody would be left to go on.
fn caller(
    slots: &Arc<Slots>,
    held: &Arc<AtomicUsize>,
    (client, manner): (u64, Manner),
    in_flight_max: usize,
) -> Box<dyn FnOnce() + Send> {
    let (slots, held) = (Arc::clone(slots), Arc::clone(held));
    Box::new(move || {
        let most = in_flight_max.max(1);
        match (
            slots.line_up(client, places(in_flight_max)).unwrap(),
            manner,
        ) {
            (Entry::Slot(slot), _) => hold(slot, &held, most),
            (Entry::Waiting(mut waiting), Manner::Waits) => {
                let slot = shuttle::future::block_on(&mut waiting.granted).unwrap();
                drop(waiting);
                hold(slot, &held, most);
            }
            (Entry::Waiting(waiting), Manner::Leaves) => drop(waiting),
        }
    })
}

#[test]
fn no_place_is_lost_and_none_given_twice() {
    check(|| {
        let (slots, held) = <(Arc<Slots>, Arc<AtomicUsize>)>::default();
        let callers = [
            (1, Manner::Waits),
            (1, Manner::Leaves),
            (2, Manner::Leaves),
            (3, Manner::Waits),
        ];
        together(callers.map(|it| caller(&slots, &held, it, 1)));
        assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
    });
}

#[test]
fn whoever_waits_hears_of_places_that_are_new() {
    check(|| {
        let (slots, held) = <(Arc<Slots>, Arc<AtomicUsize>)>::default();
        let raised = Arc::clone(&slots);
        let callers = [(1, Manner::Waits), (2, Manner::Leaves)];
        let [first, second] = callers.map(|it| caller(&slots, &held, it, 0));
        // Until the last of them has lined up, each says anew that there is none.
        let raise: Box<dyn FnOnce() + Send> = Box::new(move || {
            while Arc::strong_count(&raised) > 2 {
                raised.allow(1.into());
                shuttle::thread::yield_now();
            }
        });
        together([first, second, raise]);
        assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
    });
}

#[test]
fn a_place_on_its_way_to_one_who_leaves_comes_back() {
    check(|| {
        let (slots, held) = <(Arc<Slots>, Arc<AtomicUsize>)>::default();
        let leaves = caller(&slots, &held, (1, Manner::Leaves), 0);
        let giver = Arc::clone(&slots);
        let give: Box<dyn FnOnce() + Send> = Box::new(move || {
            let granted = {
                let mut queue = giver.lock();
                queue.capacity = 1.into();
                queue.grant()
            };
            // Chosen, and not yet told: this is where a place could be lost.
            shuttle::thread::yield_now();
            giver.give(granted);
        });
        together([leaves, give]);
        assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
    });
}
