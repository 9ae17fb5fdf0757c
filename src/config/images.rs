//! Where are generated images kept?

use std::time::Duration;

/// `[images]`
#[derive(Debug, Clone)]
pub struct Images {
    /// `file:///…`, `s3://bucket/prefix` or `gs://bucket/prefix`; a plain path is a folder.
    pub store: String,
    /// Bytes of all images together.
    pub store_bytes_max: u64,
    /// Bytes of one image.
    pub image_bytes_max: usize,
    /// How long an image is kept.
    pub age_max: Duration,
}
