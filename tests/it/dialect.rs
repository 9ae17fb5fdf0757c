//! Is another protocol spoken as its vendor documents it?
//!
//! What a dialect makes of bytes is held against golden files, dialect by dialect; what callers
//! get of it is asked of the real program before an upstream that speaks it.

/// What is made of requests, answers, streams and errors.
mod golden;
/// Anthropic's messages, through the whole gateway.
mod anthropic;
/// Google's Gemini, through the whole gateway.
mod gemini;
/// OpenAI's Responses, through the whole gateway.
mod responses;
/// OpenAI's protocol as Azure speaks it.
mod azure;
