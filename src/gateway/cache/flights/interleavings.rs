//! Is the same asked once, whoever comes and leaves in whatever moment?

use shuttle::future::{block_on, yield_now};

use super::*;
use crate::sync::interleavings::{check, together};

const WHOLE: Form = Form {
    stream: false,
    usage: false,
};

/// What everybody of a model sees.
#[derive(Default)]
struct World {
    flights: Arc<Flights<u64>>,
    /// Work that was begun, and work that is on.
    begun: AtomicU64,
    on: Arc<AtomicU64>,
    /// What is kept of it.
    kept: Arc<Mutex<Option<u64>>>,
}

/// Counts work for as long as somebody holds it.
struct On(Arc<AtomicU64>);

impl On {
    fn new(on: &Arc<AtomicU64>) -> Self {
        assert_eq!(on.fetch_add(1, Ordering::Relaxed), 0, "one at a time");
        Self(Arc::clone(on))
    }
}

impl Drop for On {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl World {
    /// Asks a second time for nothing: keeps what came of it, if it comes to anything, before it
    /// lets nobody join.
    fn board(&self, comes_to_anything: bool) -> Boarded<u64, u64> {
        let landed = || *self.kept.lock().unwrap();
        let begin = |place: Option<Place<u64>>| {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            let (on, kept) = (Arc::clone(&self.on), Arc::clone(&self.kept));
            let work = async move {
                let on = On::new(&on);
                yield_now().await;
                if comes_to_anything {
                    *kept.lock().unwrap() = Some(number);
                }
                drop(on);
                if let Some(place) = place {
                    place.close();
                }
                number
            };
            (WHOLE, work.boxed())
        };
        let key = Key::from_bytes([7; 32]);
        self.flights.board(key, |_| true, landed, begin)
    }

    /// Asks, and waits for the answer or leaves at once.
    fn ask(&self, waits: bool) {
        let answer = match self.board(true) {
            Boarded::Landed(answer) => answer,
            Boarded::Leads(flight) | Boarded::Joins(flight) => {
                if !waits {
                    return;
                }
                block_on(flight.landing())
            }
        };
        let kept = *self.kept.lock().unwrap();
        assert_eq!(Some(answer), kept, "everybody has the one answer");
    }
}

fn asks(world: &Arc<World>, manners: [bool; 3]) {
    let threads = manners.map(|waits| {
        let world = Arc::clone(world);
        Box::new(move || world.ask(waits)) as Box<dyn FnOnce() + Send>
    });
    together(threads);
    assert_eq!(world.flights.open(), 0);
    assert_eq!(world.on.load(Ordering::Relaxed), 0);
}

#[test]
fn whoever_waits_is_answered_by_one_piece_of_work() {
    check(|| {
        let world = Arc::new(World::default());
        asks(&world, [true; 3]);
        assert_eq!(world.begun.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn whoever_leaves_takes_nobody_along() {
    check(|| {
        let world = Arc::new(World::default());
        asks(&world, [false, true, true]);
        // One more only where the first had left before anybody joined it.
        assert!(world.begun.load(Ordering::Relaxed) <= 2);
        assert!(world.kept.lock().unwrap().is_some());
    });
}

#[test]
fn whoever_waited_in_vain_asks_again_with_all_the_others() {
    check(|| {
        let world = Arc::new(World::default());
        let Boarded::Leads(first) = world.board(false) else {
            panic!("nobody has asked before");
        };
        let threads = [(); 3].map(|()| {
            let (world, first) = (Arc::clone(&world), Arc::clone(&first));
            Box::new(move || {
                block_on(first.landing());
                let again = first.board_again(|_| true, || world.board(false));
                let (Boarded::Leads(second) | Boarded::Joins(second)) = again else {
                    panic!("nothing is kept");
                };
                block_on(second.landing());
            }) as Box<dyn FnOnce() + Send>
        });
        together(threads);
        assert_eq!(world.begun.load(Ordering::Relaxed), 2);
        drop(first);
        assert_eq!(world.flights.open(), 0);
    });
}

/// A stream, which is open to others for as long as anybody has it.
fn stream(flights: &Arc<Flights<u64>>) -> Boarded<u64, u64> {
    let begin = |_| (WHOLE, std::future::ready(0).boxed());
    flights.board(Key::from_bytes([7; 32]), |_| true, || None, begin)
}

fn boarded(boarded: Boarded<u64, u64>) -> Arc<Flight<u64>> {
    match boarded {
        Boarded::Leads(flight) | Boarded::Joins(flight) => flight,
        Boarded::Landed(_) => panic!("nothing is kept"),
    }
}

#[test]
fn whoever_cannot_have_what_goes_on_leaves_nothing_that_holds_itself() {
    check(|| {
        let flights = Arc::<Flights<u64>>::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let threads = [(); 3].map(|()| {
            let (flights, seen) = (Arc::clone(&flights), Arc::clone(&seen));
            Box::new(move || {
                let first = boarded(stream(&flights));
                let second = boarded(first.board_again(|_| true, || stream(&flights)));
                let third = boarded(second.board_again(|_| true, || stream(&flights)));
                let all = [&first, &second, &third].map(Arc::downgrade);
                seen.lock().unwrap().extend(all);
            }) as Box<dyn FnOnce() + Send>
        });
        together(threads);
        let held = seen.lock().unwrap();
        assert!(held.iter().all(|flight| flight.strong_count() == 0));
        assert_eq!(flights.open(), 0);
    });
}

#[test]
fn one_stands_in_for_who_began_it() {
    check(|| {
        let flight = Flight::alone(WHOLE, std::future::ready(0).boxed());
        let taken = Arc::new(AtomicU64::new(0));
        let left = Arc::clone(&flight);
        let mut threads: Vec<Box<dyn FnOnce() + Send>> = vec![Box::new(move || left.let_go())];
        for _ in 0..2 {
            let (flight, taken) = (Arc::clone(&flight), Arc::clone(&taken));
            threads.push(Box::new(move || {
                taken.fetch_add(u64::from(flight.take_over()), Ordering::Relaxed);
            }));
        }
        together(threads);
        let later = u64::from(flight.take_over());
        assert_eq!(taken.load(Ordering::Relaxed) + later, 1);
    });
}
