//! What may be called, and must anything be?

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_empty, is_null, is_text, list};

/// A tool.
#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    name: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a RawValue>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<&'a RawValue>,
}

/// What a tool is called with.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Given(&'a RawValue),
    /// Nothing.
    None {
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

/// Whether anything must be called, and what.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToolChoice<'a> {
    Auto {
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    Any {
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    Tool {
        name: &'a RawValue,
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    None,
}

impl ToolChoice<'_> {
    /// Whether something must be called.
    pub(super) fn is_forced(&self) -> bool {
        matches!(self, Self::Any { .. } | Self::Tool { .. })
    }

    /// Whether there is something to choose from, and what is chosen is there.
    pub(super) fn is_among(&self, tools: &[Tool<'_>]) -> bool {
        match self {
            Self::Tool { name, .. } => tools.iter().any(|tool| tool.name.get() == name.get()),
            Self::Auto { .. } | Self::Any { .. } | Self::None => !tools.is_empty(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The caller's `tools`.
pub(super) fn tools(tools: &RawValue, drops: bool) -> Result<Vec<Tool<'_>>, Inexpressible> {
    let tools =
        list(tools).ok_or_else(|| Inexpressible::malformed("tools", "must be a list of tools"))?;
    let mut found = Vec::with_capacity(tools.len());
    for (place, value) in tools.into_iter().enumerate() {
        match tool(value, &format!("tools[{place}]"), drops) {
            Ok(tool) => found.push(tool),
            Err(_) if drops => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn tool<'a>(value: &'a RawValue, path: &str, drops: bool) -> Result<Tool<'a>, Inexpressible> {
    let outer = Members::at(value, path)?;
    if outer.text("type").as_deref() != Some("function") {
        return Err(Inexpressible::value(
            format!("{path}.type"),
            "must be function",
        ));
    }
    let at = format!("{path}.function");
    let function = outer
        .member("function")
        .ok_or_else(|| Inexpressible::malformed(&*at, "must be there"))?;
    let function = Members::at(function, &at)?;
    for (name, value) in &function.0 {
        let known = [
            "name",
            "description",
            "parameters",
            "strict",
            "cache_control",
        ];
        if !known.contains(&&**name) && !is_null(value) && !drops {
            return Err(Inexpressible::unknown(format!("{at}.{name}")));
        }
    }
    let name = function.member("name").filter(|name| is_text(name));
    let strict = function.member("strict");
    Ok(Tool {
        name: name
            .ok_or_else(|| Inexpressible::malformed(format!("{at}.name"), "must be a text"))?,
        description: function.member("description"),
        input_schema: match function.member("parameters").filter(|it| !is_empty(it)) {
            Some(schema) => Schema::Given(schema),
            None => Schema::None { kind: "object" },
        },
        // Not to be strict is what is meant where nothing is said.
        strict: strict.and_then(|strict| (strict.get() == "true").then_some(true)),
        cache_control: outer
            .member("cache_control")
            .or_else(|| function.member("cache_control")),
    })
}

/// The caller's `tool_choice` and `parallel_tool_calls`; `None` where they say nothing that is
/// not meant anyway.
pub(super) fn choice<'a>(
    choice: Option<&'a RawValue>,
    parallel: Option<&RawValue>,
) -> Result<Option<ToolChoice<'a>>, Inexpressible> {
    let must = "must be auto, none, required or one function";
    let disable_parallel_tool_use = parallel.is_some_and(|parallel| parallel.get() == "false");
    Ok(match choice.map(|choice| (choice, choice.get())) {
        None | Some((_, "\"auto\"")) => disable_parallel_tool_use.then_some(ToolChoice::Auto {
            disable_parallel_tool_use,
        }),
        Some((_, "\"none\"")) => Some(ToolChoice::None),
        Some((_, "\"required\"")) => Some(ToolChoice::Any {
            disable_parallel_tool_use,
        }),
        Some((choice, _)) => {
            let refused = || Inexpressible::value("tool_choice", must);
            let choice = Members::of(choice).ok_or_else(refused)?;
            if choice.text("type").as_deref() != Some("function") {
                return Err(refused());
            }
            let function = choice.member("function").and_then(Members::of);
            let name = function.and_then(|function| function.member("name"));
            Some(ToolChoice::Tool {
                name: name.filter(|name| is_text(name)).ok_or_else(refused)?,
                disable_parallel_tool_use,
            })
        }
    })
}

/// What an answer is to look like: `output_config.format`.
#[derive(Debug, Serialize)]
pub(super) struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'a RawValue,
}

/// The caller's `response_format`; `None` where it says text.
pub(super) fn format(value: &RawValue, drops: bool) -> Result<Option<Format<'_>>, Inexpressible> {
    let must = "must be text or a JSON schema";
    let refused = || Inexpressible::value("response_format", must);
    let members = Members::of(value).ok_or_else(refused)?;
    match members.text("type").as_deref() {
        Some("text") => return Ok(None),
        Some("json_schema") => {}
        _ => return Err(refused()),
    }
    let path = "response_format.json_schema";
    let object = members.member("json_schema").and_then(Members::of);
    let object = object.ok_or_else(|| Inexpressible::malformed(path, "must be an object"))?;
    for (name, value) in &object.0 {
        // A name is only a name, and this upstream is always strict.
        let known = ["name", "schema", "strict"].contains(&&**name);
        if !known && !is_empty(value) && !drops {
            return Err(Inexpressible::unknown(format!("{path}.{name}")));
        }
    }
    let schema = object.member("schema");
    let schema = schema
        .ok_or_else(|| Inexpressible::malformed(format!("{path}.schema"), "must be there"))?;
    Ok(Some(Format {
        kind: "json_schema",
        schema,
    }))
}

/// The caller's `stop`: one text or several.
pub(super) fn stops(stop: &RawValue) -> Result<Box<RawValue>, Inexpressible> {
    let stops = if is_text(stop) {
        Some(vec![stop])
    } else {
        list(stop).filter(|stops| stops.iter().all(|stop| is_text(stop)))
    };
    let stops = stops
        .ok_or_else(|| Inexpressible::malformed("stop", "must be a text or a list of texts"))?;
    to_raw_value(&stops).map_err(|_| Inexpressible::malformed("stop", "must be texts"))
}
