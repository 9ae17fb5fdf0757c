//! What does a client see of a stream?
//!
//! Whole events as soon as they are in, byte for byte as the upstream sent them, and
//! an end that can be told from a break. What was scripted is compared with what
//! arrived as bytes.

/// Streams that end as they should.
mod whole;
/// Streams that do not.
mod broken;
