//! How are values put into a text of ours?
//!
//! `{{name}}` becomes the value of that name, and what stands between `{{#name}}` and `{{/name}}`
//! stays where the name has a value that is not empty. A value is text, in which every character
//! that HTML would read is written so that it does not, unless it was made as markup here.

use std::borrow::Cow;

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Of the configuration, or of anybody.
    Text(String),
    /// Made here, of escaped parts.
    Markup(String),
}

/// Puts values into a template; a name without a value leaves nothing.
pub(super) fn filled(template: &str, values: &[(&str, Value)]) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = behind.split_once("}}") else {
            return filled;
        };
        rest = after;
        if let Some(name) = name.strip_prefix('#') {
            if !is_there(values, name) {
                let end = format!("{{{{/{name}}}}}");
                rest = after.split_once(&*end).map_or("", |(_, rest)| rest);
            }
        } else if !name.starts_with('/') {
            match value(values, name) {
                Some(Value::Text(text)) => filled.push_str(&escaped(text)),
                Some(Value::Markup(markup)) => filled.push_str(markup),
                None => {}
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn value<'v>(values: &'v [(&str, Value)], name: &str) -> Option<&'v Value> {
    let mut all = values.iter();
    all.find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn is_there(values: &[(&str, Value)], name: &str) -> bool {
    match value(values, name) {
        Some(Value::Text(text) | Value::Markup(text)) => !text.is_empty(),
        None => false,
    }
}

/// A text that HTML reads as that text, inside and outside attributes.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_their_names_did_and_are_no_markup() {
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            ("a", text("<b a=\"1\" b='2'>&")),
            ("m", Value::Markup("<i>".to_owned())),
            ("empty", text("")),
        ];
        let check = |template: &str, expected: &str| {
            assert_eq!(filled(template, &values), expected, "{template}");
        };
        check("{{a}}", "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;");
        check("x{{m}}y", "x<i>y");
        check("{{unknown}}-", "-");
        check(
            "{{#m}}1{{/m}}{{#empty}}2{{/empty}}{{#unknown}}3{{/unknown}}4",
            "14",
        );
        check("{ } {x}", "{ } {x}");
        check("a {{b", "a ");
    }
}
