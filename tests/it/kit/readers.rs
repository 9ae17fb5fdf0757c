//! Does everybody read in a body what the gateway reads in it?
//!
//! Bodies by chance, most of them nearly a question, before the gateway's reader and others: ones
//! that take the first or the last of two keys, that fold cases as Go's `encoding/json` does, or
//! that drop what cannot be seen. Whatever the gateway takes, all of them must read alike.

use std::fmt;
use std::ops::Range;

use fastrand::Rng;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use spafe::gateway::inspect::{Ask, Bounds, inspect};

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 10_000,
};
/// What the gateway acts on, and something to fill it with.
const ROUTED: [(&str, &[&str]); 5] = [
    ("model", &["\"a\"", "\"b\"", "\"\\u0061\"", "\"c/d\""]),
    ("stream", &["true", "false", "null"]),
    ("n", &["1", "2", "128", "null"]),
    ("max_tokens", &["1", "4096", "9007199254740991", "null"]),
    (
        "user",
        &["\"u\"", "\"\u{e9}\\n\"", "\"\\ud83d\\ude00\"", "null"],
    ),
];
/// What may stand anywhere.
const VALUES: [&str; 24] = [
    "1",
    "-1",
    "0",
    "-0",
    "1.0",
    "1e0",
    "1E2",
    "1e400",
    "18446744073709551617",
    "01",
    "true",
    "\"true\"",
    "\"1\"",
    "\"\"",
    "\"a\\u0000\"",
    "\"\\ud800\"",
    "\"\\\"\"",
    "[]",
    "{}",
    "[1,[2]]",
    "{\"model\":\"z\"}",
    "{\"n\":{\"n\":7}}",
    "NaN",
    "nul",
];
/// What is put into a text where a letter was, or between two.
const PIECES: [&str; 22] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\u{b}",
    "\0",
    "/*x*/",
    "//",
    "\u{feff}",
    "\u{2028}",
    "\\u0000",
    "e",
    "0",
    "\u{17f}",
    "\u{212a}",
    "\"model\":\"y\",",
];

/// What became of bodies.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The gateway takes them, and so do all.
    pub(crate) taken: u64,
    /// The gateway refuses them.
    pub(crate) refused: u64,
    /// Those of the refused that another reader takes.
    pub(crate) strict: u64,
    /// The gateway takes them, and what they say is more than a reader here can hold.
    pub(crate) not_held: u64,
}

/// Makes a body of each of these seeds, and has all read it.
pub(crate) fn compare(seeds: Range<u64>) -> Read {
    let mut read = Read::default();
    for seed in seeds {
        let body = body(&mut Rng::with_seed(seed));
        let Ok(ask) = inspect(body.as_bytes(), &BOUNDS) else {
            read.refused += 1;
            read.strict += u64::from(serde_json::from_str::<Members>(&body).is_ok());
            continue;
        };
        let is_json = serde_json::from_str::<IgnoredAny>(&body).is_ok();
        assert!(is_json, "seed {seed}: this is no JSON: {body:?}");
        // Half of a surrogate pair and numbers beyond a double go on as they are.
        let Ok(members) = serde_json::from_str::<Members>(&body) else {
            read.not_held += 1;
            continue;
        };
        read.taken += 1;
        let tree: Value = serde_json::from_str(&body).unwrap();
        agrees(
            &ask,
            |name| tree.get(name),
            &format!("a tree, {seed}: {body:?}"),
        );
        for reader in READERS {
            let what = format!("{reader:?}, seed {seed}: {body:?}");
            agrees(&ask, |name| reader.value(&members, name), &what);
        }
    }
    read
}

/// Whether a reader finds the same.
#[track_caller]
fn agrees<'a>(ask: &Ask, value: impl Fn(&str) -> Option<&'a Value>, what: &str) {
    let value = |name| value(name).unwrap_or(&Value::Null);
    assert_eq!(value("model").as_str(), Some(&*ask.model), "{what}");
    assert_eq!(value("user").as_str(), ask.user.as_deref(), "{what}");
    assert_eq!(
        value("stream").as_bool().unwrap_or(false),
        ask.stream,
        "{what}"
    );
    assert_eq!(value("n").as_u64(), ask.n.map(u64::from), "{what}");
    assert_eq!(value("max_tokens").as_u64(), ask.max_tokens, "{what}");
}

/// How another reader finds a member.
#[derive(Debug, Clone, Copy)]
struct Reader {
    takes_first: bool,
    folds: fn(&str) -> String,
}

const READERS: [Reader; 6] = [
    reader(false, str::to_owned),
    reader(true, str::to_owned),
    reader(false, folded),
    reader(true, folded),
    reader(false, seen),
    reader(true, seen),
];

const fn reader(takes_first: bool, folds: fn(&str) -> String) -> Reader {
    Reader { takes_first, folds }
}

impl Reader {
    fn value<'a>(self, members: &'a Members, name: &str) -> Option<&'a Value> {
        let Members(members) = members;
        let mut found = members.iter().filter(|(key, _)| (self.folds)(key) == name);
        let found = if self.takes_first {
            found.next()
        } else {
            found.next_back()
        };
        found.map(|(_, value)| value)
    }
}

/// As Go's `encoding/json` folds keys: by the simple folding of Unicode.
fn folded(key: &str) -> String {
    let simple = key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    simple.collect()
}

/// As much of a key as can be seen, and nothing behind a NUL.
fn seen(key: &str) -> String {
    let until = key.split('\0').next().unwrap_or_default();
    let invisible = |letter: &char| {
        letter.is_whitespace() || matches!(letter, '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{ad}')
    };
    folded(until).chars().filter(|it| !invisible(it)).collect()
}

/// The members of an object, all of them and in their order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        reader.deserialize_map(InOrder)
    }
}

/// A body by chance: a question with this and that beside it, in any order, and now and then
/// something wrong with it.
fn body(random: &mut Rng) -> String {
    let mut members = Vec::new();
    if random.u8(0..20) > 0 {
        members.push("\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]".to_owned());
        members.push("\"model\":\"m\"".to_owned());
    }
    for _ in 0..random.u8(0..6) {
        members.push(member(random));
    }
    random.shuffle(&mut members);
    let comma = ["", " ", "\n\t"][random.usize(0..3)];
    let mut body = format!("{{{comma}{}}}", members.join(&format!(",{comma}")));
    if random.u8(0..4) == 0 {
        mutilate(&mut body, random);
    }
    body
}

fn member(random: &mut Rng) -> String {
    let (name, values) = ROUTED[random.usize(0..ROUTED.len())];
    let value = if random.u8(0..4) > 0 {
        values[random.usize(0..values.len())]
    } else {
        VALUES[random.usize(0..VALUES.len())]
    };
    // Half of them beside what is known, or the bodies that are taken would say nothing.
    let key = match random.u8(0..16) {
        0..4 => name.to_owned(),
        4..10 => format!("x_{name}{}", random.u8(0..4)),
        _ => disguised(name, random),
    };
    format!("\"{key}\":{value}")
}

/// A name as somebody might write it to be read by some and not by others.
fn disguised(name: &str, random: &mut Rng) -> String {
    let letters: Vec<char> = name.chars().collect();
    let at = random.usize(0..letters.len());
    let mut said: Vec<String> = letters.iter().map(char::to_string).collect();
    said[at] = match random.u8(0..6) {
        0 => letters[at].to_ascii_uppercase().to_string(),
        1 => format!("\\u{:04x}", u32::from(letters[at])),
        2 => format!("\\u{:04X}", u32::from(letters[at].to_ascii_uppercase())),
        3 => letters[at]
            .to_string()
            .replace('s', "\u{17f}")
            .replace('k', "\u{212a}"),
        4 => String::new(),
        _ => format!(
            "{}{}",
            letters[at],
            ["\\u0000", " ", "\u{200b}", "\u{ad}", "\\t", "_"][random.usize(0..6)]
        ),
    };
    said.concat()
}

/// Puts something into a text, or takes something out of it.
fn mutilate(text: &mut String, random: &mut Rng) {
    for _ in 0..random.u8(1..4) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let Some(at) = random.choice(places) else {
            return;
        };
        if random.bool() {
            text.remove(at);
        }
        if random.u8(0..3) > 0 {
            text.insert_str(at, PIECES[random.usize(0..PIECES.len())]);
        }
    }
}
