//! Is it one strict object, in another protocol?
//!
//! A body that is put into other words is read by a reader that would take one of two members
//! of a name. So it is held to what every body is held to, and only where its model stands is
//! kept: the rest is inspected once it is a chat.

use std::ops::Range;

use super::field::Field;
use super::scan::Scanner;
use super::{Bounds, InspectError, decode, keys};
use crate::operation::Operation;

/// Where the value of `model` stands in a body.
///
/// # Errors
/// The body is not one strict JSON object, a key is ambiguous, or there is no model.
pub fn model(body: &[u8], bounds: &Bounds) -> Result<Range<usize>, InspectError> {
    let mut scanner = Scanner::new(decode(body)?, *bounds);
    let mut model = None;
    scanner.begin()?;
    // What a chat and a message both have has the same name in both.
    while let Some(field) = scanner.key(|key, at| keys::recognise(Operation::Chat, key, at))? {
        let value = scanner.value()?;
        if field == Some(Field::Model) {
            model = Some(value.span);
        }
    }
    scanner.end(|key| keys::name(Operation::Chat, key))?;
    model.ok_or(InspectError::MissingField {
        field: Field::Model,
    })
}
