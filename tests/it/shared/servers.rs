//! Redis as it is run: with a password, with TLS, as a cluster, with others.

use std::time::Duration;

use spafe::config::limits;
use spafe::gateway::record::metrics::Metrics;
use spafe::gateway::shared::{Shared, Window};
use spafe::names::Secret;

use super::{answers, is_up, replica, settings, text, window};
use crate::kit::gateway::LOOK_AGAIN;
use crate::kit::redis::Redis;
use crate::kit::soon;

/// Whether what is shared is shared there: of two requests one is admitted, and what one
/// replica was answered the other has.
async fn counts(settings: &limits::Shared) {
    let shared = replica("a", settings).await;
    let window = window(&shared, "all", 1, Duration::from_mins(1));
    assert!(shared.admit(&[window]).await.unwrap().admitted);
    assert!(!shared.admit(&[window]).await.unwrap().admitted);
    let two = Window {
        key: shared.key(&[b"another"]),
        ..window
    };
    assert!(!shared.admit(&[window, two]).await.unwrap().admitted);
    answers::are_shared(settings).await;
}

#[tokio::test]
async fn a_password_is_shown_and_a_wrong_one_told() {
    let redis = Redis::with_password("open sesame").await;
    let mut settings = settings(&redis.url());
    let metrics = Metrics::new();
    let refused = Shared::new(&settings, "a", &metrics).unwrap();
    refused.start();
    soon("a refusal", async {
        let refusal = "spafe_shared_errors_total{kind=\"unauthorized\"} 1";
        while !text(&metrics).contains(refusal) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert!(!refused.is_up());
    settings.password = Some(Secret::new("open sesame"));
    counts(&settings).await;
    settings.redis = format!("redis://default@127.0.0.1:{}/3", redis.port);
    counts(&settings).await;
}

#[tokio::test]
async fn tls_is_spoken_with_who_is_trusted() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redis = Redis::with_tls().await;
    let mut settings = settings(&redis.url());
    let stranger = Shared::new(&settings, "a", &Metrics::new()).unwrap();
    stranger.start();
    settings.ca = Some(redis.authority());
    counts(&settings).await;
    assert!(!stranger.is_up());
}

#[tokio::test]
async fn one_node_of_a_cluster_has_all_that_is_shared() {
    let redis = Redis::with(&["--cluster-enabled", "yes"]).await;
    let () = redis.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    soon("a cluster", async {
        while !redis
            .ask::<String>(&["CLUSTER", "INFO"])
            .contains("cluster_state:ok")
        {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let mut settings = settings(&redis.url());
    settings.cluster = true;
    counts(&settings).await;
}

#[tokio::test]
async fn replicas_are_counted_while_they_are_there() {
    let redis = Redis::start().await;
    let mut settings = settings(&redis.url());
    let first = replica("a", &settings).await;
    let second = replica("b", &settings).await;
    let third = replica("c", &settings).await;
    assert_eq!((second.replicas(), third.replicas()), (2, 3));
    settings.replicas = Some(7);
    assert_eq!(replica("c", &settings).await.replicas(), 7);
    second.leave().await;
    soon("who is left", async {
        while first.replicas() != 2 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    // What was last seen is what counts while nobody can be seen.
    drop(redis);
    let window = window(&first, "all", 1, Duration::from_mins(1));
    assert!(first.admit(&[window]).await.is_err());
    is_up(&first, false).await;
    assert_eq!(first.replicas(), 2);
}
