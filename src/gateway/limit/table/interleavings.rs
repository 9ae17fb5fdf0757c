//! Is no more given out than there is, whoever looks, takes and settles at the same time?

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::limits::Window;
use crate::sync::atomic::AtomicU64;
use crate::sync::interleavings::{check, together};

const COUNT: u32 = 2;
/// The first and the last set.
const KEYS: [u64; 2] = [1, u64::MAX];

fn now() -> Ticks {
    Ticks::of(Duration::from_secs(1))
}

fn rate() -> Rate {
    Rate::new(&Window {
        count: COUNT.into(),
        per: Duration::from_mins(1),
        burst: COUNT.into(),
        calendar: false,
    })
}

fn claims<const N: usize>(keys: [u64; N]) -> [Claim<()>; N] {
    keys.map(|key| Claim::new((), key, rate(), 1))
}

fn remaining(table: &Table, key: u64) -> u64 {
    rate().level(table.full(key), now()).remaining
}

#[test]
fn all_windows_or_none_and_never_more_than_there_is() {
    check(|| {
        let table = Arc::new(Table::new(4 * WAYS));
        let taken: Arc<[AtomicU64; 2]> = Arc::default();
        let [first, last] = KEYS;
        // Two want both windows, in either order; others one of them.
        let wanted = [
            vec![first, last],
            vec![last, first],
            vec![first],
            vec![last],
        ];
        let threads = wanted.map(|keys| {
            let (table, taken) = (Arc::clone(&table), Arc::clone(&taken));
            Box::new(move || {
                let mut claims: Vec<_> = keys.iter().flat_map(|key| claims([*key])).collect();
                if table.take(&mut claims, now()) {
                    let of = |key| keys.iter().filter(|one| **one == key).count() as u64;
                    taken[0].fetch_add(of(KEYS[0]), Ordering::Relaxed);
                    taken[1].fetch_add(of(KEYS[1]), Ordering::Relaxed);
                }
            }) as Box<dyn FnOnce() + Send>
        });
        together(threads);
        for (key, taken) in KEYS.into_iter().zip(&*taken) {
            let taken = taken.load(Ordering::Relaxed);
            assert_eq!(taken + remaining(&table, key), u64::from(COUNT));
        }
    });
}

#[test]
fn what_is_given_back_is_there_once() {
    check(|| {
        let table = Arc::new(Table::new(4 * WAYS));
        let [key, _] = KEYS;
        let kept = Arc::new(AtomicU64::new(0));
        // Three ask for one each of two; the first gives its own back, the others use it.
        let threads = [0, 1, 1].map(|used| {
            let (table, kept) = (Arc::clone(&table), Arc::clone(&kept));
            Box::new(move || {
                let mut asked = claims([key]);
                if table.take(&mut asked, now()) {
                    let [claim] = asked;
                    table.settle(&claim.taken().unwrap(), used, now());
                    kept.fetch_add(used, Ordering::Relaxed);
                }
            }) as Box<dyn FnOnce() + Send>
        });
        together(threads);
        let used = kept.load(Ordering::Relaxed);
        assert_eq!(remaining(&table, key), u64::from(COUNT) - used);
    });
}
