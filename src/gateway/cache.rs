//! Was this answered before?

/// What is an answer kept by?
pub mod key;
