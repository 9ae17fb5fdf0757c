//! What does an answer, or an event, say?
//!
//! Its form, as much of it as is read, and how the parts of a candidate are told in OpenAI's
//! words. Defaults are left out of what comes, so next to everything may be missing. Texts stay
//! as they were written. A picture stands in the text on a line of its own, where its
//! address is not known yet.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::gateway::dialect::Unreadable;
use crate::gateway::dialect::members::is_text;
use crate::gateway::dialect::written::Tokens;

/// `GenerateContentResponse`, or what came in its place.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said<'a> {
    #[serde(borrow, default)]
    pub candidates: Vec<Candidate<'a>>,
    #[serde(borrow)]
    pub prompt_feedback: Option<PromptFeedback<'a>>,
    pub usage_metadata: Option<Counts>,
    #[serde(borrow)]
    pub model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// One of the answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default)]
    pub index: u32,
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    #[serde(borrow)]
    pub finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub logprobs_result: Option<Logprobs<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub parts: Vec<Part<'a>>,
}

/// A part, with the members of every kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    thought: bool,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
    #[serde(borrow)]
    inline_data: Option<Blob<'a>>,
    #[serde(borrow)]
    thought_signature: Option<&'a RawValue>,
}

/// A call.
#[derive(Deserialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow)]
    pub id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow)]
    mime_type: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback<'a> {
    #[serde(borrow)]
    pub block_reason: Option<Cow<'a, str>>,
}

/// `usageMetadata`; all counts are of all so far.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "these are Google's names")]
pub(super) struct Counts {
    prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    tool_use_prompt_token_count: u64,
    thoughts_token_count: u64,
}

/// What each token weighed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Logprobs<'a> {
    #[serde(borrow)]
    top_candidates: Vec<Tops<'a>>,
    #[serde(borrow)]
    chosen_candidates: Vec<Weighed<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tops<'a> {
    #[serde(borrow)]
    candidates: Vec<Weighed<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Weighed<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    log_probability: f64,
}

/// The same in OpenAI's form.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    content: Vec<Token<'a>>,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct Token<'a> {
    #[serde(rename = "token")]
    text: &'a str,
    logprob: f64,
    bytes: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<Self>>,
}

/// What a part is.
pub(super) enum Piece<'p, 'a> {
    /// A text, its escapes as they came and without its quotes, said or thought.
    Text(Member, &'a str),
    /// A picture in base64, said or thought.
    Picture(Member, &'p str),
    /// A call.
    Call(&'p FunctionCall<'a>),
    /// Nothing but perhaps a signature.
    Nothing,
}

/// Where in a message something belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// What was said.
    Content,
    /// What was thought before.
    Reasoning,
}

/// `extra_content`
#[derive(Serialize)]
pub(super) struct Extra<'a> {
    google: Google<'a>,
}

#[derive(Serialize)]
struct Google<'a> {
    thought_signature: &'a RawValue,
}

/// Where in its lines a text stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Line {
    /// At the beginning.
    #[default]
    Start,
    /// Behind words.
    Words,
    /// Behind a picture.
    Picture,
}

impl Member {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Reasoning => "reasoning_content",
        }
    }
}

impl<'a> Part<'a> {
    /// What it is.
    pub(super) fn piece(&self) -> Result<Piece<'_, 'a>, Unreadable> {
        let member = if self.thought {
            Member::Reasoning
        } else {
            Member::Content
        };
        if let Some(call) = &self.function_call {
            return Ok(Piece::Call(call));
        }
        if let Some(Blob { mime_type, data }) = &self.inline_data {
            if !mime_type.starts_with("image/") {
                return Err(Unreadable("bytes that are no picture"));
            }
            return Ok(Piece::Picture(member, data));
        }
        let Some(text) = self.text else {
            return Ok(Piece::Nothing);
        };
        let inside = text.get().strip_prefix('"');
        let inside = inside.and_then(|text| text.strip_suffix('"'));
        match inside {
            Some("") => Ok(Piece::Nothing),
            Some(inside) => Ok(Piece::Text(member, inside)),
            None => Err(Unreadable("a text that is none")),
        }
    }

    /// What the model wants to see again with it.
    pub(super) fn extra(&self) -> Option<Extra<'a>> {
        let thought_signature = self.thought_signature.filter(|it| is_text(it))?;
        Some(Extra {
            google: Google { thought_signature },
        })
    }
}

impl Line {
    /// Writes more of a text, as it stands in JSON.
    pub(super) fn words(&mut self, text: &str, out: &mut Vec<u8>) {
        if *self == Self::Picture {
            out.extend_from_slice(b"\\n");
        }
        out.extend_from_slice(text.as_bytes());
        *self = Self::Words;
    }

    /// Writes a picture; answers with where its address belongs.
    pub(super) fn picture(&mut self, out: &mut Vec<u8>) -> usize {
        if *self != Self::Start {
            out.extend_from_slice(b"\\n");
        }
        out.extend_from_slice(b"![Generated Image](");
        let at = out.len();
        out.push(b')');
        *self = Self::Picture;
        at
    }
}

impl Counts {
    /// The larger of each: an event may tell less than those before.
    pub(super) fn larger(self, other: Self) -> Self {
        Self {
            prompt_token_count: self.prompt_token_count.max(other.prompt_token_count),
            cached_content_token_count: self
                .cached_content_token_count
                .max(other.cached_content_token_count),
            candidates_token_count: self
                .candidates_token_count
                .max(other.candidates_token_count),
            tool_use_prompt_token_count: self
                .tool_use_prompt_token_count
                .max(other.tool_use_prompt_token_count),
            thoughts_token_count: self.thoughts_token_count.max(other.thoughts_token_count),
        }
    }

    /// As OpenAI counts: thoughts are a part of the answer there.
    pub(super) fn tokens(self) -> Tokens {
        Tokens {
            prompt: self
                .prompt_token_count
                .saturating_add(self.tool_use_prompt_token_count),
            cached: self.cached_content_token_count,
            cache_written: 0,
            completion: self
                .candidates_token_count
                .saturating_add(self.thoughts_token_count),
            reasoning: Some(self.thoughts_token_count),
        }
    }
}

impl Logprobs<'_> {
    pub(super) fn told(&self) -> Told<'_> {
        let token = |weighed, top_logprobs| {
            let Weighed {
                token,
                log_probability,
            }: &Weighed<'_> = weighed;
            Token {
                text: token,
                logprob: *log_probability,
                bytes: None,
                top_logprobs,
            }
        };
        let chosen = self.chosen_candidates.iter().enumerate();
        let content = chosen.map(|(place, chosen)| {
            let tops = self.top_candidates.get(place);
            let tops = tops.map_or(&[][..], |tops| &tops.candidates);
            token(
                chosen,
                Some(tops.iter().map(|top| token(top, None)).collect()),
            )
        });
        Told {
            content: content.collect(),
            refusal: None,
        }
    }
}
