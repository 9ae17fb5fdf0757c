//! Who has used how much, hour by hour?
//!
//! What an operator asks about a day or a week is seldom worth a time series database: so the
//! process remembers it for itself, and forgets it with its end. One row for each model, pool
//! and key that were seen together in an hour; names are those of the configuration. There is a
//! bound on all rows, beyond which the oldest hour goes: what is told then begins later, and says
//! so. A request takes the lock for one addition, at its very end.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::RequestRecord;
use super::spend::Served;
use crate::config::costs::{Costs, Used};
use crate::money::Usd;
use crate::names::{KeyName, ModelId, PoolName};

/// Seconds of an hour.
const HOUR: u64 = 3600;
/// The model of what there is no room for to be counted apart.
const OTHER: &str = "other";

/// What was used, and since when that is remembered.
#[derive(Debug)]
pub struct Usage {
    began: SystemTime,
    hours: Mutex<Hours>,
}

/// `rows = Σ hour.rows.len()`
#[derive(Debug, Default)]
struct Hours {
    /// The oldest first; none twice.
    all: VecDeque<Hour>,
    rows: usize,
    /// The latest hour that had to be forgotten, where one had.
    forgotten: Option<u64>,
}

/// One hour since 1970 in which something was used.
#[derive(Debug)]
struct Hour {
    number: u64,
    rows: HashMap<Row, Tally>,
}

/// Who asked whom for what. Where nobody was asked (it was refused, or came from memory) the
/// model is the one that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    model: ModelId,
    pool: Option<PoolName>,
    key: Option<KeyName>,
}

/// How much of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests for a model, whatever came of them.
    pub requests: u64,
    /// Those of them whose tokens are estimated.
    pub estimated: u64,
    /// Those of them that somebody was asked for whose price nobody knows.
    pub unpriced: u64,
    /// Tokens of questions.
    pub tokens_in: u64,
    /// Those of them that an upstream had kept from before.
    pub tokens_cached: u64,
    /// Tokens of answers.
    pub tokens_out: u64,
    /// What that cost.
    pub cost: Usd,
}

/// What is added up apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Each model.
    Model,
    /// Each pool.
    Pool,
    /// Each key.
    Key,
}

/// What was used in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// From which hour on, as far as anything is remembered.
    pub since: SystemTime,
    /// Each name with what it used; none: no pool was asked, or no key shown.
    pub names: Vec<(Option<String>, Tally)>,
    /// All of it.
    pub total: Tally,
    /// Rows that are kept, of all hours.
    pub rows: usize,
}

impl Usage {
    /// Nothing was used yet.
    #[must_use]
    pub fn new(began: SystemTime) -> Self {
        Self {
            began,
            hours: Mutex::default(),
        }
    }

    /// When this process began to remember.
    #[must_use]
    pub fn began(&self) -> SystemTime {
        self.began
    }

    /// Remembers what a request used.
    pub fn note(&self, record: &RequestRecord, costs: &Costs, now: Instant) {
        let served = record.served.as_deref();
        let asked = record.plan.as_ref().map(|plan| &plan.model);
        let Some(model) = served.map(|served| &served.model).or(asked) else {
            return;
        };
        let row = Row {
            model: model.clone(),
            pool: served.map(|served| served.pool.clone()),
            key: record.client.key.as_ref().map(|key| key.name.clone()),
        };
        let used = served.map(|_| record.used(0)).unwrap_or_default();
        let tally = Tally {
            requests: 1,
            estimated: u64::from(served.is_some() && record.estimated.is_some()),
            unpriced: u64::from(served.is_some_and(|served| served.price.is_none())),
            tokens_in: used.input,
            tokens_cached: used.cached.min(used.input),
            tokens_out: used.output,
            cost: record.cost.unwrap_or_default(),
        };
        let took = now.saturating_duration_since(record.began());
        self.add(row, &tally, (hour(record.began_wall() + took), costs));
    }

    fn add(&self, row: Row, tally: &Tally, (now, costs): (u64, &Costs)) {
        let mut hours = self.hours();
        let place = hours.place(now);
        let is_full = hours.rows >= costs.history_rows_max && hours.all.len() == 1;
        if let Some(hour) = hours.all.get_mut(place) {
            let before = hour.rows.len();
            // All the rows there may be are of this one hour: its others are counted together.
            let row = if is_full && !hour.rows.contains_key(&row) {
                Row::other()
            } else {
                row
            };
            hour.rows.entry(row).or_default().add(tally);
            hours.rows += usize::from(hour.rows.len() > before);
        }
        hours.forget(now, costs);
    }

    /// Remembers what was asked for behind a caller's back, to have a newer answer for the next.
    pub fn note_renewal(&self, served: &Served, used: Option<Used>, now: (SystemTime, &Costs)) {
        let row = Row {
            model: served.model.clone(),
            pool: Some(served.pool.clone()),
            key: None,
        };
        let price = served.price.zip(used).map(|(price, used)| price.of(&used));
        served.spent(price);
        let used = used.unwrap_or_default();
        let tally = Tally {
            requests: 1,
            unpriced: u64::from(served.price.is_none()),
            tokens_in: used.input,
            tokens_cached: used.cached.min(used.input),
            tokens_out: used.output,
            cost: price.unwrap_or_default(),
            ..Tally::default()
        };
        let (wall, costs) = now;
        self.add(row, &tally, (hour(wall), costs));
    }

    /// What was used from `since` until before `until`, by whole hours.
    #[must_use]
    pub fn told(&self, by: By, since: SystemTime, until: SystemTime) -> Told {
        let hours = self.hours();
        let first = hours.forgotten.map_or(0, |number| number + 1);
        let from = hour(since.max(self.began)).max(first);
        let mut names: BTreeMap<Option<&str>, Tally> = BTreeMap::new();
        let mut total = Tally::default();
        let asked = |told: &&Hour| told.number >= from && told.begins() < until;
        for (row, tally) in hours.all.iter().filter(asked).flat_map(|hour| &hour.rows) {
            let name = match by {
                By::Model => Some(row.model.as_str()),
                By::Pool => row.pool.as_ref().map(PoolName::as_str),
                By::Key => row.key.as_ref().map(KeyName::as_str),
            };
            names.entry(name).or_default().add(tally);
            total.add(tally);
        }
        let owned = |(name, tally): (Option<&str>, Tally)| (name.map(str::to_owned), tally);
        let mut names: Vec<_> = names.into_iter().map(owned).collect();
        names.sort_by_key(|(_, tally)| std::cmp::Reverse((tally.cost, tally.requests)));
        Told {
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(from.saturating_mul(HOUR)),
            names,
            total,
            rows: hours.rows,
        }
    }

    fn hours(&self) -> MutexGuard<'_, Hours> {
        // Sums are whole whenever something could panic.
        self.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hours {
    /// The place of an hour, made where there is none. Clocks go back, so it need not be the last.
    fn place(&mut self, number: u64) -> usize {
        let later = self
            .all
            .iter()
            .rev()
            .take_while(|hour| hour.number > number);
        let place = self.all.len() - later.count();
        if let Some(last) = place.checked_sub(1)
            && self.all.get(last).is_some_and(|hour| hour.number == number)
        {
            return last;
        }
        let rows = HashMap::new();
        self.all.insert(place, Hour { number, rows });
        place
    }

    /// Forgets what is too old, and the oldest hours while there are too many rows; of the hour
    /// that goes on now nothing.
    fn forget(&mut self, now: u64, costs: &Costs) {
        let kept = costs.history.as_secs() / HOUR;
        let oldest = now.saturating_sub(kept);
        while let Some(first) = self.all.front() {
            let is_too_much = self.rows > costs.history_rows_max && self.all.len() > 1;
            if first.number >= oldest && !is_too_much {
                return;
            }
            self.forgotten = self.forgotten.max(Some(first.number));
            self.rows -= first.rows.len();
            self.all.pop_front();
        }
    }
}

impl Row {
    fn other() -> Self {
        Self {
            model: ModelId::new(OTHER),
            pool: None,
            key: None,
        }
    }
}

impl Hour {
    fn begins(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.number.saturating_mul(HOUR))
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        let Self {
            requests,
            estimated,
            unpriced,
            tokens_in,
            tokens_cached,
            tokens_out,
            cost,
        } = other;
        self.requests += requests;
        self.estimated += estimated;
        self.unpriced += unpriced;
        self.tokens_in = self.tokens_in.saturating_add(*tokens_in);
        self.tokens_cached = self.tokens_cached.saturating_add(*tokens_cached);
        self.tokens_out = self.tokens_out.saturating_add(*tokens_out);
        self.cost += *cost;
    }
}

fn hour(wall: SystemTime) -> u64 {
    let unix = wall.duration_since(SystemTime::UNIX_EPOCH);
    unix.unwrap_or_default().as_secs() / HOUR
}

#[cfg(test)]
mod tests;
