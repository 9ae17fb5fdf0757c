//! What do OpenAI's messages look like, as far as this gateway reads or writes them?
//!
//! Bodies and events pass as bytes, so these are only the messages that the gateway
//! makes itself (errors, the list of models, the answers of image models) and the
//! few that it must understand (an upstream's error, generated images).

/// What must be known of a whole chat answer?
pub mod glance;
/// What of a question did the upstream remember?
mod details;

use std::borrow::Cow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The member of a message, or of a chunk's delta, in which Anthropic's own words stand beside
/// what they mean, for callers who speak that: whole messages and events of streams, as a list.
pub const VERBATIM: &str = "anthropic";

/// An error as clients see it, in a body or as an event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorEnvelope<'a> {
    /// The only member.
    pub error: ErrorObject<'a>,
}

/// What an error says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorObject<'a> {
    /// For people.
    pub message: Cow<'a, str>,
    /// The class, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// The field of the request that is at fault.
    pub param: Option<Cow<'a, str>>,
    /// For programs, such as `model_not_found`.
    pub code: Option<Cow<'a, str>>,
}

/// What an upstream's error says, in whichever of the usual shapes it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// For people.
    pub message: Option<String>,
    /// The class, such as `overloaded_error`.
    pub kind: Option<String>,
    /// For programs; a number, as some send it, in decimal.
    pub code: Option<String>,
    /// The field of the request that is at fault.
    pub param: Option<String>,
    /// When to come back, where it says that here and not in its head.
    pub retry_after: Option<Duration>,
}

/// A whole chat answer; written for image models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatCompletion {
    /// `chatcmpl-…`
    pub id: String,
    /// [`ChatCompletion::OBJECT`].
    pub object: Cow<'static, str>,
    /// Unix seconds.
    pub created: i64,
    /// The model's name.
    pub model: String,
    /// One an answer.
    pub choices: Vec<Choice>,
    /// Written as `null` where nothing was counted.
    pub usage: Option<Usage>,
}

/// One answer of a [`ChatCompletion`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// Its place, from 0.
    pub index: u32,
    /// What was answered.
    pub message: Message,
    /// Why it ended.
    pub finish_reason: Option<String>,
}

/// What an assistant said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `assistant`
    pub role: Cow<'static, str>,
    /// Text, or Markdown of images; none where tools are called.
    #[schemars(with = "Option<String>")]
    pub content: String,
}

/// One event of a streamed chat answer; written for image models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatChunk {
    /// `chatcmpl-…`, the same in all events of a stream.
    pub id: String,
    /// [`ChatChunk::OBJECT`].
    pub object: Cow<'static, str>,
    /// Unix seconds, the same in all events of a stream.
    pub created: i64,
    /// The model's name.
    pub model: String,
    /// What is new.
    pub choices: Vec<ChunkChoice>,
    /// Written as `null` where nothing was counted.
    pub usage: Option<Usage>,
}

/// What is new in one answer of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkChoice {
    /// Its place, from 0.
    pub index: u32,
    /// What is added.
    pub delta: Delta,
    /// Why it ended, in its last event.
    pub finish_reason: Option<String>,
}

/// What is added to an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delta {
    /// `assistant`, in the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Cow<'static, str>>,
    /// More text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Tokens, as the upstream counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Of the question.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Of the answer.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Of both.
    #[serde(default)]
    pub total_tokens: u64,
    /// Of the question, what the upstream remembered. Read, and never written.
    #[serde(
        default,
        rename = "prompt_tokens_details",
        deserialize_with = "details::cached",
        skip_serializing
    )]
    #[schemars(skip)]
    pub cached_tokens: u64,
}

impl Usage {
    /// The larger of each count. Some upstreams count up with every event, and some end with
    /// zeros: what was used once stays used.
    #[must_use]
    pub fn larger(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.max(other.prompt_tokens),
            completion_tokens: self.completion_tokens.max(other.completion_tokens),
            total_tokens: self.total_tokens.max(other.total_tokens),
            cached_tokens: self.cached_tokens.max(other.cached_tokens),
        }
    }

    /// Of the answer, with what was thought: some count that beside `completion_tokens`, and in
    /// the sum alone (xAI), and have it paid for.
    #[must_use]
    pub fn answer_tokens(&self) -> u64 {
        let beside = self.total_tokens.saturating_sub(self.prompt_tokens);
        self.completion_tokens.max(beside)
    }

    /// Of both.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.answer_tokens())
    }
}

/// What `GET /models` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// [`ModelList::OBJECT`].
    pub object: Cow<'static, str>,
    /// The models.
    pub data: Vec<ModelEntry>,
}

/// One model of a [`ModelList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Its name.
    pub id: String,
    /// [`ModelEntry::OBJECT`].
    pub object: Cow<'static, str>,
    /// Unix seconds.
    pub created: i64,
    /// Who made it.
    pub owned_by: String,
    /// `text` or `image`.
    pub modality: Cow<'static, str>,
}

/// What `POST …/images/generations` is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagesRequest {
    /// What the upstream calls the model.
    pub model: String,
    /// What the images are to show.
    pub prompt: String,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Such as `1024x1024`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Such as `hd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Such as `vivid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
    /// What makes the same image again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// `url` or `b64_json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Cow<'static, str>>,
}

/// What `POST …/images/generations` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagesResponse {
    /// Unix seconds.
    #[serde(default)]
    pub created: i64,
    /// One an image.
    pub data: Vec<GeneratedImage>,
}

/// One generated image: an address, or the bytes themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedImage {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<String>,
}

impl ErrorEnvelope<'_> {
    /// As a body.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps of strings are always JSON; an empty object would still be an answer.
        serde_json::to_string(self).unwrap_or_else(|_| String::from("{}"))
    }
}

impl UpstreamError {
    /// Finds the error in a body or in the data of an event; `None` where there is none.
    ///
    /// Shape: `{"error": {"message", "type", "param", "code"}}`, `{"error": "text"}`,
    /// `{"object": "error", "message", …}` (vLLM), or an array with one of these (Google).
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut value: Value = serde_json::from_slice(body).ok()?;
        if let Value::Array(values) = value {
            value = values.into_iter().next()?;
        }
        let Value::Object(mut members) = value else {
            return None;
        };
        match members.remove("error") {
            None | Some(Value::Null) => (members.get("object").and_then(Value::as_str)
                == Some("error"))
            .then(|| Self::from_members(members)),
            Some(Value::Object(error)) => Some(Self::from_members(error)),
            Some(Value::String(message)) => Some(Self {
                message: Some(message),
                ..Self::default()
            }),
            Some(_) => Some(Self::default()),
        }
    }

    fn from_members(mut members: serde_json::Map<String, Value>) -> Self {
        let mut text = |name| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Self {
            message: text("message"),
            kind: text("type"),
            code: text("code"),
            param: text("param"),
            // OpenAI's protocol says that in the head.
            retry_after: None,
        }
    }
}

impl ChatCompletion {
    /// The value of `object`.
    pub const OBJECT: &'static str = "chat.completion";
}

impl ChatChunk {
    /// The value of `object`.
    pub const OBJECT: &'static str = "chat.completion.chunk";
}

impl ModelList {
    /// The value of `object`.
    pub const OBJECT: &'static str = "list";
}

impl ModelEntry {
    /// The value of `object`.
    pub const OBJECT: &'static str = "model";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_written_with_all_four_members() {
        let envelope = ErrorEnvelope {
            error: ErrorObject {
                message: "no".into(),
                kind: "invalid_request_error".into(),
                param: None,
                code: Some("model_not_found".into()),
            },
        };
        assert_eq!(
            envelope.to_json(),
            r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#
        );
    }

    #[test]
    fn an_image_answer_is_written_as_the_contract_shows_it() {
        let answer = ChatCompletion {
            id: "chatcmpl-1".into(),
            object: ChatCompletion::OBJECT.into(),
            created: 1,
            model: "flux".into(),
            choices: vec![Choice {
                index: 0,
                message: Message {
                    role: "assistant".into(),
                    content: "![Generated Image](http://h/i)".into(),
                },
                finish_reason: Some("stop".into()),
            }],
            usage: None,
        };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"flux","choices":[{"index":0,"message":{"role":"assistant","content":"![Generated Image](http://h/i)"},"finish_reason":"stop"}],"usage":null}"#
        );
    }

    fn check(body: &str, expected: Option<[Option<&str>; 3]>) {
        let found = UpstreamError::read(body.as_bytes());
        let found = found.map(|error| [error.message, error.kind, error.code]);
        let expected = expected.map(|texts| texts.map(|text| text.map(String::from)));
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn upstream_errors_are_read_in_every_usual_shape() {
        let (m, t) = (Some("m"), Some("t"));
        check(
            r#"{"error":{"message":"m","type":"t","code":"c"}}"#,
            Some([m, t, Some("c")]),
        );
        check(
            r#"{"error":{"message":"m","type":"t","code":429}}"#,
            Some([m, t, Some("429")]),
        );
        check(
            r#"{"error":{"message":"m","code":null}}"#,
            Some([m, None, None]),
        );
        check(r#"{"error":"m"}"#, Some([m, None, None]));
        check(
            r#"{"object":"error","message":"m","type":"t","code":400}"#,
            Some([m, t, Some("400")]),
        );
        check(
            r#"[{"error":{"message":"m","status":"X"}}]"#,
            Some([m, None, None]),
        );
        check(
            r#"{"type":"error","error":{"type":"t","message":"m"}}"#,
            Some([m, t, None]),
        );
        check(r#"{"error":17}"#, Some([None, None, None]));
        check(r#"{"error":null,"choices":[]}"#, None);
        check(r#"{"choices":[]}"#, None);
        check(r#"{"error":"#, None);
        check("[]", None);
        check("<html>error</html>", None);
    }
}
