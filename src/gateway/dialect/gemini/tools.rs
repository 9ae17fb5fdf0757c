//! What may be called, and must anything be?
//!
//! A schema of arguments goes as JSON Schema (`parametersJsonSchema`), which has words for all
//! of it. A function that is to be called strictly by its schema, where calling is free, is
//! what the mode `VALIDATED` says.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::schema;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_empty, is_null, is_text, list, text};

/// All that may be called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools<'a> {
    function_declarations: Vec<Function<'a>>,
    /// One of them is to be called strictly.
    #[serde(skip)]
    strict: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Box<RawValue>>,
}

/// Whether anything must be called, and what.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: Mode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_function_names: Vec<Cow<'a, str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    /// Words, or calls that keep to their schema.
    Validated,
    Any,
    None,
}

/// The caller's `tools`; `None` where there is none.
pub(super) fn tools(tools: &RawValue, drops: bool) -> Result<Option<Tools<'_>>, Inexpressible> {
    let tools =
        list(tools).ok_or_else(|| Inexpressible::malformed("tools", "must be a list of tools"))?;
    let mut found = Tools {
        function_declarations: Vec::with_capacity(tools.len()),
        strict: false,
    };
    for (place, value) in tools.into_iter().enumerate() {
        match found.add(value, &format!("tools[{place}]"), drops) {
            Err(_) if drops => {}
            added => added?,
        }
    }
    Ok((!found.function_declarations.is_empty()).then_some(found))
}

impl<'a> Tools<'a> {
    fn add(&mut self, value: &'a RawValue, path: &str, drops: bool) -> Result<(), Inexpressible> {
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
        let outside = outer.0.iter().map(|member| (path, member));
        let inside = function.0.iter().map(|member| (&*at, member));
        for (path, (name, value)) in outside.chain(inside) {
            let known = [
                "type",
                "function",
                "name",
                "description",
                "parameters",
                "strict",
            ];
            if !known.contains(&&**name) && !is_null(value) && !drops {
                return Err(Inexpressible::unknown(format!("{path}.{name}")));
            }
        }
        let field = format!("{at}.name");
        let name = function.member("name").filter(|name| is_text(name));
        let name = name.ok_or_else(|| Inexpressible::malformed(&*field, "must be a text"))?;
        if text(name).is_some_and(|name| name.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
        {
            let must = "must begin with a letter or an underscore";
            return Err(Inexpressible::value(field, must));
        }
        let strict = function
            .member("strict")
            .is_some_and(|it| it.get() == "true");
        let parameters = function.member("parameters").filter(|it| !is_empty(it));
        let parameters = parameters.map(|it| {
            let path = format!("{at}.parameters");
            schema::promised(it, &path, strict, drops)
        });
        self.function_declarations.push(Function {
            name,
            description: function.member("description"),
            parameters_json_schema: parameters.transpose()?,
        });
        self.strict |= strict;
        Ok(())
    }
}

/// Whether nothing is to be called.
pub(super) fn is_nothing_called(config: Option<&ToolConfig<'_>>) -> bool {
    config.is_some_and(|config| config.function_calling_config.mode == Mode::None)
}

/// The caller's `tool_choice`; `None` where it says nothing that is not meant anyway.
pub(super) fn choice<'a>(
    choice: Option<&'a RawValue>,
    tools: Option<&Tools<'_>>,
) -> Result<Option<ToolConfig<'a>>, Inexpressible> {
    let field = "tool_choice";
    let must = "must be auto, none, required, one function or allowed_tools";
    let refused = || Inexpressible::value(field, must);
    let of = |mode, allowed_function_names| {
        Ok(Some(ToolConfig {
            function_calling_config: Calling {
                mode,
                allowed_function_names,
            },
        }))
    };
    let said = choice.map(|choice| (choice, choice.get()));
    let Some(tools) = tools else {
        return match said {
            None | Some((_, "\"auto\"" | "\"none\"")) => Ok(None),
            Some(_) => Err(Inexpressible::value(field, "needs tools")),
        };
    };
    match said {
        None | Some((_, "\"auto\"")) if tools.strict => of(Mode::Validated, Vec::new()),
        None | Some((_, "\"auto\"")) => Ok(None),
        Some((_, "\"none\"")) => of(Mode::None, Vec::new()),
        Some((_, "\"required\"")) => of(Mode::Any, Vec::new()),
        Some((choice, _)) => {
            let choice = Members::of(choice).ok_or_else(refused)?;
            match choice.text("type").as_deref() {
                Some("function") => of(Mode::Any, vec![called(&choice).ok_or_else(refused)?]),
                Some("allowed_tools") => {
                    let allowed = choice.member("allowed_tools").and_then(Members::of);
                    let allowed = allowed.ok_or_else(refused)?;
                    let mode = match allowed.text("mode").as_deref() {
                        Some("auto") => Mode::Validated,
                        Some("required") => Mode::Any,
                        _ => return Err(refused()),
                    };
                    let names = allowed.member("tools").and_then(list).ok_or_else(refused)?;
                    let names = names.into_iter().map(|tool| called(&Members::of(tool)?));
                    of(mode, names.collect::<Option<_>>().ok_or_else(refused)?)
                }
                _ => Err(refused()),
            }
        }
    }
}

/// The name in `{"type": "function", "function": {"name"}}`.
fn called<'a>(tool: &Members<'a>) -> Option<Cow<'a, str>> {
    tool.member("function").and_then(Members::of)?.text("name")
}
