//! Are images kept, found and forgotten within the bounds?

use std::path::Path;

use super::*;

const GIF: &[u8] = b"GIF89a\x01\0\x01\0";

fn config(folder: &Path) -> config::images::Images {
    config::images::Images {
        store: folder.to_str().unwrap().to_owned(),
        store_bytes_max: 1 << 20,
        image_bytes_max: 1000,
        age_max: Duration::from_hours(1),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "files carry the machine's own time, which these tests compare with"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn gif(number: u8) -> Bytes {
    let mut bytes = GIF.to_vec();
    bytes.push(number);
    Bytes::from(bytes)
}

/// The image of this name, as a request has it.
async fn read(store: &ImageStore, name: &str, now: SystemTime) -> Option<StoredImage> {
    let found = store.find(ImageId::parse(name)?, now).await.unwrap();
    found?.read().await.unwrap()
}

#[tokio::test]
async fn an_image_is_read_as_it_was_put() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&config(folder.path())).unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(GIF);
    let id = store.put_base64(encoded.as_bytes(), now()).await.unwrap();
    let image = read(&store, &id.to_string(), now()).await.unwrap();
    assert_eq!(image.bytes, GIF);
    assert_eq!(image.content_type, "image/gif");
    assert_eq!(image.etag, format!("\"{id}\""));
    assert_eq!(names(folder.path()), [id.to_string()]);
    let again = store.put(Bytes::from_static(GIF), now()).await.unwrap();
    assert_eq!(again, id);
    let unpadded = encoded.trim_end_matches('=');
    assert_eq!(
        store.put_base64(unpadded.as_bytes(), now()).await.unwrap(),
        id
    );
    assert_eq!(store.stats().count, 1);
}

#[tokio::test]
async fn what_is_no_image_or_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&config(folder.path())).unwrap();
    let check = async |bytes: Vec<u8>, expected: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let result = store.put_base64(encoded.as_bytes(), now()).await;
        let result = result.map_or_else(|error| error.to_string(), |_| "kept".to_owned());
        assert!(result.contains(expected), "{} bytes: {result}", bytes.len());
    };
    for length in [997, 998, 999, 1000] {
        let mut bytes = GIF.to_vec();
        bytes.resize(length, 0);
        check(bytes, "kept").await;
    }
    for length in [1001, 1002, 1003, 1004, 1 << 20] {
        let mut bytes = GIF.to_vec();
        bytes.resize(length, 0);
        check(bytes, "more than 1000 bytes").await;
    }
    check(b"<svg onload='alert(1)'/>".to_vec(), "no PNG").await;
    check(b"<html><script>".to_vec(), "no PNG").await;
    check(Vec::new(), "no PNG").await;
    let error = store.put_base64(b"R0lG*!", now()).await.unwrap_err();
    assert!(matches!(error, ImageError::NotBase64(_)), "{error}");
    assert_eq!(store.stats().count, 4);
    assert_eq!(names(folder.path()).len(), 4);
}

#[tokio::test]
async fn a_name_from_outside_never_leaves_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("images");
    let store = ImageStore::open(&config(&inside)).unwrap();
    let id = ImageId::of(GIF).unwrap().to_string();
    std::fs::write(folder.path().join(&id), GIF).unwrap();
    std::fs::create_dir(inside.join("sub")).unwrap();
    std::fs::write(inside.join("sub").join(&id), GIF).unwrap();
    for name in [
        format!("../{id}"),
        format!("sub/{id}"),
        format!("%2e%2e/{id}"),
        format!("{id}/../../{id}"),
        folder.path().join(&id).to_str().unwrap().to_owned(),
        id.clone(),
    ] {
        assert_eq!(read(&store, &name, now()).await, None, "{name}");
    }
    store.sweep(now()).await.unwrap();
    assert_eq!(
        store.stats().count,
        0,
        "what lies in a folder below is not ours"
    );
    std::fs::write(inside.join(&id), GIF).unwrap();
    assert!(read(&store, &id, now()).await.is_some());
}

#[tokio::test]
async fn bytes_that_were_exchanged_in_the_folder_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&config(folder.path())).unwrap();
    let id = store.put(gif(1), now()).await.unwrap().to_string();
    for bytes in [b"<script>".as_slice(), &gif(2), &[0; 5000]] {
        std::fs::write(folder.path().join(&id), bytes).unwrap();
        assert_eq!(read(&store, &id, now()).await, None);
    }
}

#[tokio::test]
async fn the_bounds_hold_while_images_come_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.store_bytes_max = 3 * 4096;
    let store = ImageStore::open(&config).unwrap();
    let start = now();
    let mut ids = Vec::new();
    for number in 0..5 {
        let when = start + Duration::from_millis(u64::from(number));
        ids.push(store.put(gif(number), when).await.unwrap());
    }
    let mut expected: Vec<String> = ids[2..].iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(names(folder.path()), expected);
    let stats = store.stats();
    assert_eq!(
        (stats.bytes, stats.count, stats.evictions),
        (3 * 4096, 3, 2)
    );

    std::fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
    config.store_bytes_max = 2 * 4096;
    let restarted = ImageStore::open(&config).unwrap();
    restarted.sweep(now()).await.unwrap();
    let stats = restarted.stats();
    assert_eq!(
        (stats.bytes, stats.count, stats.evictions),
        (2 * 4096, 2, 1)
    );
    assert_eq!(
        names(folder.path()).len(),
        3,
        "two images and what is not ours"
    );

    restarted
        .sweep(now() + Duration::from_secs(3700))
        .await
        .unwrap();
    assert_eq!(restarted.stats().count, 0);
    assert_eq!(names(folder.path()), ["notes.txt"]);
}

#[tokio::test]
async fn what_is_too_old_is_not_served_even_before_it_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&config(folder.path())).unwrap();
    let id = store.put(gif(1), now()).await.unwrap().to_string();
    let later = now() + Duration::from_secs(3700);
    assert!(read(&store, &id, now()).await.is_some());
    assert_eq!(read(&store, &id, later).await, None);
}

#[tokio::test]
async fn images_that_come_at_once_do_not_exceed_the_bound_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.store_bytes_max = 4 * 4096;
    let store = ImageStore::open(&config).unwrap();
    let start = now();
    let puts = (0..40).map(|number| {
        let when = start + Duration::from_millis(u64::from(number));
        store.put(gif(number), when)
    });
    for kept in futures_util::future::join_all(puts).await {
        kept.unwrap();
    }
    store.sweep(now()).await.unwrap();
    assert!(
        names(folder.path()).len() <= 4,
        "{:?}",
        names(folder.path())
    );
    assert_eq!(names(folder.path()).len() as u64, store.stats().count);
}

#[tokio::test]
async fn a_store_that_fails_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("images");
    let store = ImageStore::open(&config(&inside)).unwrap();
    std::fs::remove_dir(&inside).unwrap();
    std::fs::write(&inside, "in the way").unwrap();
    let error = store.put(gif(1), now()).await.unwrap_err();
    assert!(matches!(error, ImageError::Store(_)), "{error}");
    assert_eq!(store.stats().count, 0);
}
