//! Which unit has what a query gives?
//!
//! A metric's unit stands last in its name. What becomes of it is read off the query: a
//! quantile keeps it, a rate is of it each second, a part of the same is a share. This is
//! as much of a calculus as these queries need, and no more.

/// What is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Seconds,
    Bytes,
    Dollars,
    Things,
}

/// Whether this unit of Grafana's is right for what the query gives; the error is those
/// that would be.
pub(super) fn fits(query: &str, unit: &str) -> Result<(), &'static str> {
    let wanted = wanted(query);
    if wanted.split('|').any(|right| right == unit) {
        Ok(())
    } else {
        Err(wanted)
    }
}

fn wanted(query: &str) -> &'static str {
    if query.contains("_timestamp_seconds") || query.contains("process_start_time_seconds") {
        return if query.contains("time()") {
            "s"
        } else {
            "dateTimeFromNow"
        };
    }
    let is_of_rates = query.contains("rate(");
    if let Some((of, by)) = divided(query) {
        return match (kind(of), kind(by)) {
            (Kind::Dollars, Kind::Things) => "currencyUSD",
            (Kind::Seconds, Kind::Things) => "s|percentunit",
            (Kind::Bytes, Kind::Things) => "bytes",
            (of, by) if of == by && of != Kind::Things => "percentunit",
            // Tokens of a request, attempts of a request.
            _ => "percentunit|short|none",
        };
    }
    match kind(query) {
        Kind::Seconds if query.contains("histogram_quantile(") => "s",
        // So many seconds of each second.
        Kind::Seconds if is_of_rates => "percentunit|short",
        Kind::Seconds => "s",
        Kind::Bytes if is_of_rates => "Bps",
        Kind::Bytes => "bytes",
        // An hour's worth is told.
        Kind::Dollars if is_of_rates && !query.contains("* 3600") => "nothing: tell it by the hour",
        Kind::Dollars => "currencyUSD",
        Kind::Things if query.contains(":ratio") => "percentunit",
        Kind::Things if is_of_rates => "reqps|cps|ops|short",
        Kind::Things => "short|none|bool_on_off|percentunit",
    }
}

/// The two sides of the outermost division.
fn divided(query: &str) -> Option<(&str, &str)> {
    let mut opened = Vec::new();
    let mut found: Option<(usize, usize)> = None;
    for (at, c) in query.char_indices() {
        match c {
            '(' | '{' | '[' => opened.push(at),
            ')' | '}' | ']' => _ = opened.pop(),
            '/' if found.is_none_or(|(depth, _)| opened.len() < depth) => {
                found = Some((opened.len(), at));
            }
            _ => {}
        }
    }
    let (_, at) = found?;
    let (of, by) = query.split_at_checked(at)?;
    Some((of, by.trim_start_matches('/')))
}

fn kind(query: &str) -> Kind {
    let names = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut kinds = names.filter_map(|name| {
        if name == "spafe_limit" {
            // A limit is of what it is the limit of.
            let is_of_bytes = query.contains("bytes\"");
            return Some(if is_of_bytes {
                Kind::Bytes
            } else {
                Kind::Things
            });
        }
        let name = name.strip_suffix("_total").unwrap_or(name);
        let name = name.strip_suffix("_bucket").unwrap_or(name);
        let name = name.strip_suffix("_sum").unwrap_or(name);
        let name = name.strip_suffix("_limit").unwrap_or(name);
        if !name.starts_with("spafe_") && !name.starts_with("process_") {
            return None;
        }
        Some(match name.rsplit('_').next() {
            Some("seconds") => Kind::Seconds,
            Some("bytes") => Kind::Bytes,
            Some("usd") => Kind::Dollars,
            _ => Kind::Things,
        })
    });
    kinds.next().unwrap_or(Kind::Things)
}

#[test]
fn a_unit_follows_from_the_names() {
    let check = |query: &str, right: &str, wrong: &str| {
        assert_eq!(fits(query, right), Ok(()), "{query}");
        assert!(fits(query, wrong).is_err(), "{query} is no {wrong}");
    };
    let quantile = "histogram_quantile(0.9, sum by (le) (rate(spafe_a_seconds_bucket[1m])))";
    check(quantile, "s", "short");
    check("sum(rate(spafe_requests_total[1m]))", "reqps", "s");
    check("sum(rate(spafe_bytes_total[1m]))", "Bps", "bytes");
    check("spafe_cache_bytes", "bytes", "short");
    check(
        "spafe_bodies_bytes / on() spafe_limit{name=\"bodies_bytes\"}",
        "percentunit",
        "bytes",
    );
    check(
        "max(spafe_bytes / on(instance) spafe_bytes_limit)",
        "percentunit",
        "bytes",
    );
    check("spafe_limit{name=\"image_store_bytes\"}", "bytes", "short");
    check(
        "sum(rate(spafe_a_seconds_sum[1m])) / sum(rate(spafe_a_seconds_count[1m]))",
        "s",
        "bytes",
    );
    check("rate(process_cpu_seconds_total[1m])", "percentunit", "s");
    check("time() - process_start_time_seconds", "s", "short");
    check(
        "sum(rate(spafe_cost_usd_total[1m])) * 3600",
        "currencyUSD",
        "short",
    );
    check(
        "sum(rate(spafe_a_total[1m])) / sum(rate(spafe_b_total[1m]))",
        "percentunit",
        "s",
    );
}
