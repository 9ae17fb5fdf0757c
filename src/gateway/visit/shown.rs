//! Which images are on their way to somebody?
//!
//! Each is in memory once, however many take it and however slowly, and all of them together hold
//! no more than answers may: whoever opens thousands of streams and takes nothing holds what one
//! of them would.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::OnceCell;

use crate::gateway::body::Share;
use crate::gateway::images::{ImageError, ImageId, ImageStore, StoredImage};

/// The images that somebody takes.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Shown(Mutex<HashMap<ImageId, Weak<Place>>>);

/// Where an image is while somebody takes it.
type Place = OnceCell<(StoredImage, Share)>;

/// An image that somebody takes.
#[derive(Debug)]
pub(in crate::gateway) struct Showing {
    /// It.
    pub image: StoredImage,
    /// Others find it here for as long.
    _place: Arc<Place>,
}

/// Why an image is not shown.
#[derive(Debug, thiserror::Error)]
pub(in crate::gateway) enum NotShown {
    /// There is none of this name, or no longer.
    #[error("there is none")]
    None,
    /// Too much is held already.
    #[error("no room for it")]
    NoRoom,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ImageError),
}

impl Shown {
    /// The image of this name. Who is first reads it and holds it by this share; where that comes
    /// to nothing, the next one tries.
    ///
    /// # Errors
    /// Where there is none, or it cannot be had.
    pub(in crate::gateway) async fn show(
        &self,
        images: &ImageStore,
        name: &str,
        now: SystemTime,
        mut share: Share,
    ) -> Result<Showing, NotShown> {
        // No path is made of a name that the store would not give out.
        let id = ImageId::parse(name).ok_or(NotShown::None)?;
        let place = self.place(id);
        let read = async move || {
            let found = images.find(id, now).await?.ok_or(NotShown::None)?;
            share
                .grow(found.size_bytes())
                .map_err(|_| NotShown::NoRoom)?;
            let image = found.read().await?.ok_or(NotShown::None)?;
            Ok::<_, NotShown>((image, share))
        };
        let (image, _) = place.get_or_try_init(read).await?;
        Ok(Showing {
            image: image.clone(),
            _place: Arc::clone(&place),
        })
    }

    fn place(&self, id: ImageId) -> Arc<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.get(&id).and_then(Weak::upgrade) {
            return place;
        }
        // Those that nobody takes any more.
        all.retain(|_, place| place.strong_count() > 0);
        let place = Arc::default();
        all.insert(id, Arc::downgrade(&place));
        place
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::gateway::body::Budget;

    const IMAGE: &[u8] = b"GIF89a\x01\0\x01\0";

    async fn store(folder: &std::path::Path) -> (ImageStore, String) {
        let mut config = crate::config::example("").images;
        config.store = folder.to_str().unwrap().to_owned();
        let store = ImageStore::open(&config).unwrap();
        let now = crate::sys::now().wall;
        let id = store.put(Bytes::from_static(IMAGE), now).await.unwrap();
        (store, id.to_string())
    }

    #[tokio::test]
    async fn an_image_is_held_once_for_all_who_take_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, name) = store(folder.path()).await;
        let (shown, budget) = (Shown::default(), Arc::new(Budget::default()));
        let show = || shown.show(&store, &name, crate::sys::now().wall, budget.share(15));
        let (first, second) = tokio::join!(show(), show());
        let third = show().await;
        let all = [first.unwrap(), second.unwrap(), third.unwrap()];
        let place = all[0].image.bytes.as_ptr();
        assert!(all.iter().all(|one| one.image.bytes.as_ptr() == place));
        assert_eq!(budget.held_bytes(), IMAGE.len());
        drop(all);
        assert_eq!(budget.held_bytes(), 0);
        show().await.unwrap();
    }

    #[tokio::test]
    async fn where_there_is_no_room_or_no_image_the_next_one_tries_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, name) = store(folder.path()).await;
        let (shown, budget) = (Shown::default(), Arc::new(Budget::default()));
        let show =
            |name, room| shown.show(&store, name, crate::sys::now().wall, budget.share(room));
        assert!(matches!(show(&name, 5).await, Err(NotShown::NoRoom)));
        assert!(show(&name, 15).await.is_ok());
        let other = name.replace(|letter: char| letter.is_ascii_digit(), "0");
        for name in ["", "../x", &other] {
            assert!(
                matches!(show(name, 15).await, Err(NotShown::None)),
                "{name}"
            );
        }
        assert_eq!(budget.held_bytes(), 0);
    }
}
