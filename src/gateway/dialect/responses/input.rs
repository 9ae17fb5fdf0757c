//! How do messages become items?
//!
//! Each stays in its place: a message is an item, each call of an assistant another behind what
//! it said, and what came of a call a third. Texts go on as they were written.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_empty, is_text, list};

/// One thing that was said or done.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    /// Somebody said something.
    Said {
        role: &'static str,
        content: Content<'a>,
    },
    /// The model called something.
    Called {
        #[serde(rename = "type")]
        kind: &'static str,
        call_id: &'a RawValue,
        name: &'a RawValue,
        arguments: &'a RawValue,
    },
    /// Something came of it.
    Came {
        #[serde(rename = "type")]
        kind: &'static str,
        call_id: &'a RawValue,
        output: Content<'a>,
    },
}

/// A text, or parts.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(&'a RawValue),
    Parts(Vec<Part<'a>>),
}

/// A part.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    InputText {
        text: &'a RawValue,
    },
    OutputText {
        text: &'a RawValue,
    },
    Refusal {
        refusal: &'a RawValue,
    },
    InputImage {
        image_url: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a RawValue>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a RawValue>,
    },
}

/// The caller's `messages`.
pub(super) fn items(messages: &RawValue, drops: bool) -> Result<Vec<Item<'_>>, Inexpressible> {
    let messages = list(messages)
        .ok_or_else(|| Inexpressible::malformed("messages", "must be a list of messages"))?;
    let mut items = Vec::with_capacity(messages.len());
    for (place, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{place}]");
        let members = Members::of(message)
            .ok_or_else(|| Inexpressible::malformed(&*path, "must be an object"))?;
        let message = Message {
            members,
            path,
            drops,
        };
        message.items(&mut items)?;
    }
    Ok(items)
}

/// One of the caller's messages.
struct Message<'a> {
    members: Members<'a>,
    path: String,
    drops: bool,
}

impl<'a> Message<'a> {
    fn at(&self, member: &str) -> String {
        format!("{}.{member}", self.path)
    }

    fn items(&self, items: &mut Vec<Item<'a>>) -> Result<(), Inexpressible> {
        let role = match self.members.text("role").as_deref() {
            Some("system") => "system",
            Some("developer") => "developer",
            Some("user") => "user",
            Some("assistant") => return self.assistant(items),
            Some("tool") => {
                self.only(&["tool_call_id"])?;
                items.push(Item::Came {
                    kind: "function_call_output",
                    call_id: self.required("tool_call_id")?,
                    output: self.content(false)?,
                });
                return Ok(());
            }
            _ => {
                let must = "must be system, developer, user, assistant or tool";
                return Err(Inexpressible::value(self.at("role"), must));
            }
        };
        self.only(&[])?;
        items.push(Item::Said {
            role,
            content: self.content(false)?,
        });
        Ok(())
    }

    fn assistant(&self, items: &mut Vec<Item<'a>>) -> Result<(), Inexpressible> {
        // A caller who sends our answer back sends its thoughts back, too, and what another
        // vendor sealed them with: nothing that this one would take.
        self.only(&[
            "refusal",
            "tool_calls",
            "reasoning_content",
            "extra_content",
        ])?;
        let role = "assistant";
        let calls = self.members.member("tool_calls").filter(|it| !is_empty(it));
        let content = self.members.member("content");
        // Beside calls there is often a text without anything in it.
        if content.is_some_and(|it| calls.is_none() || !is_empty(it)) {
            let content = self.content(true)?;
            items.push(Item::Said { role, content });
        }
        if let Some(refusal) = self.members.member("refusal").filter(|it| is_text(it)) {
            let content = Content::Parts(vec![Part::Refusal { refusal }]);
            items.push(Item::Said { role, content });
        }
        let Some(calls) = calls else { return Ok(()) };
        let at = self.at("tool_calls");
        let calls = list(calls).ok_or_else(|| Inexpressible::malformed(&*at, "must be a list"))?;
        for (place, call) in calls.into_iter().enumerate() {
            items.push(called(call, &format!("{at}[{place}]"))?);
        }
        Ok(())
    }

    /// A text that must be there.
    fn required(&self, name: &str) -> Result<&'a RawValue, Inexpressible> {
        let value = self.members.member(name).filter(|it| is_text(it));
        value.ok_or_else(|| Inexpressible::malformed(self.at(name), "must be a text"))
    }

    /// Refuses members that say something and are none of these.
    fn only(&self, known: &[&str]) -> Result<(), Inexpressible> {
        for (name, value) in &self.members.0 {
            let is_known = matches!(&**name, "role" | "content") || known.contains(&&**name);
            // What a message says is never left out.
            let is_said = matches!(&**name, "audio" | "function_call");
            if !is_known && !is_empty(value) && (is_said || !self.drops) {
                return Err(Inexpressible::unknown(self.at(name)));
            }
        }
        Ok(())
    }

    fn content(&self, is_ours: bool) -> Result<Content<'a>, Inexpressible> {
        let at = self.at("content");
        let content = self.members.member("content");
        let content = content.ok_or_else(|| Inexpressible::malformed(&*at, "must be there"))?;
        if is_text(content) {
            return Ok(Content::Text(content));
        }
        let values = list(content)
            .ok_or_else(|| Inexpressible::malformed(&*at, "must be a text or a list of parts"))?;
        let mut parts = Vec::with_capacity(values.len());
        for (place, value) in values.into_iter().enumerate() {
            parts.push(part(value, &format!("{at}[{place}]"), is_ours, self.drops)?);
        }
        Ok(Content::Parts(parts))
    }
}

fn called<'a>(call: &'a RawValue, path: &str) -> Result<Item<'a>, Inexpressible> {
    let malformed = |member: &str, must| Inexpressible::malformed(format!("{path}{member}"), must);
    let members = Members::of(call).ok_or_else(|| malformed("", "must be an object"))?;
    if members.text("type").is_some_and(|kind| kind != "function") {
        let at = format!("{path}.type");
        return Err(Inexpressible::value(at, "must be function"));
    }
    let function = members.member("function").and_then(Members::of);
    let function = function.ok_or_else(|| malformed(".function", "must be an object"))?;
    let text = |of: &Members<'a>, name: &str, at: &str| {
        let value = of.member(name).filter(|it| is_text(it));
        value.ok_or_else(|| malformed(at, "must be a text"))
    };
    Ok(Item::Called {
        kind: "function_call",
        call_id: text(&members, "id", ".id")?,
        name: text(&function, "name", ".function.name")?,
        arguments: text(&function, "arguments", ".function.arguments")?,
    })
}

fn part<'a>(
    value: &'a RawValue,
    path: &str,
    is_ours: bool,
    drops: bool,
) -> Result<Part<'a>, Inexpressible> {
    let members = Members::at(value, path)?;
    let kind = members.text("type").unwrap_or_default();
    let own = match &*kind {
        "text" => "text",
        "refusal" => "refusal",
        "image_url" => "image_url",
        "file" => "file",
        _ => {
            let must = "must be a text, an image_url or a file";
            return Err(Inexpressible::value(path, must));
        }
    };
    members.only(&["type", own], path, drops)?;
    let path = format!("{path}.{own}");
    let value = members
        .member(own)
        .ok_or_else(|| Inexpressible::malformed(&*path, "must be there"))?;
    match own {
        "image_url" => {
            let members = Members::at(value, &path)?;
            members.only(&["url", "detail"], &path, drops)?;
            let url = members.member("url").filter(|it| is_text(it));
            let at = format!("{path}.url");
            Ok(Part::InputImage {
                image_url: url.ok_or_else(|| Inexpressible::malformed(at, "must be a text"))?,
                detail: members.member("detail"),
            })
        }
        "file" => {
            let members = Members::at(value, &path)?;
            members.only(&["file_data", "file_id", "filename"], &path, drops)?;
            Ok(Part::InputFile {
                file_data: members.member("file_data"),
                file_id: members.member("file_id"),
                filename: members.member("filename"),
            })
        }
        _ if !is_text(value) => Err(Inexpressible::malformed(path, "must be a text")),
        "refusal" => Ok(Part::Refusal { refusal: value }),
        _ if is_ours => Ok(Part::OutputText { text: value }),
        _ => Ok(Part::InputText { text: value }),
    }
}
