//! What is asked?
//!
//! One strict pass over the whole body finds the fields the gateway acts on and
//! refuses whatever two JSON readers could read differently: the upstream reads
//! the same bytes with a reader of its own, and a body that means one model here
//! and another there would walk around limits and routing. So a key may stand
//! once in an object, a known key has one spelling, and nothing surrounds the
//! object. Everything else passes untouched, however large its numbers are.
//!
//! No tree is built. The scanner (`inspect/scan.rs`) reports where each top-level
//! value stands, and only the few routed values are looked at again.

/// Which fields does the gateway act on?
pub mod field;
/// Where does what is acted on stand?
mod found;
/// What is asked in a form?
pub mod form;
/// What is the prompt of an image?
pub mod image;
/// Where does a string end that was read before?
pub mod literal;
/// How much is asked, where pictures are asked with?
pub mod pictures;
/// Does a caller without a key ask for more than it may?
mod caps;
/// Which keys could two readers take differently?
mod keys;
/// Is it one strict object, in another protocol?
pub mod strict;
/// What may be said to an operation that is no chat?
mod parameters;
/// What is it asked about?
mod subject;
/// How far does ordinary text reach?
mod plain;
/// Is this JSON, strictly, and where does each value stand?
mod scan;
/// What is a caller told whose body is refused?
mod texts;
/// What do the values of routed fields mean?
mod values;

#[cfg(test)]
mod tests;

use std::ops::Range;

use self::field::Field;
use self::form::FormFault;
use self::found::Found;
use self::pictures::PICTURE_TOKENS;
use self::scan::{Scanner, Value};
use crate::config::Modality;
use crate::config::clients::Anonymous;
use crate::gateway::door::boundary::Boundary;
use crate::operation::Operation;

/// The largest whole number that every JSON reader keeps exactly: 2^53 − 1.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// How much nesting and how many keys a body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Nested arrays and objects, the outermost object counted.
    pub depth_max: usize,
    /// Keys of one object.
    pub keys_max: usize,
}

/// Within what a body must be.
#[derive(Debug, Clone, Copy)]
pub struct Within<'a> {
    /// Nesting and keys.
    pub bounds: &'a Bounds,
    /// Texts, prompts or documents.
    pub inputs_max: usize,
    /// What its caller may not ask more for, where it shows no key.
    pub caps: Option<&'a Anonymous>,
}

/// What a body asks for. Owns what it holds, so that it outlives the call.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What the model is asked for.
    pub operation: Operation,
    /// The model's name as the caller wrote it, escapes decoded. Not empty.
    pub model: Box<str>,
    /// Where the value of `model` stands in the body, quotes included; of a form, everything
    /// between its delimiters.
    pub model_span: Range<usize>,
    /// Whether the answer is to be a stream of events.
    pub stream: bool,
    /// How many choices are wanted, ≥ 1; `None`: not said, which means one.
    pub n: Option<u32>,
    /// `max_tokens`, ≤ 2^53 − 1.
    pub max_tokens: Option<u64>,
    /// `max_completion_tokens`, of responses `max_output_tokens`, ≤ 2^53 − 1.
    pub max_completion_tokens: Option<u64>,
    /// The caller's own name for the end user.
    pub user: Option<Box<str>>,
    /// What the caller says its prompt's beginning is to be kept by.
    pub prompt_cache_key: Option<Box<str>>,
    /// Whether `stream_options.include_usage` is true.
    pub include_usage: bool,
    /// Where the value of `stream_options` stands in the body, if it is there.
    pub stream_options_span: Option<Range<usize>>,
    /// Whether the upstream is to keep what it answers.
    pub store: bool,
    /// How freely words are drawn; finite.
    pub temperature: Option<f64>,
    /// Where the value of `messages` stands in the body, brackets included; where it is no chat,
    /// that of what is asked about: `input`, `prompt`, `documents`, or the bytes of a file.
    pub messages_span: Range<usize>,
    /// How much is asked about at once, ≥ 1: texts, prompts or documents.
    pub inputs: usize,
    /// What stands between the parts of a form.
    pub boundary: Option<Boundary>,
}

impl Ask {
    /// How many answers there will be: choices, of completions for each of the prompts.
    #[must_use]
    pub fn answers(&self) -> u32 {
        let prompts = match self.operation {
            Operation::Completions => u32::try_from(self.inputs).unwrap_or(u32::MAX),
            _ => 1,
        };
        self.n.unwrap_or(1).saturating_mul(prompts)
    }

    /// How many tokens the question is taken for; a recording in a form counts as so many as a
    /// picture, whatever its bytes.
    #[must_use]
    pub fn question_tokens(&self, body: &[u8], bytes_per_token: u32) -> u64 {
        if self.boundary.is_none() {
            return pictures::question_tokens(body, bytes_per_token);
        }
        let text = body.len().saturating_sub(self.messages_span.len()) as u64;
        let text = text.div_ceil(u64::from(bytes_per_token.max(1)));
        text.saturating_add(PICTURE_TOKENS)
    }

    /// How many images are asked for, of a model that makes this.
    #[must_use]
    pub fn images(&self, modality: Modality) -> u32 {
        let makes_images = modality == Modality::Image || self.operation == Operation::Images;
        if makes_images { self.n.unwrap_or(1) } else { 0 }
    }

    /// How many tokens the answer may have at most, all choices together; each has so many as
    /// `unsaid` where that is not said. Upstreams differ in which of the two fields they obey
    /// where both are there, so the larger counts.
    #[must_use]
    pub fn answer_tokens_max(&self, unsaid: u64) -> u64 {
        let inputs = match self.operation {
            Operation::Chat | Operation::Responses | Operation::Transcriptions => 1,
            Operation::Completions => self.inputs as u64,
            Operation::Images => {
                return u64::from(self.n.unwrap_or(1)).saturating_mul(PICTURE_TOKENS);
            }
            // Numbers and sounds, which nobody counts in tokens.
            Operation::Embeddings
            | Operation::Speech
            | Operation::Moderations
            | Operation::Rerank
            | Operation::Counting => return 0,
        };
        let each = self.max_completion_tokens.max(self.max_tokens);
        let choices = u64::from(self.n.unwrap_or(1));
        let all = each.unwrap_or(unsaid).saturating_mul(choices);
        all.saturating_mul(inputs)
    }
}

/// Why a body is refused. The client is told code, param and message; the `Display`
/// text, with its byte offset, is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Not one strict JSON object.
    #[error("body is not one strict json object: {fault:?} at byte {offset}")]
    Json {
        /// What is wrong.
        fault: Fault,
        /// Where, in bytes from the start.
        offset: usize,
    },
    /// A key stands twice in one object.
    #[error("duplicate key in the object that ends at byte {offset}, known key {param:?}")]
    DuplicateKey {
        /// Which key, where it is a known one of the outermost object.
        param: Option<&'static str>,
        /// Where the object ends.
        offset: usize,
    },
    /// A top-level key is another spelling of a known one.
    #[error("key before byte {offset} is another spelling of {param:?}")]
    FoldedKey {
        /// The known key it resembles.
        param: &'static str,
        /// Where the key ends.
        offset: usize,
    },
    /// Not one form that everybody reads alike.
    #[error("body is not one strict form: {fault:?} at byte {offset}")]
    Form {
        /// What is wrong.
        fault: FormFault,
        /// Where, in bytes from the start.
        offset: usize,
    },
    /// A required field is not there.
    #[error("required field {:?} is missing", field.name())]
    MissingField {
        /// Which one.
        field: Field,
    },
    /// A top-level key would tell a gateway where to ask, or with which credential.
    #[error("key before byte {offset} is {param:?}, which is nobody's to send")]
    Steering {
        /// Which one.
        param: &'static str,
        /// Where the key ends.
        offset: usize,
    },
    /// A top-level key is no parameter of what is asked for, and those are refused.
    #[error("key before byte {offset} is no known one")]
    UnknownField {
        /// Where the key ends.
        offset: usize,
    },
    /// A caller without a key asks for more than such callers may.
    #[error("value of {:?} at byte {offset} is above {max}", field.name())]
    AboveCap {
        /// Of what.
        field: Field,
        /// What it may be at most.
        max: u64,
        /// Where its value begins.
        offset: usize,
    },
    /// A field the gateway acts on has a value it cannot act on.
    #[error("value of {:?} at byte {offset} is not usable", field.name())]
    InvalidValue {
        /// Which one.
        field: Field,
        /// Where its value begins.
        offset: usize,
    },
}

/// What keeps a body from being one strict JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no body.
    Empty,
    /// It begins with a byte order mark.
    ByteOrderMark,
    /// It is not UTF-8.
    Encoding,
    /// It is JSON perhaps, but no object.
    NotAnObject,
    /// A byte stands where JSON has no place for it.
    Syntax,
    /// It ends too early.
    Truncated,
    /// Something follows the object.
    Trailing,
    /// More nesting than [`Bounds::depth_max`].
    TooDeep,
    /// More keys in one object than [`Bounds::keys_max`].
    TooManyKeys,
    /// A control character stands in a string.
    ControlCharacter,
    /// A backslash in a string begins no known escape.
    Escape,
    /// Half of a surrogate pair stands in a key.
    SurrogateInKey,
    /// A number is not written as JSON writes numbers.
    Number,
}

/// Reads a chat-completions body.
///
/// # Errors
///
/// The body is not one strict JSON object, a key is ambiguous, a required field is
/// missing, or a field the gateway acts on has an unusable value.
pub fn inspect(body: &[u8], bounds: &Bounds) -> Result<Ask, InspectError> {
    inspect_within(body, bounds, None)
}

/// As [`inspect`], for a caller that may not ask for more than `caps`.
///
/// # Errors
///
/// As [`inspect`], and what is above a cap.
pub fn inspect_within(
    body: &[u8],
    bounds: &Bounds,
    caps: Option<&Anonymous>,
) -> Result<Ask, InspectError> {
    let within = Within {
        bounds,
        inputs_max: usize::MAX,
        caps,
    };
    inspect_for(Operation::Chat, body, &within)
}

/// As [`inspect`], of what a model is asked for in JSON.
///
/// # Errors
///
/// As [`inspect`], and what is above a bound or a cap.
pub fn inspect_for(
    operation: Operation,
    body: &[u8],
    within: &Within<'_>,
) -> Result<Ask, InspectError> {
    let Within {
        bounds,
        inputs_max,
        caps,
    } = *within;
    let text = decode(body)?;
    let mut scanner = Scanner::new(text, *bounds);
    let mut found = Found::default();
    let is_strict = caps.is_some_and(|caps| caps.unknown_fields_refused);
    let recognise = |key: &str, offset| match keys::recognise(operation, key, offset)? {
        None if is_strict && !keys::is_parameter(operation, key) => {
            Err(InspectError::UnknownField { offset })
        }
        field => Ok(field),
    };
    scanner.begin()?;
    while let Some(field) = scanner.key(recognise)? {
        let value = scanner.value()?;
        found.keep(field, value);
    }
    scanner.end(|key| keys::name(operation, key))?;
    if let Some(caps) = caps {
        caps::check(text, &found, caps)?;
    }
    found.ask(text, operation, inputs_max)
}

/// The body as text: not empty, UTF-8, no byte order mark.
fn decode(body: &[u8]) -> Result<&str, InspectError> {
    let json = |fault, offset| InspectError::Json { fault, offset };
    if body.is_empty() {
        return Err(json(Fault::Empty, 0));
    }
    if body.starts_with(b"\xEF\xBB\xBF") {
        return Err(json(Fault::ByteOrderMark, 0));
    }
    // The quick check does not tell the place; a fault is looked for again.
    simdutf8::basic::from_utf8(body).or_else(|_| {
        std::str::from_utf8(body).map_err(|error| json(Fault::Encoding, error.valid_up_to()))
    })
}

fn invalid(field: Field, value: &Value) -> InspectError {
    InspectError::InvalidValue {
        field,
        offset: value.span.start,
    }
}

impl InspectError {
    /// The `code` of the error the client sees.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "invalid_json",
            Self::Form { .. } => "invalid_form",
            Self::DuplicateKey { .. } | Self::FoldedKey { .. } => "duplicate_key",
            Self::MissingField { .. } => "missing_field",
            Self::InvalidValue { .. } | Self::AboveCap { .. } | Self::Steering { .. } => {
                "invalid_value"
            }
            Self::UnknownField { .. } => "unknown_parameter",
        }
    }

    /// The `param` of the error the client sees.
    #[must_use]
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::Json { .. } | Self::Form { .. } | Self::UnknownField { .. } => None,
            Self::DuplicateKey { param, .. } => *param,
            Self::FoldedKey { param, .. } | Self::Steering { param, .. } => Some(param),
            Self::MissingField { field }
            | Self::InvalidValue { field, .. }
            | Self::AboveCap { field, .. } => Some(field.name()),
        }
    }
}
