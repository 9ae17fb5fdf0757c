//! `spafe`: an edge proxy for language models.
//!
//! One OpenAI-compatible address in front of many upstreams. The modules stand in
//! the order in which one should read them; `ARCHITECTURE.md` has the picture.

/// What things are called.
pub mod names;
/// What the operator asked for.
pub mod config;
/// The way of a request, step by step.
pub mod gateway;
/// Server-sent events, found without being copied.
pub mod sse;
/// The wire types of the OpenAI protocol, only what is read or written here.
pub mod openai;
/// The built-in upstream.
pub mod simulator;
