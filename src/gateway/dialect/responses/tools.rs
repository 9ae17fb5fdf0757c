//! What may be called, and must anything be? And what is an answer to look like?
//!
//! The same as in chat completions, less deep. What is strict there only where somebody says
//! so is strict here unless somebody says otherwise, so that is said.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_empty, is_null, is_text, list};

/// A tool.
#[derive(Serialize)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a RawValue>,
    parameters: Schema<'a>,
    strict: bool,
}

/// What a function is called with.
#[derive(Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Given(&'a RawValue),
    Nothing {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: Empty,
    },
}

#[derive(Serialize)]
struct Empty {}

/// Whether anything must be called, and what.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Choice<'a> {
    /// `auto`, `none`, `required`
    Word(&'a RawValue),
    One(Named<'a>),
    Several {
        #[serde(rename = "type")]
        kind: &'static str,
        mode: &'a RawValue,
        tools: Vec<Named<'a>>,
    },
}

/// A function by its name.
#[derive(Serialize)]
pub(super) struct Named<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a RawValue,
}

/// What an answer is to look like.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Format<'a> {
    JsonObject,
    JsonSchema {
        name: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a RawValue>,
        schema: &'a RawValue,
        strict: bool,
    },
}

/// The caller's `tools`.
pub(super) fn tools(tools: &RawValue, drops: bool) -> Result<Vec<Tool<'_>>, Inexpressible> {
    let tools =
        list(tools).ok_or_else(|| Inexpressible::malformed("tools", "must be a list of tools"))?;
    let mut found = Vec::with_capacity(tools.len());
    for (place, value) in tools.into_iter().enumerate() {
        match tool(value, &format!("tools[{place}]"), drops) {
            Err(_) if drops => {}
            tool => found.push(tool?),
        }
    }
    Ok(found)
}

fn tool<'a>(value: &'a RawValue, path: &str, drops: bool) -> Result<Tool<'a>, Inexpressible> {
    let outer = Members::of(value);
    let outer = outer.ok_or_else(|| Inexpressible::malformed(path, "must be an object"))?;
    if outer.text("type").as_deref() != Some("function") {
        let at = format!("{path}.type");
        return Err(Inexpressible::value(at, "must be function"));
    }
    let at = format!("{path}.function");
    let function = outer.member("function").and_then(Members::of);
    let function = function.ok_or_else(|| Inexpressible::malformed(&*at, "must be an object"))?;
    for (name, value) in &function.0 {
        let known = ["name", "description", "parameters", "strict"];
        if !known.contains(&&**name) && !is_null(value) && !drops {
            return Err(Inexpressible::unknown(format!("{at}.{name}")));
        }
    }
    let name = function.member("name").filter(|name| is_text(name));
    Ok(Tool {
        kind: "function",
        name: name
            .ok_or_else(|| Inexpressible::malformed(format!("{at}.name"), "must be a text"))?,
        description: function.member("description"),
        parameters: match function.member("parameters").filter(|it| !is_empty(it)) {
            Some(schema) => Schema::Given(schema),
            None => Schema::Nothing {
                kind: "object",
                properties: Empty {},
            },
        },
        strict: is_true(&function, "strict"),
    })
}

fn is_true(members: &Members<'_>, name: &str) -> bool {
    members.member(name).is_some_and(|it| it.get() == "true")
}

/// The caller's `tool_choice`.
pub(super) fn choice(choice: &RawValue) -> Result<Choice<'_>, Inexpressible> {
    let must = "must be auto, none, required, one function or allowed_tools";
    let refused = || Inexpressible::value("tool_choice", must);
    if is_text(choice) {
        return Ok(Choice::Word(choice));
    }
    let members = Members::of(choice).ok_or_else(refused)?;
    match members.text("type").as_deref() {
        Some("function") => named(&members).map(Choice::One).ok_or_else(refused),
        Some("allowed_tools") => {
            let allowed = members.member("allowed_tools").and_then(Members::of);
            let allowed = allowed.ok_or_else(refused)?;
            let tools = allowed.member("tools").and_then(list).ok_or_else(refused)?;
            let tools = tools.into_iter().map(|tool| named(&Members::of(tool)?));
            Ok(Choice::Several {
                kind: "allowed_tools",
                mode: allowed.member("mode").ok_or_else(refused)?,
                tools: tools.collect::<Option<_>>().ok_or_else(refused)?,
            })
        }
        _ => Err(refused()),
    }
}

/// `{"type": "function", "function": {"name"}}`
fn named<'a>(tool: &Members<'a>) -> Option<Named<'a>> {
    let function = tool.member("function").and_then(Members::of)?;
    Some(Named {
        kind: "function",
        name: function.member("name").filter(|name| is_text(name))?,
    })
}

/// The caller's `response_format`; `None` where it says text.
pub(super) fn format(value: &RawValue, drops: bool) -> Result<Option<Format<'_>>, Inexpressible> {
    let field = "response_format";
    let must = "must be text, json_object or json_schema";
    let members = Members::of(value).ok_or_else(|| Inexpressible::malformed(field, must))?;
    match members.text("type").as_deref() {
        Some("text") => return Ok(None),
        Some("json_object") => return Ok(Some(Format::JsonObject)),
        Some("json_schema") => {}
        _ => return Err(Inexpressible::value(field, must)),
    }
    let path = "response_format.json_schema";
    let object = members.member("json_schema").and_then(Members::of);
    let object = object.ok_or_else(|| Inexpressible::malformed(path, "must be an object"))?;
    for (name, value) in &object.0 {
        let known = ["name", "description", "schema", "strict"].contains(&&**name);
        if !known && !is_null(value) && !drops {
            return Err(Inexpressible::unknown(format!("{path}.{name}")));
        }
    }
    let required = |name: &str| {
        let value = object.member(name);
        value.ok_or_else(|| Inexpressible::malformed(format!("{path}.{name}"), "must be there"))
    };
    Ok(Some(Format::JsonSchema {
        name: required("name")?,
        description: object.member("description"),
        schema: required("schema")?,
        strict: is_true(&object, "strict"),
    }))
}
