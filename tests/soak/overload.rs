//! What does a caller see where more is asked than can be done?

use std::time::Duration;

use crate::kit::client::chat;
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};
use crate::lasting;

#[tokio::test]
async fn a_gateway_answers() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    assert!(lasting(120) > Duration::ZERO);
    assert_eq!(chat(gateway.address, "m", false).await.status, 200);
}
