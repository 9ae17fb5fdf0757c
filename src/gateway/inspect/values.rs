//! What do the values of routed fields mean?
//!
//! Read strictly: a value that another reader could take for something else is refused. A
//! field that is absent, or `null`, says nothing.

use serde::Deserialize;

use super::field::Field;
use super::scan::{Kind, Value};
use super::{INTEGER_MAX, InspectError, invalid};

/// A field that is absent or `null` says nothing.
pub(super) fn said(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| value.kind != Kind::Null)
}

/// The text of a string value; `None` where it is no string or holds half a surrogate pair.
pub(super) fn string(text: &str, value: &Value) -> Option<Box<str>> {
    let literal = text.get(value.span.clone())?;
    match value.kind {
        Kind::String { escaped: false } => {
            let inside = literal.strip_prefix('"')?.strip_suffix('"')?;
            Some(Box::from(inside))
        }
        Kind::String { escaped: true } => serde_json::from_str(literal).ok(),
        _ => None,
    }
}

pub(super) fn boolean(field: Field, value: Option<&Value>) -> Result<bool, InspectError> {
    match said(value) {
        None => Ok(false),
        Some(value) => match value.kind {
            Kind::True => Ok(true),
            Kind::False => Ok(false),
            _ => Err(invalid(field, value)),
        },
    }
}

/// A whole number without sign, fraction or exponent: readers differ on `1.0` and `1E2`.
pub(super) fn integer(
    text: &str,
    field: Field,
    value: Option<&Value>,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, InspectError> {
    let Some(value) = said(value) else {
        return Ok(None);
    };
    // Of what JSON writes, only a number of digits alone is read by this.
    match text.get(value.span.clone()).unwrap_or_default().parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(invalid(field, value)),
    }
}

pub(super) fn tokens(
    text: &str,
    field: Field,
    value: Option<&Value>,
) -> Result<Option<u64>, InspectError> {
    integer(text, field, value, 0..=INTEGER_MAX)
}

pub(super) fn user(text: &str, value: Option<&Value>) -> Result<Option<Box<str>>, InspectError> {
    match said(value) {
        None => Ok(None),
        Some(value) => string(text, value)
            .map(Some)
            .ok_or(invalid(Field::User, value)),
    }
}

pub(super) fn include_usage(text: &str, value: Option<&Value>) -> Result<bool, InspectError> {
    #[derive(Deserialize)]
    struct StreamOptions {
        #[serde(default)]
        include_usage: Option<bool>,
    }
    let Some(value) = said(value) else {
        return Ok(false);
    };
    // Asked for an object, since serde would also read an array as a struct.
    let options: StreamOptions = (value.kind == Kind::Object)
        .then(|| text.get(value.span.clone()))
        .flatten()
        .and_then(|literal| serde_json::from_str(literal).ok())
        .ok_or(invalid(Field::StreamOptions, value))?;
    Ok(options.include_usage.unwrap_or(false))
}

/// A number that is one to every reader: those beyond what 64 bits hold are infinite to some.
pub(super) fn number(
    text: &str,
    field: Field,
    value: Option<&Value>,
) -> Result<Option<f64>, InspectError> {
    let Some(value) = said(value) else {
        return Ok(None);
    };
    let literal = text.get(value.span.clone());
    literal
        .filter(|_| value.kind == Kind::Number)
        .and_then(|literal| literal.parse().ok())
        .filter(|number: &f64| number.is_finite())
        .map(Some)
        .ok_or(invalid(field, value))
}
