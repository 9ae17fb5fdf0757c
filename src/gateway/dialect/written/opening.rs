//! Has a stream said anything yet?
//!
//! Vendors begin a stream before they know that they can answer: `message_start`, `response.created`,
//! and then an error, since there is too much to do. What is written for such a beginning says
//! nothing but that there is one, so it is held until something follows: an error that comes first is
//! then the first event, and another upstream is asked, of which the caller sees nothing.

/// What a stream begins with, held until it has said something.
#[derive(Debug, Default)]
pub(in crate::gateway::dialect) struct Opening {
    held: Vec<u8>,
}

impl Opening {
    /// Where it is written.
    pub(in crate::gateway::dialect) fn begin(&mut self) -> &mut Vec<u8> {
        &mut self.held
    }

    /// Something was said from `at` in `out` on: the beginning goes before it.
    pub(in crate::gateway::dialect) fn precede(&mut self, out: &mut Vec<u8>, at: usize) {
        if !self.held.is_empty() && at < out.len() {
            out.splice(at..at, std::mem::take(&mut self.held));
        }
    }

    /// It has waited for long enough: appends it.
    pub(in crate::gateway::dialect) fn give(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_goes_before_what_is_said_and_never_twice() {
        let mut opening = Opening::default();
        let mut out = b"said before ".to_vec();
        opening.begin().extend_from_slice(b"role ");
        let at = out.len();
        opening.precede(&mut out, at);
        assert_eq!(out, b"said before ");
        out.extend_from_slice(b"word");
        opening.precede(&mut out, at);
        opening.precede(&mut out, at);
        opening.give(&mut out);
        assert_eq!(out, b"said before role word");
    }
}
