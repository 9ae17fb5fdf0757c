//! What do a hundred thousand names leave behind?

use crate::kit::names;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_made_up_names_leave_nothing_behind() {
    names::leave_nothing_behind(2_000, 100_000).await;
}
