//! What if callers make names up?
//!
//! Models, paths, agents, origins and keys that nobody has heard of, each of them another one: no
//! series comes of it, and no memory is kept for it. `tests/soak/names.rs` does it with all the
//! names of the requirement.

use crate::kit::names;

#[tokio::test(flavor = "multi_thread")]
async fn names_that_callers_make_up_leave_nothing_behind() {
    // What a name leaves behind is seen with a few thousand requests, by its series.
    names::leave_nothing_behind(500, 1_500).await;
}
