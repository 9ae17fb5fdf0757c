//! What is a caller told whose body is refused?
//!
//! Constant texts, one a fault, each saying what to send instead. They never quote
//! the body: a text that is always the same can be searched for, and leaks nothing.

use std::borrow::Cow;

use super::field::Field;
use super::form::FormFault;
use super::{Fault, InspectError};

impl InspectError {
    /// The `message` of the error the client sees: it says what to do. Constant, but for what a
    /// cap allows.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        if let Self::AboveCap { field, max, .. } = self {
            return match field {
                Field::Tools
                | Field::Functions
                | Field::Input
                | Field::Prompt
                | Field::Documents => {
                    format!(
                        "`{}` may hold at most {max} of them here. Send fewer.",
                        field.name()
                    )
                }
                Field::Size => {
                    format!("`size` may be at most {max}x{max} here, or \"auto\". Ask for less.")
                }
                _ => format!(
                    "`{}` may be at most {max} here. Ask for less.",
                    field.name()
                ),
            }
            .into();
        }
        self.constant().into()
    }

    fn constant(&self) -> &'static str {
        match self {
            Self::Json { fault, .. } => fault.message(),
            Self::Form { fault, .. } => fault.message(),
            Self::DuplicateKey { .. } => {
                "A key stands twice in one object of the body. Send each key once."
            }
            Self::FoldedKey { .. } => {
                "A key of the body is another spelling of a known one. Spell it exactly as documented, in lower case and without spaces or invisible characters."
            }
            Self::MissingField {
                field: Field::Model,
            } => "The body has no `model`. Name one of the models that GET /api/v1/models lists.",
            Self::MissingField { field } => field.missing(),
            // What a cap allows is filled in above.
            Self::InvalidValue { field, .. } | Self::AboveCap { field, .. } => field.expected(),
            Self::Steering { .. } => {
                "The body has a field that tells a gateway where to ask or with which credential. Leave it out; the model alone decides that here."
            }
            Self::UnknownField { .. } => {
                "The body has a field that is no parameter of what is asked for. Leave it out; unknown fields are refused here."
            }
        }
    }
}

impl Fault {
    fn message(self) -> &'static str {
        match self {
            Self::Empty => "The request has no body. Send one JSON object.",
            Self::ByteOrderMark => {
                "The body begins with a byte order mark. Send UTF-8 JSON without one."
            }
            Self::Encoding => "The body is not UTF-8. Encode the JSON as UTF-8.",
            Self::NotAnObject => {
                "The body is not a JSON object. Send one object with `model` and `messages`."
            }
            Self::Syntax => "The body is not valid JSON. Write it with a JSON library.",
            Self::Truncated => "The body ends in the middle of its JSON. Send the whole object.",
            Self::Trailing => {
                "Something follows the JSON object in the body. Send one object and nothing else."
            }
            Self::TooDeep => {
                "The body nests arrays and objects too deeply. Send a flatter structure."
            }
            Self::TooManyKeys => {
                "An object of the body has too many keys. Send fewer, or an array."
            }
            Self::ControlCharacter => {
                "A string of the body holds a bare control character. Escape it, as \\n for a line end."
            }
            Self::Escape => {
                "A string of the body holds an unknown escape. Write a backslash as \\\\."
            }
            Self::SurrogateInKey => {
                "A key of the body holds half of a surrogate pair. Send keys of whole characters."
            }
            Self::Number => {
                "A number of the body is not written as JSON writes numbers. Write it with a JSON library."
            }
        }
    }
}

impl FormFault {
    fn message(self) -> &'static str {
        match self {
            Self::Start => {
                "The body does not begin with the form's boundary. Write it with a library for forms."
            }
            Self::Truncated => "The body ends in the middle of its form. Send the whole form.",
            Self::Delimiter => {
                "The form's boundary stands where no part begins or ends. Choose one that does not occur in the file."
            }
            Self::Trailing => {
                "Something follows the form in the body. Send one form and nothing else."
            }
            Self::Head => {
                "The head of a part of the form is not one that all readers read alike. Send Content-Disposition: form-data with a name in quotes, and a Content-Type at most."
            }
            Self::TooManyParts => "The form has too many parts. Send fewer fields.",
        }
    }
}

impl Field {
    /// What is told where it is needed and not there.
    fn missing(self) -> &'static str {
        match self {
            Self::Input => "The body has no `input`. Send the text that it is about.",
            Self::Prompt => "The body has no `prompt`. Send one.",
            Self::Query => "The body has no `query`. Send what the documents are to be ranked by.",
            Self::Documents => "The body has no `documents`. Send an array of those to be ranked.",
            Self::File => "The form has no `file`. Send the recording as a part with a filename.",
            _ => {
                "The body has no `messages`. Send an array of messages, each with a `role` and a `content`."
            }
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Model => {
                "`model` must be a non-empty string. Name one of the models that GET /api/v1/models lists."
            }
            Self::Messages => {
                "`messages` must be an array of messages, each with a `role` and a `content`; an image model needs one of role `user` with text."
            }
            Self::Stream => "`stream` must be true or false.",
            Self::N => {
                "`n` must be a whole number of at least 1, written without fraction or exponent."
            }
            Self::MaxTokens => {
                "`max_tokens` must be a whole number, written without sign, fraction or exponent."
            }
            Self::MaxCompletionTokens => {
                "`max_completion_tokens` must be a whole number, written without sign, fraction or exponent."
            }
            Self::User => "`user` must be a string.",
            Self::PromptCacheKey => "`prompt_cache_key` must be a string.",
            Self::StreamOptions => {
                "`stream_options` must be an object whose `include_usage` is true or false."
            }
            Self::Store => "`store` must be true or false.",
            Self::Temperature => "`temperature` must be a number.",
            Self::Size => "`size` must be a string such as \"1024x1024\", or \"auto\".",
            Self::Quality => "`quality` must be a string.",
            Self::Style => "`style` must be a string.",
            Self::Seed => "`seed` must be a whole number.",
            Self::BestOf => {
                "`best_of` must be a whole number, written without fraction or exponent."
            }
            Self::TopLogprobs => {
                "`top_logprobs` must be a whole number, written without fraction or exponent."
            }
            Self::Tools => "`tools` must be an array of tools.",
            Self::Functions => "`functions` must be an array of functions.",
            Self::MaxOutputTokens => {
                "`max_output_tokens` must be a whole number, written without sign, fraction or exponent."
            }
            Self::Input => {
                "`input` must be a text that is not empty, or, where lists are taken, a list of some."
            }
            Self::Prompt => "`prompt` must be a text, or, where lists are taken, a list of some.",
            Self::Query => "`query` must be what the documents are to be ranked by.",
            Self::Documents => "`documents` must be an array of at least one document.",
            Self::Background => {
                "`background` must be false: responses are not kept here to be asked for later. Leave it out, or stream."
            }
            Self::PreviousResponseId => "`previous_response_id` must be a string.",
            Self::Conversation => "`conversation` must be the id of one.",
            Self::StreamFormat => "`stream_format` must be \"sse\" or \"audio\".",
            Self::File => "`file` must be one part of the form, with a filename and some bytes.",
        }
    }
}
