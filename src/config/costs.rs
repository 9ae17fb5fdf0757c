//! What do answers cost, and how long is that remembered?

use std::time::Duration;

use super::{Config, Model, ModelPool};
use crate::money::Usd;

/// What a model's answers cost: `price` of a model, or of one of its pools.
///
/// Shape: whole numbers, so that no sum depends on the order in which it was made.
/// Units: millionths of a millionth of a dollar for one token, which is a millionth of a dollar
/// for a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// A token of a question.
    pub input_pico: u64,
    /// One that the upstream had kept from before.
    pub cached_input_pico: u64,
    /// A token of an answer.
    pub output_pico: u64,
    /// An image.
    pub image: Usd,
}

/// What an answer used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens of the question.
    pub input: u64,
    /// Those of them that the upstream had kept from before; more than all are all.
    pub cached: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Images.
    pub images: u32,
}

impl Price {
    /// What so much costs: summed up exactly, and rounded once, to the nearest billionth.
    #[must_use]
    pub fn of(&self, used: &Used) -> Usd {
        // Each product is below 2¹⁰⁰: 2⁶⁴ tokens of 2³⁴, 2³² images of 2⁵⁰.
        let times = |count: u64, pico: u64| u128::from(count) * u128::from(pico);
        let cached = used.cached.min(used.input);
        let pico = times(used.input - cached, self.input_pico)
            + times(cached, self.cached_input_pico)
            + times(used.output, self.output_pico);
        let images = times(used.images.into(), self.image.as_nanos());
        Usd::clamped((pico + 500) / 1000 + images)
    }

    /// What is written for a million tokens, for one of them.
    #[must_use]
    pub fn of_a_million(dollars: f64) -> u64 {
        // A thousand times finer than it is counted, and so rounded once more.
        Usd::dollars(dollars).as_nanos().saturating_add(500) / 1000
    }

    /// What one token's price is for a million of them, in dollars; for people.
    #[must_use]
    pub fn for_a_million(pico: u64) -> f64 {
        Usd::nanos(pico.saturating_mul(1000)).as_dollars()
    }
}

/// `[costs]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// How long is remembered what was used, from an hour to 31 days.
    pub history: Duration,
    /// How many rows that may take, ≥ 1: a model at a pool for a key in one hour is one.
    pub history_rows_max: usize,
}

impl Config {
    /// Which models have no price at one of their pools, where others have some or a budget counts
    /// on it: what those cost is not counted, and no budget refuses them.
    #[must_use]
    pub fn unpriced_in_words(&self) -> Option<String> {
        let is_unpriced = |model: &&Model| {
            let own = |pool: &ModelPool| pool.price.or(model.price).is_none();
            model.pools.iter().any(own)
        };
        let unpriced: Vec<&str> = self
            .models
            .iter()
            .filter(is_unpriced)
            .map(|model| model.id.as_str())
            .collect();
        let limits = self.limits.iter().map(|limit| &limit.allowance);
        let mut allowances = limits.chain(self.keys.iter().map(|key| &key.allowance));
        let has_budget = allowances.any(|allowance| allowance.cost.is_some());
        let count_matters = has_budget || unpriced.len() < self.models.len();
        if unpriced.is_empty() || !count_matters {
            return None;
        }
        let budgets = if has_budget {
            ", and no budget stops it"
        } else {
            ""
        };
        Some(format!(
            "{} of {} models have no price at some pool; what they cost there is not counted{budgets}: {}",
            unpriced.len(),
            self.models.len(),
            unpriced.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GPT_4O: Price = Price {
        input_pico: 2_500_000,
        cached_input_pico: 1_250_000,
        output_pico: 10_000_000,
        image: Usd::nanos(40_000_000),
    };

    #[track_caller]
    fn check([input, cached, output]: [u64; 3], images: u32, nanos: u64) {
        let used = Used {
            input,
            cached,
            output,
            images,
        };
        assert_eq!(GPT_4O.of(&used), Usd::nanos(nanos), "{used:?}");
    }

    #[test]
    fn tokens_and_images_have_their_price() {
        check([0, 0, 0], 0, 0);
        check([1_000_000, 0, 0], 0, 2_500_000_000);
        check([1_000_000, 400_000, 0], 0, 2_000_000_000);
        check([9, 0, 12], 0, 142_500);
        check([0, 0, 1_000_000], 0, 10_000_000_000);
        check([0, 0, 0], 3, 120_000_000);
        // More of a question than there is of it was kept: all of it was.
        check([10, 99, 0], 0, 12_500);
        check([u64::MAX, 0, u64::MAX], u32::MAX, u64::MAX);
    }

    #[test]
    fn half_a_billionth_is_one_and_less_is_none() {
        let price = |input_pico| Price {
            input_pico,
            ..GPT_4O
        };
        let one = Used {
            input: 1,
            ..Used::default()
        };
        for (pico, nanos) in [(499, 0), (500, 1), (1_499, 1), (1_500, 2)] {
            assert_eq!(price(pico).of(&one), Usd::nanos(nanos));
        }
    }

    #[test]
    fn a_price_is_written_for_a_million() {
        for (dollars, pico) in [
            (2.5, 2_500_000),
            (0.075, 75_000),
            (0.000_000_6, 1),
            (0.0, 0),
        ] {
            assert_eq!(Price::of_a_million(dollars), pico);
        }
        assert_eq!(Price::for_a_million(2_500_000).to_string(), "2.5");
        assert_eq!(Price::for_a_million(75_000).to_string(), "0.075");
    }

    #[test]
    fn what_has_no_price_is_told_where_that_matters() {
        let budget = "[[limits]]\nname = \"b\"\nby = \"global\"\ncost = { usd = 1, per = \"1d\" }";
        assert_eq!(crate::config::example("").unpriced_in_words(), None);
        let mut one_of_two = crate::config::example("");
        let mut other = one_of_two.models[0].clone();
        other.price = Some(GPT_4O);
        one_of_two.models.push(other);
        assert_eq!(
            one_of_two.unpriced_in_words().unwrap(),
            "1 of 2 models have no price at some pool; what they cost there is not counted: m"
        );
        let told = crate::config::example(budget).unpriced_in_words().unwrap();
        assert_eq!(
            told,
            "1 of 1 models have no price at some pool; what they cost there is not counted, and no budget stops it: m"
        );
        let mut priced = crate::config::example(budget);
        for model in &mut priced.models {
            model.price = Some(GPT_4O);
        }
        assert_eq!(priced.unpriced_in_words(), None);
    }

    proptest! {
        /// Rounded once a request: of two requests no more than one billionth is lost or won.
        #[test]
        fn the_parts_are_the_sum(
            one in prop::array::uniform3(0..10_000_000_u64), other in prop::array::uniform3(0..10_000_000_u64),
            prices in prop::array::uniform3(0..1_000_000_000_u64), images in prop::array::uniform2(0..20_u32),
        ) {
            let [input_pico, cached_input_pico, output_pico] = prices;
            let price = Price { input_pico, cached_input_pico, output_pico, ..GPT_4O };
            let used = |[fresh, cached, output]: [u64; 3], images| Used {
                input: fresh + cached, cached, output, images,
            };
            let both = [0, 1, 2].map(|at| one[at] + other[at]);
            let parts = price.of(&used(one, images[0])).plus(price.of(&used(other, images[1])));
            let sum = price.of(&used(both, images[0] + images[1]));
            prop_assert!(parts.as_nanos().abs_diff(sum.as_nanos()) <= 1);
        }
    }
}
