//! Can the keys of callers be told apart, wherever they stand?
//!
//! In the configuration, and in a file of their own, which others may write and replace.
//! That file has keys only. It is checked along the same schema, and what is wrong in it
//! is told with its own name and lines.

use std::collections::HashSet;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::limits::{named_once, windows};
use super::node::Node;
use super::{Findings, Outside, structure};
use crate::config::Source;
use crate::config::notation::Digest;
use crate::config::notation::name::File;

/// SHA-256 of nothing, which is what an unset variable is hashed to.
const OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// What keys are told apart by, as far as they are known.
#[derive(Default)]
struct Known {
    names: HashSet<String>,
    digests: HashSet<[u8; 32]>,
}

/// The text of the keys' own file.
pub(in crate::config) struct KeysFile {
    /// Its path.
    path: PathBuf,
    /// What stands in it.
    pub(in crate::config) text: String,
}

/// Checks `[[keys]]` and the file of more of them, and reads that.
pub(super) fn check(
    root: &Node<'_, '_>,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) -> Option<KeysFile> {
    let mut known = Known::default();
    told_apart(&root.items_of("keys"), &mut known, findings);
    let auth = root.get("auth")?;
    let node = auth.get("keys_file");
    let wants = auth
        .get("keys")
        .filter(|node| node.text() == Some("required"));
    if let Some(wants) = wants.filter(|_| known.names.is_empty() && node.is_none()) {
        findings.add(
            &wants,
            "lets nobody in, for there are no keys; add [[keys]], or set auth.keys_file",
        );
    }
    let node = node?;
    let path = node.read::<File>()?;
    let text = match (outside.read)(&path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot be read ({error}); name a readable file with [[keys]]");
            findings.add(&node, message);
            return None;
        }
    };
    let file = KeysFile { path, text };
    file.check(&mut known, findings);
    Some(file)
}

impl KeysFile {
    fn check(&self, known: &mut Known, findings: &mut Findings<'_>) {
        let name = self.path.display().to_string();
        let mut own = Findings {
            source: Source {
                name: &name,
                text: &self.text,
            },
            problems: Vec::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        for error in &errors {
            own.syntax(error);
        }
        if errors.is_empty() {
            let whole_file = 0..self.text.len();
            let document = Spanned::new(whole_file, DeValue::Table(table.into_inner()));
            let root = Node::root(&document);
            structure::check_keys(&root, &mut own);
            told_apart(&root.items_of("keys"), known, &mut own);
        }
        findings.problems.append(&mut own.problems);
    }
}

/// Two keys with one hash are one key with two names.
fn told_apart(keys: &[Node<'_, '_>], known: &mut Known, findings: &mut Findings<'_>) {
    named_once(keys, "key", &mut known.names, findings);
    for key in keys {
        windows(key, findings);
        let Some(node) = key.get("sha256") else {
            continue;
        };
        let Some(digest) = node.read::<Digest>() else {
            continue;
        };
        if digest == OF_NOTHING {
            findings.add(
                &node,
                "is the hash of an empty text, which is no key; was the variable set that was hashed?",
            );
        } else if !known.digests.insert(digest) {
            findings.add(
                &node,
                "is the hash of an earlier key; give each name a key of its own",
            );
        }
    }
}
