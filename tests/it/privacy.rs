//! Does the kit find a secret that a gateway tells?
//!
//! Every gateway of every test is searched when the test lets go of it (`kit/canary.rs`). Here is
//! one that tells its secret, so that the search is seen to find something.

/// Everything at once.
mod everything;

use crate::kit::client::chat;
use crate::kit::gateway::Setup;
use crate::kit::upstream::{base, upstream};

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "tells \"kanari-pool-of-a-leak\"")]
async fn the_kit_finds_what_a_gateway_tells() {
    let up = upstream().await;
    let gateway = Setup::new()
        .variable("KEY", "kanari-pool-of-a-leak")
        .pool_with(
            "kanari-pool-of-a-leak",
            &[&base(&up)],
            "api_key = { env = \"KEY\" }",
        )
        .model("m", &["kanari-pool-of-a-leak"])
        .start();
    assert!(chat(gateway.address, "m", false).await.status < 600);
    drop(gateway);
}
