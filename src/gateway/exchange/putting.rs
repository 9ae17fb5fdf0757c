//! How does a stream in other words become OpenAI's, pictures included?
//!
//! A dialect makes chunks of events. Where one shows a picture, its bytes are kept before
//! anybody is told of it, and its address is put where it belongs. What waits for the end of an
//! event, which may be a whole picture, counts as held.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::gateway::body::Share;
use crate::gateway::dialect::{Picture, Translation, Unreadable};
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::exchange::image::Album;

/// What a stream may hold without counting it: more than most events are.
const UNCOUNTED_BYTES_MAX: usize = 64 * 1024;

/// A stream on its way into OpenAI's words.
pub(super) struct Putting {
    translation: Translation,
    share: Share,
    /// What of what is held was counted.
    counted_bytes: usize,
    /// Where pictures are kept; `None`: this stream shows none.
    album: Option<Album>,
    /// How long that may take.
    patience: Duration,
    /// What went wrong, once something has: nothing is taken from then on.
    failed: Option<AttemptError>,
}

/// What came of a slice.
pub(super) struct Put {
    said: Vec<u8>,
    pictures: Vec<Picture>,
}

impl Putting {
    /// A stream at its beginning.
    pub(super) fn new(
        translation: Translation,
        share: Share,
        album: Option<Album>,
        patience: Duration,
    ) -> Self {
        Self {
            translation,
            share,
            counted_bytes: 0,
            album,
            patience,
            failed: None,
        }
    }

    /// What went wrong, if anything has.
    pub(super) fn failed(&self) -> Option<&AttemptError> {
        self.failed.as_ref()
    }

    /// Takes a slice.
    pub(super) fn take(&mut self, slice: &[u8]) -> Put {
        // A piece of text grows by what stands around it in a chunk.
        let mut said = Vec::with_capacity(2 * slice.len() + 256);
        if let Err(Unreadable(why)) = self.translation.feed(slice, &mut said) {
            self.failed = Some(AttemptError::Invalid(why));
        }
        let held_bytes = self.translation.held_bytes();
        let more = held_bytes.saturating_sub(self.counted_bytes.max(UNCOUNTED_BYTES_MAX));
        if more > 0 {
            if self.share.grow(more).is_err() {
                self.failed.get_or_insert(AttemptError::NoRoom);
            }
            self.counted_bytes = held_bytes;
        }
        Put {
            said,
            pictures: self.translation.pictures(),
        }
    }

    /// What the stream began with, where it has said nothing else yet; empty: it has not begun.
    pub(super) fn open(&mut self) -> Bytes {
        let mut said = Vec::new();
        self.translation.open(&mut said);
        said.into()
    }

    /// Takes the end of the connection.
    pub(super) fn end(&mut self) -> Bytes {
        let mut said = Vec::new();
        self.translation.end(&mut said);
        said.into()
    }

    /// Keeps the pictures of what was put, and tells where they are.
    pub(super) async fn shown(&mut self, put: Put, now: Instant) -> Bytes {
        let Put { said, pictures } = put;
        if pictures.is_empty() {
            return said.into();
        }
        let shown = Album::fill(self.album.as_ref(), &said, pictures, now + self.patience);
        match Box::pin(shown).await {
            Ok(said) => said,
            Err(error) => {
                self.failed.get_or_insert(error);
                Bytes::new()
            }
        }
    }
}
