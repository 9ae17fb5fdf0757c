//! How do an upstream's own words go out?
//!
//! Events as they came. A whole message that is wanted as a stream becomes the events that an
//! SDK makes the same message of: what comes in pieces there comes in one, and all else stands
//! in the beginning of its block.

use serde_json::value::RawValue;

use super::events::stop;
use super::written;
use crate::gateway::dialect::Unreadable;
use crate::gateway::dialect::members::{Members, list};

const NOT_LIKE_ITS_KIND: Unreadable = Unreadable("an event that is not like its kind");

/// Appends what was said in the caller's own protocol. Whether that was the last.
pub(super) fn events(items: &[&RawValue], out: &mut Vec<u8>) -> Result<bool, Unreadable> {
    let mut has_stopped = false;
    for item in items {
        let members = Members::of(item).ok_or(NOT_LIKE_ITS_KIND)?;
        let kind = members.text("type").ok_or(NOT_LIKE_ITS_KIND)?;
        has_stopped |= matches!(&*kind, "message" | "message_stop");
        match &*kind {
            "message" => message(&members, out).ok_or(NOT_LIKE_ITS_KIND)?,
            kind => written::verbatim(kind, item.get(), out),
        }
    }
    Ok(has_stopped)
}

fn message(message: &Members<'_>, out: &mut Vec<u8>) -> Option<()> {
    let begun = object(
        message,
        &[
            ("content", "[]"),
            ("stop_reason", "null"),
            ("stop_sequence", "null"),
        ],
    );
    let start = format!("{{\"type\":\"message_start\",\"message\":{begun}}}");
    written::verbatim("message_start", &start, out);
    for (index, block) in list(message.member("content")?)?.into_iter().enumerate() {
        self::block(index, &Members::of(block)?, out)?;
    }
    let said = |name| message.member(name).map_or("null", RawValue::get);
    let ending = format!(
        "{{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":{},\"stop_sequence\":{}}},\"usage\":{}}}",
        said("stop_reason"),
        said("stop_sequence"),
        said("usage"),
    );
    written::verbatim("message_delta", &ending, out);
    stop(out);
    Some(())
}

fn block(index: usize, block: &Members<'_>, out: &mut Vec<u8>) -> Option<()> {
    let kind = block.text("type")?;
    // What a block begins without, and the pieces that bring it.
    let pieces: &[(&str, &str, &str)] = match &*kind {
        "text" => &[("text", "\"\"", "text_delta")],
        "thinking" => &[
            ("thinking", "\"\"", "thinking_delta"),
            ("signature", "\"\"", "signature_delta"),
        ],
        "tool_use" | "server_tool_use" => &[("input", "{}", "input_json_delta")],
        _ => &[],
    };
    let begun: Vec<(&str, &str)> = pieces
        .iter()
        .map(|(name, empty, _)| (*name, *empty))
        .collect();
    let begun = object(block, &begun);
    let start =
        format!("{{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{begun}}}");
    written::verbatim("content_block_start", &start, out);
    for (name, _, kind) in pieces {
        let Some(value) = block.member(name) else {
            continue;
        };
        let piece = match *name {
            "input" => {
                let json = serde_json::to_string(value.get()).ok()?;
                format!("\"partial_json\":{json}")
            }
            _ => format!("\"{name}\":{}", value.get()),
        };
        let piece = format!(
            "{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\",{piece}}}}}"
        );
        written::verbatim("content_block_delta", &piece, out);
    }
    let stop = format!("{{\"type\":\"content_block_stop\",\"index\":{index}}}");
    written::verbatim("content_block_stop", &stop, out);
    Some(())
}

/// The object with other values in some of its members.
fn object(members: &Members<'_>, other: &[(&str, &str)]) -> String {
    let written = members.all().iter().map(|(name, value)| {
        let other = other.iter().find(|(known, _)| known == name);
        let value = other.map_or(value.get(), |(_, other)| other);
        // A text can always be written.
        let name = serde_json::to_string(name).unwrap_or_default();
        format!("{name}:{value}")
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}
