//! What message do the events of a stream make?
//!
//! What the vendor's own SDK would make of them: the message as it began, its blocks with their
//! pieces, and what was told at the end.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::gateway::dialect::members::{Members, list};

/// A block that comes piece by piece: its members as they began, and what was added.
struct Block<'a> {
    begun: Members<'a>,
    /// Members that are texts, with what was added to them.
    texts: Vec<(&'static str, String)>,
    /// What a tool is called with.
    input: String,
    citations: Vec<&'a str>,
}

/// The message; `None` where the events are not all there, or not understood.
pub(super) fn message(events: &[&RawValue]) -> Option<String> {
    let mut begun: Option<Members<'_>> = None;
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut told: Vec<Members<'_>> = Vec::new();
    let mut usages: Vec<Members<'_>> = Vec::new();
    for event in events {
        let event = Members::of(event)?;
        match event.text("type").as_deref()? {
            "message_start" => {
                let message = Members::of(event.member("message")?)?;
                usages.extend(message.member("usage").and_then(Members::of));
                begun = Some(message);
            }
            "content_block_start" => blocks.push(Block {
                begun: Members::of(event.member("content_block")?)?,
                texts: Vec::new(),
                input: String::new(),
                citations: Vec::new(),
            }),
            "content_block_delta" => {
                let index: usize = event.member("index")?.get().parse().ok()?;
                let delta = Members::of(event.member("delta")?)?;
                blocks.get_mut(index)?.add(&delta)?;
            }
            "message_delta" => {
                told.extend(event.member("delta").and_then(Members::of));
                usages.extend(event.member("usage").and_then(Members::of));
            }
            _ => {}
        }
    }
    let blocks = blocks.iter().map(Block::written);
    let content = blocks.collect::<Option<Vec<_>>>()?.join(",");
    let mut all: Vec<(Cow<'_, str>, String)> = Vec::new();
    let begun = begun?;
    for (name, value) in begun.all().iter().chain(told.iter().flat_map(Members::all)) {
        put(&mut all, name, value.get().to_owned());
    }
    let mut usage: Vec<(Cow<'_, str>, String)> = Vec::new();
    for (name, value) in usages.iter().flat_map(Members::all) {
        // What is told later counts, unless it says nothing.
        if value.get() != "null" || !usage.iter().any(|(known, _)| known == name) {
            put(&mut usage, name, value.get().to_owned());
        }
    }
    put(&mut all, "content", format!("[{content}]"));
    put(&mut all, "usage", object(&usage)?);
    object(&all)
}

impl<'a> Block<'a> {
    fn add(&mut self, delta: &Members<'a>) -> Option<()> {
        let kind = delta.text("type")?;
        let name = match &*kind {
            "text_delta" => "text",
            "thinking_delta" => "thinking",
            "signature_delta" => "signature",
            "input_json_delta" => {
                self.input.push_str(&delta.text("partial_json")?);
                return Some(());
            }
            "citations_delta" => {
                self.citations.push(delta.member("citation")?.get());
                return Some(());
            }
            // What nobody knows how to add.
            _ => return None,
        };
        let more = inside(delta.member(name)?)?;
        if let Some((_, text)) = self.texts.iter_mut().find(|(known, _)| *known == name) {
            text.push_str(more);
        } else {
            let begun = self.begun.member(name).and_then(inside);
            let begun = begun.unwrap_or_default();
            self.texts.push((name, format!("{begun}{more}")));
        }
        Some(())
    }

    fn written(&self) -> Option<String> {
        let mut all: Vec<(Cow<'_, str>, String)> = Vec::new();
        for (name, value) in self.begun.all() {
            put(&mut all, name, value.get().to_owned());
        }
        for (name, text) in &self.texts {
            put(&mut all, name, format!("\"{text}\""));
        }
        if !self.input.is_empty() {
            // What was cut off stays as it began.
            if let Ok(input) = serde_json::from_str::<&RawValue>(&self.input) {
                put(&mut all, "input", input.get().to_owned());
            }
        }
        if !self.citations.is_empty() {
            let before = self.begun.member("citations").and_then(list);
            let before = before.unwrap_or_default().into_iter().map(RawValue::get);
            let citations: Vec<&str> = before.chain(self.citations.iter().copied()).collect();
            put(&mut all, "citations", format!("[{}]", citations.join(",")));
        }
        object(&all)
    }
}

/// The inside of a text, as it is written.
fn inside(text: &RawValue) -> Option<&str> {
    text.get().strip_prefix('"')?.strip_suffix('"')
}

fn put<'a>(members: &mut Vec<(Cow<'a, str>, String)>, name: &'a str, value: String) {
    match members.iter_mut().find(|(known, _)| known == name) {
        Some((_, before)) => *before = value,
        None => members.push((Cow::Borrowed(name), value)),
    }
}

fn object(members: &[(Cow<'_, str>, String)]) -> Option<String> {
    let written = members.iter().map(|(name, value)| {
        let name = serde_json::to_string(name).ok()?;
        Some(format!("{name}:{value}"))
    });
    let written = written.collect::<Option<Vec<_>>>()?;
    Some(format!("{{{}}}", written.join(",")))
}
