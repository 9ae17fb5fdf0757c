//! Where does the next event end?
//!
//! The rule of lines alone, for those who must tell one event from the next: a line ends
//! with LF, CRLF or CR, an event with an empty line. What it answers is the same however
//! a stream is cut. The relay's scanner does more in the same pass and has its own.

use memchr::memchr2;

/// Where in a line a stream stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ends {
    /// At its start.
    #[default]
    Start,
    /// At its start, after a CR; an LF here still belongs to the line before.
    AfterCr,
    /// As [`Ends::AfterCr`], and the line before ended an event.
    AfterEvent,
    /// Inside.
    Inside,
}

impl Ends {
    /// How many bytes at the start still belong to the event before: one, where its CRLF
    /// was cut in two.
    pub(super) fn tail(&mut self, slice: &[u8]) -> usize {
        match (*self, slice.first()) {
            (Self::AfterEvent, Some(first)) => {
                *self = Self::Start;
                usize::from(*first == b'\n')
            }
            _ => 0,
        }
    }

    /// How many bytes the unfinished event still has, its empty line included; `None` where
    /// its end is not here.
    pub(super) fn event(&mut self, slice: &[u8]) -> Option<usize> {
        let mut at = 0;
        if *self == Self::AfterCr && !slice.is_empty() {
            *self = Self::Start;
            at = usize::from(slice.first() == Some(&b'\n'));
        }
        while let Some(length) = memchr2(b'\n', b'\r', slice.get(at..).unwrap_or_default()) {
            let blank = length == 0 && *self != Self::Inside;
            at += length + 1;
            *self = Self::Start;
            if slice.get(at - 1) == Some(&b'\r') {
                match slice.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None if blank => *self = Self::AfterEvent,
                    None => *self = Self::AfterCr,
                }
            }
            if blank {
                return Some(at);
            }
        }
        if at < slice.len() {
            *self = Self::Inside;
        }
        None
    }
}
