//! What is remembered of which hour, and what is forgotten.

use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn costs(rows_max: usize) -> Costs {
    Costs {
        history: DAY,
        history_rows_max: rows_max,
    }
}

/// So many hours since 1970, and a little.
fn at(hours: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(hours * HOUR + 60)
}

fn row(model: &str, pool: Option<&str>, key: Option<&str>) -> Row {
    Row {
        model: ModelId::new(model),
        pool: pool.map(PoolName::new),
        key: key.map(KeyName::new),
    }
}

fn one(tokens_in: u64, nanos: u64) -> Tally {
    Tally {
        requests: 1,
        tokens_in,
        cost: Usd::nanos(nanos),
        ..Tally::default()
    }
}

fn names(told: &Told) -> Vec<(Option<&str>, u64, u64)> {
    let names = told.names.iter();
    names
        .map(|(name, tally)| (name.as_deref(), tally.requests, tally.cost.as_nanos()))
        .collect()
}

#[test]
fn it_is_told_by_model_pool_and_key_the_dearest_first() {
    let usage = Usage::new(at(100));
    let now = (100, &costs(1000));
    usage.add(row("m", Some("p"), Some("a")), &one(1, 5), now);
    usage.add(row("m", Some("q"), None), &one(2, 70), now);
    usage.add(row("n", None, Some("a")), &one(0, 0), now);
    let by = |by| usage.told(by, at(0), at(200));
    assert_eq!(
        names(&by(By::Model)),
        [(Some("m"), 2, 75), (Some("n"), 1, 0)]
    );
    assert_eq!(
        names(&by(By::Pool)),
        [(Some("q"), 1, 70), (Some("p"), 1, 5), (None, 1, 0)]
    );
    assert_eq!(names(&by(By::Key)), [(None, 1, 70), (Some("a"), 2, 5)]);
    assert_eq!(by(By::Key).total, by(By::Model).total);
    assert_eq!((by(By::Key).total.tokens_in, by(By::Key).rows), (3, 3));
}

#[test]
fn only_the_hours_that_are_asked_for_are_told() {
    let usage = Usage::new(at(100));
    for hour in 100..110 {
        usage.add(row("m", None, None), &one(1, 1), (hour, &costs(1000)));
    }
    let told = |since, until| usage.told(By::Model, at(since), at(until));
    assert_eq!(told(103, 105).total.requests, 3);
    assert_eq!(told(103, 105).since, at(103) - Duration::from_mins(1));
    assert_eq!(told(0, 200).total.requests, 10);
    assert_eq!(told(0, 200).since, at(100) - Duration::from_mins(1));
    assert_eq!(told(110, 200).total, Tally::default());
}

#[test]
fn what_is_too_old_is_forgotten_and_said_to_be() {
    let usage = Usage::new(at(100));
    for hour in [100, 101, 126] {
        usage.add(row("m", None, None), &one(1, 1), (hour, &costs(1000)));
    }
    let told = usage.told(By::Model, at(0), at(200));
    assert_eq!((told.total.requests, told.rows), (1, 1));
    assert_eq!(told.since, at(102) - Duration::from_mins(1));
}

#[test]
fn a_clock_that_goes_back_adds_to_the_hour_that_it_says() {
    let usage = Usage::new(at(100));
    for hour in [100, 102, 101, 102, 100] {
        usage.add(row("m", None, None), &one(1, 1), (hour, &costs(1000)));
    }
    let told = |from: u64| usage.told(By::Model, at(from), at(from)).total.requests;
    assert_eq!([100, 101, 102].map(told), [2, 1, 2]);
}

proptest! {
    /// However many names come by, no more is kept than may be, beside the hour that goes on.
    #[test]
    fn rows_have_a_bound(
        seen in prop::collection::vec((0_u64..40, 0_u32..30), 1..400), rows_max in 1_usize..60,
    ) {
        let usage = Usage::new(at(0));
        let costs = costs(rows_max);
        let mut latest = 0;
        for (hour, name) in seen {
            latest = latest.max(hour);
            usage.add(row(&name.to_string(), None, None), &one(1, 1), (hour, &costs));
            let hours = usage.hours();
            let sum: usize = hours.all.iter().map(|hour| hour.rows.len()).sum();
            prop_assert_eq!(hours.rows, sum);
            prop_assert!(hours.rows <= rows_max + 1);
            prop_assert!(hours.all.iter().is_sorted_by(|one, next| one.number < next.number));
        }
    }

    /// Nothing is lost between the sums by name and the sum of all.
    #[test]
    fn the_sum_of_names_is_the_total(
        seen in prop::collection::vec((100_u64..110, 0_u32..5, 0_u64..1000, 0_u64..1000), 1..100),
    ) {
        let usage = Usage::new(at(100));
        for (hour, name, tokens, nanos) in &seen {
            let row = row("m", Some(&name.to_string()), None);
            usage.add(row, &one(*tokens, *nanos), (*hour, &costs(1000)));
        }
        let told = usage.told(By::Pool, at(0), at(200));
        let mut sum = Tally::default();
        told.names.iter().for_each(|(_, tally)| sum.add(tally));
        prop_assert_eq!(sum, told.total);
        prop_assert_eq!(sum.cost.as_nanos(), seen.iter().map(|(.., nanos)| nanos).sum::<u64>());
    }
}
