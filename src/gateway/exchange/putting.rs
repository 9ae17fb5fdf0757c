//! How does a stream in other words become OpenAI's, pictures included?
//!
//! A dialect makes chunks of events. Where one shows a picture, its bytes are kept before
//! anybody is told of it, and its address is put where it belongs. What waits for the end of an
//! event, which may be a whole picture, counts as held.
//!
//! Keeping a picture takes a while, in which whoever waits for it may leave. What was put by
//! then is no caller's: it stays here, and whoever reads on goes on with it.

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
    /// What was put and not handed on, because its pictures are not kept yet.
    unshown: Option<Put>,
    /// What went wrong, once something has: nothing is taken from then on.
    failed: Option<AttemptError>,
}

/// What came of a slice.
struct Put {
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
            unshown: None,
            failed: None,
        }
    }

    /// What went wrong, if anything has.
    pub(super) fn failed(&self) -> Option<&AttemptError> {
        self.failed.as_ref()
    }

    /// Takes a slice. What came of it is to be shown before there is another.
    pub(super) fn take(&mut self, slice: &[u8]) {
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
        self.unshown = Some(Put {
            said,
            pictures: self.translation.pictures(),
        });
    }

    /// Whether something was put that was not handed on.
    pub(super) fn is_unshown(&self) -> bool {
        self.unshown.is_some()
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

    /// What was put, with its pictures kept and told of. A call that is dropped has handed on
    /// nothing, and the next begins with the first of them: one that is kept again is the same.
    pub(super) async fn shown(&mut self, now: Instant) -> Bytes {
        let Some(put) = self.unshown.take_if(|put| put.pictures.is_empty()) else {
            return self.illustrated(now).await;
        };
        put.said.into()
    }

    async fn illustrated(&mut self, now: Instant) -> Bytes {
        let Some(Put { said, pictures }) = &self.unshown else {
            return Bytes::new();
        };
        let until = now + self.patience;
        let shown = Album::fill(self.album.as_ref(), said, pictures, until);
        let shown = Box::pin(shown).await;
        self.unshown = None;
        match shown {
            Ok(said) => said,
            Err(error) => {
                self.failed.get_or_insert(error);
                Bytes::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use futures_util::FutureExt;

    use super::*;
    use crate::config::dialect::Dialect;
    use crate::config::images::Images;
    use crate::gateway::body::Budget;
    use crate::gateway::dialect::Names;
    use crate::gateway::images::ImageStore;
    use crate::sys;

    fn putting(folder: &std::path::Path) -> Putting {
        let names = Names {
            id: "chatcmpl-1".to_owned(),
            created: 1,
            model: "m".to_owned(),
            verbatim: false,
        };
        let images = Images {
            store: folder.to_str().unwrap().to_owned(),
            store_bytes_max: 1 << 20,
            image_bytes_max: 1 << 10,
            age_max: Duration::from_hours(1),
        };
        let album = Album {
            store: Arc::new(ImageStore::open(&images).unwrap()),
            base_url: "https://gateway.test".to_owned(),
        };
        Putting::new(
            Translation::new(Dialect::Gemini, names, 1 << 20).unwrap(),
            Arc::new(Budget::default()).share(1 << 20),
            Some(album),
            Duration::from_secs(20),
        )
    }

    #[test]
    fn what_was_put_is_still_there_where_nobody_waited_for_its_picture() {
        let picture = STANDARD.encode(b"\x89PNG\r\n\x1a\n");
        let part =
            format!("{{\"inlineData\":{{\"mimeType\":\"image/png\",\"data\":\"{picture}\"}}}}");
        let event =
            format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{part}]}}}}]}}\n\n");
        let folder = tempfile::tempdir().unwrap();
        let mut putting = putting(folder.path());
        // The one thread that could write it has something else to do until it is told.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).enable_all().build();
        runtime.unwrap().block_on(async {
            let (tell, told) = std::sync::mpsc::sync_channel::<()>(0);
            let busy = tokio::task::spawn_blocking(move || told.recv());
            putting.take(event.as_bytes());
            for _ in 0..2 {
                assert!(putting.shown(sys::instant()).now_or_never().is_none());
                assert!(putting.is_unshown());
            }
            drop(tell);
            let said = putting.shown(sys::instant()).await;
            let said = String::from_utf8(said.to_vec()).unwrap();
            assert!(said.contains("(https://gateway.test/images/"), "{said}");
            assert!(!putting.is_unshown() && putting.failed().is_none());
            assert!(busy.await.unwrap().is_err());
        });
    }
}
