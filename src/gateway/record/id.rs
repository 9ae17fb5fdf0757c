//! What is a request called?
//!
//! As its caller calls it, where that is harmless; else by an id that no other request of any
//! process has. It stands in logs, in the answer's head and in what upstreams are sent.

use std::fmt;

/// The id a request carries in logs, headers and towards upstreams.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(http::HeaderValue);

impl RequestId {
    /// The caller's own id, if it is 1 to 128 characters of `[A-Za-z0-9._-]`.
    #[must_use]
    pub fn accept(value: &http::HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let fits = (1..=128).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        // A copy: the value is a part of a whole head, and an id is kept for longer.
        fits.then(|| http::HeaderValue::from_bytes(bytes).ok().map(Self))?
    }

    /// An id of our own from two numbers: one no other process has, one no other request has.
    #[must_use]
    pub fn made(process: u64, request: u64) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        // Spread, so that two ids in a row do not look alike.
        let spread = request.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut text = *b"req_00000000000000000000000000000000";
        let (_, digits) = text.split_at_mut(4);
        let wide = (u128::from(process) << 64) | u128::from(spread);
        let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
        for (pair, byte) in digits.chunks_exact_mut(2).zip(wide.to_be_bytes()) {
            pair.copy_from_slice(&[hex(byte >> 4), hex(byte & 0xF)]);
        }
        // Letters and digits only, so this never fails.
        Self(
            http::HeaderValue::from_bytes(&text).unwrap_or(http::HeaderValue::from_static("req_0")),
        )
    }

    /// As a header's value.
    #[must_use]
    pub fn header(&self) -> http::HeaderValue {
        self.0.clone()
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &str) -> bool {
        RequestId::accept(&http::HeaderValue::from_str(text).unwrap()).is_some()
    }

    #[test]
    fn a_callers_id_is_taken_only_when_it_is_harmless() {
        assert!(accepted("a"));
        assert!(accepted("3f2a-b.c_D9"));
        assert!(accepted(&"x".repeat(128)));
        assert!(!accepted(""));
        assert!(!accepted(&"x".repeat(129)));
        assert!(!accepted("a b"));
        assert!(!accepted("a\tb"));
        assert!(!accepted("ünicode"));
    }

    #[test]
    fn made_ids_differ() {
        let first = RequestId::made(7, 1);
        let second = RequestId::made(7, 2);
        assert_ne!(first, second);
        assert_eq!(first.as_str().len(), 36);
        assert!(first.as_str().starts_with("req_0000000000000007"));
    }
}
