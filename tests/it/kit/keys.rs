//! Which key has a body, and which one has nearly the same?

use std::ops::Range;
use std::path::Path;

use fastrand::Rng;
use spafe::config::{Source, load};
use spafe::gateway::cache::key::{Ingredients, Key, Scope};
use spafe::gateway::pools::registry::Registry;
use spafe::gateway::record::metrics::Metrics;
use spafe::snapshot::Snapshot;

use super::chats::{Chats, canonical, change, change_exempt, written};

const CONFIG: &str = r#"
[[pools]]
name = "p"
targets = [{ url = "http://127.0.0.1:1" }]
[[models]]
id = "m"
pools = ["p"]
"#;

/// Bodies, and somebody who may answer them.
pub(crate) struct Keys {
    chats: Chats,
    snapshot: Snapshot,
}

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Pairs that are two questions.
    pub(crate) changed: u64,
    /// Pairs that a change left as they were.
    pub(crate) unchanged: u64,
    /// Each question that was seen, as its key and a hash of its canonical form.
    pub(crate) seen: Vec<(Key, u64)>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let source = Source {
            name: "keys.toml",
            text: CONFIG,
        };
        let nothing = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let config = load(source, &|_| None, &nothing).expect("the configuration stands above");
        Self {
            chats: Chats::new(),
            snapshot: Snapshot::new(config, &Registry::default(), &Metrics::new()).unwrap(),
        }
    }

    /// The key of a body; `user` and `x_trace` are not asked with.
    pub(crate) fn key(&self, body: &str) -> Key {
        let ignored: [Box<str>; 2] = ["user".into(), "x_trace".into()];
        Key::of(&Ingredients {
            endpoint: "chat.completions",
            scope: Scope::Shared,
            plan: self.snapshot.router.route("m").unwrap(),
            model: "m",
            base_url: None,
            beta: None,
            body: body.as_bytes(),
            ignored: &ignored,
        })
    }

    /// Makes a body and a changed one of each of these seeds, and compares their keys.
    pub(crate) fn compare(&self, seeds: Range<u64>) -> Compared {
        let mut compared = Compared::default();
        for seed in seeds {
            let mut random = Rng::with_seed(seed);
            let chat = self.chats.any(&mut random);
            let body = written(&chat, &mut random);
            let key = self.key(&body);

            let mut same = chat.clone();
            if random.bool() {
                change_exempt(&mut same, &mut random);
            }
            let same = written(&same, &mut random);
            assert_eq!(self.key(&same), key, "seed {seed}: {body} and {same}");

            let mut other = chat.clone();
            change(&mut other, &mut random);
            let forms = [&chat, &other].map(canonical);
            let other = written(&other, &mut random);
            let other_key = self.key(&other);
            let is_other = forms[0] != forms[1];
            assert_eq!(
                other_key != key,
                is_other,
                "seed {seed}: {body} and {other}"
            );

            compared.changed += u64::from(is_other);
            compared.unchanged += u64::from(!is_other);
            compared.seen.push((key, hash(&forms[0])));
            compared.seen.push((other_key, hash(&forms[1])));
        }
        compared
    }
}

/// Of texts that nobody chose.
fn hash(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
