//! What could somebody ask, and how could they ask nearly the same?
//!
//! Bodies made by chance of all that is known of chats and of some that is not: any part of a
//! large one, changed here and there. Each can be written in many ways that mean the same, and
//! changed in one place into another. A body's canonical form is built here, slowly and by
//! sorting texts, so that what the gateway makes of it has something to be held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fastrand::Rng;
use serde_json::value::RawValue;

/// Every parameter of a chat that is known, with what SDKs write, and some that are not.
const ALL: &str = include_str!("chats.json");
/// Top-level members that make no other question, whatever they are: the last two because an
/// operator says so.
pub(crate) const EXEMPT: [&str; 5] = ["model", "stream", "stream_options", "user", "x_trace"];

/// A value, its scalars and keys as they are written.
#[derive(Debug, Clone)]
pub(crate) enum Json {
    Scalar(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// All bodies that there are.
pub(crate) struct Chats {
    all: Vec<(String, Json)>,
}

impl Chats {
    pub(crate) fn new() -> Self {
        match parsed(ALL) {
            Json::Object(all) => Self { all },
            other => panic!("{other:?} is no object"),
        }
    }

    /// One of them: some members of the large one, with some of their elements.
    pub(crate) fn any(&self, random: &mut Rng) -> Json {
        let mut members = self.all.clone();
        members.retain(|(key, _)| key == "\"messages\"" || random.u8(0..8) == 0);
        let mut chat = Json::Object(members);
        thinned(&mut chat, random);
        for _ in 0..random.u8(0..4) {
            change(&mut chat, random);
        }
        chat
    }
}

/// Leaves out some elements of arrays, whatever is in them.
fn thinned(json: &mut Json, random: &mut Rng) {
    match json {
        Json::Scalar(_) => {}
        Json::Array(elements) => {
            elements.retain(|_| random.u8(0..5) < 2);
            for element in elements {
                thinned(element, random);
            }
        }
        Json::Object(members) => {
            for (_, value) in members {
                thinned(value, random);
            }
        }
    }
}

fn parsed(text: &str) -> Json {
    match text.trim_start().as_bytes()[0] {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap();
            let member = |(key, value): (String, &RawValue)| (quoted(&key), parsed(value.get()));
            Json::Object(members.into_iter().map(member).collect())
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap();
            Json::Array(
                elements
                    .into_iter()
                    .map(|value| parsed(value.get()))
                    .collect(),
            )
        }
        _ => Json::Scalar(text.to_owned()),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a key says.
fn said(key: &str) -> String {
    serde_json::from_str(key).unwrap()
}

fn is_exempt(key: &str) -> bool {
    EXEMPT.contains(&&*said(key))
}

/// The body without what is exempt, without white space, its keys in their order.
pub(crate) fn canonical(chat: &Json) -> String {
    let Json::Object(members) = chat else {
        panic!("{chat:?} is no object");
    };
    let counted = members.iter().filter(|(key, _)| !is_exempt(key)).cloned();
    let mut text = String::new();
    sorted(&Json::Object(counted.collect()), &mut text);
    text
}

fn sorted(json: &Json, to: &mut String) {
    match json {
        Json::Scalar(text) => to.push_str(text),
        Json::Array(elements) => {
            to.push('[');
            for element in elements {
                sorted(element, to);
                to.push(';');
            }
            to.push(']');
        }
        Json::Object(members) => {
            let members: BTreeMap<String, _> = members
                .iter()
                .map(|member| (said(&member.0), member))
                .collect();
            to.push('{');
            for (key, value) in members.values() {
                write!(to, "{key}=").unwrap();
                sorted(value, to);
                to.push(';');
            }
            to.push('}');
        }
    }
}

/// The body in some order of its keys, with some white space.
pub(crate) fn written(chat: &Json, random: &mut Rng) -> String {
    let mut text = String::new();
    let spaced = random.bool();
    write(chat, spaced, random, &mut text);
    text
}

fn write(json: &Json, spaced: bool, random: &mut Rng, to: &mut String) {
    match json {
        Json::Scalar(text) => to.push_str(text),
        Json::Array(elements) => {
            to.push('[');
            for (at, element) in elements.iter().enumerate() {
                to.push_str(if at > 0 { "," } else { "" });
                space(spaced, random, to);
                write(element, spaced, random, to);
            }
            space(spaced, random, to);
            to.push(']');
        }
        Json::Object(members) => {
            let mut order: Vec<&(String, Json)> = members.iter().collect();
            random.shuffle(&mut order);
            to.push('{');
            for (at, (key, value)) in order.into_iter().enumerate() {
                to.push_str(if at > 0 { "," } else { "" });
                space(spaced, random, to);
                to.push_str(key);
                space(spaced, random, to);
                to.push(':');
                space(spaced, random, to);
                write(value, spaced, random, to);
            }
            space(spaced, random, to);
            to.push('}');
        }
    }
}

fn space(spaced: bool, random: &mut Rng, to: &mut String) {
    if spaced {
        to.push_str(["", " ", "\n  ", "\t", "\r\n"][random.usize(0..5)]);
    }
}

/// Changes one thing at any depth that is not exempt; rarely into what it was.
pub(crate) fn change(chat: &mut Json, random: &mut Rng) {
    let Json::Object(members) = chat else {
        panic!("{chat:?} is no object");
    };
    let (mut exempt, mut counted): (Vec<_>, Vec<_>) =
        members.drain(..).partition(|(key, _)| is_exempt(key));
    change_members(&mut counted, random);
    members.append(&mut exempt);
    members.append(&mut counted);
}

/// Changes one thing that is exempt.
pub(crate) fn change_exempt(chat: &mut Json, random: &mut Rng) {
    let Json::Object(members) = chat else {
        panic!("{chat:?} is no object");
    };
    let exempt = EXEMPT[random.usize(0..EXEMPT.len())];
    let was = members.len();
    members.retain(|(key, _)| said(key) != exempt);
    if members.len() == was || random.bool() {
        let key = [quoted(exempt), spelled_out(exempt)][random.usize(0..2)].clone();
        members.push((key, any_value(random)));
    }
}

fn change_within(json: &mut Json, random: &mut Rng) {
    match json {
        Json::Scalar(text) => *text = another(text, random),
        Json::Array(elements) => change_elements(elements, random),
        Json::Object(members) => change_members(members, random),
    }
}

fn change_members(members: &mut Vec<(String, Json)>, random: &mut Rng) {
    let any = |random: &mut Rng| random.usize(0..members.len());
    match random.u8(0..10) {
        0 => {
            let key = new_key(members, random);
            members.push((key, any_value(random)));
        }
        _ if members.is_empty() => members.push(("\"\"".to_owned(), any_value(random))),
        1 => {
            let at = any(random);
            members.remove(at);
        }
        2 => {
            let at = any(random);
            members[at].0 = new_key(members, random);
        }
        3 => {
            let at = any(random);
            members[at].1 = any_value(random);
        }
        4 => {
            // Two values change their keys.
            let (one, other) = (any(random), any(random));
            let value = members[one].1.clone();
            members[one].1 = std::mem::replace(&mut members[other].1, value);
        }
        _ => {
            let at = any(random);
            change_within(&mut members[at].1, random);
        }
    }
}

fn change_elements(elements: &mut Vec<Json>, random: &mut Rng) {
    match random.u8(0..10) {
        0 => elements.insert(random.usize(0..=elements.len()), any_value(random)),
        _ if elements.is_empty() => elements.push(any_value(random)),
        1 => {
            elements.remove(random.usize(0..elements.len()));
        }
        2 => {
            let (one, other) = (
                random.usize(0..elements.len()),
                random.usize(0..elements.len()),
            );
            elements.swap(one, other);
        }
        3 => {
            // An element becomes one of its own, or two are put together.
            let at = random.usize(0..elements.len());
            elements[at] = Json::Array(vec![elements[at].clone()]);
        }
        _ => {
            let at = random.usize(0..elements.len());
            change_within(&mut elements[at], random);
        }
    }
}

/// A key that is not there, however the others are spelled.
fn new_key(members: &[(String, Json)], random: &mut Rng) -> String {
    loop {
        let texts = [
            "",
            "a",
            "role",
            "content",
            "e\u{301}",
            "\u{1F600}",
            "\"",
            "\\",
            "stream",
            "N",
        ];
        let mut text = texts[random.usize(0..texts.len())].to_owned();
        if random.bool() {
            write!(text, "{}", random.u8(..)).unwrap();
        }
        if random.u8(0..8) == 0 {
            text.push_str("_a_long_name_that_somebody_made_up_for_it");
        }
        let is_there = members.iter().any(|(key, _)| said(key) == text);
        if !is_there && !EXEMPT.contains(&&*text) {
            return if random.bool() {
                quoted(&text)
            } else {
                spelled_out(&text)
            };
        }
    }
}

/// A text with each of its characters escaped.
fn spelled_out(text: &str) -> String {
    let mut escaped = String::new();
    for unit in text.encode_utf16() {
        write!(escaped, "\\u{unit:04x}").unwrap();
    }
    format!("\"{escaped}\"")
}

fn any_value(random: &mut Rng) -> Json {
    match random.u8(0..6) {
        0 => Json::Array(Vec::new()),
        1 => Json::Object(Vec::new()),
        2 => Json::Array(vec![any_value(random), any_value(random)]),
        3 => Json::Object(vec![("\"a\"".to_owned(), any_value(random))]),
        _ => Json::Scalar(another("0", random)),
    }
}

/// Another scalar than this, of which there are some that readers take for the same.
fn another(text: &str, random: &mut Rng) -> String {
    match random.u8(0..8) {
        0 => ["null", "true", "false", "\"\"", "0", "-0", "1e0"][random.usize(0..7)].to_owned(),
        1 => random.u8(..).to_string(),
        2 => quoted(text),
        3 if text.starts_with('"') => spelled_out(&said(text)),
        3 => format!("{}.0", random.u8(..)),
        4 => quoted(&"long ".repeat(random.usize(0..30))),
        _ if text.starts_with('"') => {
            // A letter more, or one less, anywhere.
            let mut said: Vec<char> = said(text).chars().collect();
            if said.is_empty() || random.bool() {
                said.insert(
                    random.usize(0..=said.len()),
                    ['x', '"', '\\', '\n', 'é'][random.usize(0..5)],
                );
            } else {
                said.remove(random.usize(0..said.len()));
            }
            quoted(&said.into_iter().collect::<String>())
        }
        _ => format!(
            "{}{}",
            random.u8(1..10),
            text.trim_start_matches(|c: char| !c.is_ascii_digit())
        ),
    }
}
