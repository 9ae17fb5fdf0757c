//! What does a unit test take for a configuration?

use std::io;
use std::path::Path;

use super::{Config, Source, load};

/// A configuration with these tables, one pool, `p`, and one model, `m`, for unit tests.
pub(crate) fn example(tables: &str) -> Config {
    const TAIL: &str = "\n[[pools]]\nname = \"p\"\ntargets = [{ url = \"http://127.0.0.1:1\" }]\n[[models]]\nid = \"m\"\npools = [\"p\"]\n";
    let text = format!("{tables}{TAIL}");
    let source = Source {
        name: "example.toml",
        text: &text,
    };
    let nothing = |_: &Path| Err(io::ErrorKind::NotFound.into());
    load(source, &|_| None, &nothing).unwrap_or_else(|problems| panic!("{problems}"))
}
