//! What can a model be called for that is no chat?
//!
//! A line for each operation, and the fields of its request that are looked at here. All others
//! go to the model's maker as they are, and what comes back is the maker's: so no more is said
//! of answers than what kind they are.

/// What is sent there?
pub(super) mod sent;

use super::operations::{ASKING, Body, Envelope, JSON, Operation, Root};
use crate::operation::Operation as Asked;

const OBJECT: Body = Body {
    kind: JSON,
    shape: "object",
};
const EVENTS: Body = Body {
    kind: "text/event-stream",
    shape: "text",
};
const SOUND: Body = Body {
    kind: "audio/*",
    shape: "bytes",
};
const TEXT: Body = Body {
    kind: "text/plain",
    shape: "text",
};

/// Everything beside chats that a model can be asked for.
pub(super) const FURTHER: [Operation; 8] = [
    line(
        Asked::Completions,
        ["createCompletion", "Go on with a text"],
        "CompletionRequest",
        &[OBJECT, EVENTS],
    ),
    line(
        Asked::Embeddings,
        ["createEmbedding", "Turn texts into vectors"],
        "EmbeddingRequest",
        &[OBJECT],
    ),
    line(
        Asked::Images,
        ["createImage", "Have an image made"],
        "ImageRequest",
        &[OBJECT, EVENTS],
    ),
    line(
        Asked::Responses,
        ["createResponse", "Ask a model in items"],
        "ResponseRequest",
        &[OBJECT, EVENTS],
    ),
    line(
        Asked::Speech,
        ["createSpeech", "Have a text read aloud"],
        "SpeechRequest",
        &[SOUND, EVENTS],
    ),
    line(
        Asked::Transcriptions,
        ["createTranscription", "Have speech written down"],
        "TranscriptionRequest",
        &[OBJECT, EVENTS, TEXT],
    ),
    line(
        Asked::Moderations,
        ["createModeration", "Ask what of a text is harmful"],
        "ModerationRequest",
        &[OBJECT],
    ),
    line(
        Asked::Rerank,
        ["createRerank", "Put documents in order"],
        "RerankRequest",
        &[OBJECT],
    ),
];

/// One of them, by its name for programs and in words.
const fn line(
    asked: Asked,
    [id, summary]: [&'static str; 2],
    shape: &'static str,
    answers: &'static [Body],
) -> Operation {
    let kind = match asked {
        Asked::Transcriptions => "multipart/form-data",
        _ => JSON,
    };
    Operation {
        root: Root::Api,
        path: asked.path(),
        id,
        summary,
        description: "For the models whose endpoints name it. The answer is as the model's maker gives it.",
        asks: Some(Body { kind, shape }),
        answers,
        refuses: ASKING,
        is_kept: false,
        envelope: Envelope::OpenAi,
    }
}
