//! What can a model be asked for?
//!
//! A closed set: each operation has one path, one word that configuration, metrics, the
//! request log and callers know it by, and properties that decide how it is read and
//! answered. What is the same for all of them (limits, routing, failover, deadlines) never
//! asks which it is.

/// What a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A chat, answered whole or as events; the only one that other dialects know, too.
    Chat,
    /// Text that goes on behind a prompt, what there was before chats.
    Completions,
    /// Texts as vectors.
    Embeddings,
    /// Images, in their own protocol.
    Images,
    /// What `OpenAI` has beside chats: an answer of items, or typed events.
    Responses,
    /// Text read aloud.
    Speech,
    /// Speech written down.
    Transcriptions,
    /// What of a text is harmful.
    Moderations,
    /// Which documents fit a query best.
    Rerank,
    /// How many tokens a question in Anthropic's words has. Where a model is asked for chats and
    /// has a pool that speaks so, it is asked for this, too; nobody configures it.
    Counting,
}

/// How a request says what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// One JSON object.
    Json,
    /// A form with a file in it.
    Form,
}

/// How a stream says that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Each choice has its `finish_reason`, then `[DONE]` comes.
    Choices,
    /// An event whose `type` is one of these, once for each answer.
    Typed(&'static [&'static str]),
}

impl Operation {
    /// Every operation, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Images,
        Self::Responses,
        Self::Speech,
        Self::Transcriptions,
        Self::Moderations,
        Self::Rerank,
        Self::Counting,
    ];

    /// The word for it, wherever there is one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat.completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Images => "images.generations",
            Self::Responses => "responses",
            Self::Speech => "audio.speech",
            Self::Transcriptions => "audio.transcriptions",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Counting => "messages.count_tokens",
        }
    }

    /// Its path below a base address, ours and an upstream's.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Images => "/images/generations",
            Self::Responses => "/responses",
            Self::Speech => "/audio/speech",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Moderations => "/moderations",
            Self::Rerank => "/rerank",
            Self::Counting => "/messages/count_tokens",
        }
    }

    /// The operation at a path below a base address.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.path() == path)
    }

    /// How it is asked for.
    #[must_use]
    pub const fn question(self) -> Question {
        match self {
            Self::Transcriptions => Question::Form,
            _ => Question::Json,
        }
    }

    /// How its streams end; `None`: it has none.
    ///
    /// Source: `OpenAI`'s API reference, "Streaming events" of each.
    #[must_use]
    pub const fn ending(self) -> Option<Ending> {
        match self {
            Self::Chat | Self::Completions => Some(Ending::Choices),
            Self::Images => Some(Ending::Typed(&["image_generation.completed"])),
            Self::Responses => Some(Ending::Typed(&[
                "response.completed",
                "response.incomplete",
                "response.failed",
            ])),
            Self::Transcriptions => Some(Ending::Typed(&["transcript.text.done"])),
            Self::Speech => Some(Ending::Typed(&["speech.audio.done"])),
            Self::Embeddings | Self::Moderations | Self::Rerank | Self::Counting => None,
        }
    }

    /// Whether an upstream may answer whole though a stream was asked for. `whisper-1` and others
    /// ignore `stream`, and what they answer is as good; a chat's callers read events only.
    #[must_use]
    pub const fn may_ignore_stream(self) -> bool {
        matches!(self, Self::Transcriptions | Self::Images | Self::Speech)
    }

    /// Whether its answers are text, of which a token is a few bytes.
    #[must_use]
    pub const fn answers_in_text(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::Completions | Self::Responses | Self::Transcriptions
        )
    }

    /// What a model must be configured for to be asked for this.
    #[must_use]
    pub const fn configured_as(self) -> Self {
        match self {
            Self::Counting => Self::Chat,
            other => other,
        }
    }

    /// Whether it costs tokens. A count of them is made without a model's work.
    #[must_use]
    pub const fn costs_tokens(self) -> bool {
        !matches!(self, Self::Counting)
    }

    /// Whether another model's answer is as good, where the configuration names one: how many
    /// tokens a model makes of a text is said of it alone.
    #[must_use]
    pub const fn may_fall_back(self) -> bool {
        !matches!(self, Self::Counting)
    }

    /// Whether its answers may be kept: those that are small, and the same or as good for
    /// whoever asks the same.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        !matches!(self, Self::Images | Self::Speech | Self::Transcriptions)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_word_and_a_path_of_its_own() {
        let words: BTreeSet<_> = Operation::ALL.map(Operation::name).into();
        let paths: BTreeSet<_> = Operation::ALL.map(Operation::path).into();
        assert_eq!((words.len(), paths.len()), (10, 10));
        for operation in Operation::ALL {
            assert_eq!(Operation::at(operation.path()), Some(operation));
            // The word is the path with points: nobody has to learn both.
            let pointed = operation.path().trim_start_matches('/').replace('/', ".");
            assert_eq!(operation.name(), pointed);
        }
        assert_eq!(Operation::at("/chat"), None);
    }
}
