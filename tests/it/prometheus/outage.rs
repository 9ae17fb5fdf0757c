//! Who is woken by an outage, and by nothing?
//!
//! A gateway serves two pools and no alert fires; then all targets of one of them fail. Alerts
//! name that pool and no other, and end when it is back.

use std::collections::BTreeSet;
use std::time::Duration;

use spafe::simulator::script::Script;

use super::rules;
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::load::{Load, MANY};
use crate::kit::prometheus::Prometheus;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

/// Longer than any window of the rules' copies.
const QUIET: Duration = Duration::from_secs(6);
const FIRE: [&str; 4] = [
    "SpafeAttemptsFail",
    "SpafeErrorsBurnBudgetFast",
    "SpafePoolDown",
    "SpafeTargetDown",
];
/// What may fire as well, as it is about the same.
const MAY_FIRE: [&str; 4] = [
    "SpafeErrorsBurnBudget",
    "SpafeErrorsBurnBudgetSlowly",
    "SpafeRetryBudgetSpent",
    "SpafeAnotherModelAnswers",
];

/// What fires, each with the pool that it is about.
async fn firing(prometheus: &Prometheus) -> BTreeSet<(String, Option<String>)> {
    let found = prometheus.firing().await;
    let found = found.into_iter().map(|mut labels| {
        let name = labels.remove("alertname").unwrap();
        (name, labels.remove("pool"))
    });
    found.collect()
}

fn start(main: &[&str], other: &str) -> Gateway {
    Setup::new()
        .tables(MANY)
        .tables(
            "[ejection]\nfailures = 3\ntime = \"4s\"\ntime_max = \"4s\"\npool_percent_max = 100",
        )
        .pool("main", main)
        .pool("other", &[other])
        .model("of-main", &["main"])
        .model("of-other", &["other"])
        .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_fires_what_is_about_it_and_nothing_else() {
    let (one, two, other) = (upstream().await, upstream().await, upstream().await);
    let gateway = start(&[&base(&one), &base(&two)], &base(&other));
    let prometheus = Prometheus::start(&[gateway.admin], &rules::scaled()).await;
    let pause = Duration::from_millis(50);
    let asked = Load::start(gateway.address, "of-main", 4, pause);
    let beside = Load::start(gateway.address, "of-other", 4, pause);
    tokio::time::sleep(QUIET).await;
    assert_eq!(firing(&prometheus).await, BTreeSet::new());

    for upstream in [&one, &two] {
        upstream.default(Script::json(500, "{}"));
    }
    soon("the alerts", async {
        loop {
            let firing = firing(&prometheus).await;
            for (name, pool) in &firing {
                let known = FIRE.iter().chain(&MAY_FIRE).any(|known| known == name);
                assert!(known, "{name} of {pool:?} fires as well");
                assert!(pool.as_deref().is_none_or(|pool| pool == "main"), "{name}");
            }
            if FIRE
                .iter()
                .all(|name| firing.iter().any(|(fires, _)| fires == name))
            {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN * 20).await;
        }
    })
    .await;

    for upstream in [&one, &two] {
        upstream.clear_scripts();
    }
    soon("the end of the alerts", async {
        let ended = [
            "SpafePoolDown",
            "SpafeTargetDown",
            "SpafeErrorsBurnBudgetFast",
        ];
        while firing(&prometheus)
            .await
            .iter()
            .any(|(name, _)| ended.contains(&name.as_str()))
        {
            tokio::time::sleep(LOOK_AGAIN * 20).await;
        }
    })
    .await;
    asked.end().await;
    assert_eq!(beside.end().await.lost, [""; 0]);
}
