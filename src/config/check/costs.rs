//! Do prices say all that they are asked about?
//!
//! What a price leaves out counts as nothing, so the half of one would make a bill look small for
//! as long as nobody compares it.

use std::time::Duration;

use super::Findings;
use super::limits::within;
use super::node::Node;

/// The shortest history: one hour is counted together.
const HISTORY_FLOOR: Duration = Duration::from_hours(1);
/// The longest: what a month of hours is.
const HISTORY_CEILING: Duration = Duration::from_hours(31 * 24);

/// What answers in text: who writes it is paid for what was read and for what was written.
const WRITE_TEXT: [&str; 3] = ["chat.completions", "completions", "responses"];

/// Checks every `price`, and `[costs]`.
pub(super) fn check(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let history = root.get("costs").and_then(|costs| costs.get("history"));
    if let Some(history) = history {
        within(&history, HISTORY_FLOOR, HISTORY_CEILING, findings);
    }
    for model in root.items_of("models") {
        let of_pools = model.items_of("pools");
        let of_pools = of_pools.iter().filter_map(|pool| pool.get("price"));
        for price in of_pools.chain(model.get("price")) {
            says_all(&price, writes_text(&model), findings);
        }
    }
}

fn writes_text(model: &Node<'_, '_>) -> bool {
    let endpoints = model.items_of("endpoints");
    let mut named = endpoints.iter().filter_map(Node::text);
    let is_text = model.text_of("modality") != Some("image");
    is_text && (endpoints.is_empty() || named.any(|name| WRITE_TEXT.contains(&name)))
}

fn says_all(price: &Node<'_, '_>, writes_text: bool, findings: &mut Findings<'_>) {
    let [input, cached, output, image] =
        ["input", "cached_input", "output", "image"].map(|key| price.get(key));
    if price
        .table()
        .is_some_and(|table| table.iter().next().is_none())
    {
        let message = "says nothing; give it at least one of input, output, image, or leave it out";
        findings.add(price, message);
    }
    let missing = match (&input, &output) {
        (Some(_), None) if writes_text => Some("output"),
        (None, Some(_)) => Some("input"),
        (None, None) if writes_text && image.is_some() => Some("input"),
        _ => None,
    };
    if let Some(key) = missing {
        let message =
            format!("is missing, and would count as nothing; if it is free, say {key} = 0");
        findings.add_at(&price.span(), &price.path_of(key), message);
    }
    let Some(cached) = cached else { return };
    let of = |node: &Node<'_, '_>| node.number();
    match input.as_ref().map(of) {
        None if missing != Some("input") => {
            let message = "needs input beside it, which is what tokens cost that were not kept";
            findings.add(&cached, message);
        }
        Some(Some(input)) if of(&cached).is_some_and(|cached| cached > input) => {
            findings.add(
                &cached,
                "must not be more than input, of which it is a part",
            );
        }
        _ => {}
    }
}
