//! What may an operator see of costs?

use serde_json::{Value, json};

use crate::config::costs::{Costs, Price};
use crate::config::units::duration_text;

/// In dollars for a million tokens, and for an image.
pub(super) fn price(price: Price) -> Value {
    let Price {
        input_pico,
        cached_input_pico,
        output_pico,
        image,
    } = price;
    json!({
        "input": Price::for_a_million(input_pico),
        "cached_input": Price::for_a_million(cached_input_pico),
        "output": Price::for_a_million(output_pico),
        "image": image,
    })
}

pub(super) fn costs(costs: Costs) -> Value {
    let Costs {
        history,
        history_rows_max,
    } = costs;
    json!({
        "history": duration_text(history),
        "history_rows_max": history_rows_max,
    })
}
