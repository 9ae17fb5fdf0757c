//! What did a stream say that is over?
//!
//! The data of its events, for whoever wants all of it at once. Its slices are laid end
//! to end first, so how it was cut cannot matter.

use std::borrow::Cow;

use super::ends::Ends;
use super::event::{Data, data, is_done};

/// A stream that is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished<'a> {
    /// The data of each event that has some, in order, but for `[DONE]`.
    pub data: Vec<Cow<'a, [u8]>>,
    /// `[DONE]` was said. What stands behind it is nobody's.
    pub done: bool,
    /// It ends inside an event that is more than an unfinished `[DONE]`.
    pub cut: bool,
}

impl<'a> Finished<'a> {
    /// Reads a stream that is here from its first byte to its last.
    #[must_use]
    pub fn read(stream: &'a [u8]) -> Self {
        let mut finished = Self {
            data: Vec::new(),
            done: false,
            cut: false,
        };
        let mut ends = Ends::default();
        let mut rest = stream;
        while let Some((event, after)) = ends
            .event(rest)
            .and_then(|length| rest.split_at_checked(length))
        {
            rest = after;
            match data(event) {
                Data::Text(text) if is_done(&text) => {
                    finished.done = true;
                    return finished;
                }
                Data::Text(text) => finished.data.push(text),
                Data::Blank | Data::Comment => {}
            }
        }
        finished.cut = matches!(data(rest), Data::Text(text) if !is_done(&text));
        finished
    }
}
