//! What does a real Prometheus make of dashboards and rules?
//!
//! A query that nobody has run is a guess. So a gateway is run under traffic to which
//! everything happens that a panel or a rule is about, a real Prometheus looks at it, and
//! each query has to find something. Then things go wrong, and the right alerts fire.

/// The panels of `dashboards/`: how they are laid out, and which unit a query has.
mod panels;
/// Which unit a query's result has.
mod units;
/// The files of rules, as they are and for a test's short time.
mod rules;
/// A gateway to which everything happens.
mod world;
/// A gateway to which nothing happens, until its upstreams fail.
mod outage;

use crate::kit::prometheus::Prometheus;
use world::World;

/// How long traffic lasts before it is judged: some windows of [`panels::WINDOW`].
const TRAFFIC: std::time::Duration = std::time::Duration::from_secs(14);

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_and_every_rule_finds_something() {
    let mut world = World::start().await;
    let prometheus = Prometheus::start(&[world.gateway.admin], &rules::scaled()).await;
    world.lives_for(TRAFFIC).await;
    // All of one moment, however long it takes to ask.
    let then = prometheus.ask("time()").await.unwrap()[0].value;
    let mut faults = Vec::new();
    let mut queries = 0;
    for panel in panels::all() {
        for query in &panel.queries {
            queries += 1;
            let found = prometheus.ask_of(then, &panels::filled_in(query)).await;
            let place = format!("{}: {}", panel.file, panel.title);
            match found {
                Err(error) => faults.push(format!("{place}: {error} in {query}")),
                Ok(found) if found.iter().all(|series| series.value.is_nan()) => {
                    faults.push(format!("{place}: nothing is found by {query}"));
                }
                Ok(_) => {}
            }
        }
    }
    for rule in prometheus.rules().await {
        queries += 1;
        let (name, query) = (&rule["name"], rules::asked_of_everything(&rule));
        match prometheus.ask_of(then, &query).await {
            Err(error) => faults.push(format!("{name}: {error} in {query}")),
            Ok(found) if found.is_empty() => {
                faults.push(format!("{name}: nothing is found by {query}"));
            }
            Ok(_) => {}
        }
        if rule["health"] != "ok" {
            faults.push(format!("{name}: {}", rule["lastError"]));
        }
    }
    world::draws(&prometheus);
    assert!(queries > 30, "{queries} queries are too few to be all");
    assert!(faults.is_empty(), "of {queries}:\n{}", faults.join("\n"));
}
