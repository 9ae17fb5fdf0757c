//! Where does what is acted on stand?
//!
//! The places of the routed values, as the one pass over the body has found them; only these
//! are looked at again.

use super::field::Field;
use super::scan::Value;
use super::values::{include_usage, integer, number, said, string, tokens, user};
use super::{Ask, InspectError, invalid, subject};
use crate::operation::Operation;

/// Where the values of the routed fields stand.
#[derive(Default)]
pub(super) struct Found {
    pub(super) model: Option<Value>,
    pub(super) messages: Option<Value>,
    pub(super) stream: Option<Value>,
    pub(super) n: Option<Value>,
    pub(super) max_tokens: Option<Value>,
    pub(super) max_completion_tokens: Option<Value>,
    pub(super) user: Option<Value>,
    pub(super) prompt_cache_key: Option<Value>,
    pub(super) stream_options: Option<Value>,
    pub(super) store: Option<Value>,
    pub(super) temperature: Option<Value>,
    pub(super) best_of: Option<Value>,
    pub(super) top_logprobs: Option<Value>,
    pub(super) tools: Option<Value>,
    pub(super) functions: Option<Value>,
    pub(super) size: Option<Value>,
    pub(super) max_output_tokens: Option<Value>,
    pub(super) input: Option<Value>,
    pub(super) prompt: Option<Value>,
    pub(super) query: Option<Value>,
    pub(super) documents: Option<Value>,
    pub(super) background: Option<Value>,
    pub(super) previous_response_id: Option<Value>,
    pub(super) conversation: Option<Value>,
    pub(super) stream_format: Option<Value>,
}

impl Found {
    pub(super) fn keep(&mut self, field: Option<Field>, value: Value) {
        let place = match field {
            Some(Field::Model) => &mut self.model,
            Some(Field::Messages) => &mut self.messages,
            Some(Field::Stream) => &mut self.stream,
            Some(Field::N) => &mut self.n,
            Some(Field::MaxTokens) => &mut self.max_tokens,
            Some(Field::MaxCompletionTokens) => &mut self.max_completion_tokens,
            Some(Field::User) => &mut self.user,
            Some(Field::PromptCacheKey) => &mut self.prompt_cache_key,
            Some(Field::StreamOptions) => &mut self.stream_options,
            Some(Field::Store) => &mut self.store,
            Some(Field::Temperature) => &mut self.temperature,
            Some(Field::BestOf) => &mut self.best_of,
            Some(Field::TopLogprobs) => &mut self.top_logprobs,
            Some(Field::Tools) => &mut self.tools,
            Some(Field::Functions) => &mut self.functions,
            Some(Field::Size) => &mut self.size,
            Some(Field::MaxOutputTokens) => &mut self.max_output_tokens,
            Some(Field::Input) => &mut self.input,
            Some(Field::Prompt) => &mut self.prompt,
            Some(Field::Query) => &mut self.query,
            Some(Field::Documents) => &mut self.documents,
            Some(Field::Background) => &mut self.background,
            Some(Field::PreviousResponseId) => &mut self.previous_response_id,
            Some(Field::Conversation) => &mut self.conversation,
            Some(Field::StreamFormat) => &mut self.stream_format,
            // Of images in chats, read apart; and of forms.
            Some(Field::Quality | Field::Style | Field::Seed | Field::File) | None => return,
        };
        *place = Some(value);
    }

    pub(super) fn ask(
        self,
        text: &str,
        operation: Operation,
        inputs_max: usize,
    ) -> Result<Ask, InspectError> {
        let missing = InspectError::MissingField {
            field: Field::Model,
        };
        let model = self.model.as_ref().ok_or(missing)?;
        let subject = subject::subject(&self, text, operation, inputs_max)?;
        let model_name = string(text, model).filter(|name| !name.is_empty());
        Ok(Ask {
            operation,
            model: model_name.ok_or(invalid(Field::Model, model))?,
            model_span: model.span.clone(),
            stream: subject::is_stream(&self, text, operation)?,
            n: integer(text, Field::N, self.n.as_ref(), 1..=u64::from(u32::MAX))?
                .and_then(|n| u32::try_from(n).ok()),
            max_tokens: tokens(text, Field::MaxTokens, self.max_tokens.as_ref())?,
            max_completion_tokens: match operation {
                Operation::Responses => tokens(
                    text,
                    Field::MaxOutputTokens,
                    self.max_output_tokens.as_ref(),
                )?,
                _ => tokens(
                    text,
                    Field::MaxCompletionTokens,
                    self.max_completion_tokens.as_ref(),
                )?,
            },
            user: user(text, self.user.as_ref())?,
            // A hint and no more: what is no text is none.
            prompt_cache_key: said(self.prompt_cache_key.as_ref())
                .and_then(|value| string(text, value)),
            stream_options_span: self.stream_options.as_ref().map(|it| it.span.clone()),
            include_usage: include_usage(text, self.stream_options.as_ref())?,
            store: subject::is_stored(&self, operation)?,
            temperature: match operation {
                Operation::Chat | Operation::Completions | Operation::Responses => {
                    number(text, Field::Temperature, self.temperature.as_ref())?
                }
                // Nothing is drawn by chance.
                _ => Some(0.0),
            },
            messages_span: subject.span,
            inputs: subject.inputs,
            boundary: None,
        })
    }
}
