//! What can be promised of JSON?
//!
//! A schema that is a hint goes on as it was written: all of JSON Schema may be sent. Where a
//! caller wants it kept to (`strict`), only what the upstream enforces is good enough, and what
//! it would pass over is refused or left out. Members keep their order, which is the order in
//! which an answer is written.
//!
//! Source: the Gemini API reference, `GenerationConfig.responseJsonSchema`.

use serde_json::value::{RawValue, to_raw_value};

use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{Members, is_text, list};

/// What is enforced, or read as a hint.
const PLAIN: [&str; 14] = [
    "type",
    "format",
    "title",
    "description",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "required",
    "propertyOrdering",
    "$id",
    "$ref",
    "$anchor",
    "enum",
];
/// One schema each, or `true` or `false`.
const SCHEMA: [&str; 2] = ["items", "additionalProperties"];
/// Schemas by name.
const NAMED: [&str; 2] = ["properties", "$defs"];
/// Lists of schemas.
const LISTED: [&str; 3] = ["anyOf", "oneOf", "prefixItems"];
/// Words about the schema itself, which say nothing of any value.
const ABOUT_ITSELF: [&str; 2] = ["$schema", "$comment"];

/// The schema in the upstream's words; `path` is where it stands.
pub(super) fn promised(
    schema: &RawValue,
    path: &str,
    strict: bool,
    drops: bool,
) -> Result<Box<RawValue>, Inexpressible> {
    if !strict {
        return Ok(schema.to_owned());
    }
    let mut out = String::with_capacity(schema.get().len());
    Writing { drops }.schema(schema, path, &mut out)?;
    RawValue::from_string(out).map_err(|_| Inexpressible::malformed(path, "must be a JSON schema"))
}

/// The same with a description, where it has none.
pub(super) fn described(schema: Box<RawValue>, description: Option<&str>) -> Box<RawValue> {
    let Some(description) = description else {
        return schema;
    };
    let has_own = Members::of(&schema).is_none_or(|it| it.member("description").is_some());
    let rest = schema.get().strip_prefix('{').map(str::trim_start);
    let (false, Some(rest), Ok(text)) = (has_own, rest, serde_json::to_string(description)) else {
        return schema;
    };
    let comma = if rest.starts_with('}') { "" } else { "," };
    let with = format!("{{\"description\":{text}{comma}{rest}");
    RawValue::from_string(with).unwrap_or(schema)
}

struct Writing {
    drops: bool,
}

impl Writing {
    fn schema(&self, schema: &RawValue, path: &str, out: &mut String) -> Result<(), Inexpressible> {
        if matches!(schema.get(), "true" | "false") {
            out.push_str(schema.get());
            return Ok(());
        }
        let members = Members::of(schema)
            .ok_or_else(|| Inexpressible::malformed(path, "must be a JSON schema"))?;
        out.push('{');
        let mut is_first = true;
        for (name, value) in &members.0 {
            if ABOUT_ITSELF.contains(&&**name) {
                continue;
            }
            let before = out.len();
            if !is_first {
                out.push(',');
            }
            match self.member(name, value, path, out) {
                Ok(()) => is_first = false,
                Err(_) if self.drops => out.truncate(before),
                Err(error) => return Err(error),
            }
        }
        out.push('}');
        Ok(())
    }

    fn member(
        &self,
        name: &str,
        value: &RawValue,
        path: &str,
        out: &mut String,
    ) -> Result<(), Inexpressible> {
        let at = format!("{path}.{name}");
        if name == "const" {
            if !is_listed(value) {
                return Err(Inexpressible::value(at, "must be a text or a number"));
            }
            out.push_str("\"enum\":[");
            out.push_str(value.get());
            out.push(']');
            return Ok(());
        }
        key(name, out);
        if SCHEMA.contains(&name) {
            return self.schema(value, &at, out);
        }
        if NAMED.contains(&name) {
            let members = Members::of(value)
                .ok_or_else(|| Inexpressible::malformed(&*at, "must be an object"))?;
            out.push('{');
            for (place, (name, value)) in members.0.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                key(name, out);
                self.schema(value, &format!("{at}.{name}"), out)?;
            }
            out.push('}');
            return Ok(());
        }
        if LISTED.contains(&name) {
            let schemas =
                list(value).ok_or_else(|| Inexpressible::malformed(&*at, "must be a list"))?;
            out.push('[');
            for (place, schema) in schemas.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                self.schema(schema, &format!("{at}[{place}]"), out)?;
            }
            out.push(']');
            return Ok(());
        }
        if !PLAIN.contains(&name) {
            return Err(Inexpressible::unknown(at));
        }
        let are_listed = || list(value).is_some_and(|values| values.into_iter().all(is_listed));
        if name == "enum" && !are_listed() {
            return Err(Inexpressible::value(at, "must be texts or numbers"));
        }
        out.push_str(value.get());
        Ok(())
    }
}

/// Whether it may be among the values of an `enum`.
fn is_listed(value: &RawValue) -> bool {
    is_text(value)
        || value
            .get()
            .starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

fn key(name: &str, out: &mut String) {
    if let Ok(name) = to_raw_value(name) {
        out.push_str(name.get());
        out.push(':');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(schema: &str, drops: bool) -> Result<String, String> {
        let schema = RawValue::from_string(schema.to_owned()).unwrap();
        let promised = promised(&schema, "s", true, drops);
        promised
            .map(|schema| schema.get().to_owned())
            .map_err(|error| error.param)
    }

    #[track_caller]
    fn check(schema: &str, expected: &str) {
        assert_eq!(read(schema, false).as_deref(), Ok(expected));
    }

    #[track_caller]
    fn check_refused(schema: &str, at: &str, without: &str) {
        assert_eq!(read(schema, false), Err(at.to_owned()));
        assert_eq!(read(schema, true).as_deref(), Ok(without));
    }

    #[test]
    fn what_is_enforced_keeps_its_order() {
        let schema = r##"{"type":"object","properties":{"z":{"type":["string","null"]},"a":{"$ref":"#/$defs/n"}},"required":["z","a"],"additionalProperties":false,"$defs":{"n":{"type":"array","items":{"type":"number","minimum":-1},"minItems":1}}}"##;
        check(schema, schema);
        check(
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","const":"a"}"#,
            r#"{"enum":["a"]}"#,
        );
    }

    #[test]
    fn what_would_be_passed_over_is_refused_or_left_out() {
        check_refused(
            r#"{"type":"object","properties":{"a":{"pattern":"^a$","type":"string"}}}"#,
            "s.properties.a.pattern",
            r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        );
        check_refused(
            r#"{"anyOf":[{"const":null}]}"#,
            "s.anyOf[0].const",
            r#"{"anyOf":[{}]}"#,
        );
        check_refused(
            r#"{"type":"string","enum":["a",null]}"#,
            "s.enum",
            r#"{"type":"string"}"#,
        );
    }

    #[test]
    fn a_hint_goes_on_as_it_was_written_and_a_description_joins_it() {
        let hint = RawValue::from_string(r#"{ "pattern": "a" }"#.to_owned()).unwrap();
        let same = promised(&hint, "s", false, false).unwrap();
        assert_eq!(same.get(), hint.get());
        let described = described(same, Some("d"));
        assert_eq!(described.get(), r#"{"description":"d","pattern": "a" }"#);
    }
}
