//! Is anything asked that a picture would be made without?
//!
//! An image model is asked as if for a text, and what only texts are made by (how words are
//! drawn, how many there may be, how hard is thought) changes no picture. A picture beside the
//! prompt, a tool or a form of the answer would: who says so is told, and not given another
//! picture than was meant.

use serde_json::value::RawValue;

use crate::config::dialect::Unsupported;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_null, list, says_nothing};

/// What is sent.
const SENT: &[&str] = &["model", "messages", "n", "size", "quality", "style", "seed"];
/// How it is delivered, for whom and by what way; what is kept of it.
const AROUND: &[&str] = &[
    "stream",
    "stream_options",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
];
/// How a text would be made.
const OF_TEXTS: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "stop",
    "reasoning_effort",
    "verbosity",
    "parallel_tool_calls",
];

/// Sees to it that nothing is asked but what is sent, or changes no picture.
///
/// # Errors
/// The first thing that would be missing: part of the prompt, or, where such are not left out,
/// another member.
pub fn is_all_said(body: &[u8], unsupported: Unsupported) -> Result<(), Inexpressible> {
    let members: Members = serde_json::from_slice(body)
        .map_err(|_| Inexpressible::malformed("messages", "must be in an object"))?;
    if let Some(messages) = members.member("messages") {
        is_prompt(messages)?;
    }
    if unsupported == Unsupported::Drop {
        return Ok(());
    }
    let mut members = members.all().iter();
    match members.find(|(name, value)| !is_harmless(name, value)) {
        Some((name, _)) if name == "response_format" => {
            Err(Inexpressible::value(&**name, "must be text"))
        }
        Some((name, _)) => Err(Inexpressible::unknown(&**name)),
        None => Ok(()),
    }
}

/// What a message says is never left out, and the last one of the user is the prompt.
fn is_prompt(messages: &RawValue) -> Result<(), Inexpressible> {
    let messages = list(messages).unwrap_or_default();
    let mut messages = messages.into_iter().enumerate().rev();
    let last = messages.find_map(|(place, message)| {
        let message = Members::of(message)?;
        let is_users = message.text("role").as_deref() == Some("user");
        is_users.then_some((place, message.member("content")))
    });
    let Some((message, content)) = last else {
        return Ok(());
    };
    let parts = content.and_then(list).unwrap_or_default();
    let mut parts = parts.into_iter().enumerate();
    let other = parts.find(|(_, part)| {
        let kind = Members::of(part).and_then(|part| part.text("type").map(|it| it == "text"));
        kind == Some(false)
    });
    match other {
        Some((part, _)) => Err(Inexpressible::value(
            format!("messages[{message}].content[{part}]"),
            "must be a text, which is all that an image is made of",
        )),
        None => Ok(()),
    }
}

/// Whether a member is sent, or makes no other picture.
fn is_harmless(name: &str, value: &RawValue) -> bool {
    let said = value.get();
    match name {
        _ if [SENT, AROUND, OF_TEXTS]
            .iter()
            .any(|names| names.contains(&name)) =>
        {
            true
        }
        "best_of" => said == "1",
        "tool_choice" => matches!(said, "null" | "\"auto\"" | "\"none\""),
        "response_format" => {
            let kind = Members::of(value).and_then(|it| it.text("type").map(|it| it == "text"));
            is_null(value) || kind == Some(true)
        }
        // An image, or the words that say where it is.
        "modalities" => list(value).is_some_and(|kinds| {
            let mut kinds = kinds.iter().map(|kind| kind.get());
            kinds.all(|kind| matches!(kind, "\"text\"" | "\"image\""))
        }),
        _ => says_nothing(name, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, members: &str, expected: [Option<&str>; 2]) {
        let body = format!(
            r#"{{"model":"flux","messages":[{{"role":"user","content":[{{"type":"image_url"}}]}},{{"role":"user","content":{content}}}]{members}}}"#
        );
        let found = [Unsupported::Refuse, Unsupported::Drop].map(|unsupported| {
            let found = is_all_said(body.as_bytes(), unsupported).err();
            found.map(|what| what.param)
        });
        assert_eq!(found.each_ref().map(Option::as_deref), expected, "{body}");
    }

    #[test]
    fn what_a_client_sends_for_texts_makes_no_other_picture() {
        for members in [
            "",
            r#","stream":true,"stream_options":{"include_usage":true},"user":"u","n":2"#,
            r#","size":"1x1","quality":"hd","style":"vivid","seed":1"#,
            r#","temperature":0.5,"presence_penalty":0,"top_p":1,"max_tokens":100,"stop":null"#,
            r#","tools":[],"tool_choice":"auto","response_format":{"type":"text"}"#,
            r#","modalities":["image","text"]"#,
        ] {
            check(r#""a fox""#, members, [None, None]);
            let parts = r#"[{"type":"text","text":"a fox"}]"#;
            check(parts, members, [None, None]);
        }
    }

    #[test]
    fn a_picture_beside_the_prompt_is_never_left_out() {
        let parts =
            r#"[{"type":"text","text":"bluer"},{"type":"image_url","image_url":{"url":"data:,"}}]"#;
        let at = Some("messages[1].content[1]");
        check(parts, "", [at, at]);
    }

    #[test]
    fn what_would_make_another_picture_is_refused_by_name() {
        for (members, name) in [
            (r#","negative_prompt":"snow""#, "negative_prompt"),
            (r#","tools":[{"type":"function"}]"#, "tools"),
            (r#","tool_choice":"required""#, "tool_choice"),
            (
                r#","response_format":{"type":"json_object"}"#,
                "response_format",
            ),
            (r#","steps":30"#, "steps"),
            (r#","modalities":["text","audio"]"#, "modalities"),
        ] {
            check(r#""a fox""#, members, [Some(name), None]);
        }
    }
}
