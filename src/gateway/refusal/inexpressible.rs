//! What is a caller told whose request no upstream has words for?
//!
//! Which field it is, in the caller's own spelling, and what to do. The codes are those by
//! which OpenAI says the same of its own models.

use super::is_printable;
use crate::gateway::dialect::{Inexpressible, Why};

/// What of a field's name is told.
const PARAM_CHARS_MAX: usize = 128;

pub(super) fn code(what: &Inexpressible) -> &'static str {
    match what.why {
        Why::Unknown => "unsupported_parameter",
        Why::Value(_) => "unsupported_value",
        Why::Malformed(_) => "invalid_value",
    }
}

pub(super) fn param(what: &Inexpressible) -> String {
    let printable = what.param.chars().filter(|c| is_printable(*c));
    printable.take(PARAM_CHARS_MAX).collect()
}

pub(super) fn message(what: &Inexpressible) -> String {
    let param = param(what);
    match what.why {
        Why::Unknown => format!(
            "The upstreams of this model know nothing like '{param}'. Leave it out, or choose another model."
        ),
        Why::Value(must) => format!(
            "The upstreams of this model cannot be asked so: '{param}' {must}. Change it, or choose another model."
        ),
        Why::Malformed(must) => format!("'{param}' {must}. Correct it and send the request again."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::refusal::Refusal;

    #[track_caller]
    fn check(what: Inexpressible, code: &str, param: &str, says: &str) {
        let envelope = Refusal::Inexpressible(what).envelope();
        assert_eq!(envelope.status.as_u16(), 400);
        assert_eq!(envelope.code.as_deref(), Some(code));
        assert_eq!(envelope.param.as_deref(), Some(param));
        assert!(envelope.message.contains(says), "{}", envelope.message);
    }

    #[test]
    fn the_field_is_named_and_what_is_wrong_with_it() {
        let unknown = Inexpressible::unknown("logit_bias");
        check(
            unknown,
            "unsupported_parameter",
            "logit_bias",
            "'logit_bias'",
        );
        let value = Inexpressible::value("temperature", "must be at most 1");
        let says = "'temperature' must be at most 1.";
        check(value, "unsupported_value", "temperature", says);
        let malformed = Inexpressible::malformed("messages[1].role", "must be a string");
        check(
            malformed,
            "invalid_value",
            "messages[1].role",
            "must be a string.",
        );
    }

    #[test]
    fn a_callers_own_name_is_told_in_part_and_without_what_is_not_seen() {
        let unknown = Inexpressible::unknown(format!("a\u{202e}\n{}", "b".repeat(300)));
        let told = format!("a{}", "b".repeat(127));
        check(unknown, "unsupported_parameter", &told, &told);
    }
}
