//! Who joins whom, and who takes the work along.

use std::sync::atomic::AtomicBool;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::*;

const WHOLE: Form = Form {
    stream: false,
    usage: false,
};

fn key(number: u8) -> Key {
    Key::from_bytes([number; 32])
}

fn flights() -> Arc<Flights<u32>> {
    Arc::default()
}

/// Work that waits to be told, and whether it was dropped.
fn told() -> (oneshot::Sender<u32>, Work<u32>, Arc<AtomicBool>) {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (tell, told) = oneshot::channel();
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = Dropped(Arc::clone(&dropped));
    let work = async move {
        let _guard = guard;
        told.await.unwrap_or(0)
    };
    (tell, work.boxed(), dropped)
}

fn board(flights: &Arc<Flights<u32>>, number: u8, work: Work<u32>) -> Boarded<u32, u32> {
    flights.board(key(number), |_| true, || None, |_| (WHOLE, work))
}

#[track_caller]
fn leads(boarded: Boarded<u32, u32>) -> Arc<Flight<u32>> {
    match boarded {
        Boarded::Leads(flight) => flight,
        _ => panic!("it was to begin one"),
    }
}

#[track_caller]
fn joins(boarded: Boarded<u32, u32>) -> Arc<Flight<u32>> {
    match boarded {
        Boarded::Joins(flight) => flight,
        _ => panic!("it was to join one"),
    }
}

#[tokio::test]
async fn everybody_with_one_key_waits_for_one_work() {
    let flights = flights();
    let (tell, work, _) = told();
    let first = leads(board(&flights, 1, work));
    let second = joins(board(&flights, 1, told().1));
    let other = leads(board(&flights, 2, told().1));
    assert_eq!(flights.open(), 2);
    tell.send(7).unwrap();
    assert_eq!(second.landing().await, 7);
    assert_eq!(first.landing().await, 7);
    drop(other);
    assert_eq!(flights.open(), 1);
}

#[tokio::test]
async fn who_began_it_may_leave_and_the_last_takes_it_along() {
    let flights = flights();
    let (tell, work, dropped) = told();
    let first = leads(board(&flights, 1, work));
    // It was driven by the one who leaves.
    assert!(first.landing().now_or_never().is_none());
    let second = joins(board(&flights, 1, told().1));
    let mut landing = second.landing();
    assert!((&mut landing).now_or_never().is_none());
    drop(first);
    assert!(!dropped.load(Ordering::Relaxed));
    tell.send(3).unwrap();
    assert_eq!(landing.await, 3);
    drop(second);
    assert_eq!(flights.open(), 0);

    let (_tell, work, dropped) = told();
    drop(leads(board(&flights, 1, work)));
    assert!(dropped.load(Ordering::Relaxed));
}

#[tokio::test]
async fn what_is_closed_is_begun_anew_and_not_forgotten_twice() {
    let flights = flights();
    let first = leads(board(&flights, 1, told().1));
    first.close();
    let second = leads(board(&flights, 1, told().1));
    drop(first);
    assert_eq!(flights.open(), 1, "the first one's end is not the second's");
    let third = joins(board(&flights, 1, told().1));
    drop((second, third));
    assert_eq!(flights.open(), 0);
}

#[tokio::test]
async fn work_closes_its_own_place_when_it_lands() {
    let flights = flights();
    let landing = flights.board(
        key(1),
        |_| true,
        || None::<u32>,
        |place| {
            let work = async move {
                place.unwrap().close();
                1
            };
            (WHOLE, work.boxed())
        },
    );
    let first = leads(landing);
    assert_eq!(flights.open(), 1);
    assert_eq!(first.landing().await, 1);
    assert_eq!(flights.open(), 0);
    leads(board(&flights, 1, told().1));
}

#[tokio::test]
async fn those_whom_a_form_does_not_suit_have_a_flight_of_their_own() {
    let flights = flights();
    let counted = Form {
        stream: true,
        usage: true,
    };
    let _first = leads(board(&flights, 1, told().1));
    let mut others = Vec::new();
    for number in 0..3 {
        let boarded = flights.board(
            key(1),
            |form| form == counted,
            || None::<u32>,
            |place| {
                assert!(place.is_some());
                (counted, told().1)
            },
        );
        others.push(if number == 0 {
            leads(boarded)
        } else {
            joins(boarded)
        });
    }
    assert_eq!(flights.open(), 2);
    let alone = flights.board(
        key(1),
        |_| false,
        || None::<u32>,
        |place| {
            assert!(place.is_none());
            (WHOLE, told().1)
        },
    );
    drop(leads(alone));
    joins(board(&flights, 1, told().1));
    drop(others);
    assert_eq!(flights.open(), 1);
}

#[test]
fn what_has_landed_meanwhile_is_not_begun_again() {
    let flights = flights();
    let found = flights.board(
        key(1),
        |_| true,
        || Some(5),
        |_| unreachable!("it is there"),
    );
    assert!(matches!(found, Boarded::Landed(5)));
    assert_eq!(flights.open(), 0);
}

#[tokio::test]
async fn who_waited_in_vain_shares_one_second_work_however_late_it_comes() {
    let flights = flights();
    let (_tell, work, _) = told();
    let first = leads(board(&flights, 1, work));
    first.close();
    let again = |work| first.board_again(|_| true, || board(&flights, 1, work));
    let (tell, work, _) = told();
    let second = leads(again(work));
    tell.send(2).unwrap();
    assert_eq!(second.landing().await, 2);
    second.close();
    let held = Arc::downgrade(&second);
    drop(second);
    // It has landed and left, and is there for whoever was not woken before.
    assert_eq!(joins(again(told().1)).landing().await, 2);
    // In a form that does not suit it is nobody's.
    let (_tell, work, _) = told();
    let own = first.board_again(|_| false, || board(&flights, 1, work));
    drop(leads(own));
    assert_eq!(held.strong_count(), 1);
    drop(first);
    assert_eq!(held.strong_count(), 0);
}

#[tokio::test]
async fn who_cannot_have_what_still_goes_on_begins_anew_and_holds_it_no_longer() {
    let flights = flights();
    // A stream: its beginning has come, and it is open to its end.
    let (_tell, work, dropped) = told();
    let first = leads(board(&flights, 1, work));
    let again = |work| first.board_again(|_| true, || board(&flights, 1, work));
    let second = leads(again(told().1));
    assert!(!Arc::ptr_eq(&first, &second));
    drop(joins(again(told().1)));
    drop((first, second));
    assert!(dropped.load(Ordering::Relaxed), "it holds itself");
    assert_eq!(flights.open(), 0);
}
