//! What does each event say, one after the other?
//!
//! For those who must read every event of a stream, since the protocol is not the one its
//! reader speaks. An event is given out as soon as its empty line is here; what waits for
//! one is copied together and bounded. However a stream is cut, the same events come of it.

use std::borrow::Cow;

use super::ends::Ends;
use super::event::{Data, data};

/// Takes a stream apart into its events.
#[derive(Debug)]
pub struct Splitter {
    event_bytes_max: usize,
    ends: Ends,
    /// What came since the last event's end.
    held: Vec<u8>,
}

/// What one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<'a> {
    /// Nothing; it shows that somebody is there.
    Comment,
    /// This, its lines joined.
    Data(Cow<'a, [u8]>),
}

/// An event is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is too long")]
pub struct TooLong;

impl Splitter {
    /// At the start of a stream.
    ///
    /// Units: `event_bytes_max` in bytes; what waits is never more.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            ends: Ends::default(),
            held: Vec::new(),
        }
    }

    /// Takes the next slice, and gives each event that ends in it to `each`.
    ///
    /// # Errors
    /// The first of `each`, or [`TooLong`]; the stream is of no more use then.
    pub fn feed<E: From<TooLong>>(
        &mut self,
        slice: &[u8],
        mut each: impl FnMut(Said<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let tail = self.ends.tail(slice);
        let mut rest = slice.get(tail..).unwrap_or_default();
        while let Some((event, after)) = self
            .ends
            .event(rest)
            .and_then(|length| rest.split_at_checked(length))
        {
            rest = after;
            // Where a cut comes before the last `\n`, the event has ended without it.
            let ended = event.strip_suffix(b"\r\n");
            self.has_room(ended.map_or(event.len(), |event| event.len() + 1))?;
            if self.held.is_empty() {
                said(event).map_or(Ok(()), &mut each)?;
            } else {
                self.held.extend_from_slice(event);
                said(&self.held).map_or(Ok(()), &mut each)?;
                self.held.clear();
            }
        }
        self.has_room(rest.len())?;
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// Bytes that wait for the end of their event.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    fn has_room(&self, bytes: usize) -> Result<(), TooLong> {
        if bytes > self.event_bytes_max.saturating_sub(self.held.len()) {
            Err(TooLong)
        } else {
            Ok(())
        }
    }
}

fn said(event: &[u8]) -> Option<Said<'_>> {
    match data(event) {
        Data::Blank => None,
        Data::Comment => Some(Said::Comment),
        Data::Text(text) => Some(Said::Data(text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What came of slices: events as texts, comments as `:`, and whether it broke off.
    fn events(slices: &[&[u8]], event_bytes_max: usize) -> (Vec<String>, bool) {
        let mut splitter = Splitter::new(event_bytes_max);
        let mut found = Vec::new();
        for slice in slices {
            let fed = splitter.feed(slice, |said| {
                found.push(match said {
                    Said::Comment => ":".to_owned(),
                    Said::Data(text) => String::from_utf8_lossy(&text).into_owned(),
                });
                Ok::<_, TooLong>(())
            });
            if fed.is_err() {
                return (found, true);
            }
        }
        (found, false)
    }

    #[test]
    fn events_are_given_as_they_end() {
        let stream = b"event: a\ndata: 1\n\n: ping\n\ndata: 2\r\ndata: 3\r\n\r\nid: 7\n\ndata: 4\n";
        let found = events(&[stream], 100);
        assert_eq!(found.0, ["1", ":", "2\n3"]);
        assert!(!found.1);
        assert_eq!(events(&[b"data: 4\n", b"\n"], 100).0, ["4"]);
    }

    #[test]
    fn what_waits_is_counted() {
        let mut splitter = Splitter::new(100);
        let mut waits = |slice: &str| {
            let fed = splitter.feed(slice.as_bytes(), |_| Ok::<_, TooLong>(()));
            fed.map(|()| splitter.held_bytes())
        };
        assert_eq!(waits("data: 1"), Ok(7));
        assert_eq!(waits("2\n"), Ok(9));
        assert_eq!(waits("\n"), Ok(0));
        assert_eq!(waits("data: 3\n\n: p"), Ok(3));
    }

    #[test]
    fn no_more_waits_than_is_allowed() {
        assert_eq!(
            events(&[b"data: 12\n\n"], 10),
            (vec!["12".to_owned()], false)
        );
        assert_eq!(events(&[b"data: 123\n\n"], 10), (vec![], true));
        // It is as long as where a cut takes its last `\n` away.
        let crlf: &[u8] = b"data: 1\r\n\r\n";
        assert_eq!(events(&[crlf], 10), (vec!["1".to_owned()], false));
        assert_eq!(events(&[crlf], 9), (vec![], true));
        assert_eq!(events(&[b"data: 1", b"2345"], 10), (vec![], true));
        let before = (vec!["1".to_owned()], true);
        assert_eq!(events(&[b"data: 1\n\ndata: 12345678\n"], 10), before);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_events_come_of_it(
            stream in "(data: [a-c]{0,4}|: p|event: x|\r\n|\n|\r|\n\n){0,12}",
            cuts in proptest::collection::vec(0..60_usize, 0..8),
            event_bytes_max in 4..40_usize,
        ) {
            let stream = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let slices: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            prop_assert_eq!(events(&slices, event_bytes_max), events(&[stream], event_bytes_max));
        }
    }
}
