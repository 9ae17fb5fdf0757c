//! What if callers make names up?
//!
//! Models, paths, agents, origins and keys that nobody has heard of, each of them another one: no
//! series comes of it, and no memory is kept for it. `tests/soak/names.rs` does it with all the
//! names of the requirement.

use crate::kit::client::chat;
use crate::kit::gateway::Setup;
use crate::kit::names;
use crate::kit::upstream::{base, upstream};

#[tokio::test(flavor = "multi_thread")]
async fn names_that_callers_make_up_leave_nothing_behind() {
    // What a name leaves behind is seen with a few thousand requests, by its series.
    names::leave_nothing_behind(500, 1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_series_than_the_operator_says() {
    let up = upstream().await;
    let setup = Setup::new()
        .tables("[metrics]\nseries_max = 500")
        .pool("p", &[&base(&up)]);
    let models = (0..80).map(|number| format!("m{number}"));
    let gateway = models
        .fold(setup, |setup, model| setup.model(&model, &["p"]))
        .start();
    for model in ["m0", "m79"] {
        assert_eq!(chat(gateway.address, model, false).await.status, 200);
    }
    gateway.idle().await;
    let metrics = gateway.metrics().await;
    let series = gateway.metric("spafe_metric_series ").await;
    assert!((400.0..=500.0).contains(&series), "{series} series");
    // What there is no room for is counted, and under no name.
    let bytes = "spafe_bytes_total{direction=\"in\",model=\"m0\"} ";
    assert!(metrics.contains(bytes), "{metrics}");
    assert!(!metrics.contains("model=\"m79\""), "{metrics}");
    let other = metrics.lines().find_map(|line| {
        line.strip_prefix("spafe_bytes_total{direction=\"other\",model=\"other\"} ")
    });
    assert!(other.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
}
