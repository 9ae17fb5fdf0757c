//! What does an upstream say of keeping its answer?
//!
//! Taken down while its head is at hand, and judged where answers are kept.

use http::{HeaderValue, StatusCode};

/// What an upstream says of keeping its answer.
#[derive(Debug, Clone)]
pub struct Word {
    /// The status.
    pub status: StatusCode,
    /// Every `cache-control`.
    pub cache_control: Vec<HeaderValue>,
}
