//! Is every metric what `docs/metrics.md` says that it is?

use std::collections::{BTreeMap, BTreeSet};

use super::Metrics;
use super::forget::Labelled;

const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");

/// Type and labels.
type Said = (String, BTreeSet<String>);

/// What the document says of each, and its unit.
fn documented() -> BTreeMap<String, (Said, String)> {
    let rows = DOCUMENT.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `spafe_")?.split('|').map(str::trim);
        let name = format!("spafe_{}", cells.next()?.trim_end_matches('`'));
        let (kind, unit) = (cells.next()?.to_owned(), cells.next()?.to_owned());
        let labels = cells.next()?.split(", ");
        let labels = labels.map(|label| label.replace('`', ""));
        let labels = labels.filter(|label| !label.is_empty()).collect();
        Some((name, ((kind, labels), unit)))
    });
    rows.collect()
}

/// What there is.
fn made() -> BTreeMap<String, Said> {
    let metrics = Metrics::new();
    let labelled = metrics.labelled.iter().map(|metric| {
        let (kind, (name, labels)) = match metric {
            Labelled::Counters(metric) => ("counter", metric.described()),
            Labelled::Costs(metric) => ("counter", metric.described()),
            Labelled::Gauges(metric) => ("gauge", metric.described()),
            Labelled::Histograms(metric) => ("histogram", metric.described()),
        };
        (name, (kind.to_owned(), labels.into_iter().collect()))
    });
    let mut made: BTreeMap<String, Said> = labelled.collect();
    for family in metrics.registry.gather() {
        let name = family.name().to_owned();
        if name.starts_with("spafe_") && !made.contains_key(&name) {
            let kind = format!("{:?}", family.get_field_type()).to_lowercase();
            made.insert(name, (kind, BTreeSet::new()));
        }
    }
    made
}

#[test]
fn types_and_labels_are_as_they_are_documented() {
    let documented = documented();
    let made = made();
    assert!(made.len() > 60, "the check is blind: {made:?}");
    let wrong = made.iter().filter_map(|(name, said)| {
        let (told, _) = documented.get(name)?;
        (told != said).then(|| format!("{name}: {said:?}, documented as {told:?}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<&String> = made
        .keys()
        .filter(|name| !documented.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "no row of a table: {missing:?}");
}

#[test]
fn a_unit_stands_in_the_name() {
    let units = [
        ("seconds", "_seconds"),
        ("bytes", "_bytes"),
        ("US dollars", "_usd"),
    ];
    for (name, ((kind, _), unit)) in documented() {
        let wanted = units.iter().find(|(word, _)| unit.starts_with(word));
        if let Some((_, part)) = wanted {
            assert!(name.contains(part), "{name} is in {unit}");
        }
        let is_total = name.ends_with("_total");
        assert_eq!(is_total, kind == "counter", "{name} is a {kind}");
    }
}
