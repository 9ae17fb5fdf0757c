//! What is said of metrics?

/// How many label sets there may be where nothing else is said: a configuration of fifty models
/// and twenty targets, all of them in use, has about 1,500, and told as text they are well below
/// a mebibyte.
pub const SERIES_MAX: usize = 2_000;

/// `[metrics]`
#[derive(Debug, Clone, Copy)]
pub struct Metrics {
    /// Label sets of all metrics together.
    pub series_max: usize,
}
