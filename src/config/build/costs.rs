//! What do `price` and `[costs]` mean?

use super::count;
use crate::config::costs::{Costs, Price};
use crate::config::file::costs as file;
use crate::money::Usd;

pub(super) fn price(file: &file::Price) -> Price {
    let of_a_million = |price: Option<f64>| Price::of_a_million(price.unwrap_or_default());
    Price {
        input_pico: of_a_million(file.input),
        cached_input_pico: of_a_million(file.cached_input.or(file.input)),
        output_pico: of_a_million(file.output),
        image: Usd::dollars(file.image.unwrap_or_default()),
    }
}

pub(super) fn costs(file: &file::Costs) -> Costs {
    Costs {
        history: file.history.0,
        history_rows_max: count(file.history_rows_max),
    }
}
