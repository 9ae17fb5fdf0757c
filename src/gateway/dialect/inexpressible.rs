//! Why can something not be said?
//!
//! One of three reasons, each with the place in the caller's body; a file of its own, since those
//! who read bodies say it on nearly every line.

use super::{Inexpressible, Why};

impl Inexpressible {
    /// The upstream has nothing like this.
    #[must_use]
    pub fn unknown(param: impl Into<String>) -> Self {
        Self {
            param: param.into(),
            why: Why::Unknown,
        }
    }

    /// The upstream does not take this value; `must` follows the field's name.
    #[must_use]
    pub fn value(param: impl Into<String>, must: &'static str) -> Self {
        Self {
            param: param.into(),
            why: Why::Value(must),
        }
    }

    /// This is not what it should be in the first place.
    #[must_use]
    pub fn malformed(param: impl Into<String>, must: &'static str) -> Self {
        Self {
            param: param.into(),
            why: Why::Malformed(must),
        }
    }
}
