//! Where is it asked to count tokens?
//!
//! `stream_options.include_usage` is set where it stands, put into the options where they are
//! there without it, and put first in the body where there are none. All other bytes are the
//! caller's.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::gateway::inspect::Ask;

/// What of a body is replaced by what; `None` where it asks for that already.
pub(super) fn asked(body: &[u8], ask: &Ask) -> Option<(Range<usize>, &'static str)> {
    const MEMBER: &str = r#""include_usage":true"#;
    const MEMBER_BEFORE: &str = r#""include_usage":true,"#;
    const OPTIONS: &str = r#"{"include_usage":true}"#;
    const OPTIONS_BEFORE: &str = r#""stream_options":{"include_usage":true},"#;
    if ask.include_usage {
        return None;
    }
    let Some(span) = ask.stream_options_span.clone() else {
        let inside = body.iter().position(|byte| *byte == b'{')? + 1;
        // A body is never empty: it has a model.
        return Some((inside..inside, OPTIONS_BEFORE));
    };
    let literal = std::str::from_utf8(body.get(span.clone())?).ok()?;
    if !literal.starts_with('{') {
        return Some((span, OPTIONS));
    }
    let options: BTreeMap<String, &RawValue> = serde_json::from_str(literal).ok()?;
    if let Some(said) = options.get("include_usage") {
        let said = said.get();
        // It is borrowed from the literal, so this is where it stands in it.
        let at = span.start + (said.as_ptr() as usize).checked_sub(literal.as_ptr() as usize)?;
        return Some((at..at + said.len(), "true"));
    }
    let inside = span.start + 1;
    let member = if options.is_empty() {
        MEMBER
    } else {
        MEMBER_BEFORE
    };
    Some((inside..inside, member))
}
