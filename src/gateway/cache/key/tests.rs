//! What makes another key, and what does not.

/// Bodies: their canonical form, and bodies that have none.
mod bodies;
/// Bodies that tables would mix up.
mod collisions;
/// What is hashed of a body, piece by piece.
mod form;
/// Everything but the body.
mod ingredients;

use std::path::Path;

use super::*;
use crate::config::{Source, load};
use crate::gateway::pools::registry::Registry;
use crate::gateway::record::metrics::Metrics;
use crate::snapshot::Snapshot;

/// Two pools, a model at both, one that both call otherwise, a pattern, and one of images.
const CONFIG: &str = r#"
[[pools]]
name = "p"
targets = [{ url = "http://127.0.0.1:1/v1" }]
[[pools]]
name = "q"
targets = [{ url = "http://127.0.0.1:2/v1" }]
[[pools]]
name = "i"
dialect = "images"
targets = [{ url = "http://127.0.0.1:3/v1" }]
[[models]]
id = "m"
aliases = ["a", "b"]
pools = ["p", { pool = "q", name = "vendor/m" }]
[[models]]
id = "n/*"
pools = ["p"]
[[models]]
id = "o"
pools = ["p"]
[[models]]
id = "f"
modality = "image"
pools = ["i"]
"#;

fn snapshot(config: &str) -> Snapshot {
    let source = Source {
        name: "key.toml",
        text: config,
    };
    let nothing = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let config = load(source, &|_| None, &nothing).unwrap_or_else(|problems| panic!("{problems}"));
    Snapshot::new(config, &Registry::default(), &Metrics::new()).unwrap()
}

/// The key of a body that anybody sends for a model.
fn key(snapshot: &Snapshot, model: &str, body: &str) -> Key {
    Key::of(&ingredients(snapshot, model, body))
}

fn ingredients<'a>(snapshot: &'a Snapshot, model: &'a str, body: &'a str) -> Ingredients<'a> {
    Ingredients {
        endpoint: "chat.completions",
        scope: Scope::Shared,
        plan: snapshot.router.route(model).unwrap(),
        model,
        base_url: None,
        beta: None,
        body: body.as_bytes(),
        ignored: &[],
    }
}

#[test]
fn a_key_is_shown_as_its_bytes() {
    let key = key(&snapshot(CONFIG), "m", r#"{"model":"m","messages":[]}"#);
    assert_eq!(key.to_string().len(), 64);
    let mut bytes = key.bytes().iter();
    assert!(bytes.all(|byte| key.to_string().contains(&format!("{byte:02x}"))));
    assert_eq!(format!("{key:?}"), key.to_string());
}
