//! Is no place lost, given twice, or kept from anybody?

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;

type Entering<'a> = Pin<Box<dyn Future<Output = Result<Slot, Full>> + Send + 'a>>;

const PATIENCE: Duration = Duration::from_secs(20);

fn places(in_flight_max: usize, queue_max: usize) -> Places {
    Places {
        capacity: in_flight_max.into(),
        queue_max,
    }
}

fn later() -> Instant {
    sys::instant() + PATIENCE
}

/// One client's wish, looked at once.
fn asked(slots: &Arc<Slots>, client: u64, places: Places) -> Entering<'_> {
    let mut entering: Entering<'_> = Box::pin(slots.enter(client, places, later()));
    assert!(look(&mut entering).is_none(), "{client} need not wait");
    entering
}

fn look(entering: &mut Entering<'_>) -> Option<Result<Slot, Full>> {
    match entering
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(entered) => Some(entered),
        Poll::Pending => None,
    }
}

fn at_once(slots: &Arc<Slots>, client: u64, places: Places) -> Result<Slot, Full> {
    let mut entering: Entering<'_> = Box::pin(slots.enter(client, places, later()));
    look(&mut entering).unwrap()
}

/// In which order these clients, who ask one after the other, get the only place.
#[track_caller]
fn check_order(clients: &[u64], expected: &[usize]) {
    let slots = Arc::new(Slots::default());
    let one = places(1, clients.len());
    let mut held = at_once(&slots, 99, one.clone()).ok();
    let mut waiting: Vec<_> = clients
        .iter()
        .map(|client| Some(asked(&slots, *client, one.clone())))
        .collect();
    let mut order = Vec::new();
    while order.len() < clients.len() {
        drop(held.take());
        for (index, entering) in waiting.iter_mut().enumerate() {
            if let Some(entered) = entering.as_mut().and_then(look) {
                held = entered.ok();
                *entering = None;
                order.push(index);
            }
        }
        assert!(held.is_some(), "a place was lost after {order:?}");
    }
    assert_eq!(order, expected, "{clients:?}");
}

#[tokio::test]
async fn a_client_is_served_in_its_order_and_clients_take_turns() {
    check_order(&[1, 1, 1], &[0, 1, 2]);
    check_order(&[1, 2, 3], &[0, 1, 2]);
    check_order(&[1, 1, 1, 1, 2], &[0, 4, 1, 2, 3]);
    check_order(&[1, 1, 1, 2, 2, 3], &[0, 3, 5, 1, 4, 2]);
}

#[tokio::test]
async fn there_are_as_many_as_there_may_be() {
    let slots = Arc::new(Slots::default());
    let held: Vec<_> = (0..3).map(|_| at_once(&slots, 1, places(3, 0))).collect();
    assert!(held.iter().all(Result::is_ok));
    let refused = at_once(&slots, 1, places(3, 0)).unwrap_err();
    assert_eq!(refused, Full { waited: false });
    assert_eq!((slots.in_flight(), slots.waiting()), (3, 0));
    drop(held);
    assert_eq!(slots.in_flight(), 0);
    assert!(at_once(&slots, 1, places(3, 0)).unwrap().waited().is_none());
}

#[tokio::test]
async fn waiting_ends_in_time_and_leaves_nothing() {
    let slots = Arc::new(Slots::default());
    let held = at_once(&slots, 1, places(1, 8)).unwrap();
    let until = sys::instant() + Duration::from_millis(20);
    let refused = slots.enter(2, places(1, 8), until).await.unwrap_err();
    assert_eq!(refused, Full { waited: true });
    assert!(sys::instant() >= until);
    assert_eq!((slots.in_flight(), slots.waiting()), (1, 0));
    drop(held);
    assert_eq!(slots.in_flight(), 0);
}

#[tokio::test]
async fn whoever_leaves_is_out_of_the_queue_at_once() {
    let slots = Arc::new(Slots::default());
    let one = places(1, 2);
    let held = at_once(&slots, 1, one.clone()).unwrap();
    let first = asked(&slots, 1, one.clone());
    let mut second = asked(&slots, 2, one.clone());
    assert!(at_once(&slots, 3, one.clone()).is_err());
    drop(first);
    assert_eq!(slots.waiting(), 1);
    let third = asked(&slots, 3, one.clone());
    drop(held);
    let second = look(&mut second).unwrap().unwrap();
    assert!(second.waited().is_some());
    assert_eq!((slots.in_flight(), slots.waiting()), (1, 1));
    drop(third);
    drop(second);
    assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
}

#[tokio::test]
async fn a_place_that_was_given_to_one_who_left_is_passed_on() {
    let slots = Arc::new(Slots::default());
    let one = places(1, 8);
    let held = at_once(&slots, 1, one.clone()).unwrap();
    let first = asked(&slots, 1, one.clone());
    let mut second = asked(&slots, 2, one.clone());
    drop(held);
    // It is the first one's now, who has not looked and never will.
    drop(first);
    let second = look(&mut second).unwrap().unwrap();
    assert_eq!((slots.in_flight(), slots.waiting()), (1, 0));
    drop(second);
    assert_eq!(slots.in_flight(), 0);
}

#[tokio::test]
async fn a_full_queue_makes_room_for_a_client_with_a_shorter_line() {
    let slots = Arc::new(Slots::default());
    let bounds = places(1, 4);
    let held = at_once(&slots, 1, bounds.clone()).unwrap();
    let mut backlog: Vec<_> = (0..4).map(|_| asked(&slots, 1, bounds.clone())).collect();
    assert!(
        at_once(&slots, 1, bounds.clone()).is_err(),
        "its own line is it"
    );
    let other = asked(&slots, 2, bounds.clone());
    let newest = look(&mut backlog[3]).unwrap().unwrap_err();
    assert_eq!(newest, Full { waited: true });
    assert!(look(&mut backlog[2]).is_none());
    let another = asked(&slots, 2, bounds.clone());
    assert!(look(&mut backlog[2]).unwrap().is_err());
    // Two and two: nobody has a backlog beside the other.
    assert!(at_once(&slots, 2, bounds.clone()).is_err());
    assert_eq!(slots.waiting(), 4);
    drop((held, backlog, other, another));
    assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
}

#[tokio::test]
async fn a_new_bound_holds_at_once() {
    let slots = Arc::new(Slots::default());
    let held: Vec<_> = (0..2)
        .map(|_| at_once(&slots, 1, places(2, 8)).unwrap())
        .collect();
    let mut third = asked(&slots, 1, places(2, 8));
    let mut fourth = asked(&slots, 1, places(2, 8));
    slots.allow(3.into());
    let third = look(&mut third).unwrap();
    assert!(look(&mut fourth).is_none());
    slots.allow(1.into());
    drop(held);
    assert!(look(&mut fourth).is_none(), "one is in flight, and one may");
    drop(third);
    assert!(look(&mut fourth).unwrap().is_ok());
    drop(fourth);
    assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
}

/// Numbers by chance, the same ones each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The most that may be inside.
const MOST: usize = 7;

async fn come_often(slots: Arc<Slots>, client: u64, inside: Arc<AtomicUsize>, mut chance: Chance) {
    for _ in 0..150 {
        come(&slots, client, &inside, &mut chance).await;
    }
}

/// One coming: looks a few times, may then leave, granted or not, or waits and is inside.
async fn come(slots: &Arc<Slots>, client: u64, inside: &AtomicUsize, chance: &mut Chance) {
    let bound = places(MOST - usize::from(chance.below(9) == 0), 64);
    let mut entering: Entering<'_> = Box::pin(slots.enter(client, bound, later()));
    let mut entered = None;
    for _ in 0..chance.below(6) {
        entered = look(&mut entering);
        if entered.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    if entered.is_none() && chance.below(2) == 0 {
        return;
    }
    let entered = match entered {
        Some(entered) => entered,
        None => entering.await,
    };
    let slot = entered.expect("64 callers, and 64 may wait");
    let now_inside = inside.fetch_add(1, Ordering::SeqCst) + 1;
    assert!(now_inside <= MOST, "{now_inside} at a time");
    for _ in 0..chance.below(4) {
        tokio::task::yield_now().await;
    }
    inside.fetch_sub(1, Ordering::SeqCst);
    drop(slot);
}

/// Callers on several threads who come, wait, give up at any moment and change the bound.
/// Whoever is patient must get a place, there are never too many, and none is left over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_place_is_lost_whenever_somebody_leaves() {
    for seed in 1..=6_u64 {
        let slots = Arc::new(Slots::default());
        let inside = Arc::new(AtomicUsize::new(0));
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..64_u64 {
            let chance = Chance(seed * 0x9E37_79B9 + caller + 1);
            callers.spawn(come_often(
                Arc::clone(&slots),
                caller % 5,
                Arc::clone(&inside),
                chance,
            ));
        }
        let all = async { while callers.join_next().await.transpose().unwrap().is_some() {} };
        let ended = tokio::time::timeout(PATIENCE, all).await;
        assert!(ended.is_ok(), "seed {seed}: somebody waits for ever");
        let queue = slots.lock();
        assert_eq!((queue.in_flight, queue.waiting), (0, 0), "seed {seed}");
        assert!(queue.turns.is_empty() && queue.lines.is_empty());
    }
}
