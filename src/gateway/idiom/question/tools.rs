//! What may be called?

use serde::Serialize;
use serde_json::value::RawValue;

use super::object;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_null, is_text, list};
use crate::gateway::dialect::original::Unsaid;

/// A function that may be called.
#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a RawValue>,
    parameters: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<&'a RawValue>,
}

/// Whether anything must be called, and what.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Choice<'a> {
    /// `auto`, `none` or `required`.
    Word(&'static str),
    /// This one.
    Named {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Named<'a>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Named<'a> {
    name: &'a RawValue,
}

impl Choice<'_> {
    /// Whether there is something to choose from, and what is chosen is there.
    pub(super) fn is_among(&self, tools: &[Tool<'_>]) -> bool {
        match self {
            Self::Word(_) => !tools.is_empty(),
            Self::Named { function, .. } => {
                let mut names = tools.iter().map(|tool| tool.function.name.get());
                names.any(|name| name == function.name.get())
            }
        }
    }
}

/// What must be called, and whether several may be at once.
pub(super) struct Chosen<'a> {
    pub choice: Choice<'a>,
    pub is_parallel: bool,
}

/// The caller's `tools`. Those of the upstream's own have no word in a chat.
pub(super) fn tools<'a>(
    value: &'a RawValue,
    unsaid: &mut Unsaid,
) -> Result<Vec<Tool<'a>>, Inexpressible> {
    let tools =
        list(value).ok_or_else(|| Inexpressible::malformed("tools", "must be a list of tools"))?;
    let mut found = Vec::with_capacity(tools.len());
    for (place, value) in tools.into_iter().enumerate() {
        let path = format!("tools[{place}]");
        let members = object(value, &path)?;
        match members.text("type").as_deref() {
            None | Some("custom") => found.push(tool(&members, &path, unsaid)?),
            Some(_) => unsaid.setting(Inexpressible::unknown(path)),
        }
    }
    Ok(found)
}

fn tool<'a>(
    members: &Members<'a>,
    path: &str,
    unsaid: &mut Unsaid,
) -> Result<Tool<'a>, Inexpressible> {
    for (name, value) in members.all().iter().filter(|(_, value)| !is_null(value)) {
        match &**name {
            "type" | "name" | "description" | "input_schema" | "strict" | "cache_control" => {}
            _ => {
                // Said of most as it is meant anyway.
                let is_neutral = value.get() == "false";
                if !is_neutral {
                    unsaid.setting(Inexpressible::unknown(format!("{path}.{name}")));
                }
            }
        }
    }
    let name = members.member("name").filter(|name| is_text(name));
    let schema = members.member("input_schema");
    Ok(Tool {
        kind: "function",
        function: Function {
            name: name.ok_or_else(|| {
                Inexpressible::malformed(format!("{path}.name"), "must be a text")
            })?,
            description: members.member("description"),
            parameters: schema.ok_or_else(|| {
                Inexpressible::malformed(format!("{path}.input_schema"), "must be there")
            })?,
            strict: members.member("strict"),
        },
    })
}

/// The caller's `tool_choice`.
pub(super) fn choice(value: &RawValue) -> Result<Chosen<'_>, Inexpressible> {
    let members = object(value, "tool_choice")?;
    let single = members.member("disable_parallel_tool_use");
    let is_parallel = single.is_none_or(|single| single.get() != "true");
    let choice = match members.text("type").as_deref() {
        Some("auto") => Choice::Word("auto"),
        Some("any") => Choice::Word("required"),
        Some("none") => Choice::Word("none"),
        Some("tool") => {
            let name = members.member("name").filter(|name| is_text(name));
            Choice::Named {
                kind: "function",
                function: Named {
                    name: name.ok_or_else(|| {
                        Inexpressible::malformed("tool_choice.name", "must be a text")
                    })?,
                },
            }
        }
        _ => {
            return Err(Inexpressible::malformed(
                "tool_choice.type",
                "must be auto, any, none or tool",
            ));
        }
    };
    Ok(Chosen {
        choice,
        is_parallel,
    })
}
